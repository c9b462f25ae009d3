// One process for one thing (a home, a database): an flock that the kernel drops when its holder dies, kill -9 included.
import { dlopen, FFIType } from "bun:ffi";
import { closeSync, ftruncateSync, openSync, readFileSync } from "node:fs";
import { IntercomError } from "../protocol/errors.ts";
import { readTextIfPresent, writeAll } from "./files.ts";
import { identify } from "./process.ts";

/** flock(2) */
const LOCK_EX = 2;
const LOCK_NB = 4;

export type Lock = { release(): void };

/** Takes `path` for this process, or throws `conflict` that names the holder's pid and says what it holds. */
export function takeLock(path: string, role: string, holds = "runs in this home"): Lock {
  const { symbols } = dlopen(process.platform === "darwin" ? "libSystem.B.dylib" : "libc.so.6", {
    flock: { args: [FFIType.i32, FFIType.i32], returns: FFIType.i32 },
  });
  const fd = openSync(path, "a+", 0o600);
  if (symbols.flock(fd, LOCK_EX | LOCK_NB) !== 0) {
    const holder = readFileSync(path, "utf8").trim();
    closeSync(fd);
    throw new IntercomError(
      "conflict",
      `another ${role} already ${holds}${holder ? ` (pid ${holder})` : ""}`,
      {
        hint: "stop it first, or choose another home with AI_INTERCOM_HOME",
      },
    );
  }
  ftruncateSync(fd, 0);
  writeAll(fd, Buffer.from(`${process.pid}\n`));
  return { release: () => closeSync(fd) };
}

/** The process whose pid was written last into a lock file, if it still runs. */
export function lockHolder(path: string): number | undefined {
  try {
    const pid = Number(readTextIfPresent(path)?.trim().split("\n").at(-1));
    return pid > 0 && identify(pid) ? pid : undefined;
  } catch {
    return undefined; // what is wrong with its directory is said elsewhere
  }
}
