// What Telegram has been shown and what came from there, in SQLite.
import type { Database } from "bun:sqlite";
import { move, successorOf } from "./telegram-move.ts";
import type {
  NewTelegramItem,
  ShownPart,
  TelegramChange,
  TelegramItem,
  TelegramNews,
  TelegramPost,
  TelegramStore,
} from "./telegram-store.ts";

/** updates that are remembered; Telegram itself keeps an unread one for 24 hours */
const rememberedUpdates = 10_000;

const itemColumns = "i.seq, i.key, i.place, i.kind, i.ref, i.body, i.reply_to, i.nonce, i.next_part";

type Run = <T>(work: (db: Database) => T) => Promise<T>;

export function telegramStore(read: Run, write: Run): TelegramStore {
  return {
    open: (chat) => write((db) => open(db, chat)),
    move: (from, to) => write((db) => move(db, from, to)),
    successor: (chat) => read((db) => successor(db, chat)),
    news: (limit) => read((db) => news(db, limit)),
    take: (change) => write((db) => take(db, change)),
    knowsUpdate: (id) => read((db) => knowsUpdate(db, id)),
    setting: (key) => read((db) => setting(db, key)),
    set: (key, value) => write((db) => set(db, key, value)),

    waiting: (limit) => read((db) => waiting(db, limit)),
    waitingCount: () =>
      read((db) => number(db, "SELECT count(*) AS n FROM telegram_items WHERE next_part IS NOT NULL")),
    items: (seqs) => read((db) => itemsOf(db, seqs)),
    item: (key) => read((db) => findItem(db, "key", key)),
    itemOfNonce: (nonce) => read((db) => findItem(db, "nonce", nonce)),
    itemsOfKind: (kind, limit) =>
      read((db) =>
        db
          .query<TelegramItem, [string, number]>(
            `SELECT ${itemColumns} FROM telegram_items i WHERE kind = ? ORDER BY seq DESC LIMIT ?`,
          )
          .all(kind, limit),
      ),
    posted: (post) => write((db) => posted(db, post)),
    skip: (parts) => write((db) => skip(db, parts)),
    changed: (limit) => read((db) => changed(db, limit)),
    compared: (post) => write((db) => compared(db, post)),
    forget: (id) => write((db) => forget(db, id)),

    opening: (thread) =>
      read(
        (db) =>
          db
            .query<{ id: string }, [string]>(
              "SELECT id FROM messages WHERE thread_id = ? ORDER BY seq LIMIT 1",
            )
            .get(thread)?.id,
      ),
    topic: (place) =>
      read(
        (db) =>
          db
            .query<{ topic: number }, [string]>("SELECT topic FROM telegram_topics WHERE place = ?")
            .get(place)?.topic,
      ),
    setTopic: (place, topic) => write((db) => setTopic(db, place, topic)),
    placeOfTopic: (topic) =>
      read((db) => place(db, "SELECT place FROM telegram_topics WHERE topic = ?", topic)),
    placeOfPost: (id) =>
      read((db) =>
        place(
          db,
          `SELECT place FROM telegram_items i JOIN telegram_shown s ON s.seq = i.seq
           WHERE s.message_id = ? ORDER BY i.seq LIMIT 1`,
          id,
        ),
      ),
  };
}

function open(db: Database, chat: number): boolean {
  const known = setting(db, "chat");
  if (known === String(chat)) return false;
  for (const table of ["shown", "posts", "items", "topics", "settings"])
    db.run(`DELETE FROM telegram_${table}`);
  set(db, "chat", String(chat));
  set(db, "messages", String(number(db, "SELECT coalesce(max(seq), 0) AS n FROM messages")));
  set(db, "states", String(number(db, "SELECT coalesce(max(seq), 0) AS n FROM message_states")));
  return true;
}

function successor(db: Database, chat: number): number {
  const next = Number(setting(db, successorOf(chat)) ?? chat);
  return next === chat ? chat : successor(db, next);
}

