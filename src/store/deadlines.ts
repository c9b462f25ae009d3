// Senders that asked for an answer by a time, in SQLite. Every function runs inside a transaction of the caller.
import type { Database } from "bun:sqlite";
import type { DueDeadline, NewMessage } from "./store.ts";

export function addDeadline(db: Database, { id, reply_by }: NewMessage): void {
  if (!reply_by) return;
  db.query("INSERT INTO reply_deadlines (message_id, nudge_at, due_at) VALUES (?, ?, ?)").run(
    id,
    reply_by.nudge_at,
    reply_by.due_at,
  );
}

/** The answer came. */
export function dropDeadline(db: Database, messageId: string): void {
  db.query("DELETE FROM reply_deadlines WHERE message_id = ?").run(messageId);
}

/** Whom to nudge, and which deadlines have passed; oldest first. */
export function dueDeadlines(db: Database, at: string, limit: number): DueDeadline[] {
  return db
    .query<DueDeadline, { at: string; limit: number }>(
      `SELECT r.message_id, m.thread_id, m.from_agent, d.address AS "to", r.due_at,
         CASE WHEN r.due_at <= $at THEN 'overdue' ELSE 'nudge' END AS about
       FROM reply_deadlines r JOIN messages m ON m.id = r.message_id JOIN deliveries d ON d.message_id = m.id
       WHERE r.due_at <= $at OR r.nudge_at <= $at ORDER BY r.due_at LIMIT $limit`,
    )
    .all({ at, limit });
}

/** What `dueDeadlines` gave has been told: a nudge once, an overdue answer for good. */
export function deadlineTold(
  db: Database,
  { message_id, about }: Pick<DueDeadline, "message_id" | "about">,
): void {
  if (about === "overdue") dropDeadline(db, message_id);
  else db.query("UPDATE reply_deadlines SET nudge_at = NULL WHERE message_id = ?").run(message_id);
}
