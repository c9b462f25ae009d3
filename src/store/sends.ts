// Whom a message to many meant, in SQLite: a retry means the same ones, whatever sessions have opened since. Every
// function runs inside a transaction of the caller.
import type { Database } from "bun:sqlite";
import type { MissionStore, Target } from "./mission-store.ts";

export function keepTargets(
  db: Database,
  { message_id, hash, at }: Parameters<MissionStore["keepTargets"]>[0],
  targets: readonly Target[],
): void {
  db.query(
    "INSERT INTO sends (message_id, hash, at, targets) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
  ).run(message_id, hash, at, JSON.stringify(targets));
}

export function findTargets(
  db: Database,
  messageId: string,
): { hash: string; targets: readonly Target[] } | undefined {
  const row = db
    .query<{ hash: string; targets: string }, [string]>(
      "SELECT hash, targets FROM sends WHERE message_id = ?",
    )
    .get(messageId);
  return row ? { hash: row.hash, targets: JSON.parse(row.targets) } : undefined;
}
