// The hub's memory: what is remembered and what one call promises, for every engine. Start reading here.
// Each write resolves only after its durable commit, is idempotent by its key, and stands or falls alone. Writes
// take effect in the order in which they were asked for.
// Times are ISO 8601 UTC with milliseconds, so that they compare as text.
import type { Address } from "../protocol/address.ts";
import type { DeliveredCopies, Presence, Receipt } from "../protocol/hub-api.ts";
import type { Message, MessageState, MessageType, Priority } from "../protocol/message.ts";
import type { ProjectReport, SessionReport } from "../protocol/session.ts";
import type { Mission, MissionStore } from "./mission-store.ts";
import type { Rescue } from "./rescue-files.ts";
import type { TelegramStore } from "./telegram-store.ts";

export type MachineStatus = "pending" | "approved" | "denied" | "revoked";
export type Machine = {
  id: string;
  public_key: string;
  fingerprint: string;
  status: MachineStatus;
  /** grows with every link; a holder of an older one is refused */
  epoch: number;
  display_name: string;
  description: string;
  created_at: string;
  last_seen: string | null;
};

export type JoinRequest = Pick<
  Machine,
  "id" | "public_key" | "fingerprint" | "display_name" | "description"
> & {
  at: string;
  /** of the invite's secret; without one the machine waits for a person */
  invite_hash?: string;
  max_pending: number;
};
/** `machine` is what stands in the store afterwards, whatever the outcome. */
export type JoinOutcome =
  | { outcome: "joined"; machine: Machine; fresh: boolean }
  | { outcome: "taken" | "invite_invalid" | "too_many_pending" | "denied" | "revoked" };

/** `undefined` machine: there is none of that name. `changed` false: it was so before, or may not become so. */
export type Decision = {
  machine: Machine | undefined;
  changed: boolean;
  changes: StateRecord[];
  /** that changed with it */
  missions: Mission[];
};

export type Session = SessionReport & { machine_id: string; ended_at: string | null };
export type Project = ProjectReport & { machine_id: string };

export type PresenceChange = {
  opened: Session[];
  ended: Session[];
  changes: StateRecord[];
};

export type Sender = { kind: "hub" } | Exclude<Address, { kind: "project" }>;
/** `wait`: the message is not on its way now, and why. */
export type Recipient = Address & { wait?: { reason: string; expires_at?: string } };

export type NewMessage = {
  id: string;
  /** of everything a retry repeats: same id and same hash is the same message */
  hash: string;
  thread_id: string;
  opens_thread: boolean;
  type: MessageType;
  from: Sender;
  to_agent: string;
  text: string;
  at: string;
  /** absent: normal */
  priority?: Priority;
  /** the sender wants an answer: when to remind the recipient, and when to tell the sender that none came */
  reply_by?: { nudge_at: string; due_at: string };
};
/** `notice`: what the recipients and the person are told, once, when a thread is held. */
export type LoopGuard = { limit: number; reason: string; notice: string };
export type AcceptOutcome =
  /** `released`: machines with mail that this word of the person let go */
  | { outcome: "accepted"; changes: StateRecord[]; released: string[] }
  /** `pruned`: what became of it, for one that is forgotten */
  | { outcome: "duplicate"; pruned?: MessageState }
  /** the id stands for another message; or the thread id proposed is taken */
  | { outcome: "conflict"; over: "message" | "thread" }
  /** as many wait for this recipient as may */
  | { outcome: "full"; to: string };

/** One recipient's copy. `session_id` is null while it waits for a project's next session. */
export type Delivery = {
  seq: number;
  address: string;
  machine_id: string | null;
  project_id: string | null;
  session_id: string | null;
  state: MessageState;
  reason: string | null;
};
export type StoredMessage = Message & { hash: string; deliveries: Delivery[] };

/** A copy's state changed: what is written to its history and told to whoever watches. */
export type StateRecord = {
  message_id: string;
  thread_id: string;
  to: string;
  state: MessageState;
  at: string;
  reason?: string;
};

export type Outgoing = { seq: number; session_id: string; message: Message };
/** What the hub found out about a copy on its way. */
export type Finding =
  | { state: "delivered"; reason?: string }
  | { state: "queued"; reason: string }
  | { state: "failed"; reason: string };

/** A sender must be told that this copy was given back, failed or expired. */
export type DueNotice = {
  seq: number;
  about: "queued" | "failed" | "expired";
  message_id: string;
  thread_id: string;
  from_agent: string;
  to: string;
  reason: string | null;
};

/** An answer that was asked for and has not come. */
export type DueDeadline = {
  about: "nudge" | "overdue";
  message_id: string;
  thread_id: string;
  from_agent: string;
  to: string;
  due_at: string;
};

/** What one step forgot; `next`: where the next one goes on, undefined after the last thread. */
export type PruneStep = { messages: number; sessions: number; next: number | undefined };

