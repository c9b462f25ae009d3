// From one sender to the right place: who says it, whether it may be said, and which kind of message it is. Chats
// find their recipient here; sends to many and missions have files of their own.
import { type Address, formatAddress, parseAddress } from "../protocol/address.ts";
import { IntercomError } from "../protocol/errors.ts";
import type { RouteInput } from "../protocol/hub-api.ts";
import { newThreadId, threadIdFor } from "../protocol/ids.ts";
import { maxFrameBytes } from "../protocol/link.ts";
import { type ChatAnswer, checkText } from "../protocol/message.ts";
import type { NewMessage, Recipient } from "../store/store.ts";
import { contentHash, sendMessage } from "./acceptance.ts";
import { Broadcasts } from "./broadcast.ts";
import { callerAddress, type From } from "./callers.ts";
import { openEnds, overAnswer } from "./ended-mission.ts";
import type { Missions } from "./missions.ts";
import type { Answer, Asker } from "./operations.ts";
import { isoAt, type Overseer, type Parts } from "./parts.ts";
import { RateLimit } from "./rate.ts";
import { recipientAt, requireMachine, resolve } from "./recipients.ts";
import { otherEnds } from "./thread.ts";

/** bytes of a message's text as JSON: a frame, less room for its other fields */
const maxFramedBytes = maxFrameBytes - 16 * 1024;
/** of messages that the hub makes itself */
const ownIds = /^(response|notice|held|nudge|overdue|rescued)-/;

type Place = { recipients: Recipient[]; thread_id: string; opens_thread: boolean };

export class Router {
  readonly #parts: Parts;
  readonly #missions: Missions;
  readonly #broadcasts: Broadcasts;
  readonly #rate: RateLimit;
  readonly #overseer: () => Overseer | undefined;

  constructor(parts: Parts, missions: Missions, overseer: () => Overseer | undefined) {
    this.#parts = parts;
    this.#missions = missions;
    this.#overseer = overseer;
    this.#broadcasts = new Broadcasts(parts);
    const { rate, burst } = parts.config.limits;
    this.#rate = new RateLimit({ perSecond: rate, burst, now: parts.now });
  }

