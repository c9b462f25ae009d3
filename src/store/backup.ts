// A copy of the database file before its schema changes, so that a person can go back: `hub.db.before-N` is the
// database as it was before schema N. The newest two are kept.
import { Database } from "bun:sqlite";
import { closeSync, constants, fsyncSync, openSync, readdirSync, renameSync } from "node:fs";
import { basename, dirname } from "node:path";
import { IntercomError } from "../protocol/errors.ts";
import { syncDirectory, unlinkIfPresent } from "../system/files.ts";
import { isDamage } from "./integrity.ts";

const kept = 2;

/**
 * Writes the copy whole or not at all; on disk before it returns. Two programs may start on one file: the one that
 * comes late finds the schema changed already, and its copy is dropped. Throws `unsafe_file` when it cannot be written, and
 * SQLite's error where the file is damaged.
 */
export function backUp(db: Database, path: string, step: { from: number; to: number }): void {
  const temporary = `${path}.before-${step.to}.${process.pid}.tmp`;
  try {
    unlinkIfPresent(temporary);
    // VACUUM INTO takes an empty file; made here, it is private from its first byte
    closeSync(openSync(temporary, constants.O_CREAT | constants.O_EXCL | constants.O_WRONLY, 0o600));
    db.query("VACUUM INTO ?").run(temporary);
    if (schemaOf(temporary) !== step.from) return;
    syncFile(temporary);
    renameSync(temporary, `${path}.before-${step.to}`);
    forgetOld(path);
    syncDirectory(dirname(path));
  } catch (cause) {
    if (isDamage(cause)) throw cause;
    throw new IntercomError(
      "unsafe_file",
      `${path} cannot be copied before its schema changes from ${step.from} to ${step.to}`,
      { hint: `make room for a second copy of it: df -h ${dirname(path)}; nothing was changed`, cause },
    );
  } finally {
    unlinkIfPresent(temporary);
  }
}

/** The newest copy beside `path` that a program which knows schemas up to `known` can use. */
export function copyFor(path: string, known: number): string | undefined {
  for (const number of numbersOf(path)) {
    const copy = `${path}.before-${number}`;
    const schema = schemaOf(copy);
    if (schema !== undefined && schema > 0 && schema <= known) return copy;
  }
  return undefined;
}

/** undefined: no database, or none that can be read. */
export function schemaOf(path: string): number | undefined {
  try {
    using db = new Database(path, { readonly: true });
    return db.query<{ user_version: number }, []>("PRAGMA user_version").get()?.user_version;
  } catch {
    return undefined;
  }
}

export function syncFile(path: string): void {
  const fd = openSync(path, constants.O_RDONLY);
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

function forgetOld(path: string): void {
  for (const number of numbersOf(path).slice(kept)) unlinkIfPresent(`${path}.before-${number}`);
}

/** Of the copies beside `path`, the newest first. */
function numbersOf(path: string): number[] {
  const start = `${basename(path)}.before-`;
  return readdirSync(dirname(path))
    .filter((name) => name.startsWith(start) && /^\d+$/.test(name.slice(start.length)))
    .map((name) => Number(name.slice(start.length)))
    .sort((a, b) => b - a);
}