function news(db: Database, limit: number): TelegramNews {
  const from = { messages: Number(setting(db, "messages")), states: Number(setting(db, "states")) };
  type Row = Omit<TelegramNews["messages"][number], "first" | "to_human"> & {
    first: number;
    to_human: number;
  };
  const messages = db
    .query<Row, [number, number]>(
      `SELECT seq, id, thread_id, type, from_agent,
         NOT EXISTS (SELECT 1 FROM messages o WHERE o.thread_id = m.thread_id AND o.seq < m.seq) AS first,
         EXISTS (SELECT 1 FROM deliveries d WHERE d.message_id = m.id AND d.kind = 'human') AS to_human
       FROM messages m WHERE seq > ? ORDER BY seq LIMIT ?`,
    )
    .all(from.messages, limit)
    .map((row) => ({ ...row, first: row.first === 1, to_human: row.to_human === 1 }));
  const states = db
    .query<{ seq: number; message_id: string }, [number, number]>(
      "SELECT seq, message_id FROM message_states WHERE seq > ? ORDER BY seq LIMIT ?",
    )
    .all(from.states, limit);
  return {
    messages,
    touched: [...new Set(states.map(({ message_id }) => message_id))],
    cursor: {
      messages: messages.at(-1)?.seq ?? from.messages,
      states: states.at(-1)?.seq ?? from.states,
    },
  };
}

function take(db: Database, change: TelegramChange): boolean {
  const { cursor, items = [], touched = [], settings = {}, topic, update, decided, used } = change;
  if (update) {
    if (knowsUpdate(db, update.id)) return false;
    db.query("INSERT INTO telegram_updates (update_id) VALUES (?)").run(update.id);
    db.query("DELETE FROM telegram_updates WHERE seq <= (SELECT max(seq) FROM telegram_updates) - ?").run(
      rememberedUpdates,
    );
    set(db, "offset", String(update.next));
    if (update.message !== undefined) sawId(db, update.message);
  }
  if (cursor) {
    set(db, "messages", String(cursor.messages));
    set(db, "states", String(cursor.states));
  }
  for (const [key, value] of Object.entries(settings)) set(db, key, value);
  for (const item of items) insertItem(db, item);
  for (const ref of touched) touch(db, ref);
  if (topic)
    db.query("INSERT INTO telegram_topics (place, topic) VALUES (?, ?) ON CONFLICT DO NOTHING").run(
      topic.place,
      topic.id,
    );
  if (decided) {
    const item = findItem(db, "nonce", decided.nonce);
    if (item) db.query("UPDATE telegram_items SET body = ? WHERE seq = ?").run(decided.body, item.seq);
    useButton(db, decided.nonce);
  }
  if (used !== undefined) useButton(db, used);
  return true;
}

function insertItem(db: Database, item: NewTelegramItem): void {
  db.query(
    `INSERT INTO telegram_items (key, place, kind, ref, body, reply_to, nonce)
     VALUES ($key, $place, $kind, $ref, $body, $reply_to, $nonce) ON CONFLICT (key) DO NOTHING`,
  ).run({
    key: item.key,
    place: item.place,
    kind: item.kind,
    ref: item.ref,
    body: item.body ?? null,
    reply_to: item.reply_to ?? null,
    nonce: item.nonce ?? null,
  });
}

function touch(db: Database, ref: string): void {
  db.query(
    `UPDATE telegram_posts SET changes = changes + 1 WHERE message_id IN
       (SELECT s.message_id FROM telegram_shown s JOIN telegram_items i ON i.seq = s.seq
        WHERE i.ref = ? AND i.ref <> '')`,
  ).run(ref);
}

function useButton(db: Database, nonce: string): void {
  const item = findItem(db, "nonce", nonce);
  if (!item) return;
  db.query("UPDATE telegram_items SET nonce = NULL WHERE seq = ?").run(item.seq);
  touch(db, item.ref);
}

function waiting(db: Database, limit: number): TelegramItem[] {
  const next = db
    .query<{ place: string }, []>(
      `SELECT place FROM telegram_items WHERE next_part IS NOT NULL
       GROUP BY place ORDER BY place <> 'main', min(seq) LIMIT 1`,
    )
    .get();
  if (!next) return [];
  return db
    .query<TelegramItem, [string, number]>(
      `SELECT ${itemColumns} FROM telegram_items i
       WHERE place = ? AND next_part IS NOT NULL ORDER BY seq LIMIT ?`,
    )
    .all(next.place, limit);
}

