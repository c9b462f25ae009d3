// The part of the store that remembers what Telegram has been shown and what came from there. Without a bot token
// nothing is written here. Same promises as store.ts; what is to be shown is derived from what the store has committed.
import type { MessageType } from "../protocol/message.ts";

/**
 * What an item shows: `ref` names the message, mission, approval or machine; a `text` carries its own words, a
 * `refused` message too, until a retry makes it one of the store.
 */
type TelegramKind =
  | "message"
  | "refused"
  | "mission"
  | "approval"
  | "join"
  | "dispatch"
  | "permission"
  | "text";

/** One thing to show. Items of one place are posted in the order in which they were taken. */
export type NewTelegramItem = {
  /** an item is shown once per key, for ever */
  key: string;
  /** `main`, a thread's id, or `topic:<id>` for a topic that is nobody's */
  place: string;
  kind: TelegramKind;
  ref: string;
  body?: string;
  /** the person's message that this answers */
  reply_to?: number;
  /** of its buttons: they work once */
  nonce?: string;
};
export type TelegramItem = {
  seq: number;
  key: string;
  place: string;
  kind: TelegramKind;
  ref: string;
  body: string | null;
  reply_to: number | null;
  /** null: no buttons, or they were used */
  nonce: string | null;
  /** the part to post next; null once all are posted */
  next_part: number | null;
};

/** Part `part` of item `seq` stands in a post; `last`: nothing of the item is left to post. */
export type ShownPart = { seq: number; part: number; last: boolean };
export type TelegramPost = {
  message_id: number;
  hash: string;
  /** changes of its items since it was last compared */
  changes: number;
  parts: { item: TelegramItem; part: number }[];
};

/** What the store has committed since the cursor. */
export type TelegramNews = {
  messages: {
    seq: number;
    id: string;
    thread_id: string;
    type: MessageType;
    from_agent: string;
    first: boolean;
    to_human: boolean;
  }[];
  /** messages whose states changed */
  touched: string[];
  cursor: { messages: number; states: number };
};

/** All of it in one transaction. */
export type TelegramChange = {
  cursor?: TelegramNews["cursor"];
  items?: readonly NewTelegramItem[];
  /** `ref` of items whose content may have changed */
  touched?: readonly string[];
  /** a topic that is nobody's, to answer in */
  topic?: { place: string; id: number };
  settings?: Record<string, string>;
  /** the update that all this is the effect of; a known one changes nothing */
  update?: {
    id: number;
    next: number;
    /** id of the message it brought: ids in a chat only grow */
    message?: number;
  };
  /** the first decision about a card that keeps it in its body; the nonce is used up with it */
  decided?: { nonce: string; body: string };
  /** nonce of the button that was pressed */
  used?: string;
};

export interface TelegramStore {
  /** True: it is another chat than before. It begins with what comes from now on. */
  open(chat: number): Promise<boolean>;
  /** Telegram gave the chat another id. Posts and topics of the old one are out of reach; what is open is shown again. */
  move(from: number, to: number): Promise<void>;
  /** The id under which Telegram leads this chat today. */
  successor(chat: number): Promise<number>;
  news(limit: number): Promise<TelegramNews>;
  /** False: the update was known, and nothing was changed. */
  take(change: TelegramChange): Promise<boolean>;
  knowsUpdate(id: number): Promise<boolean>;
  setting(key: string): Promise<string | undefined>;
  set(key: string, value: string): Promise<void>;

  /** The oldest items to post of the place that is next: `main` before all others. Empty: nothing waits. */
  waiting(limit: number): Promise<TelegramItem[]>;
  waitingCount(): Promise<number>;
  items(seqs: readonly number[]): Promise<TelegramItem[]>;
  item(key: string): Promise<TelegramItem | undefined>;
  itemOfNonce(nonce: string): Promise<TelegramItem | undefined>;
  /** The newest first. */
  itemsOfKind(kind: TelegramKind, limit: number): Promise<TelegramItem[]>;
  /** Posted: ends the intent that `set("intent")` wrote before. */
  posted(post: { message_id: number; hash: string; parts: readonly ShownPart[] }): Promise<void>;
  /** Cannot be shown at all: left out, so that what follows is not held up. */
  skip(parts: readonly ShownPart[]): Promise<void>;
  /** Posts whose items changed, oldest change first. */
  changed(limit: number): Promise<TelegramPost[]>;
  /** Compared when `changes` was so many; `hash`: what it shows now. */
  compared(post: { message_id: number; changes: number; hash: string }): Promise<void>;
  /** It was deleted in Telegram. */
  forget(message_id: number): Promise<void>;

  /** The id of the message that opened the thread. */
  opening(thread: string): Promise<string | undefined>;
  topic(place: string): Promise<number | undefined>;
  /** `topic` undefined: it was deleted. Ends the intent. */
  setTopic(place: string, topic: number | undefined): Promise<void>;
  placeOfTopic(topic: number): Promise<string | undefined>;
  /** The place of what stands in that post. */
  placeOfPost(message_id: number): Promise<string | undefined>;
}