  /** When this resolves, the message stands in the order of commits; the answer comes after its commit. */
  async route(input: RouteInput, asker: Asker): Promise<Answer> {
    checkMessage(input, this.#parts.config.limits.message_bytes);
    const from = await callerAddress(this.#parts, input.from_agent, asker);
    this.#limitRate(from);
    switch (input.type) {
      case "chat":
        return this.#chat(input, onlyRecipient(input), from);
      case "send":
        return this.#broadcasts.send(input, from);
      case "ask":
      case "start_agent":
        return this.#missions.ask({ ...input, type: input.type }, onlyRecipient(input), from);
      case "response":
      case "status":
        throw new IntercomError("bad_request", `messages of type ${input.type} are the hub's own`, {
          hint: "use chat, send, ask or start_agent",
        });
      default:
        return input.type satisfies never;
    }
  }

  async #chat(input: RouteInput, to: string | undefined, from: From): Promise<Answer> {
    const { message_id, message, expect_reply_within, await_delivery, priority } = input.payload;
    const place = (await this.#known(input)) ?? (await this.#place(input, to, from));
    if (!("recipients" in place)) return { later: this.#refuse(input, to ?? "", from, place) };
    const { recipients, ...thread } = place;
    const nowMs = this.#parts.now();
    const stored: NewMessage = {
      id: message_id,
      hash: contentHash(input),
      ...thread,
      type: "chat",
      from,
      to_agent: to ?? recipients.map(formatAddress).join(", "),
      text: message,
      at: isoAt(nowMs),
      priority,
      reply_by: replyBy(expect_reply_within, nowMs),
    };
    return { later: sendMessage(this.#parts, stored, recipients, { wait: await_delivery !== false }) };
  }

  /** What nobody is there to read is no mail; a person who watches the agents sees that it was said. */
  async #refuse({ payload }: RouteInput, to_agent: string, from: From, answer: ChatAnswer) {
    const { message_id: id, message, new_thread_id: thread_id = threadIdFor(id) } = payload;
    if (answer.status === "no_active_session" && from.kind === "session")
      await this.#overseer()?.refused({ id, thread_id, from_agent: formatAddress(from), to_agent, message });
    return answer;
  }

  /** A retry of what the store has, or had long ago: it goes nowhere new. */
  async #known({
    payload: { message_id, thread_id, new_thread_id },
  }: RouteInput): Promise<Place | undefined> {
    const known = await this.#parts.store.message(message_id);
    if (known) return nowhere(known.thread_id);
    const pruned = await this.#parts.store.pruned(message_id);
    return pruned ? nowhere(thread_id ?? new_thread_id ?? "") : undefined;
  }

  #limitRate(from: From): void {
    const waitMs = this.#rate.take(formatAddress(from));
    if (waitMs === 0) return;
    const { rate, burst } = this.#parts.config.limits;
    throw new IntercomError(
      "rate_limited",
      `too many messages from one session (${rate} a second, ${burst} at once); wait ${waitMs} ms`,
      { hint: `send it again in ${Math.ceil(waitMs / 1000)} s` },
    );
  }

  /** Where the message goes; or, with nothing stored, the answer that says why it goes nowhere. */
  async #place(input: RouteInput, recipient: string | undefined, from: From): Promise<Place | ChatAnswer> {
    const to = recipient === undefined ? undefined : parseAddress(recipient);
    const { thread_id, new_thread_id, if_no_session } = input.payload;
    if (thread_id !== undefined) return this.#placeInThread(thread_id, from, to);
    if (to === undefined) throw new IntercomError("bad_request", "a message needs a recipient or a thread");
    if (formatAddress(to) === formatAddress(from))
      throw new IntercomError("bad_request", "that is the sender itself");
    const found = await resolve(this.#parts, from, to, if_no_session);
    if (found.status === "found")
      return { recipients: [found.recipient], thread_id: new_thread_id ?? newThreadId(), opens_thread: true };
    const { over } = await openEnds(this.#parts, [to]);
    if (over) return overAnswer(over, from);
    if (found.status === "ambiguous")
      return { ...found, hint: "several sessions of this project are open: write to one of these addresses" };
    if (from.kind === "human") return found;
    return {
      ...found,
      hint: 'with if_no_session="queue" the message is kept for its next session',
    };
  }

  async #placeInThread(thread_id: string, from: From, to: Address | undefined): Promise<Place | ChatAnswer> {
    const all = await otherEnds(this.#parts.store, thread_id, from, to);
    const { open: ends, over } = await openEnds(this.#parts, all);
    if (ends.length === 0 && over) return overAnswer(over, from);
    for (const end of ends) if (end.kind !== "human") await requireMachine(this.#parts, end.machine);
    const recipients = await Promise.all(ends.map((end) => recipientAt(this.#parts, end)));
    return { recipients, thread_id, opens_thread: false };
  }
}

function checkMessage({ payload: { message, message_id } }: RouteInput, limit: number): void {
  if (ownIds.test(message_id))
    throw new IntercomError("bad_request", `message ids like ${message_id.slice(0, 20)} are the hub's own`, {
      hint: "choose another message_id",
    });
  checkText(message, limit);
  // Whatever limit is configured: a message that fits no frame could never be delivered.
  const framed = Buffer.byteLength(JSON.stringify(message));
  if (framed > maxFramedBytes)
    throw new IntercomError(
      "message_too_large",
      `the message takes ${framed} bytes on the link; at most ${maxFramedBytes} are possible`,
    );
}

/** Throws `bad_request` for a list. */
function onlyRecipient({ type, to_agent }: RouteInput): string | undefined {
  if (!Array.isArray(to_agent)) return to_agent;
  throw new IntercomError("bad_request", `to_agent: a message of type ${type} has one recipient`, {
    hint: "only type send takes a list",
  });
}

/** The recipient is reminded at half of the time. */
function replyBy(seconds: number | undefined, nowMs: number): NewMessage["reply_by"] {
  if (seconds === undefined) return undefined;
  return { nudge_at: isoAt(nowMs + seconds * 500), due_at: isoAt(nowMs + seconds * 1000) };
}

/** A retry goes nowhere new: the store only compares it with what it has. */
function nowhere(thread_id: string): Place {
  return { recipients: [], thread_id, opens_thread: false };
}
