// Threads, messages and copies of which only a part could be read. A message whose row is lost stays known by its id, so
// that no retry becomes a second one and receipts still find their copy; its text is gone, and says so.
import type { Database } from "bun:sqlite";
import { type Address, parseAddress } from "../protocol/address.ts";
import type { MessageState } from "../protocol/message.ts";
import { type DeliveryRow, deliveryColumns, owesNotice, setState } from "./deliveries.ts";
import { damagedReason, type Mending, note, placeIn, readOrUndefined } from "./mending.ts";
import { lostHash } from "./prune.ts";

/** ms that mail waits for an ended session; older copies cannot have been on their way (delivery.md) */
const keptMs = 7 * 24 * 3600 * 1000;
const uncertainReason = `${damagedReason}; it may have arrived`;
const lostText = `(the text of this message is lost: ${damagedReason})`;

/** A thread is hardly more than its name. */
export function mendThreads(mending: Mending): void {
  const { db, at, lost } = mending;
  if (!lost.has("threads")) return;
  const { changes } = db
    .query(
      `INSERT INTO threads (id, created_at) SELECT thread_id, coalesce(min(at), ?) FROM (
         SELECT thread_id, timestamp AS at FROM messages UNION ALL SELECT thread_id, NULL FROM deliveries
         UNION ALL SELECT thread_id, NULL FROM thread_members UNION ALL SELECT thread_id, NULL FROM missions)
       WHERE thread_id NOT IN (SELECT id FROM threads) GROUP BY thread_id`,
    )
    .run(at);
  note(mending, "threads, written again", changes);
}

/** Messages that others speak of, and that could not be read. */
export function mendMessages(mending: Mending): void {
  for (const id of lostIds(mending.db)) {
    const thread = threadOf(mending.db, id);
    if (thread === undefined) forget(mending.db, id);
    else keepWithoutText(mending, id, thread);
    note(mending, "messages whose text is lost", 1);
  }
}

function lostIds(db: Database): string[] {
  return db
    .query<{ id: string }, []>(
      ["deliveries", "message_states", "reply_deadlines"]
        .map(
          (table) => `SELECT message_id AS id FROM ${table} AS row
            WHERE NOT EXISTS (SELECT 1 FROM messages WHERE messages.id = row.message_id)`,
        )
        .join(" UNION "),
    )
    .all()
    .map(({ id }) => id);
}

function threadOf(db: Database, id: string): string | undefined {
  return db
    .query<{ thread: string }, [string]>(
      `SELECT thread_id AS thread FROM deliveries d WHERE message_id = ?
         AND EXISTS (SELECT 1 FROM threads t WHERE t.id = d.thread_id) LIMIT 1`,
    )
    .get(id)?.thread;
}

/** As `prune` leaves it: the id is known for ever. */
function forget(db: Database, id: string): void {
  db.query(
    `INSERT INTO pruned_messages (id, hash, state)
     SELECT ?1, ?2, coalesce((SELECT state FROM message_states WHERE message_id = ?1 ORDER BY seq DESC LIMIT 1),
       'accepted') ON CONFLICT DO NOTHING`,
  ).run(id, lostHash);
  for (const table of ["message_states", "reply_deadlines"])
    db.query(`DELETE FROM ${table} WHERE message_id = ?`).run(id);
}

function keepWithoutText(mending: Mending, id: string, thread: string): void {
  const { db, at } = mending;
  const copies = db
    .query<DeliveryRow, [string]>(
      `SELECT ${deliveryColumns} FROM deliveries WHERE message_id = ? ORDER BY seq`,
    )
    .all(id);
  const to = copies.map(({ address }) => address).join(", ");
  const sender = senderOf(db, thread, copies);
  db.query(
    `INSERT INTO messages (seq, id, hash, thread_id, type, from_agent, from_machine, from_session, to_agent, message,
       timestamp)
     VALUES ($seq, $id, $hash, $thread, 'chat', $from, $machine, $session, $to, $text,
       coalesce((SELECT min(at) FROM message_states WHERE message_id = $id), $at))`,
  ).run({
    seq: placeIn(mending, "messages", "id = ?", id),
    id,
    hash: lostHash,
    thread,
    from: sender?.address ?? "hub",
    machine: sender?.machine_id ?? null,
    session: sender?.session_id ?? null,
    to,
    text: lostText,
    at,
  });
  // who is to be reminded of what, nobody knows
  db.query("DELETE FROM reply_deadlines WHERE message_id = ?").run(id);
  mending.messages.push({ id, thread_id: thread, to });
  for (const copy of copies) if (isWaiting(copy.state)) fail(mending, copy);
}

/** The one other end of the thread; undefined: it cannot be told. */
function senderOf(db: Database, thread: string, copies: readonly DeliveryRow[]) {
  type Member = { address: string; machine_id: string | null; session_id: string | null };
  const others = db
    .query<Member, [string]>(
      "SELECT address, machine_id, session_id FROM thread_members WHERE thread_id = ? AND kind <> 'project'",
    )
    .all(thread)
    .filter(({ address }) => !copies.some((copy) => copy.address === address));
  return others.length === 1 ? others[0] : undefined;
}

const isWaiting = (state: MessageState) => state === "accepted" || state === "queued" || state === "held";

