// A Bot API of our own on loopback, as the real one is where it matters: ids that only grow in a chat, topics that
// can be closed and deleted, limits with retry_after, entities that are read, edits that change nothing refused,
// updates that stay until they are confirmed. Faults are asked for one by one; every call is kept.
import { type Clock, realClock } from "../../src/oversight/telegram/clock.ts";
import { FakeChat, Moved, type Payload, type Posted, seconds, type Topic } from "./telegram-chat";
import { waitFor } from "./wait";

export type Fault =
  /** not carried out, and the connection ends */
  | "cut"
  /** carried out, and the connection ends without an answer */
  | "cut after"
  | "500"
  /** carried out, and answered with a server's error */
  | "500 after"
  | "429"
  | "entities"
  | "topic closed"
  | "no rights";
export type Who = { id: number; username: string };

export const owner: Who = { id: 4711, username: "owner" };
export const stranger: Who = { id: 666, username: "stranger" };
export const botToken = "123456:fake-token_for-tests";

type Options = { forum?: boolean; clock?: Clock; limits?: boolean };

export class FakeTelegram extends FakeChat {
  readonly calls: { method: string; payload: Payload; status: number; at: number }[] = [];
  /** everything is answered with 502 */
  away = false;
  /** calls that were too fast: a program that keeps the limits has none */
  tooFast = 0;
  readonly #clock: Clock;
  readonly #limits: boolean;
  readonly #server: Bun.Server<undefined>;
  readonly #taken: number[] = [];
  #faults: { method: string; fault: Fault }[] = [];
  #updates: (Payload & { update_id: number })[] = [];
  #nextUpdate = 1000;
  #wakePolls = new Set<() => void>();

