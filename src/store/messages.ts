// Messages, threads and who is in them, in SQLite. Every function runs inside a transaction of the caller.
import type { Database } from "bun:sqlite";
import { type Address, formatAddress } from "../protocol/address.ts";
import type { Message, Priority } from "../protocol/message.ts";
import { addDeadline, dropDeadline } from "./deadlines.ts";
import { type DeliveryRow, deliveryColumns, recordState, setState } from "./deliveries.ts";
import { hasHeld, isLoop, type Released, release } from "./loop-guard.ts";
import { isSame, prunedMessage } from "./prune.ts";
import { findSession, openSessions } from "./sessions.ts";
import type {
  AcceptOutcome,
  Delivery,
  LoopGuard,
  NewMessage,
  Recipient,
  Sender,
  StateRecord,
  StoredMessage,
} from "./store.ts";

const messageColumns = "seq, id, hash, thread_id, type, from_agent, to_agent, message, timestamp, priority";
type MessageRow = Omit<Message, "priority"> & { seq: number; hash: string; priority: Priority | null };

/** Message, thread, members, copies and the states of answered messages: all or nothing. */
export function accept(
  db: Database,
  message: NewMessage,
  recipients: readonly Recipient[],
  { max_waiting, expires_at, guard }: { max_waiting: number; expires_at: string; guard?: LoopGuard },
): AcceptOutcome {
  const known = db
    .query<{ hash: string }, [string]>("SELECT hash FROM messages WHERE id = ?")
    .get(message.id);
  if (known)
    return isSame(known, message) ? { outcome: "duplicate" } : { outcome: "conflict", over: "message" };
  const pruned = prunedMessage(db, message.id);
  if (pruned)
    return isSame(pruned, message)
      ? { outcome: "duplicate", pruned: pruned.state }
      : { outcome: "conflict", over: "message" };
  const full = recipients.find((recipient) => waitingFor(db, recipient) >= max_waiting);
  if (full) return { outcome: "full", to: formatAddress(full) };
  if (message.opens_thread && !openThread(db, message)) return { outcome: "conflict", over: "thread" };
  if (message.from.kind !== "hub") addMember(db, message.thread_id, message.from);
  const released =
    message.from.kind === "human" ? release(db, message.thread_id, message.at, expires_at) : nothing;
  insertMessage(db, message);
  addDeadline(db, message);
  const placed = recipients.map((recipient) => placeNow(db, message.from, recipient, expires_at));
  const changes =
    guard && isHeld(db, message, guard)
      ? hold(db, message, placed, guard)
      : placed.flatMap((recipient) => insertDelivery(db, message, recipient));
  return {
    outcome: "accepted",
    changes: [...released.changes, ...changes, ...markReplied(db, message)],
    released: released.machines,
  };
}

const nothing: Released = { changes: [], machines: [] };

function isHeld(db: Database, { from, thread_id }: NewMessage, { limit }: LoopGuard): boolean {
  return from.kind === "session" && isLoop(db, thread_id, limit);
}

/** The copies wait for the person, who always gets theirs; the first hold of a thread tells the recipients too. */
function hold(
  db: Database,
  message: NewMessage,
  recipients: readonly Recipient[],
  { reason, notice }: LoopGuard,
): StateRecord[] {
  const first = !hasHeld(db, message.thread_id);
  const changes = recipients.flatMap((recipient) =>
    insertDelivery(db, message, recipient.kind === "human" ? recipient : { ...recipient, held: reason }),
  );
  if (!first || recipients.every(({ kind }) => kind === "human")) return changes;
  const told: NewMessage = {
    ...message,
    id: `held-${message.id}`.slice(0, 64),
    hash: "",
    type: "status",
    from: { kind: "hub" },
    text: notice,
    reply_by: undefined,
  };
  insertMessage(db, told);
  const everyone: Recipient[] = [...recipients.filter(({ kind }) => kind !== "human"), { kind: "human" }];
  return [...changes, ...everyone.flatMap((recipient) => insertDelivery(db, told, recipient))];
}

export function findMessage(db: Database, id: string): StoredMessage | undefined {
  const row = db.query<MessageRow, [string]>(`SELECT ${messageColumns} FROM messages WHERE id = ?`).get(id);
  return row ? withDeliveries(db, row) : undefined;
}

