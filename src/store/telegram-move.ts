// The group became a supergroup: Telegram gives it another id, and its messages other ids, which nobody tells. What was
// shown is as it was, and cannot be edited any more; what is open is shown again. Inside a transaction of the caller.
import type { Database } from "bun:sqlite";

/** From now on everything is shown in `to`; under `from` it stays known. */
export function move(db: Database, from: number, to: number): void {
  for (const table of ["shown", "posts", "topics"]) db.run(`DELETE FROM telegram_${table}`);
  db.run("DELETE FROM telegram_settings WHERE key IN ('intent', 'newest')");
  db.run(`
    UPDATE telegram_items SET next_part = 0 WHERE next_part IS NOT NULL OR (nonce IS NOT NULL AND CASE kind
      WHEN 'permission' THEN 1
      WHEN 'approval' THEN EXISTS (SELECT 1 FROM approvals a WHERE a.id = ref AND a.status = 'pending')
      WHEN 'join' THEN EXISTS (SELECT 1 FROM machines m WHERE m.id = ref AND m.status = 'pending')
      ELSE EXISTS (SELECT 1 FROM mission_runs r WHERE r.mission_id = ref AND r.finished_at IS NULL) END)`);
  // what they answer has another id there
  db.run("UPDATE telegram_items SET reply_to = NULL WHERE next_part IS NOT NULL");
  const set = db.query("INSERT OR REPLACE INTO telegram_settings (key, value) VALUES (?, ?)");
  set.run("chat", String(to));
  set.run(successorOf(from), String(to));
}

/** The setting that names the chat which this one became. */
export const successorOf = (chat: number): string => `successor:${chat}`;
