// The one chat of the fake Bot API: its messages, its topics, and the methods that change them.
import { visibleText } from "./telegram-html";

export type Payload = Record<string, unknown>;
type Markup = { inline_keyboard: { text: string; callback_data: string }[][] };
export type Posted = {
  id: number;
  by: "bot" | "person";
  text: string;
  html: string;
  topic: number | undefined;
  replyTo: number | undefined;
  quiet: boolean;
  buttons: { text: string; callback_data: string }[];
  /** every text it has had */
  versions: string[];
  deleted: boolean;
};
export type Topic = { id: number; name: string; closed: boolean; deleted: boolean };
export class FakeChat {
  chat = -1_001_234;
  /** ids that the chat had before: whoever uses one is told the new one */
  readonly #formerIds = new Set<number>();
  /** what was shown under the former ids */
  former: Posted[] = [];
  readonly messages = new Map<number, Posted>();
  readonly topics = new Map<number, Topic>();
  readonly acknowledged: { id: string; text: string }[] = [];
  commands: { command: string; description: string }[] = [];
  forum: boolean;
  /** what the bot is in the group, as getChatMember answers */
  member: Payload = { status: "administrator", can_manage_topics: true };
  /** what getChat and getMe say besides */
  chatFacts: Payload = {};
  botFacts: Payload = { can_read_all_group_messages: false };
  #nextMessage = 10;

  constructor(forum: boolean) {
    this.forum = forum;
  }

  /** Throws what the Bot API answers with 400. */
  run(method: string, payload: Payload): unknown {
    switch (method) {
      case "getMe":
        return {
          id: 123456,
          is_bot: true,
          first_name: "intercom",
          username: "intercom_bot",
          ...this.botFacts,
        };
      case "getChat":
        this.#own(payload);
        return {
          id: this.chat,
          type: "supergroup",
          title: "x",
          ...(this.forum ? { is_forum: true } : {}),
          ...this.chatFacts,
        };
      case "getChatMember":
        this.#own(payload);
        if (payload.user_id !== 123456) throw new Error("user not found");
        return { user: { id: 123456 }, ...this.member };
      case "setMyCommands":
        this.commands = payload.commands as typeof this.commands;
        return true;
      case "sendMessage":
        return this.#send(payload);
      case "editMessageText":
        return this.#editText(payload);
      case "answerCallbackQuery":
        this.acknowledged.push({ id: String(payload.callback_query_id), text: String(payload.text) });
        return true;
      case "createForumTopic":
        return this.#createTopic(payload);
      case "editForumTopic":
        return this.#renameTopic(payload);
      case "reopenForumTopic":
      case "closeForumTopic":
        this.#topic(payload.message_thread_id).closed = method === "closeForumTopic";
        return true;
      default:
        throw new Error(`method ${method} is not there`);
    }
  }

  #send(payload: Payload): unknown {
    if (this.#formerIds.has(Number(payload.chat_id))) throw new Moved(this.chat);
    const isHome = payload.chat_id === this.chat;
    const topic = payload.message_thread_id === undefined ? undefined : Number(payload.message_thread_id);
    if (topic !== undefined) {
      if (!this.forum) throw new Error("message thread not found");
      const found = this.topics.get(topic);
      if (!found || found.deleted) throw new Error("message thread not found");
      if (found.closed) throw new Error("TOPIC_CLOSED");
    }
    const text = readable(payload);
    const reply = payload.reply_parameters as { message_id: number } | undefined;
    const id = this.newMessage({
      by: "bot",
      text,
      topic,
      html: String(payload.text),
      replyTo: reply?.message_id,
      quiet: payload.disable_notification === true,
      buttons: (payload.reply_markup as Markup | undefined)?.inline_keyboard.flat() ?? [],
      deleted: !isHome,
    });
    return {
      message_id: id,
      date: seconds(),
      chat: { id: payload.chat_id, type: "supergroup", title: "x" },
      text,
    };
  }

  #editText(payload: Payload): unknown {
    this.#own(payload);
    const message = this.messages.get(Number(payload.message_id));
    if (!message || message.deleted) throw new Error("message to edit not found");
    if (message.by !== "bot") throw new Error("message can't be edited");
    const text = readable(payload);
    const html = String(payload.text);
    const buttons = (payload.reply_markup as Markup | undefined)?.inline_keyboard.flat() ?? [];
    if (text === message.text && JSON.stringify(buttons) === JSON.stringify(message.buttons))
      throw new Error("message is not modified: specified new message content is the same");
    Object.assign(message, { text, html, buttons });
    message.versions.push(text);
    return { message_id: message.id, date: 1, chat: { id: this.chat, type: "supergroup", title: "x" }, text };
  }

  #createTopic(payload: Payload): unknown {
    this.#own(payload);
    if (!this.forum) throw new Error("the chat is not a forum");
    const name = String(payload.name);
    if (name.length === 0 || name.length > 128) throw new Error("TOPIC_TITLE_INVALID");
    // the notice that a topic was made is a message, and its id the topic's
    const id = this.newMessage({ by: "person", text: "" });
    this.topics.set(id, { id, name, closed: false, deleted: false });
    return { message_thread_id: id, name, icon_color: 1 };
  }

  #renameTopic(payload: Payload): true {
    const topic = this.#topic(payload.message_thread_id);
    if (topic.name === payload.name) throw new Error("TOPIC_NOT_MODIFIED");
    topic.name = String(payload.name);
    return true;
  }

  #topic(id: unknown): Topic {
    const topic = this.topics.get(Number(id));
    if (!topic || topic.deleted) throw new Error("TOPIC_ID_INVALID");
    return topic;
  }

  /** The group becomes a supergroup: another id, and message ids that begin anew. */
  upgrade(forum = true): { from: number; to: number } {
    const [from, to] = [this.chat, this.chat - 1_000_000];
    this.#formerIds.add(from);
    this.former.push(...this.messages.values());
    this.messages.clear();
    this.topics.clear();
    this.#nextMessage = 2;
    this.chat = to;
    this.forum = forum;
    return { from, to };
  }

  #own({ chat_id }: Payload): void {
    if (this.#formerIds.has(Number(chat_id))) throw new Moved(this.chat);
    if (chat_id !== this.chat) throw new Error("chat not found");
  }

  newMessage(message: Partial<Posted> & { by: Posted["by"]; text: string }): number {
    const id = this.#nextMessage++;
    this.messages.set(id, {
      id,
      html: "",
      topic: undefined,
      replyTo: undefined,
      quiet: false,
      buttons: [],
      deleted: false,
      ...message,
      versions: [message.text],
    });
    return id;
  }
}

/** What the Bot API answers for a group that is a supergroup now. */
export class Moved extends Error {
  constructor(readonly to: number) {
    super("group chat was upgraded to a supergroup chat");
  }
}

export const seconds = () => Math.floor(Date.now() / 1000);

/** What a reader sees; throws what Telegram answers. */
function readable({ text, parse_mode }: Payload): string {
  const raw = String(text ?? "");
  const seen = parse_mode === "HTML" ? visibleText(raw) : raw;
  if (seen.trim() === "") throw new Error("message text is empty");
  if (seen.length > 4096) throw new Error("message is too long");
  return seen;
}