export type Counts = {
  messages: number;
  waiting: number;
  open_sessions: number;
  machines: number;
  missions: number;
  missions_queued: number;
  missions_running: number;
  approvals_pending: number;
  responses_owed: number;
};

export interface Store extends MissionStore {
  // telegram.ts
  readonly telegram: TelegramStore;

  // machines.ts
  machine(id: string): Promise<Machine | undefined>;
  machines(): Promise<Machine[]>;
  /** One transaction with the use of the invite: a code admits one machine, whatever crashes. */
  join(request: JoinRequest): Promise<JoinOutcome>;
  /** The hub's own machine; its key may change, because whoever can change it owns the store. */
  enrolLocal(request: Omit<JoinRequest, "invite_hash" | "max_pending">): Promise<Machine>;
  decideMachine(id: string, decision: "approve" | "deny" | "revoke", at: string): Promise<Decision>;
  acquireEpoch(machine: string): Promise<number>;
  sawMachine(machine: string, at: string): Promise<void>;
  createInvite(invite: { hash: string; expires_at: string }): Promise<void>;
  /** True the first time only. */
  useNonce(machine: string, nonce: string, expiresAt: string): Promise<boolean>;

  // sessions.ts
  /** A full snapshot: sessions it lacks have ended, and their mail waits until `expires_at`. */
  presence(
    machine: string,
    snapshot: Presence,
    options: { at: string; expires_at: string; epoch?: number },
  ): Promise<PresenceChange>;
  session(machine: string, session: string): Promise<Session | undefined>;
  /** The open session that this very process is, on whatever machine. */
  sessionOfProcess(process: { pid: number; start: string }): Promise<Session | undefined>;
  openSessions(where?: { machine?: string; project?: string }): Promise<Session[]>;
  projects(machine?: string): Promise<Project[]>;

  // messages.ts
  accept(
    message: NewMessage,
    recipients: readonly Recipient[],
    /** `expires_at`: for a session that ended in the meantime; without `guard` nothing is held */
    options: { max_waiting: number; expires_at: string; guard?: LoopGuard },
  ): Promise<AcceptOutcome>;
  /** undefined: no such thread. */
  release(
    thread: string,
    options: { at: string; expires_at: string },
  ): Promise<{ changes: StateRecord[]; machines: string[] } | undefined>;
  dueDeadlines(at: string, limit: number): Promise<DueDeadline[]>;
  deadlineTold(deadline: Pick<DueDeadline, "message_id" | "about">): Promise<void>;
  message(id: string): Promise<StoredMessage | undefined>;
  /** What became of a message that is forgotten; undefined for any other. */
  pruned(id: string): Promise<MessageState | undefined>;
  states(messageId: string): Promise<StateRecord[]>;
  /** undefined: no such thread. */
  members(thread: string): Promise<Address[] | undefined>;
  /** The newest `limit`, oldest first. */
  thread(id: string, limit: number): Promise<StoredMessage[]>;
  /** The person's mail; what was unread is `offered` from here on. */
  readHumanInbox(options: { limit: number; unread: boolean; at: string }): Promise<{
    messages: StoredMessage[];
    waiting: number;
    changes: StateRecord[];
  }>;

  // deliveries.ts
  /** Copies for open sessions of the machine that its daemon has not confirmed, oldest first. */
  undelivered(machine: string, after: number, limit: number): Promise<Outgoing[]>;
  settle(
    machine: string,
    seq: number,
    finding: Finding,
    options: { at: string; epoch: number },
  ): Promise<StateRecord[]>;
  applyReceipts(
    machine: string,
    receipts: readonly Receipt[],
    options: { at: string; expires_at: string },
  ): Promise<StateRecord[]>;
  /** Of this session's copies those that are exactly `delivered`, from the oldest; a page looks at a bounded number. */
  deliveredCopies(machine: string, session: string, after: number): Promise<DeliveredCopies>;
  /** The machine is not linked: what was on its way to it waits, for this reason. */
  queueAccepted(machine: string, reason: string, at: string): Promise<StateRecord[]>;
  expire(at: string): Promise<StateRecord[]>;
  dueNotices(limit: number): Promise<DueNotice[]>;
  noticeDone(notice: Pick<DueNotice, "seq" | "about">): Promise<void>;

  /** Damage was met since it was opened; opened again, what can be read is rescued. */
  readonly damaged: boolean;
  /** The newest rescue of it that a person has not removed yet (`rescue.ts`). */
  readonly rescued: Rescue | undefined;
  /** Rejects when the store cannot be written to. */
  check(): Promise<void>;
  counts(): Promise<Counts>;
  /** Forgets used-up nonces and invites; tidies files. Never forgets a message. */
  maintain(at: string): Promise<void>;
  // prune.ts
  /**
   * Forgets at most `limit` messages of threads that were over before `before`, and sessions that ended before it.
   * Ids of messages stay known. `after`: 0, then `next` of the step before.
   */
  prune(step: { before: string; after: number; limit: number }): Promise<PruneStep>;
  close(): Promise<void>;
}
