// A message, its states and what a sender is told. The one source of these shapes.
import { z } from "zod";
import { IntercomError } from "./errors.ts";
import { MessageId, ThreadId } from "./ids.ts";

export const MessageType = z.enum(["ask", "send", "response", "start_agent", "status", "chat"]);
export type MessageType = z.infer<typeof MessageType>;

/** `low` never wakes an idle agent; `high` is marked as such where the agent reads it. */
export const Priority = z.enum(["low", "normal", "high"]);
export type Priority = z.infer<typeof Priority>;

/** ISO 8601, UTC. */
export const Timestamp = z.iso.datetime();

/** States in the order they can be reached; who may say each stands in docs/architecture.md. */
const messageStates = [
  "queued",
  "accepted",
  "held",
  "delivered",
  "offered",
  "seen",
  "replied",
  "failed",
  "expired",
] as const;
export const MessageState = z.enum(messageStates);
export type MessageState = z.infer<typeof MessageState>;

const StateChange = z.object({
  state: MessageState,
  at: Timestamp,
  reason: z.string().optional(),
  /** whose copy, where a message has several recipients */
  to: z.string().optional(),
});

/** A message as it travels hub → daemon and as history shows it. */
export const Message = z.object({
  id: MessageId,
  thread_id: ThreadId,
  type: MessageType,
  /** `machine/project@session`, `human`, or `hub` for a notice of the hub itself */
  from_agent: z.string(),
  to_agent: z.string(),
  message: z.string(),
  timestamp: Timestamp,
  /** absent: normal */
  priority: Priority.optional(),
});
export type Message = z.infer<typeof Message>;

/** Throws for a text that nobody may send: an empty one, or one above `limits.message_bytes` of UTF-8. */
export function checkText(message: string, limitBytes: number): void {
  if (message.trim() === "") throw new IntercomError("bad_request", "the message is empty");
  const bytes = Buffer.byteLength(message, "utf8");
  if (bytes > limitBytes)
    throw new IntercomError(
      "message_too_large",
      `the message has ${bytes} bytes; at most ${limitBytes} are allowed`,
    );
}

/** One line of a session's inbox file; `read` flips in place. `local`: put there by a local script, not the hub. */
export const InboxRecord = z.object({
  thread_id: z.string(),
  from_agent: z.string(),
  timestamp: z.string(),
  message: z.string(),
  read: z.boolean(),
  id: z.string(),
  type: MessageType.optional(),
  priority: Priority.optional(),
  local: z.literal(true).optional(),
});
export type InboxRecord = z.infer<typeof InboxRecord>;

/** A message taken for reading, as `intercom_check_inbox` answers it. */
export const ReadMessage = z.object({
  id: z.string(),
  thread_id: z.string(),
  from_agent: z.string(),
  timestamp: z.string(),
  message: z.string(),
  /** `2 of 3` where a message was too long for one delivery */
  part: z.string().optional(),
  priority: z.literal("high").optional(),
  /** written by a local script of this user, not sent through the hub: nobody has checked `from_agent` */
  local: z.literal(true).optional(),
  read: z.literal(true),
});
export type ReadMessage = z.infer<typeof ReadMessage>;

export const SessionChoice = z.object({
  session_id: z.string(),
  address: z.string(),
  agent: z.string(),
  status: z.string(),
  summary: z.string(),
});
export type SessionChoice = z.infer<typeof SessionChoice>;

/** What `intercom_chat` and `intercom_reply` answer. Everything but `error` is an expected outcome. */
export const ChatAnswer = z.object({
  status: z.enum(["delivered", "queued", "no_active_session", "ambiguous", "held", "error"]),
  thread_id: z.string().optional(),
  message_id: z.string().optional(),
  /** the address that was resolved, where one was */
  to: z.string().optional(),
  sessions: z.array(SessionChoice).optional(),
  reason: z.string().optional(),
  error: z.string().optional(),
  hint: z.string().optional(),
});
export type ChatAnswer = z.infer<typeof ChatAnswer>;

/** Why the hub could not be asked: the answer is what its daemon knows by itself. Absent: the hub was asked, or need not be. */
export const ownAnswer = { hub_unreachable: z.string().optional() };

export const MessageStatus = z.object({
  message_id: z.string(),
  thread_id: z.string(),
  status: MessageState,
  states: z.array(StateChange),
  ...ownAnswer,
});
export type MessageStatus = z.infer<typeof MessageStatus>;

/** History shows each message with the state it has reached. */
export const HistoryMessage = Message.extend({ status: MessageState });
export type HistoryMessage = z.infer<typeof HistoryMessage>;
/** `more`: older messages of the wanted number did not fit into one answer. */
export const History = z.object({
  thread_id: z.string(),
  messages: z.array(HistoryMessage),
  more: z.boolean().optional(),
  ...ownAnswer,
});
export type History = z.infer<typeof History>;

/** What agents wrote to the person; `waiting`: unread ones beyond this answer. */
export const PersonInbox = z.object({ messages: z.array(HistoryMessage), waiting: z.number() });
export type PersonInbox = z.infer<typeof PersonInbox>;

/** A chat of an agent that went nowhere, because nobody is open there to read it. It is not stored as a message. */
export type RefusedChat = {
  id: string;
  /** of the thread that it would have opened */
  thread_id: string;
  from_agent: string;
  to_agent: string;
  message: string;
};