export function messageStates(db: Database, id: string): StateRecord[] {
  type Row = Omit<StateRecord, "reason"> & { reason: string | null };
  return db
    .query<Row, [string]>(
      `SELECT h.message_id, m.thread_id, h.address AS "to", h.state, h.at, h.reason
       FROM message_states h JOIN messages m ON m.id = h.message_id WHERE h.message_id = ? ORDER BY h.seq`,
    )
    .all(id)
    .map(({ reason, ...rest }) => (reason === null ? rest : { ...rest, reason }));
}

export function threadMembers(db: Database, thread: string): Address[] | undefined {
  if (db.query("SELECT 1 FROM threads WHERE id = ?").get(thread) === null) return undefined;
  type Row = { kind: Address["kind"]; machine_id: string; project_id: string; session_id: string };
  return db
    .query<Row, [string]>("SELECT * FROM thread_members WHERE thread_id = ? ORDER BY address")
    .all(thread)
    .map(({ kind, machine_id: machine, project_id: project, session_id: session }): Address => {
      if (kind === "human") return { kind };
      return kind === "project" ? { kind, machine, project } : { kind, machine, project, session };
    });
}

export function threadMessages(db: Database, thread: string, limit: number): StoredMessage[] {
  return db
    .query<MessageRow, [string, number]>(
      `SELECT ${messageColumns} FROM messages WHERE thread_id = ? ORDER BY seq DESC LIMIT ?`,
    )
    .all(thread, limit)
    .reverse()
    .map((row) => withDeliveries(db, row));
}

export function readHumanInbox(
  db: Database,
  { limit, unread, at }: { limit: number; unread: boolean; at: string },
): { messages: StoredMessage[]; waiting: number; changes: StateRecord[] } {
  // Unread mail oldest first, so that `limit` never skips any; all mail as its newest end.
  const sql = unread
    ? `SELECT ${deliveryColumns} FROM deliveries WHERE kind = 'human' AND state = 'delivered' ORDER BY seq LIMIT ?`
    : `SELECT ${deliveryColumns} FROM deliveries WHERE kind = 'human' ORDER BY seq DESC LIMIT ?`;
  const rows = db.query<DeliveryRow, [number]>(sql).all(limit);
  if (!unread) rows.reverse();
  const messages = rows.flatMap((row) => findMessage(db, row.message_id) ?? []);
  const changes = rows
    .filter((row) => row.state === "delivered")
    .map((row) => setState(db, row, { state: "offered", at }));
  const { waiting = 0 } =
    db
      .query<{ waiting: number }, []>(
        "SELECT count(*) AS waiting FROM deliveries WHERE kind = 'human' AND state = 'delivered'",
      )
      .get() ?? {};
  return { messages, waiting, changes };
}

function withDeliveries(db: Database, { seq: _, priority, ...message }: MessageRow): StoredMessage {
  const deliveries = db
    .query<Delivery, [string]>(
      `SELECT seq, address, machine_id, project_id, session_id, state, reason FROM deliveries
       WHERE message_id = ? ORDER BY seq`,
    )
    .all(message.id);
  return { ...message, ...(priority === null ? {} : { priority }), deliveries };
}

/** False: the id is taken. */
export function openThread(db: Database, { thread_id, at }: Pick<NewMessage, "thread_id" | "at">): boolean {
  const { changes } = db
    .query("INSERT INTO threads (id, created_at) VALUES (?, ?) ON CONFLICT DO NOTHING")
    .run(thread_id, at);
  return changes === 1;
}

export function addMember(db: Database, thread: string, member: Address): void {
  db.query(
    `INSERT INTO thread_members (thread_id, kind, address, machine_id, project_id, session_id)
     VALUES ($thread, $kind, $address, $machine, $project, $session) ON CONFLICT DO NOTHING`,
  ).run({ thread, kind: member.kind, address: formatAddress(member), ...place(member) });
}

/** Nothing that was said with the machine's sessions so far is theirs any more. */
export function leaveThreads(db: Database, machine: string): void {
  db.query("DELETE FROM thread_members WHERE kind = 'session' AND machine_id = ?").run(machine);
}

