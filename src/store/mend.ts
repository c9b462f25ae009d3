// What is left of a damaged database is made to hold together: what can be told from other tables is written again, what
// lost its parents goes, and nobody is promised what was lost. Inside the new file, before anybody uses it.
import type { Database } from "bun:sqlite";
import { revokeGrantsOf } from "./approvals.ts";
import { failWaiting } from "./deliveries.ts";
import { damagedReason, type Mending, note, readOrUndefined } from "./mending.ts";
import { mendCopies, mendMessages, mendThreads, mendWaiting } from "./mending-mail.ts";
import { mendMissions, mendOutput } from "./mending-missions.ts";
import { leaveThreads } from "./messages.ts";
import { endMissionsOf } from "./missions.ts";
import type { Report } from "./rescue-files.ts";

/** of sequences whose last number cannot be read: far more than rows can have been lost */
const sequenceGap = 1_000_000;
/** rounds of removing what lost its parents: the schema is not half as deep */
const orphanRounds = 12;

export function mend(
  db: Database,
  from: Database,
  { at, lost }: Pick<Mending, "at" | "lost">,
): Pick<Report, "mended" | "messages"> {
  const spoilt = dropSpoilt(db);
  const all = lost.union(spoilt).union(missedParents(db));
  const mending: Mending = { db, from, at, lost: all, mended: {}, messages: [] };
  for (const table of spoilt) note(mending, `${table} with a row that reads well and means nothing`, 1);
  const work = db.transaction(() => {
    advanceSequences(mending);
    mendThreads(mending);
    mendMissions(mending);
    mendMessages(mending);
    mendCopies(mending);
    if (mending.lost.has("machines")) turnAwayLost(mending);
    if (mending.lost.has("projects")) mendProjects(mending);
    mendWaiting(mending);
    mendOutput(mending);
    // half of Telegram's memory would show things twice or never: it begins anew, from now on
    if (mending.lost.has("telegram_settings")) db.run("DELETE FROM telegram_settings WHERE key = 'chat'");
    removeOrphans(mending);
  });
  work();
  return { mended: mending.mended, messages: mending.messages };
}

/** Rows of pages of which half is of another time: their JSON would fail whoever reads it. Returns their tables. */
function dropSpoilt(db: Database): Set<string> {
  const columns = {
    mission_runs: ["request", "context"],
    approvals: ["plan"],
    grants: ["command"],
    sends: ["targets"],
    projects: ["capabilities", "tags"],
  };
  const changed = Object.entries(columns).filter(([table, names]) => {
    const spoilt = names.map((name) => `NOT json_valid(${name})`).join(" OR ");
    return db.query(`DELETE FROM ${table} WHERE ${spoilt}`).run().changes > 0;
  });
  return new Set(changed.map(([table]) => table));
}

/** Tables of rows that others speak of and that are not there. */
function missedParents(db: Database): Set<string> {
  const rows = db.query<{ parent: string }, []>("SELECT DISTINCT parent FROM pragma_foreign_key_check").all();
  return new Set(rows.map(({ parent }) => parent));
}

/** No number is given twice: behind the last one given, and far behind where that cannot be read. */
function advanceSequences({ db, from }: Mending): void {
  const tables = db
    .query<{ name: string }, []>(
      "SELECT name FROM sqlite_master WHERE type = 'table' AND sql LIKE '%AUTOINCREMENT%'",
    )
    .all();
  for (const { name } of tables) {
    const last = lastOf(db, name);
    const given = readOrUndefined(() => lastOf(from, name));
    const next = given === undefined ? last + sequenceGap : Math.max(last, given);
    db.query("DELETE FROM sqlite_sequence WHERE name = ?").run(name);
    if (next > 0) db.query("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)").run(name, next);
  }
}

/** 0: none was ever given. */
function lastOf(db: Database, table: string): number {
  return (
    db.query<{ seq: number }, [string]>("SELECT seq FROM sqlite_sequence WHERE name = ?").get(table)?.seq ?? 0
  );
}

/**
 * A machine whose key is lost is treated as one that was turned away: whoever asks for its name next may be another, and
 * inherits nothing. It asks to join again by itself.
 */
function turnAwayLost(mending: Mending): void {
  const { db, at } = mending;
  const known = `SELECT machine_id AS id FROM projects UNION SELECT machine_id FROM sessions
    UNION SELECT machine_id FROM thread_members UNION SELECT machine_id FROM deliveries
    UNION SELECT machine_id FROM missions UNION SELECT from_machine FROM mission_runs`;
  const lost = db
    .query<{ id: string }, []>(
      `SELECT id FROM (${known}) WHERE id IS NOT NULL AND id NOT IN (SELECT id FROM machines)`,
    )
    .all();
  for (const { id } of lost) {
    revokeGrantsOf(db, id, at);
    endMissionsOf(db, id, damagedReason, at);
    note(mending, "copies for lost machines, failed", failWaiting(db, id, damagedReason, at).length);
    leaveThreads(db, id);
  }
  note(mending, "machines that must join again", lost.length);
}

/** A session stands in a project; what is said of that comes with the machine's next presence. */
function mendProjects({ db }: Mending): void {
  db.run(
    `INSERT INTO projects (machine_id, project_id, path, description, capabilities, tags)
     SELECT DISTINCT machine_id, project_id, '', '', '[]', '[]' FROM sessions
     WHERE machine_id IN (SELECT id FROM machines) ON CONFLICT DO NOTHING`,
  );
}

/** The first write about a row without its parent would fail, and with it the hub's start. */
function removeOrphans(mending: Mending): void {
  const { db } = mending;
  const tables = db.query<{ name: string }, []>("SELECT name FROM sqlite_master WHERE type = 'table'").all();
  for (let round = 0, removed = 1; removed > 0 && round < orphanRounds; round++) {
    removed = 0;
    for (const { name } of tables)
      for (const condition of orphanConditions(db, name)) {
        const { changes } = db.query(`DELETE FROM ${name} WHERE ${condition}`).run();
        note(mending, `${name} without what they belong to, removed`, changes);
        removed += changes;
      }
  }
}

function orphanConditions(db: Database, table: string): string[] {
  type Column = { id: number; parent: string; child: string; to: string };
  const columns = db
    .query<Column, [string]>(
      `SELECT id, "table" AS parent, "from" AS child, "to" FROM pragma_foreign_key_list(?) ORDER BY id, seq`,
    )
    .all(table);
  return [...Map.groupBy(columns, ({ id }) => id).values()].map((parts) => {
    const present = parts.map(({ child }) => `${child} IS NOT NULL`).join(" AND ");
    const same = parts.map(({ child, to }) => `parent.${to} = ${table}.${child}`).join(" AND ");
    return `${present} AND NOT EXISTS (SELECT 1 FROM ${parts[0]?.parent} AS parent WHERE ${same})`;
  });
}
