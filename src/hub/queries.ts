// Reading what was said: one message's states, a thread, the person's inbox.
import { IntercomError } from "../protocol/errors.ts";
import type { Caller, HubParsed } from "../protocol/hub-api.ts";
import { maxFrameBytes } from "../protocol/link.ts";
import type { History, HistoryMessage, MessageState, MessageStatus } from "../protocol/message.ts";
import type { StoredMessage } from "../store/store.ts";
import type { Config } from "../system/config.ts";
import { isoAt, type Parts } from "./parts.ts";
import { isMember } from "./thread.ts";

export async function messageStatus(
  { store, config }: Parts,
  caller: Caller,
  { id, session_id }: HubParsed<"message">,
): Promise<MessageStatus> {
  const message = await store.message(id);
  const members = message ? await store.members(message.thread_id) : undefined;
  // To a stranger, a message that is not theirs and one that does not exist look the same.
  if (!message || !members || !mayRead(caller, members, session_id))
    throw new IntercomError("unknown_message", `there is no message ${id} in your threads`, {
      hint: forgotten(config),
    });
  const several = message.deliveries.length > 1;
  const states = (await store.states(id)).map(({ state, at, reason, to }) => ({
    state,
    at,
    ...(reason === undefined ? {} : { reason }),
    ...(several ? { to } : {}),
  }));
  return { message_id: id, thread_id: message.thread_id, status: statusOf(message), states };
}

export async function threadHistory(
  { store, config }: Parts,
  caller: Caller,
  { id, limit, session_id }: HubParsed<"thread">,
): Promise<History> {
  const members = await store.members(id);
  if (!members)
    throw new IntercomError("unknown_thread", `there is no thread ${id}`, { hint: forgotten(config) });
  if (!mayRead(caller, members, session_id))
    throw new IntercomError("not_a_member", `thread ${id} is between others`, {
      hint: "only its ends and the person may read it",
    });
  const messages = (await store.thread(id, limit)).map(inHistory);
  const kept = firstThatFit(messages.toReversed()).reverse();
  return { thread_id: id, messages: kept, ...(kept.length < messages.length ? { more: true } : {}) };
}

function forgotten({ hub: { keep_days } }: Config): string | undefined {
  return keep_days === 0
    ? undefined
    : `check the id; finished threads are kept for ${keep_days} days (hub.keep_days)`;
}

/** bytes of JSON one answer may have: half a frame */
const answerBytes = maxFrameBytes / 2;

/** The first that fit into one answer, at least one. */
export function firstThatFit<T>(items: readonly T[]): T[] {
  let bytes = 0;
  const tooMany = items.findIndex((item, at) => {
    bytes += Buffer.byteLength(JSON.stringify(item));
    return bytes > answerBytes && at > 0;
  });
  return tooMany < 0 ? [...items] : items.slice(0, tooMany);
}

export async function readInbox(
  { store, events, now }: Parts,
  { limit, unread }: HubParsed<"human_inbox">,
): Promise<{ messages: HistoryMessage[]; waiting: number }> {
  const { messages, waiting, changes } = await store.readHumanInbox({ limit, unread, at: isoAt(now()) });
  events.states(changes);
  return { messages: messages.map(inHistory), waiting };
}

export function mayRead(
  caller: Caller,
  members: Parameters<typeof isMember>[0],
  session: string | undefined,
): boolean {
  return caller.kind === "person" || isMember(members, caller.machine, session);
}

export function inHistory(stored: StoredMessage): HistoryMessage {
  const { id, thread_id, type, from_agent, to_agent, message, timestamp, priority } = stored;
  return {
    id,
    thread_id,
    type,
    from_agent,
    to_agent,
    message,
    timestamp,
    ...(priority ? { priority } : {}),
    status: statusOf(stored),
  };
}

/** Of several copies the least advanced: no more is claimed than holds for all. */
function statusOf({ deliveries }: StoredMessage): MessageState {
  const states = deliveries.map(({ state }) => state);
  return cautious.find((state) => states.includes(state)) ?? "accepted";
}

const cautious: readonly MessageState[] = [
  "failed",
  "expired",
  "held",
  "queued",
  "accepted",
  "delivered",
  "offered",
  "seen",
  "replied",
];
