// What is known while the rest of a damaged database is made to hold together (mend.ts), and what was done.
import type { Database } from "bun:sqlite";
import type { Report } from "./rescue-files.ts";

export type Mending = {
  /** the new file */
  db: Database;
  /** the damaged one, where a lost row's place may still stand in an index */
  from: Database;
  at: string;
  /** tables that lost rows, as far as that is known: a page of which half is of another time reads well */
  lost: ReadonlySet<string>;
  mended: Record<string, number>;
  messages: Report["messages"];
};

/** What is said of what was lost. */
export const damagedReason = "the hub's database was damaged";

export function note(mending: Mending, what: string, count: number): void {
  if (count > 0) mending.mended[what] = (mending.mended[what] ?? 0) + count;
}

/** What the damaged file still tells, if it does. */
export function readOrUndefined<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}

/** The number of a lost row, from an index that can still be read and if nobody has it now; null: the next free one. */
export function placeIn(
  { db, from }: Pick<Mending, "db" | "from">,
  table: string,
  where: string,
  ...key: string[]
): number | null {
  const sql = `SELECT seq FROM ${table} WHERE ${where}`;
  const seq = readOrUndefined(() => from.query<{ seq: number }, string[]>(sql).get(...key))?.seq;
  if (seq === undefined || db.query(`SELECT 1 FROM ${table} WHERE seq = ?`).get(seq) !== null) return null;
  return seq;
}