function fail(mending: Mending, copy: DeliveryRow): void {
  owesNotice(mending.db, copy.seq, "failed");
  setState(mending.db, copy, { state: "failed", at: mending.at, reason: damagedReason });
  note(mending, "copies that cannot arrive any more, failed", 1);
}

/** Copies that could not be read: their history tells what they were; where that is lost too, nobody can say. */
export function mendCopies(mending: Mending): void {
  const { db } = mending;
  type Known = { message_id: string; thread_id: string; address: string };
  const known = db
    .query<Known, []>(
      `SELECT DISTINCT s.message_id, m.thread_id, s.address FROM message_states s JOIN messages m ON m.id = s.message_id
       WHERE m.type NOT IN ('ask', 'start_agent') AND NOT EXISTS (
         SELECT 1 FROM deliveries d WHERE d.message_id = s.message_id AND d.address = s.address) ORDER BY m.seq`,
    )
    .all();
  for (const copy of known) note(mending, "copies, written again", restore(mending, copy));
  type Alone = { id: string; thread_id: string; to_agent: string; timestamp: string };
  const alone = db
    .query<Alone, []>(
      `SELECT id, thread_id, to_agent, timestamp FROM messages m WHERE type NOT IN ('ask', 'start_agent')
         AND NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.message_id = m.id)`,
    )
    .all();
  for (const { id, thread_id, to_agent, timestamp } of alone)
    for (const address of to_agent.split(", "))
      giveUp(mending, { message_id: id, thread_id, address }, timestamp);
}

type Copy = { message_id: string; thread_id: string; address: string };

/** Where its place in the order is not known either, a copy that waits fails: it could overtake others. */
function restore(mending: Mending, copy: Copy): number {
  const { db, at } = mending;
  const address = readOrUndefined(() => parseAddress(copy.address));
  if (!address) return 0;
  const last = db
    .query<{ state: MessageState; reason: string | null; seen: number }, [string, string]>(
      `SELECT state, reason, EXISTS (SELECT 1 FROM message_states p WHERE p.message_id = s.message_id
         AND p.address = s.address AND p.state = 'seen') AS seen
       FROM message_states s WHERE message_id = ? AND address = ? ORDER BY seq DESC LIMIT 1`,
    )
    .get(copy.message_id, copy.address);
  if (!last) return 0;
  const seq = placeIn(mending, "deliveries", "message_id = ? AND address = ?", copy.message_id, copy.address);
  const expires_at = last.state === "queued" ? laterThan(at) : null;
  insertCopy(db, copy, address, { seq, ...last, expires_at });
  const row = copyRow(db, copy);
  if (row && seq === null && isWaiting(row.state)) fail(mending, row);
  return 1;
}

/** Long ago nothing can have been on its way any more: then nobody is told. */
function giveUp(mending: Mending, copy: Copy, timestamp: string): void {
  const { db, at } = mending;
  const address = readOrUndefined(() => parseAddress(copy.address));
  if (!address) return;
  const lost = { seq: null, state: "failed", reason: uncertainReason, seen: 0, expires_at: null } as const;
  insertCopy(db, copy, address, lost);
  const row = copyRow(db, copy);
  if (!row) return;
  setState(db, row, { state: "failed", at, reason: uncertainReason });
  if (Date.parse(timestamp) > Date.parse(at) - keptMs) owesNotice(db, row.seq, "failed");
  note(mending, "copies of which nothing is known, failed", 1);
}

function insertCopy(
  db: Database,
  copy: Copy,
  address: Address,
  known: {
    seq: number | null;
    state: string;
    reason: string | null;
    seen: number;
    expires_at: string | null;
  },
): void {
  const place = address.kind === "human" ? undefined : address;
  db.query(
    `INSERT INTO deliveries (seq, message_id, thread_id, kind, address, machine_id, project_id, session_id, state, reason,
       seen, expires_at)
     VALUES ($seq, $message_id, $thread_id, $kind, $address, $machine, $project, $session, $state, $reason, $seen,
       $expires_at) ON CONFLICT DO NOTHING`,
  ).run({
    ...copy,
    ...known,
    kind: address.kind,
    machine: place?.machine ?? null,
    project: place?.project ?? null,
    session: place?.kind === "session" ? place.session : null,
  });
}

function copyRow(db: Database, { message_id, address }: Copy): DeliveryRow | undefined {
  const sql = `SELECT ${deliveryColumns} FROM deliveries WHERE message_id = ? AND address = ?`;
  return db.query<DeliveryRow, [string, string]>(sql).get(message_id, address) ?? undefined;
}

/** Mail for a session that is not known any more waits as for one that ended, and not for ever. */
export function mendWaiting(mending: Mending): void {
  const { db, at, lost } = mending;
  if (!lost.has("sessions")) return;
  const rows = db
    .query<DeliveryRow, []>(
      `SELECT ${deliveryColumns} FROM deliveries d WHERE kind = 'session' AND state IN ('accepted', 'queued')
         AND expires_at IS NULL AND NOT EXISTS (
           SELECT 1 FROM sessions s WHERE s.machine_id = d.machine_id AND s.session_id = d.session_id)`,
    )
    .all();
  for (const row of rows)
    setState(db, row, { state: "queued", at, reason: "session ended", expires_at: laterThan(at) });
}

const laterThan = (at: string): string => new Date(Date.parse(at) + keptMs).toISOString();
