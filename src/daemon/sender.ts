// From an agent's call to the hub: straight over the link when it stands and nothing waits, else through the
// outbox, in order. A sender is told `queued` only for what is fsynced here.
import { formatAddress, parseAddress } from "../protocol/address.ts";
import { type ErrorCode, IntercomError, toIntercomError } from "../protocol/errors.ts";
import type { RouteInput } from "../protocol/hub-api.ts";
import { newThreadId, threadIdFor } from "../protocol/ids.ts";
import { ChatAnswer } from "../protocol/message.ts";
import { crashPoint } from "../system/crash-point.ts";
import { log } from "../system/log.ts";
import { background, backoff, delay } from "../system/wait.ts";
import type { Arrivals } from "./arrivals.ts";
import type { Link } from "./link.ts";
import type { Outbox, OutboxEntry } from "./outbox.ts";
import type { Session, Sessions } from "./sessions.ts";

/** what a hub says of a moment, not of the message: it is sent again */
const passingErrors = new Set<ErrorCode>(["hub_unreachable", "rate_limited", "internal"]);
/** ms between tries of what the hub could not take */
const firstPauseMs = 200;
const longestPauseMs = 10_000;

export type Outgoing = {
  message_id: string;
  message: string;
  to?: string;
  thread_id?: string;
  if_no_session?: "fail" | "queue";
  /** seconds */
  expect_reply_within?: number;
};

export class Sender {
  readonly #link: Link;
  readonly #outbox: Outbox;
  readonly #sessions: Sessions;
  readonly #arrivals: Arrivals;
  readonly #machine: string;
  readonly #messageBytes: number;
  readonly #beforeRoute: () => Promise<void>;
  #flushing = false;

  constructor(parts: {
    link: Link;
    outbox: Outbox;
    sessions: Sessions;
    arrivals: Arrivals;
    machine: string;
    messageBytes: number;
    beforeRoute: () => Promise<void>;
  }) {
    this.#link = parts.link;
    this.#outbox = parts.outbox;
    this.#sessions = parts.sessions;
    this.#arrivals = parts.arrivals;
    this.#machine = parts.machine;
    this.#messageBytes = parts.messageBytes;
    this.#beforeRoute = parts.beforeRoute;
    this.#outbox.onAdd = () => this.flush();
  }

