// Whether a SQLite file is whole, seen from another process: for `doctor`, which may take its time where the hub
// may not. Reads only.
import { Database } from "bun:sqlite";

/** lines of damage worth showing */
const shown = 5;

/** What SQLite finds wrong, a line each; empty when the file is whole. */
export function findDamage(path: string): string[] {
  try {
    using db = new Database(path, { readonly: true, strict: true });
    db.run("PRAGMA busy_timeout = 5000");
    const rows = db.query<{ quick_check: string }, []>(`PRAGMA quick_check(${shown})`).all();
    return rows.map(({ quick_check }) => quick_check).filter((line) => line !== "ok");
  } catch (error) {
    return [error instanceof Error ? error.message : String(error)];
  }
}
