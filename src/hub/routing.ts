// From one sender to the right recipient: who says it, to whom it goes, and the truth about where it is.
import { createHash } from "node:crypto";
import { type Address, formatAddress, parseAddress } from "../protocol/address.ts";
import { IntercomError } from "../protocol/errors.ts";
import type { RouteInput } from "../protocol/hub-api.ts";
import { newThreadId } from "../protocol/ids.ts";
import { maxFrameBytes } from "../protocol/link.ts";
import type { ChatAnswer, MessageState } from "../protocol/message.ts";
import type { AcceptOutcome, NewMessage, Recipient, StoredMessage } from "../store/store.ts";
import { crashPoint } from "../system/crash-point.ts";
import type { Watch } from "./events.ts";
import { loopGuard } from "./loop-guard.ts";
import type { Answer, Asker } from "./operations.ts";
import { isoAt, keepForSessionMs, type Parts } from "./parts.ts";
import { RateLimit } from "./rate.ts";
import { recipientAt, requireMachine, resolve } from "./recipients.ts";
import { otherEnds } from "./thread.ts";

/** ms a sender waits for `delivered`; delivery.md */
const deliveredWaitMs = 2_000;

/** bytes of a message's text as JSON: a frame, less room for its other fields */
const maxFramedBytes = maxFrameBytes - 16 * 1024;

type From = Exclude<Address, { kind: "project" }>;
type Place = { recipients: Recipient[]; thread_id: string; opens_thread: boolean };

export class Router {
  readonly #parts: Parts;
  readonly #rate: RateLimit;

  constructor(parts: Parts) {
    this.#parts = parts;
    const { rate, burst } = parts.config.limits;
    this.#rate = new RateLimit({ perSecond: rate, burst, now: parts.now });
  }

