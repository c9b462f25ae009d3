// Mail that arrives on this machine: from the hub, from this user's scripts, from the daemon itself. Into the inbox,
// in order, and acknowledged only when it is fsynced.
import { IntercomError } from "../protocol/errors.ts";
import { newMessageId } from "../protocol/ids.ts";
import { Deliver, type Delivered } from "../protocol/link.ts";
import type { DeliverLocally } from "../protocol/local-api.ts";
import { checkText, type InboxRecord } from "../protocol/message.ts";
import { crashPoint } from "../system/crash-point.ts";
import { log } from "../system/log.ts";
import { isAlive } from "../system/process.ts";
import type { Outbox } from "./outbox.ts";
import type { Session, Sessions } from "./sessions.ts";

type Refusal = Exclude<Delivered["status"], "delivered">;
type Incoming = {
  session: Session;
  seq: number;
  record: Omit<InboxRecord, "read">;
  done: (answer: Delivered) => void;
};

/** ms after which nothing is on its way any more that was sent before a refusal was known */
const inFlightMs = 30_000;

export class Arrivals {
  readonly #sessions: Sessions;
  readonly #outbox: Outbox;
  readonly #messageBytes: number;
  readonly #incoming: Incoming[] = [];
  /** session id → seq → what could not be taken and has not come again: nothing behind it may overtake it */
  readonly #refused = new Map<string, Map<number, { at: number; status: Refusal }>>();
  /** why what just arrived is not read at once; told to the sender */
  reasonFor: (session: Session) => string | undefined = () => undefined;
  /** mail for a session stands in its inbox */
  onMail: (session: Session) => void = () => {};

  /** `messageBytes`: longest message of a local script, bytes of UTF-8; the hub's are checked by the hub */
  constructor(sessions: Sessions, outbox: Outbox, messageBytes: number) {
    this.#sessions = sessions;
    this.#outbox = outbox;
    this.#messageBytes = messageBytes;
  }

  /** The hub's `deliver`. Answers only when the message is fsynced; what arrives in one turn shares one fsync. */
  receive(payload: unknown): Promise<Delivered> {
    const parsed = Deliver.safeParse(payload);
    if (!parsed.success) throw new IntercomError("bad_request", "this deliver request cannot be read");
    const { session_id, seq, message } = parsed.data;
    const session = this.#sessions.get(session_id);
    if (!session || !isAlive(session.process) || this.#outbox.isReturning(session_id))
      return Promise.resolve(this.#refuse(session_id, seq, "session_ended"));
    const before = this.#overtaken(session_id, seq);
    if (before) return Promise.resolve(this.#refuse(session_id, seq, before));
    this.#refused.get(session_id)?.delete(seq);
    const { id, thread_id, from_agent, timestamp, type, priority } = message;
    const record = { thread_id, from_agent, timestamp, message: message.message, id, type, priority };
    return new Promise((done) => {
      this.#incoming.push({ session, seq, record, done });
      if (this.#incoming.length === 1) setImmediate(() => this.#appendIncoming());
    });
  }

  /** For this user's scripts and tests: straight into the inbox, marked local, no receipts. */
  deliverLocally(session: Session, body: DeliverLocally): void {
    const { thread_id, from_agent, message, timestamp } = body;
    checkText(message, this.#messageBytes);
    session.inbox.append([
      { thread_id, from_agent, timestamp, message, id: body.id ?? newMessageId(), type: "chat", local: true },
    ]);
    this.onMail(session);
  }

  /**
   * A notice of the daemon itself about a message that the hub refused after it had been queued here. False when
   * there is no such session any more, or no room in its inbox; throws when it cannot be written now.
   */
  notify(sessionId: string, about: { thread_id: string; id: string; text: string }): boolean {
    const record = {
      thread_id: about.thread_id,
      from_agent: "hub",
      timestamp: new Date().toISOString(),
      message: about.text,
      id: about.id,
      type: "status" as const,
      local: true as const,
    };
    try {
      const session = this.#sessions.get(sessionId);
      if (!session) return this.#sessions.leave(sessionId, record);
      session.inbox.append([record]);
      this.onMail(session);
      return true;
    } catch (error) {
      if (error instanceof IntercomError && error.code === "inbox_full") return false;
      throw error;
    }
  }

  /** A new link: the hub begins again with the oldest message it still has. */
  linked(): void {
    this.#refused.clear();
  }

  /** Remembered until it comes again; the hub has sent more behind it already. */
  #refuse(sessionId: string, seq: number, status: Refusal): Delivered {
    const own = this.#refused.get(sessionId) ?? new Map<number, { at: number; status: Refusal }>();
    this.#refused.set(sessionId, own.set(seq, { at: performance.now(), status }));
    return { status };
  }

  #refuseAll(sessionId: string, batch: Incoming[], status: Refusal): Delivered {
    for (const { seq } of batch) this.#refuse(sessionId, seq, status);
    return { status };
  }

  /** Why a message that this one would overtake was refused. */
  #overtaken(sessionId: string, seq: number): Refusal | undefined {
    const own = this.#refused.get(sessionId);
    for (const [refused, { at, status }] of own ?? []) {
      if (performance.now() - at >= inFlightMs) own?.delete(refused);
      else if (refused < seq) return status;
    }
    return undefined;
  }

  #appendIncoming(): void {
    const batch = this.#incoming.splice(0);
    for (const session of new Set(batch.map((one) => one.session))) {
      const own = batch.filter((one) => one.session === session);
      const answer = this.#append(session, own);
      for (const { done } of own) done(answer);
    }
  }

  #append(session: Session, batch: Incoming[]): Delivered {
    const { session_id } = session.stored;
    if (this.#sessions.get(session_id) !== session || this.#outbox.isReturning(session_id))
      return this.#refuseAll(session_id, batch, "session_ended");
    try {
      session.inbox.append(batch.map(({ record }) => record));
    } catch (error) {
      // not acknowledged: the hub keeps it and sends it again
      log.error("mail could not be written", { session: session_id, error });
      const full = error instanceof IntercomError && error.code === "inbox_full";
      return this.#refuseAll(session_id, batch, full ? "inbox_full" : "not_stored");
    }
    crashPoint("delivery.appended");
    this.onMail(session);
    return { status: "delivered", reason: this.reasonFor(session) };
  }
}
