// What cannot be read in a file of ours is kept beside it, for a person to look at.
import { closeSync, constants, openSync } from "node:fs";
import { fileSize, writeAll } from "./files.ts";
import { log } from "./log.ts";

/** bytes of damaged lines kept for a person to look at */
const maxCorruptBytes = 1024 * 1024;

/**
 * Damaged lines go to a file of their own, never thrown away while there is room; false: there was none. `whose`: of
 * what they were lines.
 */
export function setAside(path: string, whose: string, damaged: readonly Buffer[]): boolean {
  const bytes = damaged.reduce((sum, line) => sum + line.length, 0);
  log.warn(`damaged lines of ${whose} were set aside`, { path, lines: damaged.length, bytes });
  if (fileSize(path) + bytes > maxCorruptBytes) return false;
  const { O_APPEND, O_CREAT, O_WRONLY, O_NOFOLLOW } = constants;
  const fd = openSync(path, O_APPEND | O_CREAT | O_WRONLY | O_NOFOLLOW, 0o600);
  try {
    for (const line of damaged) writeAll(fd, Buffer.concat([line, Buffer.from("\n")]));
  } finally {
    closeSync(fd);
  }
  return true;
}
