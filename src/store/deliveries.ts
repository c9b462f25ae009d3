// Copies of messages on their way, one per recipient, in SQLite: their states and the history of those. Every
// function runs inside a transaction of the caller.
import type { Database } from "bun:sqlite";
import type { DeliveredCopies } from "../protocol/hub-api.ts";
import type { MessageState, Priority } from "../protocol/message.ts";
import type { DueNotice, Finding, Outgoing, Session, StateRecord } from "./store.ts";

export type DeliveryRow = {
  seq: number;
  message_id: string;
  thread_id: string;
  address: string;
  state: MessageState;
  seen: number;
};
export const deliveryColumns = "seq, message_id, thread_id, address, state, seen";

export type Change = {
  state: MessageState;
  at: string;
  /** when by the clock of the machine that told it */
  told_at?: string;
  reason?: string;
  /** only a waiting copy can expire */
  expires_at?: string;
};

/** Writes the state and its history. Whether it may follow the old one is the caller's business. */
export function setState(db: Database, row: DeliveryRow, change: Change): StateRecord {
  const reason = change.reason ?? null;
  db.query("UPDATE deliveries SET state = ?, reason = ?, expires_at = ? WHERE seq = ?").run(
    change.state,
    reason,
    change.expires_at ?? null,
    row.seq,
  );
  return recordState(db, row, change);
}

export function recordState(
  db: Database,
  row: Pick<DeliveryRow, "message_id" | "thread_id" | "address">,
  { state, at, told_at, reason }: Change,
): StateRecord {
  // The daemon's word and the hub's own finding may say the same: the history holds it once.
  db.query(
    `INSERT INTO message_states (message_id, address, state, at, reason, told_at) SELECT ?1, ?2, ?3, ?4, ?5, ?6
     WHERE (?3, ?5) IS NOT (SELECT state, reason FROM message_states
                            WHERE message_id = ?1 AND address = ?2 ORDER BY seq DESC LIMIT 1)`,
  ).run(row.message_id, row.address, state, at, reason ?? null, told_at ?? null);
  return {
    message_id: row.message_id,
    thread_id: row.thread_id,
    to: row.address,
    state,
    at,
    ...(reason === undefined ? {} : { reason }),
  };
}

/** The sender is told; a notice of the hub itself has no sender to tell. */
export function owesNotice(db: Database, seq: number, about: DueNotice["about"]): void {
  db.query(
    `UPDATE deliveries SET notice = ?1 WHERE seq = ?2
       AND (SELECT from_agent FROM messages WHERE id = deliveries.message_id) <> 'hub'`,
  ).run(about, seq);
}

export function undelivered(db: Database, machine: string, after: number, limit: number): Outgoing[] {
  type Row = Omit<Outgoing["message"], "priority"> & {
    seq: number;
    session_id: string;
    priority: Priority | null;
  };
  return db
    .query<Row, [string, number, number]>(
      `SELECT d.seq, d.session_id, m.id, m.thread_id, m.type, m.from_agent, d.address AS to_agent, m.message,
         m.timestamp, m.priority
       FROM deliveries d
       JOIN messages m ON m.id = d.message_id
       JOIN sessions s ON s.machine_id = d.machine_id AND s.session_id = d.session_id AND s.ended_at IS NULL
       WHERE d.machine_id = ? AND d.state IN ('accepted', 'queued') AND d.seq > ?
       ORDER BY d.seq LIMIT ?`,
    )
    .all(machine, after, limit)
    .map(({ seq, session_id, priority, ...message }) => ({
      seq,
      session_id,
      message: priority === null ? message : { ...message, priority },
    }));
}

/** copies, of whatever machine, that one page looks at: asked for after damage only, and not worth an index */
const lookedAt = 10_000;
/** about 100 KB of JSON at most */
const pageLength = 1_000;

export function deliveredCopies(
  db: Database,
  machine: string,
  session: string,
  after: number,
): DeliveredCopies {
  const until = after + lookedAt;
  const found = db
    .query<{ seq: number; message_id: string; state_no: number }, [number, number, string, string, number]>(
      `SELECT seq, message_id, coalesce(${latestState}, 0) AS state_no FROM deliveries
       WHERE seq > ? AND seq <= ? AND machine_id = ? AND session_id = ? AND state = 'delivered'
       ORDER BY seq LIMIT ?`,
    )
    .all(after, until, machine, session, pageLength);
  const copies = found.map(({ message_id, state_no }) => ({ message_id, state_no }));
  const { last } =
    db.query<{ last: number | null }, []>("SELECT max(seq) AS last FROM deliveries").get() ?? {};
  const next = found.length === pageLength ? found.at(-1)?.seq : until;
  return next !== undefined && next < (last ?? 0) ? { copies, next } : { copies };
}

/** Nothing has become of the copy since its state had this number. */
export function isLatestState(db: Database, { seq }: DeliveryRow, stateNo: number): boolean {
  const same = db
    .query(`SELECT 1 FROM deliveries WHERE seq = ? AND coalesce(${latestState}, 0) = ?`)
    .get(seq, stateNo);
  return same !== null;
}

const latestState = `(SELECT max(s.seq) FROM message_states s
  WHERE s.message_id = deliveries.message_id AND s.address = deliveries.address)`;

/** Only a copy that still waits is changed: an answer may come after a receipt has said more. */
export function settle(
  db: Database,
  machine: string,
  seq: number,
  finding: Finding,
  at: string,
): StateRecord[] {
  const row = db
    .query<DeliveryRow, [number, string]>(
      `SELECT ${deliveryColumns} FROM deliveries
       WHERE seq = ? AND machine_id = ? AND state IN ('accepted', 'queued')`,
    )
    .get(seq, machine);
  if (!row) return [];
  if (finding.state === "queued" && isQueuedFor(db, seq, finding.reason)) return [];
  if (finding.state === "failed") owesNotice(db, seq, "failed");
  return [setState(db, row, { ...finding, at })];
}