  /** Sends as this session; the sender's name is ours to set, never the caller's. */
  async send(session: Session, outgoing: Outgoing): Promise<ChatAnswer> {
    this.#check(outgoing);
    const input = this.#routeInput(session, outgoing);
    const waiting = this.#outbox.find(outgoing.message_id);
    if (waiting) return queued(waiting.input, "it waits on this machine for the hub");
    if (!this.#link.linked || this.#outbox.routes > 0) return this.#queue(session, input);
    try {
      return this.#sent(session, input, ChatAnswer.parse(await this.#request(input)));
    } catch (error) {
      if (!(error instanceof IntercomError) || error.code !== "hub_unreachable") throw error;
      return this.#queue(session, input);
    }
  }

  /** Sends what waits, oldest first, until it is empty or the link breaks. */
  flush(): void {
    if (this.#flushing || !this.#link.linked) return;
    this.#flushing = true;
    background("outbox", async () => {
      try {
        const pauses = backoff(firstPauseMs, longestPauseMs);
        while (this.#link.linked && this.#outbox.size > 0) {
          if (!(await this.#sendHead()) && this.#link.linked) await delay(pauses.next().value);
        }
      } finally {
        this.#flushing = false;
      }
    });
  }

  /** Sends the oldest; false when the hub cannot take it now and it stays. */
  async #sendHead(): Promise<boolean> {
    const head = this.#outbox.head();
    const [first] = head;
    if (first === undefined) return true;
    try {
      if (first.kind === "route") await this.#sendQueued(first);
      else
        await this.#link.request("receipts", {
          receipts: head.flatMap((entry) => (entry.kind === "receipt" ? [entry.receipt] : [])),
        });
    } catch (thrown) {
      const error = toIntercomError(thrown);
      if (passingErrors.has(error.code)) return false;
      // the hub refuses it for good: keeping it would block everything behind it
      log.warn("the hub refused what waited in the outbox", { code: error.code, error });
      if (first.kind === "route") this.#tellSender(first, error.message);
    }
    this.#outbox.drop(head.length);
    return true;
  }

  async #sendQueued(entry: Extract<OutboxEntry, { kind: "route" }>): Promise<void> {
    const { payload } = entry.input;
    const input = { ...entry.input, payload: { ...payload, await_delivery: false } };
    const answer = ChatAnswer.parse(await this.#request(input));
    if (answer.status === "no_active_session" || answer.status === "ambiguous" || answer.status === "error")
      this.#tellSender(entry, answer.reason ?? answer.error ?? answer.status);
  }

  /** The hub refuses a thread id that exists already (1 in 2^48): another one is tried. */
  async #request(input: RouteInput): Promise<unknown> {
    try {
      await this.#beforeRoute();
      return await this.#link.request("route", input);
    } catch (error) {
      const doubled =
        error instanceof IntercomError &&
        error.code === "conflict" &&
        input.payload.new_thread_id !== undefined &&
        error.message.includes(input.payload.new_thread_id);
      if (!doubled) throw error;
      return this.#link.request("route", {
        ...input,
        payload: { ...input.payload, new_thread_id: newThreadId() },
      });
    }
  }

  #sent(session: Session, input: RouteInput, answer: ChatAnswer): ChatAnswer {
    crashPoint("sender.answered");
    const thread = input.payload.thread_id;
    if (
      thread !== undefined &&
      (answer.status === "delivered" || answer.status === "queued" || answer.status === "held")
    )
      this.#noteReply(session, thread);
    return answer;
  }

  /** Only for introductions: where it cannot be kept, the message is sent all the same. */
  #noteReply(session: Session, thread: string): void {
    const replied = { ...session.stored.replied, [thread]: new Date().toISOString() };
    try {
      this.#sessions.update(session, { replied });
    } catch (error) {
      log.warn("a reply could not be noted", { session: session.stored.session_id, error });
    }
  }

  #queue(session: Session, input: RouteInput): ChatAnswer {
    if (this.#link.state === "revoked" || this.#link.state === "denied")
      throw new IntercomError(
        this.#link.state === "revoked" ? "machine_revoked" : "machine_denied",
        `this machine may not send: ${this.#link.reason ?? this.#link.state}`,
      );
    const { session_id } = session.stored;
    this.#outbox.add([{ kind: "route", session_id, at: new Date().toISOString(), input }], { durable: true });
    return this.#sent(session, input, queued(input, this.#link.reason ?? "the hub is away"));
  }

  #check({ to, thread_id, message }: Outgoing): void {
    if (to === undefined && thread_id === undefined)
      throw new IntercomError("bad_request", "a message needs a recipient or a thread");
    if (to !== undefined) parseAddress(to);
    if (message.trim() === "") throw new IntercomError("bad_request", "the message is empty");
    const bytes = Buffer.byteLength(message, "utf8");
    if (bytes > this.#messageBytes)
      throw new IntercomError(
        "message_too_large",
        `the message has ${bytes} bytes; at most ${this.#messageBytes} are allowed`,
      );
  }

  #routeInput(
    session: Session,
    { message_id, message, to, thread_id, if_no_session, expect_reply_within }: Outgoing,
  ): RouteInput {
    return {
      from_agent: formatAddress({
        kind: "session",
        machine: this.#machine,
        project: session.stored.project,
        session: session.stored.session_id,
      }),
      to_agent: to,
      type: "chat",
      payload: {
        message,
        message_id,
        thread_id,
        new_thread_id: thread_id === undefined ? threadIdFor(message_id) : undefined,
        if_no_session: if_no_session ?? "fail",
        expect_reply_within,
        priority: "normal",
      },
    };
  }

  /** What was queued here and then refused by the hub: its sender learns it in its inbox, once. */
  #tellSender(entry: Extract<OutboxEntry, { kind: "route" }>, why: string): void {
    const session = this.#sessions.get(entry.session_id);
    const { message_id, thread_id, new_thread_id } = entry.input.payload;
    const text = `Your message ${message_id} to ${entry.input.to_agent ?? "the thread"} was not delivered: ${why}`;
    if (session)
      this.#arrivals.notify(session, {
        thread_id: thread_id ?? new_thread_id ?? "",
        id: `${message_id}-refused`.slice(-64),
        text,
      });
    else log.warn("a queued message was refused and its sender is gone", { message_id });
  }
}

function queued(input: RouteInput, reason: string): ChatAnswer {
  const { message_id, thread_id, new_thread_id } = input.payload;
  return {
    status: "queued",
    thread_id: thread_id ?? new_thread_id,
    message_id,
    reason,
    hint: "it is safe on this machine's disk and goes out by itself",
  };
}