function itemsOf(db: Database, seqs: readonly number[]): TelegramItem[] {
  const query = db.query<TelegramItem, [number]>(`SELECT ${itemColumns} FROM telegram_items i WHERE seq = ?`);
  return seqs.flatMap((seq) => query.get(seq) ?? []);
}

function posted(
  db: Database,
  { message_id, hash, parts }: { message_id: number; hash: string; parts: readonly ShownPart[] },
): void {
  // changes = 1: an item may have changed between its rendering and now; it is compared once more.
  db.query("INSERT OR REPLACE INTO telegram_posts (message_id, hash, changes) VALUES (?, ?, 1)").run(
    message_id,
    hash,
  );
  for (const { seq, part } of parts)
    db.query("INSERT INTO telegram_shown (message_id, seq, part) VALUES (?, ?, ?)").run(
      message_id,
      seq,
      part,
    );
  skip(db, parts);
  sawId(db, message_id);
}

function skip(db: Database, parts: readonly ShownPart[]): void {
  for (const { seq, part, last } of parts)
    db.query("UPDATE telegram_items SET next_part = ? WHERE seq = ?").run(last ? null : part + 1, seq);
  endIntent(db);
}

function changed(db: Database, limit: number): TelegramPost[] {
  return db
    .query<Omit<TelegramPost, "parts">, [number]>(
      "SELECT message_id, hash, changes FROM telegram_posts WHERE changes > 0 ORDER BY message_id LIMIT ?",
    )
    .all(limit)
    .map((post) => ({ ...post, parts: partsOf(db, post.message_id) }));
}

function partsOf(db: Database, message: number): TelegramPost["parts"] {
  return db
    .query<TelegramItem & { part: number }, [number]>(
      `SELECT ${itemColumns}, s.part FROM telegram_shown s JOIN telegram_items i ON i.seq = s.seq
       WHERE s.message_id = ? ORDER BY i.seq, s.part`,
    )
    .all(message)
    .map(({ part, ...item }) => ({ item, part }));
}

function compared(
  db: Database,
  { message_id, changes, hash }: { message_id: number; changes: number; hash: string },
): void {
  db.query("UPDATE telegram_posts SET hash = ?, changes = max(0, changes - ?) WHERE message_id = ?").run(
    hash,
    changes,
    message_id,
  );
}

function forget(db: Database, message: number): void {
  db.query("DELETE FROM telegram_shown WHERE message_id = ?").run(message);
  db.query("DELETE FROM telegram_posts WHERE message_id = ?").run(message);
}

function setTopic(db: Database, place: string, topic: number | undefined): void {
  db.query("DELETE FROM telegram_topics WHERE place = ?1 OR topic = ?2").run(place, topic ?? -1);
  if (topic !== undefined) {
    db.query("INSERT INTO telegram_topics (place, topic) VALUES (?, ?)").run(place, topic);
    sawId(db, topic);
  }
  endIntent(db);
}

/** Ids in a chat only grow: what is posted next has a higher one. */
function sawId(db: Database, id: number): void {
  if (id > Number(setting(db, "newest") ?? 0)) set(db, "newest", String(id));
}

function endIntent(db: Database): void {
  db.query("DELETE FROM telegram_settings WHERE key = 'intent'").run();
}

function findItem(db: Database, column: "key" | "nonce", value: string): TelegramItem | undefined {
  return (
    db
      .query<TelegramItem, [string]>(`SELECT ${itemColumns} FROM telegram_items i WHERE ${column} = ?`)
      .get(value) ?? undefined
  );
}

function knowsUpdate(db: Database, id: number): boolean {
  return db.query("SELECT 1 FROM telegram_updates WHERE update_id = ?").get(id) !== null;
}

function setting(db: Database, key: string): string | undefined {
  return db.query<{ value: string }, [string]>("SELECT value FROM telegram_settings WHERE key = ?").get(key)
    ?.value;
}

function set(db: Database, key: string, value: string): void {
  db.query("INSERT OR REPLACE INTO telegram_settings (key, value) VALUES (?, ?)").run(key, value);
}

function number(db: Database, sql: string): number {
  return db.query<{ n: number }, []>(sql).get()?.n ?? 0;
}

function place(db: Database, sql: string, id: number): string | undefined {
  return db.query<{ place: string }, [number]>(sql).get(id)?.place;
}