function isQueuedFor(db: Database, seq: number, reason: string): boolean {
  const same = db
    .query("SELECT 1 FROM deliveries WHERE seq = ? AND state = 'queued' AND reason = ?")
    .get(seq, reason);
  return same !== null;
}

/** A session ended: what its daemon has not confirmed waits for it to resume. */
export function returnMail(
  db: Database,
  machine: string,
  session: string,
  at: string,
  expiresAt: string,
): StateRecord[] {
  return waitingOf(db, machine, session).map((row) => {
    owesNotice(db, row.seq, "queued");
    return setState(db, row, { state: "queued", at, reason: "session ended", expires_at: expiresAt });
  });
}

/** A session is back: its mail is on its way again and expires no more. */
export function releaseMail(db: Database, machine: string, session: string): void {
  db.query(
    `UPDATE deliveries SET expires_at = NULL, notice = NULL, reason = NULL
     WHERE machine_id = ? AND session_id = ? AND state IN ('accepted', 'queued')`,
  ).run(machine, session);
}

/** Mail for a project's next session goes to its oldest open one; never to its own sender, never to a mission. */
export function bindProjectMail(db: Database, machine: string, open: readonly Session[]): void {
  type Row = DeliveryRow & { project_id: string; from_session: string | null; from_machine: string | null };
  const unbound = db
    .query<Row, [string]>(
      `SELECT d.seq, d.message_id, d.thread_id, d.address, d.state, d.seen, d.project_id,
         m.from_session, m.from_machine
       FROM deliveries d JOIN messages m ON m.id = d.message_id
       WHERE d.kind = 'project' AND d.machine_id = ? AND d.state = 'queued' ORDER BY d.seq`,
    )
    .all(machine);
  for (const row of unbound) {
    const session = open.find(
      ({ project_id, mission_id, session_id }) =>
        project_id === row.project_id &&
        mission_id === undefined &&
        !(row.from_machine === machine && row.from_session === session_id),
    );
    if (session) bind(db, row, session.session_id);
  }
}

function bind(db: Database, row: DeliveryRow, session: string): void {
  const address = `${row.address}@${session}`;
  db.query(
    `UPDATE deliveries SET kind = 'session', session_id = ?, address = ?, expires_at = NULL, reason = NULL
     WHERE seq = ?`,
  ).run(session, address, row.seq);
  db.query("UPDATE message_states SET address = ? WHERE message_id = ? AND address = ?").run(
    address,
    row.message_id,
    row.address,
  );
  db.query(
    `UPDATE OR REPLACE thread_members SET kind = 'session', session_id = ?, address = ?
     WHERE thread_id = ? AND address = ?`,
  ).run(session, address, row.thread_id, row.address);
}

/** A revoked machine gets nothing any more; the senders are told. */
export function failWaiting(db: Database, machine: string, reason: string, at: string): StateRecord[] {
  return db
    .query<DeliveryRow, [string]>(
      `SELECT ${deliveryColumns} FROM deliveries
       WHERE machine_id = ? AND state IN ('accepted', 'queued') ORDER BY seq`,
    )
    .all(machine)
    .map((row) => {
      owesNotice(db, row.seq, "failed");
      return setState(db, row, { state: "failed", at, reason });
    });
}

export function queueAccepted(db: Database, machine: string, reason: string, at: string): StateRecord[] {
  return db
    .query<DeliveryRow, [string]>(
      `SELECT ${deliveryColumns} FROM deliveries
       WHERE machine_id = ? AND state IN ('accepted', 'queued') AND state = 'accepted' ORDER BY seq`,
    )
    .all(machine)
    .map((row) => setState(db, row, { state: "queued", at, reason }));
}

export function expire(db: Database, at: string): StateRecord[] {
  return db
    .query<DeliveryRow & { reason: string | null }, [string]>(
      `SELECT ${deliveryColumns}, reason FROM deliveries
       WHERE expires_at <= ? AND state IN ('accepted', 'queued') ORDER BY expires_at, seq`,
    )
    .all(at)
    .map((row) => {
      owesNotice(db, row.seq, "expired");
      return setState(db, row, {
        state: "expired",
        at,
        reason: `${reasonAlone(row.reason ?? "unread")}, and nobody came for it`,
      });
    });
}

/** Why it waited, without what was promised while it did: `session ended; delivered if it resumes`. */
const reasonAlone = (reason: string): string => reason.replace(/; delivered .*$/, "");

export function dueNotices(db: Database, limit: number): DueNotice[] {
  return db
    .query<DueNotice, [number]>(
      `SELECT d.seq, d.notice AS about, d.message_id, d.thread_id, m.from_agent, d.address AS "to", d.reason
       FROM deliveries d JOIN messages m ON m.id = d.message_id
       WHERE d.notice IS NOT NULL ORDER BY d.seq LIMIT ?`,
    )
    .all(limit);
}

export function noticeDone(db: Database, { seq, about }: Pick<DueNotice, "seq" | "about">): void {
  db.query("UPDATE deliveries SET notice = NULL WHERE seq = ? AND notice = ?").run(seq, about);
}

function waitingOf(db: Database, machine: string, session: string): DeliveryRow[] {
  return db
    .query<DeliveryRow, [string, string]>(
      `SELECT ${deliveryColumns} FROM deliveries
       WHERE machine_id = ? AND session_id = ? AND state IN ('accepted', 'queued') ORDER BY seq`,
    )
    .all(machine, session);
}
