// Whether a SQLite file is whole, seen from another process: for `doctor`, which may take its time where the hub
// may not. Reads only.
import { Database, SQLiteError } from "bun:sqlite";

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

function isBusy(error: unknown): boolean {
  return error instanceof SQLiteError && /^SQLITE_(BUSY|LOCKED)/.test(error.code ?? "");
}
