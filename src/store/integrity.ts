// Whether a SQLite file is whole, seen from another process: for `doctor`, which may take its time where the hub
// may not; and what SQLite's errors say of a file. Reads only.
import { Database, SQLiteError } from "bun:sqlite";
import { IntercomError } from "../protocol/errors.ts";

/** lines of damage worth showing */
const shown = 5;

/** What SQLite finds wrong, a line each: none when the file is whole. `unchecked`: why nobody can say. */
export type Integrity = { damage: string[] } | { unchecked: string };

export function findDamage(path: string): Integrity {
  try {
    using db = new Database(path, { readonly: true, strict: true });
    db.run("PRAGMA busy_timeout = 5000");
    const rows = db.query<{ quick_check: string }, []>(`PRAGMA quick_check(${shown})`).all();
    return { damage: rows.map(({ quick_check }) => quick_check).filter((line) => line !== "ok") };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    // a full or read-only disk, a busy writer: nothing is known of the file itself
    return isDiskTrouble(error) || isBusy(error) ? { unchecked: why } : { damage: [why] };
  }
}

/** SQLite could not use the disk; the file itself may be whole. */
export function isDiskTrouble(error: unknown): error is SQLiteError {
  return error instanceof SQLiteError && /^SQLITE_(FULL|IOERR|READONLY|CANTOPEN)/.test(error.code ?? "");
}

/** The file is not what SQLite wrote. */
export function isDamage(error: unknown): error is SQLiteError {
  return error instanceof SQLiteError && /^SQLITE_(CORRUPT|NOTADB)/.test(error.code ?? "");
}

/** Nobody should move it away either: what is in it may still be read by somebody who knows how. */
export function unusable(path: string, cause: unknown): IntercomError {
  return new IntercomError("unparsable_file", `${path} cannot be opened as a SQLite database`, {
    hint: `nothing was changed; put a backup of it in its place, or name another file in hub.store`,
    cause,
  });
}

function isBusy(error: unknown): boolean {
  return error instanceof SQLiteError && /^SQLITE_(BUSY|LOCKED)/.test(error.code ?? "");
}
