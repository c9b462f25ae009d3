// From an agent's call to the hub: straight over the link when it stands and nothing waits, else through the
// outbox, in order. A sender is told `queued` only for what is fsynced here.
import { formatAddress, parseAddress } from "../protocol/address.ts";
import { type ErrorCode, IntercomError, toIntercomError } from "../protocol/errors.ts";
import type { RouteInput } from "../protocol/hub-api.ts";
import { newThreadId, threadIdFor } from "../protocol/ids.ts";
import type { ChatAnswer, Priority } from "../protocol/message.ts";
import {
  type MissionAnswer,
  type MissionRequest,
  type MissionType,
  newMissionId,
  type SendAnswer,
} from "../protocol/mission.ts";
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
import type { Link } from "./link.ts";
import type { Outbox, OutboxEntry } from "./outbox.ts";
import type { Session, Sessions } from "./sessions.ts";

/** what a hub says of a moment, not of the message: it is sent again */
const passingErrors = new Set<ErrorCode>(["hub_unreachable", "rate_limited", "internal"]);
/** ms between tries of what the hub could not take */
const firstPauseMs = 200;
const longestPauseMs = 10_000;
/** a thread id has 48 random bits, a mission id 24 and its day: more than one double is no accident */
const idProposals = 3;

/** a project of a machine, every project of one, one project everywhere, everyone */
const manyPattern = /^(\*|[^/*@\s]+\/\*|\*\/[^/*@\s]+)$/;

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

  /** News to many, which needs no answer. */
  async tell(session: Session, { to, message, message_id, priority }: News): Promise<SendAnswer> {
    for (const one of [to].flat()) if (!manyPattern.test(one)) parseAddress(one);
    const payload = { message, message_id, if_no_session: "queue" as const, priority };
    return this.#send(session, { to_agent: to, type: "send", payload }, sendAnswers);
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
      if (first.kind === "route") this.#tellSender(first, refusalText(first.input, error.message));
    }
    this.#outbox.drop(head.length);
    return true;
  }

  async #sendQueued(entry: Extract<OutboxEntry, { kind: "route" }>): Promise<void> {
    const { payload } = entry.input;
    const input = { ...entry.input, payload: { ...payload, await_delivery: false } };
    const news = newsOf(entry.input, await this.#request(input));
    if (news !== undefined) this.#tellSender(entry, news);
  }

  /** Sends as this session; the sender's name is ours to set, never the caller's. */
  async #send<A>(
    session: Session,
    outgoing: Omit<RouteInput, "from_agent">,
    kind: AnswerKind<A>,
  ): Promise<A> {
    this.#checkText(outgoing.payload.message);
    const { project, session_id } = session.stored;
    const own = { kind: "session" as const, machine: this.#machine, project, session: session_id };
    const input: RouteInput = { from_agent: formatAddress(own), ...outgoing };
    const waiting = this.#outbox.find(outgoing.payload.message_id);
    if (waiting) return kind.queued(waiting.input, "it waits on this machine for the hub");
    if (!this.#link.linked || this.#outbox.routes > 0) return this.#queue(session, input, kind);
    try {
      const answer = kind.read(await this.#request(input));
      crashPoint("sender.answered");
      return answer;
    } catch (error) {
      if (!(error instanceof IntercomError) || error.code !== "hub_unreachable") throw error;
      return this.#queue(session, input, kind);
    }
  }

  /** The hub refuses an id that stands for something else already; another one is tried. */
  async #request(input: RouteInput): Promise<unknown> {
    await this.#beforeRoute();
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

  /** Only for introductions: where it cannot be kept, the message is sent all the same. */
  #noteReply(session: Session, thread: string): void {
    const replied = { ...session.stored.replied, [thread]: new Date().toISOString() };
    try {
      this.#sessions.update(session, { replied });
    } catch (error) {
      log.warn("a reply could not be noted", { session: session.stored.session_id, error });
    }
  }

  #queue<A>(session: Session, input: RouteInput, kind: AnswerKind<A>): A {
    if (this.#link.state === "revoked" || this.#link.state === "denied")
      throw new IntercomError(
        this.#link.state === "revoked" ? "machine_revoked" : "machine_denied",
        `this machine may not send: ${this.#link.reason ?? this.#link.state}`,
      );
    const { session_id } = session.stored;
    this.#outbox.add([{ kind: "route", session_id, at: new Date().toISOString(), input }], { durable: true });
    crashPoint("sender.answered");
    return kind.queued(input, this.#link.reason ?? "the hub is away");
  }

  #checkText(message: string): void {
    if (message.trim() === "") throw new IntercomError("bad_request", "the message is empty");
    const bytes = Buffer.byteLength(message, "utf8");
    if (bytes > this.#messageBytes)
      throw new IntercomError(
        "message_too_large",
        `the message has ${bytes} bytes; at most ${this.#messageBytes} are allowed`,
      );
  }

  /** What became of a message that was queued here: its sender learns it in its inbox, once. */
  #tellSender(entry: Extract<OutboxEntry, { kind: "route" }>, text: string): void {
    const session = this.#sessions.get(entry.session_id);
    const { message_id } = entry.input.payload;
    if (session)
      this.#arrivals.notify(session, {
        thread_id: threadOf(entry.input) ?? "",
        id: `${message_id}-refused`.slice(-64),
        text,
      });
    else log.warn("a queued message was refused and its sender is gone", { message_id });
  }
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