export function insertMessage(db: Database, message: NewMessage): void {
  const from = message.from.kind === "hub" ? undefined : message.from;
  const { machine, session } = from ? place(from) : { machine: null, session: null };
  db.query(
    `INSERT INTO messages (id, hash, thread_id, type, from_agent, from_machine, from_session, to_agent, message,
       timestamp, priority)
     VALUES ($id, $hash, $thread_id, $type, $from_agent, $machine, $session, $to_agent, $text, $at, $priority)`,
  ).run({
    id: message.id,
    hash: message.hash,
    thread_id: message.thread_id,
    type: message.type,
    from_agent: from ? formatAddress(from) : "hub",
    machine,
    session,
    to_agent: message.to_agent,
    text: message.text,
    at: message.at,
    priority: message.priority === "normal" ? null : (message.priority ?? null),
  });
}

/** Looked at again inside the transaction: a session may have ended, or one opened, since routing looked. */
function placeNow(db: Database, from: Sender, recipient: Recipient, expires_at: string): Recipient {
  if (recipient.kind === "session" && recipient.wait === undefined) {
    const session = findSession(db, recipient.machine, recipient.session);
    return session?.ended_at === null
      ? recipient
      : { ...recipient, wait: { reason: "session ended", expires_at } };
  }
  if (recipient.kind !== "project") return recipient;
  const next = openSessions(db, recipient).find(
    ({ mission_id, session_id }) =>
      mission_id === undefined &&
      !(from.kind === "session" && from.machine === recipient.machine && from.session === session_id),
  );
  return next ? { ...recipient, kind: "session", session: next.session_id, wait: undefined } : recipient;
}

type Placed = Recipient & { held?: string };

function insertDelivery(db: Database, message: NewMessage, recipient: Placed): StateRecord[] {
  const address = formatAddress(recipient);
  const { wait, held } = recipient;
  const reached = recipient.kind === "human" ? "delivered" : held ? "held" : wait ? "queued" : "accepted";
  const reason = held ?? wait?.reason;
  // who only gets a notice of the hub is not in the conversation
  if (message.from.kind !== "hub") addMember(db, message.thread_id, recipient);
  db.query(
    `INSERT INTO deliveries (message_id, thread_id, kind, address, machine_id, project_id, session_id, state,
       reason, expires_at)
     VALUES ($message, $thread, $kind, $address, $machine, $project, $session, $state, $reason, $expires)`,
  ).run({
    message: message.id,
    thread: message.thread_id,
    kind: recipient.kind,
    address,
    ...place(recipient),
    state: reached,
    reason: reason ?? null,
    expires: wait?.expires_at ?? null,
  });
  const row = { message_id: message.id, thread_id: message.thread_id, address };
  const accepted = recordState(db, row, { state: "accepted", at: message.at });
  if (reached === "accepted") return [accepted];
  return [accepted, recordState(db, row, { state: reached, at: message.at, reason })];
}

/** A message answers what its sender had received in the thread. */
function markReplied(db: Database, { from, thread_id, at }: NewMessage): StateRecord[] {
  if (from.kind === "hub") return [];
  const { machine, session } = place(from);
  return db
    .query<DeliveryRow, { thread: string; kind: string; machine: string | null; session: string | null }>(
      `SELECT ${deliveryColumns} FROM deliveries
       WHERE thread_id = $thread AND state IN ('delivered', 'offered', 'seen')
         AND kind = $kind AND machine_id IS $machine AND session_id IS $session ORDER BY seq`,
    )
    .all({ thread: thread_id, kind: from.kind, machine, session })
    .map((row) => {
      dropDeadline(db, row.message_id);
      return setState(db, row, { state: "replied", at });
    });
}

function waitingFor(db: Database, recipient: Recipient): number {
  if (recipient.kind === "human") return 0;
  const { machine, project, session } = place(recipient);
  const { waiting = 0 } =
    db
      .query<{ waiting: number }, { machine: string | null; project: string | null; session: string | null }>(
        `SELECT count(*) AS waiting FROM deliveries
         WHERE machine_id = $machine AND session_id IS $session AND project_id = $project
           AND state IN ('accepted', 'queued')`,
      )
      .get({ machine, project, session }) ?? {};
  return waiting;
}

function place(address: Address): { machine: string | null; project: string | null; session: string | null } {
  if (address.kind === "human") return { machine: null, project: null, session: null };
  const session = address.kind === "session" ? address.session : null;
  return { machine: address.machine, project: address.project, session };
}
