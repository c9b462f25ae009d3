// What agents say about this product, in SQLite. Every function runs inside a transaction of the caller.
import type { Database } from "bun:sqlite";
import type { StoredFeedback } from "../protocol/mission.ts";

export function addFeedback(db: Database, feedback: Omit<StoredFeedback, "id">): StoredFeedback {
  const { lastInsertRowid } = db
    .query(
      `INSERT INTO feedback (type, description, context, from_agent, timestamp)
       VALUES ($type, $description, $context, $from_agent, $timestamp)`,
    )
    .run(feedback);
  return { ...feedback, id: Number(lastInsertRowid) };
}

/** The newest, newest first. */
export function listFeedback(db: Database, limit: number): StoredFeedback[] {
  return db
    .query<StoredFeedback, [number]>(
      `SELECT id, type, description, context, from_agent, timestamp FROM feedback ORDER BY id DESC LIMIT ?`,
    )
    .all(limit);
}
