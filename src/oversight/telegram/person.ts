// What a person does here: a word in a topic, a command, a message to the dispatcher, a press of a button.
import type { CallbackQuery, Message, Update } from "grammy/types";
import { toIntercomError } from "../../protocol/errors.ts";
import { ChatAnswer } from "../../protocol/message.ts";
import type { NewTelegramItem, TelegramChange } from "../../store/telegram-store.ts";
import type { Config } from "../../system/config.ts";
import { crashPoint } from "../../system/crash-point.ts";
import { press } from "./buttons.ts";
import { type Command, parseCommand, runCommand } from "./commands.ts";
import { dispatch } from "./dispatcher.ts";
import { type Gate, isOwnWords, personName } from "./gate.ts";
import type { HubView } from "./hub-view.ts";
import { textItem } from "./intake.ts";
import { answerLines } from "./listings.ts";
import { type Block, plain } from "./markup.ts";
import { cardId, spokenId } from "./names.ts";
import type { Prompts } from "./prompts.ts";
import type { Words } from "./words.ts";

/** What an act comes to, besides what it did at the hub. */
export type Effect = Pick<TelegramChange, "settings" | "touched" | "used" | "decided"> & {
  answer?: Block[];
  items?: NewTelegramItem[];
};

export type PersonParts = {
  hub: HubView;
  words: Words;
  config: Config;
  gate: Gate;
  prompts: Prompts;
  home: () => number;
  /** Telegram gave the chat another id; resolves when everything goes on there */
  moved: (to: number) => Promise<void>;
  botName: () => string;
  /** a message of somebody else has this id */
  foreign: (messageId: number) => void;
  /** an answer in another chat than the one everything is shown in; best effort */
  answerElsewhere: (chat: number, blocks: Block[], replyTo: number) => void;
  /** closes the wait of a pressed button; best effort */
  acknowledge: (query: string, text: string) => void;
  onItems: () => void;
};

export class Person {
  readonly #parts: PersonParts;

  constructor(parts: PersonParts) {
    this.#parts = parts;
  }

