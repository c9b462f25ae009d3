// From a message that has its recipients to the truth about where it is: the commit, who is told and woken, and what
// the sender may be answered.
import { createHash } from "node:crypto";
import { formatAddress } from "../protocol/address.ts";
import { IntercomError } from "../protocol/errors.ts";
import type { RouteInput } from "../protocol/hub-api.ts";
import type { ChatAnswer, MessageState } from "../protocol/message.ts";
import type { AcceptOutcome, NewMessage, Recipient, StoredMessage } from "../store/store.ts";
import { crashPoint } from "../system/crash-point.ts";
import { loopGuard } from "./loop-guard.ts";
import { isoAt, keepForSessionMs, type Parts } from "./parts.ts";

/** ms a sender waits for `delivered`; delivery.md */
export const deliveredWaitMs = 2_000;

/**
 * Commits a message, tells who watches, and wakes the machines it is for. `owed`: it must not be held or refused,
 * because the hub itself owes it.
 */
export async function storeMessage(
  parts: Parts,
  message: NewMessage,
  recipients: readonly Recipient[],
  { owed = false } = {},
): Promise<AcceptOutcome> {
  const { store, events, links, config, now } = parts;
  const outcome = await store.accept(message, recipients, {
    max_waiting: owed ? Number.MAX_SAFE_INTEGER : config.limits.unread,
    expires_at: isoAt(now() + keepForSessionMs),
    guard: owed ? undefined : loopGuard(config, message.thread_id),
  });
  if (outcome.outcome !== "accepted") return outcome;
  crashPoint("hub.accepted");
  tellMessage(parts, message);
  events.states(outcome.changes);
  for (const machine of outcome.released) links.present(machine);
  for (const recipient of recipients) if (recipient.kind !== "human") links.mail(recipient.machine);
  return outcome;
}

export function tellMessage({ events }: Pick<Parts, "events">, message: NewMessage): void {
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
}

/** Stores what an agent or the person sends, and answers what is true of it after a short wait for its delivery. */
export async function sendMessage(
  parts: Parts,
  message: NewMessage,
  recipients: readonly Recipient[],
  { wait = true }: { wait?: boolean } = {},
): Promise<ChatAnswer> {
  using watch = parts.events.watch(message.id);
  const outcome = await storeMessage(parts, message, recipients);
  refuse(outcome, message.id, message.thread_id);
  if (outcome.outcome === "duplicate" && outcome.pruned) return answerForPruned(message.id, outcome.pruned);
  const until = performance.now() + (wait ? deliveredWaitMs : 0);
  for (;;) {
    const stored = await parts.store.message(message.id);
    const leftMs = until - performance.now();
    if (!stored) throw new IntercomError("internal", `message ${message.id} is not in the store`);
    if (leftMs <= 0 || !isOnItsWay(stored)) return answerFor(stored);
    await watch.changed(leftMs);
  }
}

/**
 * Everything that a retry repeats. The proposed ids of a thread or a mission are not part of it: a retry may
 * propose others.
 */
export function contentHash({ from_agent, to_agent, type, payload }: RouteInput): string {
  const content: unknown[] = [from_agent, to_agent ?? null, type, payload.thread_id ?? null, payload.message];
  if (payload.priority !== "normal") content.push(payload.priority);
  if (payload.mission) content.push({ ...payload.mission, id: undefined });
  return createHash("sha256").update(JSON.stringify(content)).digest("base64url");
}

export function messageConflict(messageId: string): IntercomError {
  return new IntercomError("conflict", `message id ${messageId} stands for another message`, {
    hint: "each message needs an id of its own; a retry repeats the message unchanged",
  });
}

export function threadConflict(threadId: string): IntercomError {
  return new IntercomError("conflict", `thread id ${threadId} is taken`, {
    hint: "propose another thread id",
  });
}

function refuse(outcome: AcceptOutcome, messageId: string, threadId: string): void {
  if (outcome.outcome === "full")
    throw new IntercomError("inbox_full", `too many messages wait for ${outcome.to} already`);
  if (outcome.outcome !== "conflict") return;
  throw outcome.over === "message" ? messageConflict(messageId) : threadConflict(threadId);
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
