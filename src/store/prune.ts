// Forgetting what is over, in SQLite, a little at a time. A message is forgotten whole: text, copies, states; only its
// id stays, so that a retry is known for ever. Every function runs inside a transaction of the caller.
import type { Database } from "bun:sqlite";
import type { MessageState } from "../protocol/message.ts";
import type { PruneStep } from "./store.ts";
import { noteForgotten, pruneTelegram, waitsForTelegram } from "./telegram-prune.ts";

type Limits = { before: string; after: number; limit: number };

/** Looks at threads behind `after`, oldest first, and forgets at most `limit` messages and sessions. */
export function prune(db: Database, limits: Limits): PruneStep {
  const { before, after, limit } = limits;
  const page = db
    .query<{ place: number; id: string; created_at: string }, [number, number]>(
      "SELECT rowid AS place, id, created_at FROM threads WHERE rowid > ? ORDER BY rowid LIMIT ?",
    )
    .all(after, limit);
  let [messages, next] = [0, after];
  for (const { place, id, created_at } of page) {
    // what follows is younger still
    if (created_at >= before) return lastStep(db, limits, { messages, next });
    if (isOver(db, id, before) && !waitsForTelegram(db, id))
      messages += pruneThread(db, id, limit - messages);
    if (messages >= limit) return { messages, sessions: 0, next };
    next = place;
  }
  if (page.length === limit) return { messages, sessions: 0, next };
  return lastStep(db, limits, { messages, next });
}

/** All threads were looked at; what showed them goes behind them. */
function lastStep(
  db: Database,
  limits: Limits,
  { messages, next }: { messages: number; next: number },
): PruneStep {
  const shown = pruneTelegram(db, limits.limit);
  return {
    messages,
    sessions: pruneSessions(db, limits),
    next: shown === limits.limit ? next : undefined,
  };
}

/** Stands where a message's own hash is lost (`mending-mail.ts`): its id alone tells a retry. */
export const lostHash = "lost";

/** Whether a message that comes under a known id is that one. */
export function isSame(known: { hash: string }, message: { hash: string }): boolean {
  return known.hash === message.hash || known.hash === lostHash;
}

/** What became of a forgotten message; undefined for any other. */
export function prunedMessage(db: Database, id: string): { hash: string; state: MessageState } | undefined {
  return (
    db
      .query<{ hash: string; state: MessageState }, [string]>(
        "SELECT hash, state FROM pruned_messages WHERE id = ?",
      )
      .get(id) ?? undefined
  );
}

/**
 * Nothing happened in the thread since, nobody is owed a word, and no copy can come back: it failed or expired, stands
 * in its reader's context, was shown to the person, or its session ended and the machine, seen since then, would have
 * given it back. A machine that was turned away gives nothing back.
 */
function isOver(db: Database, thread: string, before: string): boolean {
  const open = db
    .query(
      `SELECT 1 FROM messages WHERE thread_id = $thread AND timestamp >= $before
       UNION ALL
       SELECT 1 FROM missions m JOIN mission_runs r ON r.mission_id = m.id WHERE m.thread_id = $thread
         AND (r.response_owed = 1 OR r.status IN ('pending_approval', 'queued', 'running')
           OR r.finished_at IS NULL OR r.finished_at >= $before)
       UNION ALL
       SELECT 1 FROM messages m JOIN reply_deadlines r ON r.message_id = m.id WHERE m.thread_id = $thread
       UNION ALL
       SELECT 1 FROM messages m JOIN message_states s ON s.message_id = m.id
         WHERE m.thread_id = $thread AND s.at >= $before
       UNION ALL
       SELECT 1 FROM deliveries d LEFT JOIN machines m ON m.id = d.machine_id
         WHERE d.thread_id = $thread AND (d.notice IS NOT NULL OR (
           d.seen = 1 OR d.state IN ('failed', 'expired')
           OR (d.kind = 'human' AND d.state <> 'delivered')
           OR (d.state NOT IN ('accepted', 'queued', 'held') AND m.status IN ('denied', 'revoked'))
           OR (d.state IN ('offered', 'seen', 'replied') AND m.last_seen >= $before AND NOT EXISTS (
             SELECT 1 FROM sessions s WHERE s.machine_id = d.machine_id AND s.session_id = d.session_id
               AND (s.ended_at IS NULL OR s.ended_at >= $before)))) IS NOT TRUE)
       LIMIT 1`,
    )
    .get({ thread, before });
  return open === null;
}

/** The oldest messages first; the thread goes with its last one. Returns how many went. */
function pruneThread(db: Database, thread: string, limit: number): number {
  pruneMission(db, thread);
  const ids = db
    .query<{ id: string }, [string, number]>(
      "SELECT id FROM messages WHERE thread_id = ? ORDER BY seq LIMIT ?",
    )
    .all(thread, limit);
  for (const { id } of ids) pruneMessage(db, id);
  if (ids.length === limit && db.query("SELECT 1 FROM messages WHERE thread_id = ?").get(thread) !== null)
    return limit;
  db.query("DELETE FROM thread_members WHERE thread_id = ?").run(thread);
  db.query("DELETE FROM threads WHERE id = ?").run(thread);
  return ids.length;
}

/** The mission of a thread that is over, with all its runs, before the messages that asked for them. */
function pruneMission(db: Database, thread: string): void {
  const mission = db
    .query<{ id: string }, [string]>("SELECT id FROM missions WHERE thread_id = ?")
    .get(thread);
  if (!mission) return;
  for (const table of ["approvals", "mission_output", "mission_entries", "mission_runs"])
    db.query(`DELETE FROM ${table} WHERE mission_id = ?`).run(mission.id);
  db.query("DELETE FROM missions WHERE id = ?").run(mission.id);
}

function pruneMessage(db: Database, id: string): void {
  db.query(
    `INSERT INTO pruned_messages (id, hash, state)
     SELECT m.id, m.hash, coalesce((SELECT d.state FROM deliveries d WHERE d.message_id = m.id
       ORDER BY d.state IN ('failed', 'expired') DESC, d.seq LIMIT 1), 'accepted')
     FROM messages m WHERE m.id = ?`,
  ).run(id);
  noteForgotten(db, id);
  db.query("DELETE FROM message_states WHERE message_id = ?").run(id);
  db.query("DELETE FROM deliveries WHERE message_id = ?").run(id);
  db.query("DELETE FROM messages WHERE id = ?").run(id);
}

/** Ended ones without mail that waits for them. */
function pruneSessions(db: Database, { before, limit }: Limits): number {
  return db
    .query(
      `DELETE FROM sessions WHERE rowid IN (
         SELECT s.rowid FROM sessions s WHERE s.ended_at < ?
           AND NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.machine_id = s.machine_id
             AND d.session_id = s.session_id AND d.state IN ('accepted', 'queued'))
           AND NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.state = 'held' AND d.machine_id = s.machine_id
             AND d.session_id = s.session_id)
         LIMIT ?)`,
    )
    .run(before, limit).changes;
}