  /** Resolves when the update's effect is on disk; false: it has to come again. */
  async handle(update: Update, next: number): Promise<boolean> {
    const { message, edited_message, callback_query, update_id: id } = update;
    if (callback_query) return this.#press(callback_query, { id, next });
    const to = message && successorIn(message, this.#parts.home());
    if (to !== undefined) {
      await this.#parts.moved(to);
      return this.#take({ update: { id, next } });
    }
    const written = message ?? edited_message;
    const seen = written?.chat.id === this.#parts.home() ? written.message_id : undefined;
    if (seen !== undefined) this.#parts.foreign(seen);
    const take = { id, next, message: message ? seen : undefined };
    if (!written || !this.#parts.gate.admits(written)) return this.#take({ update: take });
    const place = await this.#placeOf(written);
    if (place === "unknown yet") return false;
    const effect = await this.#effect(written, place, message === undefined);
    return this.#finish(written, place, effect, take);
  }

  async #effect(message: Message, place: string | undefined, edited: boolean): Promise<Effect> {
    const { words, botName } = this.#parts;
    const { text } = message;
    const inThread = place !== undefined && isThread(place);
    if (edited) return inThread && text !== undefined ? { answer: [plain(words.edited)] } : {};
    if (text === undefined) return inThread && isMedia(message) ? { answer: [plain(words.onlyText)] } : {};
    if (!isOwnWords(message)) return { answer: [plain(words.forwarded)] };
    try {
      const command = parseCommand(text);
      if (command) return isForUs(command, botName()) ? await this.#command(command, message, place) : {};
      if (inThread) return await this.#speak(message, text, place);
      if (place?.startsWith("topic:")) return { answer: [plain(words.notATopic)] };
      return await dispatch(this.#parts, message, text);
    } catch (error) {
      return { answer: this.#refusal(error) };
    }
  }

  #command(command: Command, message: Message, place: string | undefined): Promise<Effect> {
    const thread = place !== undefined && isThread(place) ? place : undefined;
    return runCommand(this.#parts, command, message, thread);
  }

  /** The person's word in a thread. */
  async #speak({ chat, message_id, from }: Message, text: string, thread: string): Promise<Effect> {
    // it never had two ends (refused.ts), or is forgotten
    if ((await this.#parts.hub.store.telegram.opening(thread)) === undefined)
      return { answer: [plain(this.#parts.words.noThread)] };
    const answer = ChatAnswer.parse(
      await this.#parts.hub.ask(
        "route",
        {
          from_agent: "human",
          type: "chat",
          payload: {
            message: text,
            message_id: spokenId(chat.id, message_id),
            thread_id: thread,
            await_delivery: false,
          },
        },
        from ? personName(from) : "telegram",
      ),
    );
    // what was sent is shown with the thread's other messages
    const sent = answer.status === "delivered" || answer.status === "queued" || answer.status === "held";
    return sent ? {} : { answer: answerLines(this.#parts.words, answer) };
  }

  async #press(query: CallbackQuery, update: { id: number; next: number }): Promise<boolean> {
    const { gate, acknowledge, words } = this.#parts;
    if (!gate.admitsPress(query)) return this.#take({ update });
    const { toast, ...effect } = await press(this.#parts, query).catch((error: unknown) => ({
      toast: words.said(toIntercomError(error).message),
    }));
    await this.#take({ ...effect, update });
    acknowledge(query.id, toast);
    return true;
  }

  /** Where the message stands: a thread's topic, a reply to what is shown, a topic that is nobody's, or outside. */
  async #placeOf({ is_topic_message, message_thread_id, reply_to_message, chat }: Message) {
    if (chat.id !== this.#parts.home()) return undefined;
    const { telegram } = this.#parts.hub.store;
    if (is_topic_message && message_thread_id !== undefined) {
      // first: what is noted between the two looks is known to the second one
      const intent = await telegram.setting("intent");
      const known = await telegram.placeOfTopic(message_thread_id);
      if (known !== undefined) return known;
      // perhaps one that the bot made, before it could note so
      return intent?.includes('"kind":"topic"') ? "unknown yet" : `topic:${message_thread_id}`;
    }
    if (!reply_to_message) return undefined;
    const intent = await telegram.setting("intent");
    const shown = await telegram.placeOfPost(reply_to_message.message_id);
    if (shown !== undefined || intent === undefined) return shown;
    // perhaps one that the bot made, before it could note so; written by the outbox, in this shape
    const { kind, after } = JSON.parse(intent) as { kind: string; after: number };
    return kind === "post" && reply_to_message.message_id > after ? "unknown yet" : undefined;
  }

  async #finish(
    { chat, message_id, message_thread_id }: Message,
    place: string | undefined,
    { answer, items = [], ...effect }: Effect,
    update: { id: number; next: number; message?: number },
  ): Promise<boolean> {
    const isHome = chat.id === this.#parts.home();
    const answers =
      answer && isHome
        ? [textItem(cardId.answer(update.id), place ?? "main", answer, false, message_id)]
        : [];
    const nobodys = place?.startsWith("topic:") && message_thread_id !== undefined;
    await this.#take({
      ...effect,
      items: [...items, ...answers],
      topic: nobodys ? { place: place ?? "", id: message_thread_id } : undefined,
      update,
    });
    if (answer && !isHome) this.#parts.answerElsewhere(chat.id, answer, message_id);
    return true;
  }

  async #take(change: TelegramChange): Promise<true> {
    crashPoint("telegram.acted");
    await this.#parts.hub.store.telegram.take(change);
    crashPoint("telegram.taken");
    this.#parts.onItems();
    return true;
  }

  #refusal(error: unknown): Block[] {
    const { message, hint } = toIntercomError(error);
    const { tryThis, said } = this.#parts.words;
    return [plain(`⚠️ ${said(message)}${hint === undefined ? "" : `\n${tryThis(said(hint))}`}`)];
  }
}

/** Telegram's own notice, in the old chat or in the new one; whoever writes cannot make such a field. */
function successorIn(message: Message, home: number): number | undefined {
  if (message.chat.id === home) return message.migrate_to_chat_id;
  return message.migrate_from_chat_id === home ? message.chat.id : undefined;
}

const isThread = (place: string): boolean => place.startsWith("t-");

const isForUs = ({ bot }: Command, name: string): boolean =>
  bot === undefined || bot.toLowerCase() === name.toLowerCase();

/** Something a person sent, not a notice of Telegram about the chat. */
function isMedia(message: Message): boolean {
  return [
    "photo",
    "document",
    "voice",
    "video",
    "audio",
    "sticker",
    "animation",
    "video_note",
    "caption",
  ].some((kind) => Object.hasOwn(message, kind));
}
