// `logs`: what the hub and the daemon of this home logged, the newest lines, and with --follow what comes.
import { closeSync, fstatSync, openSync, readSync, statSync } from "node:fs";
import { IntercomError } from "../protocol/errors.ts";
import { readTextIfPresent } from "../system/files.ts";
import { homePaths } from "../system/paths.ts";
import { delay } from "../system/wait.ts";
import { command } from "./command.ts";
import { plain, print } from "./output.ts";

const roles = ["standalone", "hub", "daemon"] as const;
/** ms between looks at a file that is followed */
const followMs = 250;

export const logs = command({
  name: "logs",
  description: "what the hub and the daemon of this home logged",
  args: {
    of: {
      type: "string",
      description: `${roles.join(", ")} (default: the one that wrote last)`,
      valueHint: "ROLE",
    },
    lines: { type: "string", default: "50", description: "the newest so many", valueHint: "N" },
    follow: { type: "boolean", alias: "f", default: false, description: "go on until Ctrl-C" },
  },
  choices: { of: [...roles] },
  examples: ["ai-intercom logs", "ai-intercom logs --lines 500", "ai-intercom logs --of daemon --follow"],
  run: async (args) => {
    const wanted = Number(args.lines);
    if (!Number.isInteger(wanted) || wanted < 0 || wanted > 100_000)
      throw new IntercomError("bad_usage", `--lines cannot be "${args.lines}"`, {
        hint: "a whole number from 0 to 100000",
      });
    const path = logOf(args.of);
    const { text, end } = newest(path, wanted);
    if (text) print(text);
    if (args.follow) await follow(path, end);
  },
});

function logOf(role: string | undefined): string {
  const { logs, home } = homePaths();
  if (role !== undefined && !roles.some((one) => one === role))
    throw new IntercomError("bad_usage", `--of cannot be "${role}"`, { hint: roles.join(", ") });
  const candidates = (role === undefined ? roles : [role]).map((one) => `${logs}/${one}.log`);
  const [latest] = candidates
    .map((path) => ({ path, at: statSync(path, { throwIfNoEntry: false })?.mtimeMs }))
    .filter((one): one is { path: string; at: number } => one.at !== undefined)
    .sort((a, b) => b.at - a.at);
  if (latest) return latest.path;
  throw new IntercomError("not_found", `nothing was logged in ${home} yet`, {
    hint: "ai-intercom standalone, or: ai-intercom service install",
  });
}

/** The newest lines, from the file before as well where this one was just begun; `end`: bytes seen of this one. */
function newest(path: string, wanted: number): { text: string; end: number } {
  const current = readTextIfPresent(path) ?? "";
  const before = lineCount(current) < wanted ? (readTextIfPresent(`${path}.1`) ?? "") : "";
  const lines = (before + current).split("\n").filter((line) => line !== "");
  return {
    text: plain(lines.slice(lines.length - Math.min(wanted, lines.length)).join("\n")),
    end: Buffer.byteLength(current),
  };
}

function lineCount(text: string): number {
  return text.split("\n").length - 1;
}

/** Prints what is appended, across turn-overs, until the process is stopped. */
async function follow(path: string, from: number): Promise<void> {
  const stop = new AbortController();
  process.once("SIGINT", () => stop.abort());
  let descriptor = openSync(path, "r");
  let at = from;
  const decoder = new TextDecoder();
  while (!stop.signal.aborted) {
    const read = readFrom(descriptor, at);
    at += read.length;
    if (read.length > 0) process.stdout.write(plain(decoder.decode(read, { stream: true })));
    else if (isTurnedOver(path, descriptor)) {
      closeSync(descriptor);
      descriptor = openSync(path, "r");
      at = 0;
    } else await delay(followMs, stop.signal);
  }
  closeSync(descriptor);
}

function readFrom(descriptor: number, at: number): Uint8Array {
  const part = new Uint8Array(64 * 1024);
  return part.subarray(0, readSync(descriptor, part, 0, part.length, at));
}

function isTurnedOver(path: string, descriptor: number): boolean {
  const now = statSync(path, { throwIfNoEntry: false });
  return now !== undefined && now.ino !== fstatSync(descriptor).ino;
}
