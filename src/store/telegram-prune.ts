// Forgetting what Telegram was shown, a little at a time, once what it showed is forgotten (prune.ts). Items are taken in
// the order of time and carry none: one that stands before the item of a forgotten message is as old. What waits to be
// posted, is to be edited, or has buttons that still count stays. Inside a transaction of the caller.
import type { Database } from "bun:sqlite";

/** The message is forgotten: items before its own are old. */
export function noteForgotten(db: Database, message: string): void {
  db.query(
    `INSERT INTO telegram_settings (key, value)
     SELECT 'horizon', max(seq) FROM telegram_items WHERE ref = ? HAVING max(seq) IS NOT NULL
     ON CONFLICT (key) DO UPDATE SET value = max(CAST(value AS INTEGER), CAST(excluded.value AS INTEGER))`,
  ).run(message);
}

/** Whether something of the thread waits to be posted: forgotten now, it would never be shown. */
export function waitsForTelegram(db: Database, thread: string): boolean {
  const waiting = db
    .query(
      `SELECT 1 FROM telegram_items WHERE place = $thread AND next_part IS NOT NULL
       UNION ALL
       SELECT 1 FROM messages m JOIN telegram_items i ON i.ref = m.id
         WHERE m.thread_id = $thread AND i.next_part IS NOT NULL
       UNION ALL
       SELECT 1 FROM missions m JOIN telegram_items i ON i.ref = m.id
         WHERE m.thread_id = $thread AND i.next_part IS NOT NULL
       LIMIT 1`,
    )
    .get({ thread });
  return waiting !== null;
}

/** Of an item under that name in a query: old, posted, and what it showed is gone. */
const isOld = (item: string) => `(
  ${item}.seq <= (SELECT CAST(value AS INTEGER) FROM telegram_settings WHERE key = 'horizon')
  AND ${item}.next_part IS NULL AND NOT (${item}.kind = 'refused' AND ${item}.body IS NULL)
  AND CASE ${item}.kind
    WHEN 'message' THEN NOT EXISTS (SELECT 1 FROM messages m WHERE m.id = ${item}.ref)
    WHEN 'refused' THEN NOT EXISTS (SELECT 1 FROM messages m WHERE m.id = ${item}.ref)
    WHEN 'mission' THEN NOT EXISTS (SELECT 1 FROM missions m WHERE m.id = ${item}.ref)
    WHEN 'dispatch' THEN NOT EXISTS (SELECT 1 FROM missions m WHERE m.id = ${item}.ref)
    WHEN 'approval' THEN NOT EXISTS (SELECT 1 FROM approvals a WHERE a.id = ${item}.ref)
    WHEN 'text' THEN 1
    ELSE ${item}.nonce IS NULL END)`;

/** At most `limit` items, the oldest first, with their posts and topics. Returns how many went. */
export function pruneTelegram(db: Database, limit: number): number {
  const items = db
    .query<{ seq: number; kind: string; place: string }, [number]>(
      `SELECT seq, kind, place FROM telegram_items i WHERE ${isOld("i")} AND NOT EXISTS (
         SELECT 1 FROM telegram_shown s JOIN telegram_posts p ON p.message_id = s.message_id
           JOIN telegram_shown o ON o.message_id = s.message_id JOIN telegram_items beside ON beside.seq = o.seq
         WHERE s.seq = i.seq AND (p.changes > 0 OR NOT ${isOld("beside")}))
       ORDER BY seq LIMIT ?`,
    )
    .all(limit);
  for (const { seq } of items) pruneShown(db, seq);
  // the key of a refused message stays, as all ids do: said again in a year, it is still not shown twice
  const forgetKept = db.query("UPDATE telegram_items SET body = NULL WHERE seq = ?");
  const forget = db.query("DELETE FROM telegram_items WHERE seq = ?");
  for (const { seq, kind } of items) (kind === "refused" ? forgetKept : forget).run(seq);
  for (const place of new Set(items.map((item) => item.place))) pruneTopic(db, place);
  return items.length;
}

/** Posts that show nothing else any more; neighbours in one post are old too, and go in this step or the next. */
function pruneShown(db: Database, seq: number): void {
  const posts = db
    .query<{ message_id: number }, [number]>("SELECT message_id FROM telegram_shown WHERE seq = ?")
    .all(seq);
  db.query("DELETE FROM telegram_shown WHERE seq = ?").run(seq);
  for (const { message_id } of posts)
    db.query(
      `DELETE FROM telegram_posts WHERE message_id = ?1
         AND NOT EXISTS (SELECT 1 FROM telegram_shown WHERE message_id = ?1)`,
    ).run(message_id);
}

function pruneTopic(db: Database, place: string): void {
  db.query(
    `DELETE FROM telegram_topics WHERE place = ?1 AND place LIKE 't-%'
       AND NOT EXISTS (SELECT 1 FROM threads WHERE id = ?1)
       AND NOT EXISTS (SELECT 1 FROM telegram_items WHERE place = ?1 AND NOT (kind = 'refused' AND body IS NULL))`,
  ).run(place);
}
