// From an agent's call to the hub: straight over the link when it stands and nothing waits, else through the
// outbox, in order. A sender is told `queued` only for what is fsynced here, and is told something in time: what the
// hub has not answered for falls into the outbox too, and ids make it harmless that it may have arrived.
import { formatAddress, parseAddress } from "../protocol/address.ts";
import { type ErrorCode, IntercomError, toIntercomError } from "../protocol/errors.ts";
import type { RouteInput } from "../protocol/hub-api.ts";
import { newThreadId, threadIdFor } from "../protocol/ids.ts";
import { type ChatAnswer, checkText, type Priority } from "../protocol/message.ts";
import {
  type MissionAnswer,
  type MissionRequest,
  type MissionType,
  newMissionId,
} from "../protocol/mission.ts";
import { checkRecipient, type SendAnswer, type Sent, sendAnswer } from "../protocol/send.ts";
import { crashPoint } from "../system/crash-point.ts";
import { log } from "../system/log.ts";
import { background, backoff, delay } from "../system/wait.ts";
import {
  type AnswerKind,
  chatAnswers,
  missionAnswers,
  newsOf,
  refusalText,
  sendAnswers,
  threadOf,
} from "./answers.ts";
import type { Arrivals } from "./arrivals.ts";
import { hubPatienceMs, type Link } from "./link.ts";
import type { Outbox, OutboxEntry } from "./outbox.ts";
import type { Session, Sessions } from "./sessions.ts";

/** what a hub says of a moment, not of the message: it is sent again */
const passingErrors = new Set<ErrorCode>(["hub_unreachable", "rate_limited", "internal"]);
/** ms between tries of what the hub could not take */
const firstPauseMs = 200;
const longestPauseMs = 10_000;
/** a thread id has 48 random bits, a mission id 24 and its day: more than one double is no accident */
const idProposals = 3;

type Text = { message_id: string; message: string };
export type Chat = Text & {
  to?: string;
  thread_id?: string;
  if_no_session?: "fail" | "queue";
  /** seconds */
  expect_reply_within?: number;
};
export type News = Text & { to: string | string[]; priority: Priority };
export type Asked = Text & { type: MissionType; to: string; mission: MissionRequest };