  constructor({ forum = true, clock = realClock, limits = true }: Options = {}) {
    super(forum);
    this.#clock = clock;
    this.#limits = limits;
    this.#server = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      idleTimeout: 60,
      fetch: (request) => this.#answer(request),
    });
  }

  get url(): string {
    return `http://127.0.0.1:${this.#server.port}`;
  }

  /** `telegram.*` for a hub that uses it. */
  get settings() {
    return {
      bot_token: botToken,
      supergroup_id: this.chat,
      api_root: this.url,
      security: { allowed_users: [owner.id] },
    };
  }

  async stop(): Promise<void> {
    for (const wake of this.#wakePolls) wake();
    await this.#server.stop(true);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  /** The next `times` calls of `method` go wrong. */
  fault(method: string, fault: Fault, times = 1): void {
    for (let n = 0; n < times; n++) this.#faults.push({ method, fault });
  }

  /** What the bot shows, oldest first; its greeting is left out. */
  shown(topic?: number | "outside"): Posted[] {
    return [...this.messages.values()].filter(
      (message) =>
        message.by === "bot" &&
        !message.deleted &&
        !message.text.startsWith("👋") &&
        (topic === undefined || message.topic === (topic === "outside" ? undefined : topic)),
    );
  }

  topicNamed(part: string): Topic | undefined {
    return [...this.topics.values()].find(({ name, deleted }) => name.includes(part) && !deleted);
  }

  /** The first of the bot's messages with this text. */
  async sees(part: string, topic?: number | "outside"): Promise<Posted> {
    return waitFor(`"${part}" in Telegram`, () => this.shown(topic).find(({ text }) => text.includes(part)), {
      detail: () =>
        this.shown()
          .map((one) => `${one.topic}: ${one.text.slice(0, 300)}`)
          .join("\n"),
    });
  }

  /** Somebody writes. Returns the id of the message. */
  say(
    text: string,
    more: { from?: Who; topic?: number; replyTo?: number; chat?: number; extra?: Payload } = {},
  ): number {
    const { from = owner, topic, replyTo, chat = this.chat, extra = {} } = more;
    const id = this.newMessage({ by: "person", text, topic });
    this.#push({ message: this.#incoming(id, text, { from, topic, replyTo, chat, extra }) });
    return id;
  }

  edit(id: number, text: string, more: { from?: Who; topic?: number } = {}): number {
    const { from = owner, topic } = more;
    const extra = { edit_date: seconds() };
    this.#push({ edited_message: this.#incoming(id, text, { from, topic, chat: this.chat, extra }) });
    return id;
  }

  /** Somebody presses the button whose label contains `label`. Returns the query's id. */
  press(message: Posted, label: string, more: { from?: Who; chat?: number } = {}): string {
    const button = message.buttons.find(({ text }) => text.includes(label));
    if (!button) throw new Error(`no button ${label} on ${JSON.stringify(message)}`);
    return this.pressData(message.id, button.callback_data, more);
  }

  pressData(messageId: number, data: string, more: { from?: Who; chat?: number } = {}): string {
    const { from = owner, chat = this.chat } = more;
    const id = `query-${this.#nextUpdate}`;
    this.#push({
      callback_query: {
        id,
        from: { ...from, is_bot: false, first_name: from.username },
        chat_instance: "1",
        data,
        message: {
          message_id: messageId,
          date: seconds(),
          chat: { id: chat, type: "supergroup", title: "x" },
        },
      },
    });
    return id;
  }

  /** The newest update comes once more, under the same id. */
  repeatNewest(): void {
    const newest = this.#sent.at(-1);
    if (newest) this.#queue(newest);
  }

  /** The next two updates that are made arrive in the other order, in two polls. */
  swapNext(): void {
    this.#held = [];
  }

  /** The group becomes a supergroup; with `told`, Telegram's two notices of it come as updates. */
  becomesSupergroup({ told, forum = true }: { told: boolean; forum?: boolean }): {
    from: number;
    to: number;
  } {
    const { from, to } = this.upgrade(forum);
    if (!told) return { from, to };
    const notice = { from: stranger, text: "", extra: { text: undefined } };
    const old = { ...notice, chat: from, extra: { ...notice.extra, migrate_to_chat_id: to } };
    const fresh = { ...notice, chat: to, extra: { ...notice.extra, migrate_from_chat_id: from } };
    this.#push({ message: this.#incoming(900, "", old) });
    this.#push({ message: this.#incoming(1, "", fresh) });
    return { from, to };
  }

  closeTopic(id: number): void {
    const topic = this.topics.get(id);
    if (topic) topic.closed = true;
  }

  deleteTopic(id: number): void {
    const topic = this.topics.get(id);
    if (topic) topic.deleted = true;
    for (const message of this.messages.values()) if (message.topic === id) message.deleted = true;
  }

  deleteMessage(id: number): void {
    const message = this.messages.get(id);
    if (message) message.deleted = true;
  }

  /** Every update that was asked for again is confirmed: nothing more is to come. */
  async idle(): Promise<void> {
    await waitFor("all updates to be confirmed", () => this.#updates.length === 0, {
      detail: () => JSON.stringify(this.#updates),
    });
  }

  // --- updates

  #sent: (Payload & { update_id: number })[] = [];
  #held: (Payload & { update_id: number })[] | undefined;

  #push(content: Payload): void {
    const update = { update_id: this.#nextUpdate++, ...content };
    this.#sent.push(update);
    if (this.#held === undefined) {
      this.#queue(update);
      return;
    }
    this.#held.push(update);
    if (this.#held.length < 2) return;
    const [first, second] = this.#held;
    this.#held = undefined;
    if (second) this.#queue(second);
    if (first) this.#late = first;
  }

  /** comes after the poll that brought its successor was confirmed */
  #late: (Payload & { update_id: number }) | undefined;

  #queue(update: Payload & { update_id: number }): void {
    this.#updates.push(update);
    for (const wake of this.#wakePolls) wake();
  }

  async #poll({ offset = 0, timeout = 0, limit = 100 }: Payload): Promise<unknown> {
    const from = Number(offset);
    const before = this.#updates.length;
    this.#updates = this.#updates.filter(({ update_id }) => update_id >= from);
    if (this.#late && this.#updates.length < before) {
      this.#updates.push(this.#late);
      this.#late = undefined;
    }
    if (this.#updates.length === 0)
      await new Promise<void>((resolve) => {
        const done = () => {
          clearTimeout(timer);
          this.#wakePolls.delete(done);
          resolve();
        };
        const timer = setTimeout(done, Number(timeout) * 1000);
        this.#wakePolls.add(done);
      });
    return this.#updates.slice(0, Number(limit));
  }

  #incoming(
    message_id: number,
    text: string,
    more: { from: Who; topic?: number; replyTo?: number; chat: number; extra: Payload },
  ): Payload {
    const { from, topic, replyTo, chat, extra } = more;
    return {
      message_id,
      date: seconds(),
      from: { ...from, is_bot: false, first_name: from.username },
      chat:
        chat > 0
          ? { id: chat, type: "private", first_name: "x" }
          : { id: chat, type: "supergroup", title: "x" },
      text,
      ...(topic === undefined ? {} : { message_thread_id: topic, is_topic_message: true }),
      ...(replyTo === undefined
        ? {}
        : { reply_to_message: { message_id: replyTo, date: 1, chat: { id: chat } } }),
      ...extra,
    };
  }

  // --- calls

  async #answer(request: Request): Promise<Response> {
    const [, token = "", method = ""] = /^\/bot([^/]+)\/(\w+)$/.exec(new URL(request.url).pathname) ?? [];
    const body = await request.text();
    const payload = (body === "" ? {} : JSON.parse(body)) as Payload;
    const { response, status } = await this.#call(token, method, payload);
    this.calls.push({ method, payload, status, at: this.#clock.now() });
    return response;
  }

  async #call(
    token: string,
    method: string,
    payload: Payload,
  ): Promise<{ response: Response; status: number }> {
    if (token !== botToken) return failure(401, "Unauthorized");
    if (this.away) return failure(502, "Bad Gateway");
    const fault = this.#takeFault(method);
    if (fault === "cut") return { response: broken(), status: 0 };
    if (fault === "500") return failure(500, "Internal Server Error");
    if (fault === "429") return tooMany(2);
    if (fault === "entities") return failure(400, "Bad Request: can't parse entities: unsupported start tag");
    if (fault === "no rights")
      return failure(400, "Bad Request: not enough rights to manage topics in the chat");
    if (fault === "topic closed") return failure(400, "Bad Request: TOPIC_CLOSED");
    if (this.#limits && limited.has(method)) {
      const waitSeconds = this.#overLimit();
      if (waitSeconds > 0) {
        this.tooFast += 1;
        return tooMany(waitSeconds);
      }
    }
    try {
      const result = await (method === "getUpdates" ? this.#poll(payload) : this.run(method, payload));
      if (fault === "cut after") return { response: broken(), status: 0 };
      if (fault === "500 after") return failure(502, "Bad Gateway");
      return { response: Response.json({ ok: true, result }), status: 200 };
    } catch (error) {
      if (error instanceof Moved)
        return failure(400, `Bad Request: ${error.message}`, { migrate_to_chat_id: error.to });
      return failure(400, error instanceof Error ? `Bad Request: ${error.message}` : "Bad Request");
    }
  }

  #takeFault(method: string): Fault | undefined {
    const at = this.#faults.findIndex((one) => one.method === method);
    if (at < 0) return undefined;
    const [{ fault } = { fault: undefined }] = this.#faults.splice(at, 1);
    return fault;
  }

  /** 30 a second, 20 a minute in the group; seconds to wait. */
  #overLimit(): number {
    const now = this.#clock.now();
    const within = (ms: number) => this.#taken.filter((at) => at > now - ms).length;
    if (within(1_000) >= 30) return 1;
    if (within(60_000) >= 20) return 30;
    this.#taken.push(now);
    return 0;
  }
}

const limited = new Set(["sendMessage", "editMessageText", "createForumTopic"]);

function failure(code: number, description: string, parameters?: Payload) {
  const body = { ok: false, error_code: code, description, ...(parameters ? { parameters } : {}) };
  return { response: Response.json(body, { status: code }), status: code };
}

const tooMany = (seconds: number) =>
  failure(429, `Too Many Requests: retry after ${seconds}`, { retry_after: seconds });

/** The answer ends in the middle. */
const broken = () => new Response('{"ok":');

/** Minutes in seconds: time runs `factor` times as fast. */
export function fastClock(factor: number): Clock {
  return {
    now: () => performance.now() * factor,
    sleep: (ms, signal) => realClock.sleep(ms / factor, signal),
  };
}
