// Puts a new program in the place of this one and back: always one rename, so whoever starts the program meanwhile
// finds the old or the new one whole. A running process keeps the file it was started from.
import { chmodSync, closeSync, copyFileSync, fsyncSync, linkSync, openSync, renameSync } from "node:fs";
import { dirname } from "node:path";
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

/** `next` becomes the program; the program that was becomes `PROGRAM.previous`. */
export function swapIn(program: string, next: string): void {
  keep(program);
  renameSync(next, program);
  syncDirectory(dirname(program));
}

/** The previous program takes its place again. */
export function swapBack(program: string): void {
  renameSync(previousOf(program), program);
  syncDirectory(dirname(program));
}

/** A second name for the same file, so that its own name is never without one. */
function keep(program: string): void {
  const temporary = `${previousOf(program)}.tmp`;
  unlinkIfPresent(temporary);
  try {
    linkSync(program, temporary);
  } catch {
    copyFileSync(program, temporary); // a file system without hard links
  }
  renameSync(temporary, previousOf(program));
}