type RouteEntry = Extract<OutboxEntry, { kind: "route" }>;
/** A message on its way to the hub whose sender waits; `kept`: in the outbox after all, and why. */
type Flight = { session: Session; input: RouteInput; kept: PromiseWithResolvers<string> };

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

  /** One message to one running agent, or into a thread. */
  async chat(session: Session, { to, thread_id, message, message_id, ...rest }: Chat): Promise<ChatAnswer> {
    if (to === undefined && thread_id === undefined)
      throw new IntercomError("bad_request", "a message needs a recipient or a thread");
    if (to !== undefined) parseAddress(to);
    const new_thread_id = thread_id === undefined ? threadIdFor(message_id) : undefined;
    const payload = { message, message_id, thread_id, new_thread_id, if_no_session: "fail" as const };
    const input = {
      to_agent: to,
      type: "chat" as const,
      payload: { ...payload, ...defined(rest), priority: "normal" as const },
    };
    const answer = await this.#send(session, input, chatAnswers);
    const sent = answer.status === "delivered" || answer.status === "queued" || answer.status === "held";
    if (thread_id !== undefined && sent) this.#noteReply(session, thread_id);
    return answer;
  }

  /** News to many, which needs no answer. Words that mean nobody take nothing from the others. */
  async tell(session: Session, { to, message, message_id, priority }: News): Promise<SendAnswer> {
    const wanted = [...new Set([to].flat())];
    const refused = wanted.flatMap((one) => refusalOf(one) ?? []);
    const meant = wanted.filter((one) => refused.every((row) => row.to !== one));
    if (meant.length === 0) return sendAnswer(refused);
    const payload = { message, message_id, if_no_session: "queue" as const, priority };
    const to_agent = refused.length === 0 ? to : meant;
    return this.#send(session, { to_agent, type: "send", payload }, sendAnswers(refused));
  }

  /** A mission in a project; whoever must approve it is asked by the hub. */
  async ask(session: Session, { type, to, message, message_id, mission }: Asked): Promise<MissionAnswer> {
    if (parseAddress(to).kind !== "project")
      throw new IntercomError("bad_request", `a mission runs in a project, and "${to}" is none`, {
        hint: "give machine/project; to write to a running session or to human, use intercom_chat",
      });
    const payload = {
      message,
      message_id,
      new_thread_id: mission.continues === undefined ? threadIdFor(message_id) : undefined,
      if_no_session: "fail" as const,
      priority: "normal" as const,
      mission,
    };
    return this.#send(session, { to_agent: to, type, payload }, missionAnswers);
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
      const news = await this.#newsOf(head);
      if (news !== undefined && first.kind === "route") this.#tellSender(first, news);
    } catch (thrown) {
      const error = toIntercomError(thrown);
      if (error.code !== "hub_unreachable") log.warn("the outbox cannot go on now", { error });
      return false;
    }
    this.#outbox.drop(head.length);
    return true;
  }

  /** Sends these; what their sender must be told: of those that the hub refuses for good, which would block the rest. */
  async #newsOf(head: readonly OutboxEntry[]): Promise<string | undefined> {
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
      return first?.kind === "route" ? refusalText(first.input, error.message) : undefined;
    }
  }

  /** Under the name that this machine has now: it may have been renamed since. */
  async #sendQueued({ input }: RouteEntry): Promise<string | undefined> {
    const payload = { ...input.payload, await_delivery: false };
    const from = parseAddress(input.from_agent);
    const from_agent =
      from.kind === "session" ? formatAddress({ ...from, machine: this.#machine }) : input.from_agent;
    return newsOf(input, await this.#request({ ...input, from_agent, payload }));
  }

  /** Sends as this session; the sender's name is ours to set, never the caller's. */
  async #send<A>(
    session: Session,
    outgoing: Omit<RouteInput, "from_agent">,
    kind: AnswerKind<A>,
  ): Promise<A> {
    checkText(outgoing.payload.message, this.#messageBytes);
    const { project, session_id } = session.stored;
    const own = { kind: "session" as const, machine: this.#machine, project, session: session_id };
    const input: RouteInput = { from_agent: formatAddress(own), ...outgoing };
    const waiting = this.#outbox.find(outgoing.payload.message_id);
    if (waiting) return kind.queued(waiting.input, "it waits on this machine for the hub");
    if (this.#link.linked && this.#outbox.routes === 0) return this.#fly(session, input, kind);
    this.#refuseTurnedAway();
    this.#outbox.add([entryOf(session, input)], { durable: true });
    crashPoint("sender.answered");
    return kind.queued(input, this.#link.reason ?? "the hub is away");
  }

  /** Straight to the hub; into the outbox when the link breaks or the hub stays silent. */
  async #fly<A>(session: Session, input: RouteInput, kind: AnswerKind<A>): Promise<A> {
    const flight: Flight = { session, input, kept: Promise.withResolvers() };
    const kept = flight.kept.promise.then((reason) => kind.queued(input, reason));
    kept.catch(() => undefined); // who waits for it may have its answer by then
    this.#flights.add(flight);
    const silence = `the hub has not answered for ${hubPatienceMs / 1000} s; it is sent again`;
    const timer = setTimeout(() => this.#keepFlights(silence), hubPatienceMs);
    try {
      return await Promise.race([this.#request(input).then((given) => kind.read(given)), kept]);
    } catch (error) {
      if (!(error instanceof IntercomError) || error.code !== "hub_unreachable") throw error;
      this.#keepFlights(this.#link.reason ?? "the hub is away");
      return await kept;
    } finally {
      clearTimeout(timer);
      this.#flights.delete(flight);
      crashPoint("sender.answered");
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
      for (const { kept } of flights) kept.resolve(reason);
    } catch (error) {
      for (const { kept } of flights) kept.reject(error);
    }
  }

  /** The hub refuses an id that stands for something else already; another one is tried. */
  async #request(input: RouteInput): Promise<unknown> {
    await this.#introduce();
    let proposed = input;
    for (let left = idProposals; ; left--) {
      try {
        return await this.#link.request("route", proposed);
      } catch (error) {
        const other = left > 0 ? withOtherIds(proposed, error) : undefined;
        if (!other) throw error;
        proposed = other;
      }
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

  /** Only for introductions: where it cannot be kept, the message is sent all the same. */
  #noteReply(session: Session, thread: string): void {
    try {
      this.#sessions.noteReply(session, thread);
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

  /**
   * What became of a message that was queued here: its sender learns it in its inbox, once; one that has ended finds it
   * there when its conversation is resumed.
   */
  #tellSender({ session_id, input }: RouteEntry, text: string): void {
    const { message_id } = input.payload;
    const told = this.#arrivals.notify(session_id, {
      thread_id: threadOf(input) ?? "",
      id: `${message_id}-refused`.slice(-64),
      text,
    });
    if (!told) log.warn("a queued message was refused and its sender cannot be told", { message_id, text });
  }
}

/** Undefined: it may mean somebody. */
function refusalOf(to: string): Sent | undefined {
  try {
    checkRecipient(to);
    return undefined;
  } catch (thrown) {
    const { message: error, hint } = toIntercomError(thrown);
    return { to, status: "error", error, ...(hint ? { hint } : {}) };
  }
}

function entryOf({ stored }: Session, input: RouteInput): RouteEntry {
  return { kind: "route", session_id: stored.session_id, at: new Date().toISOString(), input };
}

/** The same request with another proposal for the id that the hub called taken; undefined: that was not why. */
function withOtherIds(input: RouteInput, error: unknown): RouteInput | undefined {
  if (!(error instanceof IntercomError) || error.code !== "conflict") return undefined;
  const { new_thread_id, mission } = input.payload;
  const payload = { ...input.payload };
  if (new_thread_id !== undefined && error.message.includes(new_thread_id))
    payload.new_thread_id = newThreadId();
  else if (mission?.id !== undefined && error.message.includes(mission.id))
    payload.mission = { ...mission, id: newMissionId() };
  else return undefined;
  return { ...input, payload };
}

/** Without the fields that are undefined: a default must not be overwritten by one. */
function defined<T extends object>(fields: T): Partial<T> {
  const given = Object.entries(fields).filter(([, value]) => value !== undefined);
  return Object.fromEntries(given) as Partial<T>; // boundary: the same keys, fewer
}
