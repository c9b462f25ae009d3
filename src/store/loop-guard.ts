// Agents that answer each other without end, in SQLite: after so many messages of agents in a row, the next ones
// are held until a person says a word. Every function runs inside a transaction of the caller.
import type { Database } from "bun:sqlite";
import { type DeliveryRow, deliveryColumns, setState } from "./deliveries.ts";
import type { StateRecord } from "./store.ts";

/** Do the messages of agents since the person's last word exceed `limit`? The one just written counts. */
export function isLoop(db: Database, thread: string, limit: number): boolean {
  const { count = 0 } =
    db
      .query<{ count: number }, { thread: string; most: number }>(
        `SELECT count(*) AS count FROM (
           SELECT 1 FROM messages WHERE thread_id = $thread AND from_session IS NOT NULL AND seq > max(
             (SELECT released_seq FROM threads WHERE id = $thread),
             coalesce((SELECT max(seq) FROM messages WHERE thread_id = $thread AND from_agent = 'human'), 0))
           LIMIT $most)`,
      )
      .get({ thread, most: limit + 1 }) ?? {};
  return count > limit;
}

export function hasHeld(db: Database, thread: string): boolean {
  return (
    db.query("SELECT 1 FROM deliveries WHERE thread_id = ? AND state = 'held' LIMIT 1").get(thread) !== null
  );
}

export type Released = { changes: StateRecord[]; machines: string[] };

/** Lets what is held in the thread go, and counts anew from here. */
export function release(db: Database, thread: string, at: string, expiresAt: string): Released {
  type Row = DeliveryRow & { machine_id: string; kind: string; ended: number };
  const held = db
    .query<Row, [string]>(
      `SELECT ${deliveryColumns
        .split(", ")
        .map((column) => `d.${column}`)
        .join(", ")}, d.machine_id, d.kind,
         s.ended_at IS NOT NULL AS ended
       FROM deliveries d LEFT JOIN sessions s ON s.machine_id = d.machine_id AND s.session_id = d.session_id
       WHERE d.thread_id = ? AND d.state = 'held' ORDER BY d.seq`,
    )
    .all(thread);
  const changes = held.map((row) => {
    if (row.kind === "project")
      return setState(db, row, { state: "queued", at, reason: "waits for a session", expires_at: expiresAt });
    if (row.ended === 1)
      return setState(db, row, { state: "queued", at, reason: "session ended", expires_at: expiresAt });
    return setState(db, row, { state: "accepted", at });
  });
  db.query(
    "UPDATE threads SET released_seq = coalesce((SELECT max(seq) FROM messages WHERE thread_id = ?1), 0) WHERE id = ?1",
  ).run(thread);
  return { changes, machines: [...new Set(held.map((row) => row.machine_id))] };
}
