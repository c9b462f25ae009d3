// From an agent's call to the hub: straight over the link when it stands and nothing waits, else through the
// outbox, in order. A sender is told `queued` only for what is fsynced here, and is told something in time: what the
// hub has not answered for falls into the outbox too, and ids make it harmless that it may have arrived.
import { formatAddress, parseAddress } from "../protocol/address.ts";
import { type ErrorCode, IntercomError, toIntercomError } from "../protocol/errors.ts";
import type { RouteInput } from "../protocol/hub-api.ts";
import { newThreadId, threadIdFor } from "../protocol/ids.ts";
import { ChatAnswer } from "../protocol/message.ts";
import { crashPoint } from "../system/crash-point.ts";
import { log } from "../system/log.ts";
import { background, backoff, delay } from "../system/wait.ts";
import type { Arrivals } from "./arrivals.ts";
import { hubPatienceMs, type Link } from "./link.ts";
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

type RouteEntry = Extract<OutboxEntry, { kind: "route" }>;
/** A message on its way to the hub whose sender waits. */
type Flight = { session: Session; input: RouteInput; kept: PromiseWithResolvers<ChatAnswer> };

export class Sender {
  readonly #link: Link;
  readonly #outbox: Outbox;
  readonly #sessions: Sessions;
  readonly #arrivals: Arrivals;
  readonly #machine: string;
  readonly #messageBytes: number;
  readonly #beforeRoute: () => Promise<void>;
  /** in the order of the calls */
  readonly #flights = new Set<Flight>();
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
    if (this.#link.linked && this.#outbox.routes === 0) return this.#fly(session, input);
    this.#refuseTurnedAway();
    this.#outbox.add([entryOf(session, input)], { durable: true });
    return this.#sent(session, input, queued(input, this.#link.reason ?? "the hub is away"));
  }

  /** Straight to the hub; into the outbox when the link breaks or the hub stays silent. */
  async #fly(session: Session, input: RouteInput): Promise<ChatAnswer> {
    const flight: Flight = { session, input, kept: Promise.withResolvers() };
    flight.kept.promise.catch(() => undefined); // who waits for it may have its answer by then
    this.#flights.add(flight);
    const silence = `the hub has not answered for ${hubPatienceMs / 1000} s; it is sent again`;
    const timer = setTimeout(() => this.#keepFlights(silence), hubPatienceMs);
    try {
      const answer = this.#request(input).then((given) => ChatAnswer.parse(given));
      return this.#sent(session, input, await Promise.race([answer, flight.kept.promise]));
    } catch (error) {
      if (!(error instanceof IntercomError) || error.code !== "hub_unreachable") throw error;
      this.#keepFlights(this.#link.reason ?? "the hub is away");
      return this.#sent(session, input, await flight.kept.promise);
    } finally {
      clearTimeout(timer);
      this.#flights.delete(flight);
    }
  }

  /** All at once and in the order of their calls, so that none overtakes another on its second way. */
  #keepFlights(reason: string): void {
    const flights = [...this.#flights];
    this.#flights.clear();
    try {
      this.#refuseTurnedAway();
      const entries = flights.map(({ session, input }) => entryOf(session, input));
      this.#outbox.add(entries, { durable: true });
      for (const { input, kept } of flights) kept.resolve(queued(input, reason));
    } catch (error) {
      for (const { kept } of flights) kept.reject(error);
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
      const refusal = await this.#refusalOf(head);
      if (refusal !== undefined && first.kind === "route") this.#tellSender(first, refusal);
    } catch (thrown) {
      const error = toIntercomError(thrown);
      if (error.code !== "hub_unreachable") log.warn("the outbox cannot go on now", { error });
      return false;
    }
    this.#outbox.drop(head.length);
    return true;
  }

  /** Sends these; why the hub refuses them for good: keeping them would block everything behind them. */
  async #refusalOf(head: readonly OutboxEntry[]): Promise<string | undefined> {
    const [first] = head;
    try {
      if (first?.kind === "route") return await this.#sendQueued(first);
      const receipts = head.flatMap((entry) => (entry.kind === "receipt" ? [entry.receipt] : []));
      await this.#link.request("receipts", { receipts });
      return undefined;
    } catch (thrown) {
      const error = toIntercomError(thrown);
      if (passingErrors.has(error.code)) throw error;
      log.warn("the hub refused what waited in the outbox", { code: error.code, error });
      return error.message;
    }
  }

  /** Under the name that this machine has now: it may have been renamed since. */
  async #sendQueued({ input }: RouteEntry): Promise<string | undefined> {
    const payload = { ...input.payload, await_delivery: false };
    const from = parseAddress(input.from_agent);
    const from_agent =
      from.kind === "session" ? formatAddress({ ...from, machine: this.#machine }) : input.from_agent;
    const answer = ChatAnswer.parse(await this.#request({ ...input, from_agent, payload }));
    const refused =
      answer.status === "no_active_session" || answer.status === "ambiguous" || answer.status === "error";
    return refused ? (answer.reason ?? answer.error ?? answer.status) : undefined;
  }

  /** The hub refuses a thread id that exists already (1 in 2^48): another one is tried. */
  async #request(input: RouteInput): Promise<unknown> {
    await this.#introduce();
    try {
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

  /** The hub must know the session first. That it does not take our presence says nothing of the message. */
  async #introduce(): Promise<void> {
    try {
      await this.#beforeRoute();
    } catch (cause) {
      throw new IntercomError("hub_unreachable", "the hub did not take this machine's presence", { cause });
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

  #refuseTurnedAway(): void {
    if (this.#link.state === "revoked" || this.#link.state === "denied")
      throw new IntercomError(
        this.#link.state === "revoked" ? "machine_revoked" : "machine_denied",
        `this machine may not send: ${this.#link.reason ?? this.#link.state}`,
      );
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
      },
    };
  }

  /**
   * What was queued here and then refused by the hub: its sender learns it in its inbox, once; one that has ended
   * finds it there when its conversation is resumed.
   */
  #tellSender({ session_id, input }: RouteEntry, why: string): void {
    const { message_id, thread_id, new_thread_id } = input.payload;
    const told = this.#arrivals.notify(session_id, {
      thread_id: thread_id ?? new_thread_id ?? "",
      id: `${message_id}-refused`.slice(-64),
      text: `Your message ${message_id} to ${input.to_agent ?? "the thread"} was not delivered: ${why}`,
    });
    if (!told) log.warn("a queued message was refused and its sender cannot be told", { message_id, why });
  }
}

function entryOf({ stored }: Session, input: RouteInput): RouteEntry {
  return { kind: "route", session_id: stored.session_id, at: new Date().toISOString(), input };
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
