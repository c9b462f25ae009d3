// How a process was started, as far as the kernel tells, so that it can be started again when it has died: its words,
// directory, environment, and where its output goes. Linux only: elsewhere nobody can know.
import { closeSync, constants, openSync, readFileSync, readlinkSync } from "node:fs";
import { environmentOf } from "./process.ts";

/** Where output goes; opened while the process lived, for a pipe or a removed file cannot be found afterwards. */
type Output = number | "ignore";

export type Origin = Disposable & {
  /** behind the program's name */
  words: string[];
  directory: string;
  environment: Record<string, string>;
  outputs: [stdout: Output, stderr: Output];
};

/** Undefined where it cannot be known. Whoever asks disposes of it. */
export function originOf(pid: number): Origin | undefined {
  if (process.platform !== "linux") return undefined;
  try {
    const words = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0").slice(1, -1);
    const directory = readlinkSync(`/proc/${pid}/cwd`);
    const environment = Object.fromEntries(environmentOf(pid).flatMap(variable));
    if (Object.keys(environment).length === 0) return undefined; // not ours to read
    const outputs: Origin["outputs"] = [outputOf(pid, 1), outputOf(pid, 2)];
    const close = () => outputs.forEach((one) => void (typeof one === "number" && closeSync(one)));
    return { words, directory, environment, outputs, [Symbol.dispose]: close };
  } catch {
    return undefined; // another user's, or gone
  }
}

/** In a session of its own: nobody waits for it, and the terminal that it may write to does not end it. */
export function startAgain(program: string, origin: Origin): Bun.Subprocess {
  const child = Bun.spawn([program, ...origin.words], {
    cwd: origin.directory,
    env: origin.environment,
    stdio: ["ignore", ...origin.outputs],
    detached: true,
  });
  child.unref();
  return child;
}

function variable(entry: string): [string, string][] {
  const at = entry.indexOf("=");
  return at > 0 ? [[entry.slice(0, at), entry.slice(at + 1)]] : [];
}

/** A terminal, a file, a pipe that somebody reads; a socket (a service's journal) cannot be opened again. */
function outputOf(pid: number, fd: number): Output {
  const path = `/proc/${pid}/fd/${fd}`;
  const { O_WRONLY, O_APPEND, O_NOCTTY, O_NONBLOCK } = constants;
  try {
    // without a reader the second open would wait for one
    closeSync(openSync(path, O_WRONLY | O_NOCTTY | O_NONBLOCK));
    return openSync(path, O_WRONLY | O_APPEND | O_NOCTTY);
  } catch {
    return "ignore";
  }
}
