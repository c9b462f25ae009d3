// Puts a new program in the place of this one and back: always one rename, so whoever starts the program meanwhile
// finds the old or the new one whole. A running process keeps the file it was started from.
import {
  accessSync,
  chmodSync,
  closeSync,
  constants,
  copyFileSync,
  fsyncSync,
  linkSync,
  openSync,
  renameSync,
  statSync,
} from "node:fs";
import { dirname } from "node:path";
import { IntercomError } from "../protocol/errors.ts";
import { syncDirectory, unlinkIfPresent, writeAll } from "./files.ts";

export const previousOf = (program: string): string => `${program}.previous`;

/** Writes `bytes` beside the program, executable, on disk. Returns the path; the caller removes or swaps it in. */
export function writeBeside(program: string, bytes: Uint8Array): string {
  const path = `${program}.new`;
  unlinkIfPresent(path);
  const fd = openSync(path, "wx", 0o755);
  try {
    writeAll(fd, bytes);
    fsyncSync(fd);
  } catch (error) {
    unlinkIfPresent(path);
    throw error;
  } finally {
    closeSync(fd);
  }
  chmodSync(path, 0o755); // whatever the umask
  return path;
}

/** `next` becomes the program; the program that was becomes `PROGRAM.previous`. When it throws, nothing was changed. */
export function swapIn(program: string, next: string): void {
  const old = secondName(program);
  let isIn = false;
  try {
    renameSync(next, program);
    isIn = true;
    renameSync(old, previousOf(program));
  } catch (error) {
    if (isIn) renameSync(old, program);
    else unlinkIfPresent(old);
    throw error;
  }
  syncDirectory(dirname(program));
}

/** The previous program takes its place again. */
export function swapBack(program: string): void {
  renameSync(previousOf(program), program);
  syncDirectory(dirname(program));
}

/** For the same file, so that its own name is never without one. */
function secondName(program: string): string {
  const temporary = `${previousOf(program)}.tmp`;
  unlinkIfPresent(temporary);
  try {
    linkSync(program, temporary);
  } catch {
    copyFileSync(program, temporary); // a file system without hard links
  }
  return temporary;
}

/** Whether this user may put another file in the program's place: in a sticky directory its owner alone may. */
export function refuseUnreplaceable(program: string): void {
  const directory = dirname(program);
  const [its, here, me] = [statSync(program), statSync(directory), process.getuid?.()];
  const sticky = (here.mode & 0o1000) !== 0 && me !== 0 && its.uid !== me && here.uid !== me;
  try {
    accessSync(directory, constants.W_OK);
    if (!sticky) return;
  } catch (cause) {
    throw unreplaceable(program, `${directory} cannot be written to`, cause);
  }
  throw unreplaceable(
    program,
    `${program} belongs to another user, in a directory where only that one may replace it`,
  );
}

function unreplaceable(program: string, message: string, cause?: unknown): IntercomError {
  return new IntercomError("unsafe_file", `${message}; nothing was changed`, {
    hint: `run this as whoever installed it: ls -ld ${dirname(program)} ${program}`,
    cause,
  });
}