  /** When this resolves, the message stands in the order of commits; the answer comes after its commit. */
  async route(input: RouteInput, asker: Asker): Promise<Answer> {
    checkMessage(input, this.#parts.config.limits.message_bytes);
    const from = await this.#sender(input.from_agent, asker);
    this.#limitRate(from);
    const known = await this.#parts.store.message(input.payload.message_id);
    const place = known
      ? nowhere(known.thread_id)
      : (await this.#parts.store.pruned(input.payload.message_id))
        ? nowhere(input.payload.thread_id ?? input.payload.new_thread_id ?? "")
        : await this.#place(input, from);
    return "recipients" in place ? { later: this.#store(input, from, place) } : { now: place };
  }

  async #store(input: RouteInput, from: From, place: Place): Promise<ChatAnswer> {
    const { message_id, message } = input.payload;
    using watch = this.#parts.events.watch(message_id);
    const outcome = await storeMessage(
      this.#parts,
      {
        id: message_id,
        hash: contentHash(input),
        thread_id: place.thread_id,
        opens_thread: place.opens_thread,
        type: input.type,
        from,
        to_agent: input.to_agent ?? place.recipients.map(formatAddress).join(", "),
        text: message,
        at: isoAt(this.#parts.now()),
        reply_by: replyBy(input.payload.expect_reply_within, this.#parts.now()),
      },
      place.recipients,
    );
    refuse(outcome, message_id, place.thread_id);
    if (outcome.outcome === "duplicate" && outcome.pruned) return answerForPruned(message_id, outcome.pruned);
    return await this.#truth(message_id, watch, input.payload.await_delivery === false ? 0 : deliveredWaitMs);
  }

  /** The name must be the caller's own. An ended session counts: its last words may have waited in an outbox. */
  async #sender(text: string, asker: Asker): Promise<From> {
    const from = parseAddress(text);
    if (from.kind === "human" && asker.kind === "person") return from;
    if (from.kind === "session" && asker.kind === "machine" && from.machine === asker.machine) {
      const session = await this.#parts.store.session(from.machine, from.session);
      if (session?.project_id === from.project) return from;
    }
    throw new IntercomError("forbidden", `the caller may not write as ${formatAddress(from)}`, {
      hint:
        asker.kind === "person"
          ? "the person writes as human"
          : "a machine writes as one of the sessions that it has reported",
    });
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
  async #place(input: RouteInput, from: From): Promise<Place | ChatAnswer> {
    const to = input.to_agent === undefined ? undefined : parseAddress(input.to_agent);
    const { thread_id, new_thread_id, if_no_session } = input.payload;
    if (thread_id !== undefined) {
      const ends = await otherEnds(this.#parts.store, thread_id, from, to);
      for (const end of ends) if (end.kind !== "human") await requireMachine(this.#parts, end.machine);
      const recipients = await Promise.all(ends.map((end) => recipientAt(this.#parts, end)));
      return { recipients, thread_id, opens_thread: false };
    }
    if (to === undefined) throw new IntercomError("bad_request", "a message needs a recipient or a thread");
    if (formatAddress(to) === formatAddress(from))
      throw new IntercomError("bad_request", "that is the sender itself");
    const found = await resolve(this.#parts, from, to, if_no_session);
    if (found.status === "found")
      return { recipients: [found.recipient], thread_id: new_thread_id ?? newThreadId(), opens_thread: true };
    if (found.status === "ambiguous")
      return { ...found, hint: "several sessions of this project are open: write to one of these addresses" };
    return {
      ...found,
      hint: 'with if_no_session="queue" the message is kept for its next session',
    };
  }

  /** What is true after at most `waitMs`. */
  async #truth(messageId: string, watch: Watch, waitMs: number): Promise<ChatAnswer> {
    const until = performance.now() + waitMs;
    for (;;) {
      const stored = await this.#parts.store.message(messageId);
      const leftMs = until - performance.now();
      if (!stored) throw new IntercomError("internal", `message ${messageId} is not in the store`);
      if (leftMs <= 0 || !isOnItsWay(stored)) return answerFor(stored);
      await watch.changed(leftMs);
    }
  }
}

/** Commits a message, tells who watches, and wakes the machines it is for. */
export async function storeMessage(
  { store, events, links, config, now }: Parts,
  message: NewMessage,
  recipients: readonly Recipient[],
): Promise<AcceptOutcome> {
  const outcome = await store.accept(message, recipients, {
    max_waiting: message.from.kind === "hub" ? Number.MAX_SAFE_INTEGER : config.limits.unread,
    expires_at: isoAt(now() + keepForSessionMs),
    guard: loopGuard(config, message.thread_id),
  });
  if (outcome.outcome !== "accepted") return outcome;
  crashPoint("hub.accepted");
  events.emit({
    kind: "message",
    at: message.at,
    message_id: message.id,
    thread_id: message.thread_id,
    type: message.type,
    from_agent: message.from.kind === "hub" ? "hub" : formatAddress(message.from),
    to_agent: message.to_agent,
    message: message.text,
  });
  events.states(outcome.changes);
  for (const machine of outcome.released) links.present(machine);
  for (const recipient of recipients) if (recipient.kind !== "human") links.mail(recipient.machine);
  return outcome;
}

function checkMessage({ type, payload: { message } }: RouteInput, limit: number): void {
  if (type !== "chat" && type !== "send")
    throw new IntercomError("bad_request", `messages of type ${type} cannot be sent yet`, {
      hint: "use chat or send",
    });
  if (message.trim() === "") throw new IntercomError("bad_request", "the message is empty");
  const bytes = Buffer.byteLength(message, "utf8");
  if (bytes > limit)
    throw new IntercomError(
      "message_too_large",
      `the message has ${bytes} bytes; at most ${limit} are allowed`,
    );
  // Whatever limit is configured: a message that fits no frame could never be delivered.
  const framed = Buffer.byteLength(JSON.stringify(message));
  if (framed > maxFramedBytes)
    throw new IntercomError(
      "message_too_large",
      `the message takes ${framed} bytes on the link; at most ${maxFramedBytes} are possible`,
    );
}

/** The recipient is reminded at half of the time. */
function replyBy(seconds: number | undefined, nowMs: number): NewMessage["reply_by"] {
  if (seconds === undefined) return undefined;
  return { nudge_at: isoAt(nowMs + seconds * 500), due_at: isoAt(nowMs + seconds * 1000) };
}

/** Everything that a retry repeats. The proposed thread id is not part of it: a retry may propose another. */
function contentHash({ from_agent, to_agent, type, payload }: RouteInput): string {
  const content = [from_agent, to_agent ?? null, type, payload.thread_id ?? null, payload.message];
  return createHash("sha256").update(JSON.stringify(content)).digest("base64url");
}

/** A retry goes nowhere new: the store only compares it with what it has. */
function nowhere(thread_id: string): Place {
  return { recipients: [], thread_id, opens_thread: false };
}

function refuse(outcome: AcceptOutcome, messageId: string, threadId: string): void {
  if (outcome.outcome === "full")
    throw new IntercomError("inbox_full", `too many messages wait for ${outcome.to} already`);
  if (outcome.outcome !== "conflict") return;
  throw outcome.over === "message"
    ? new IntercomError("conflict", `message id ${messageId} stands for another message`, {
        hint: "each message needs an id of its own; a retry repeats the message unchanged",
      })
    : new IntercomError("conflict", `thread id ${threadId} is taken`, { hint: "propose another thread id" });
}

function answerForPruned(message_id: string, state: MessageState): ChatAnswer {
  const then = `${state} long ago; its record is no longer kept`;
  if (state === "failed" || state === "expired") return { status: "error", message_id, error: then };
  return { status: "delivered", message_id, reason: then };
}

function isOnItsWay({ deliveries }: StoredMessage): boolean {
  return deliveries.some(({ state }) => state === "accepted");
}

function answerFor({ id, thread_id, deliveries }: StoredMessage): ChatAnswer {
  const about = { thread_id, message_id: id, to: deliveries.map(({ address }) => address).join(", ") };
  const lost = deliveries.find(({ state }) => state === "failed" || state === "expired");
  if (lost) return { status: "error", ...about, error: `${lost.state}: ${lost.reason ?? "no reason given"}` };
  const held = deliveries.find(({ state }) => state === "held");
  if (held)
    return {
      status: "held",
      ...about,
      reason: held.reason ?? undefined,
      hint: `a person lets it go: ai-intercom release ${thread_id}`,
    };
  const waiting = deliveries.find(({ state }) => state === "queued" || state === "accepted");
  if (!waiting)
    return {
      status: "delivered",
      ...about,
      reason: deliveries.find(({ reason }) => reason)?.reason ?? undefined,
    };
  return {
    status: "queued",
    ...about,
    reason: waiting.reason ?? `not confirmed by machine ${waiting.machine_id} yet`,
    hint: "it is delivered by itself; intercom_status(message_id) tells when",
  };
}
