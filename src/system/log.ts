// The program's diary, one line per event on stderr (a service manager keeps it). Never message bodies, keys,
// codes or tokens.
import { createConsola, type LogObject } from "consola";

/** `log.info("linked", { machine })` → `2026-11-22T18:00:00.000Z info linked machine=limn`. */
export const log = createConsola({
  level: 3,
  reporters: [{ log: (entry) => void process.stderr.write(logLine(entry)) }],
});

/** One entry as it is written, with its line break. */
export function logLine({ date, type, args }: LogObject): string {
  const [text, fields] = args;
  const extra = Object.entries(typeof fields === "object" && fields !== null ? fields : {}).map(
    ([key, value]) => ` ${key}=${show(value)}`,
  );
  return `${date.toISOString()} ${type} ${text}${extra.join("")}\n`;
}

function show(value: unknown): string {
  if (value instanceof Error) return JSON.stringify(value.message);
  return typeof value === "string" && /^[\w./:@-]+$/.test(value)
    ? value
    : (JSON.stringify(value) ?? "undefined");
}
