// A person sees and steers from Telegram. Start reading here: what is shown (intake → cards → outbox), and what a
// person does (updates → gate → person). Nothing in the hub waits for any of it.
import type { Config } from "../../system/config.ts";
import { log } from "../../system/log.ts";
import { background } from "../../system/wait.ts";
import { BotApi, type Outcome } from "./bot-api.ts";
import { Cards } from "./cards.ts";
import { Chat } from "./chat.ts";
import { type Clock, realClock } from "./clock.ts";
import { commandNames } from "./commands.ts";
import { Gate, homeChat } from "./gate.ts";
import type { HubView } from "./hub-view.ts";
import { Intake, textItem } from "./intake.ts";
import { type Block, plain, split } from "./markup.ts";
import { Outbox } from "./outbox.ts";
import { Pace } from "./pace.ts";
import { Pages } from "./pages.ts";
import { Person } from "./person.ts";
import { Prompts } from "./prompts.ts";
import { pollUpdates } from "./updates.ts";
import { words } from "./words.ts";

/** ms between tries to reach Telegram at the start */
const connectMs = { first: 1_000, most: 60_000 };

export type TelegramOptions = { hub: HubView; config: Config; clock?: Clock };

export class Telegram {
  readonly #hub: HubView;
  readonly #config: Config;
  readonly #clock: Clock;
  readonly #stopping = new AbortController();
  readonly #api: BotApi;
  readonly #chat: Chat;
  readonly #outbox: Outbox;
  readonly #intake: Intake;
  readonly #person: Person;
  readonly #prompts: Prompts;
  #botName = "";
  #moving: Promise<void> = Promise.resolve();
  #running: Promise<unknown> = Promise.resolve();

  /** Returns at once: Telegram may be away. undefined: there is no token, or no chat to use it in. */
  static async start(options: TelegramOptions): Promise<Telegram | undefined> {
    const { bot_token, security } = options.config.telegram;
    if (bot_token === undefined) return undefined;
    const configured = homeChat(options.config.telegram);
    if (configured === undefined) {
      log.warn("telegram.bot_token is set, but telegram.supergroup_id is not: nothing is shown in Telegram");
      return undefined;
    }
    if (security.allowed_users.length === 0)
      log.warn("telegram.security.allowed_users is empty: the bot shows, and obeys nobody");
    const { telegram: memory } = options.hub.store;
    // the first post tells which ids are the newest in this chat: recovery.ts counts from there
    const { greeting } = words(options.config.language);
    const home = await memory.successor(configured);
    if (await memory.open(home))
      await memory.take({ items: [textItem("greeting", "main", plain(greeting), true)] });
    const telegram = new Telegram(options, bot_token, home);
    telegram.#running = Promise.all([telegram.#intake.run(), telegram.#serve()]);
    options.hub.oversee({
      permission: (machine, ask) => telegram.#prompts.ask(machine, ask),
      refused: (chat) => telegram.#intake.refused(chat),
    });
    background("telegram", () => telegram.#running);
    return telegram;
  }

  private constructor({ hub, config, clock = realClock }: TelegramOptions, token: string, home: number) {
    const stopped = this.#stopping.signal;
    const said = words(config.language);
    this.#hub = hub;
    this.#config = config;
    this.#clock = clock;
    this.#api = new BotApi(token, config.telegram.api_root, stopped);
    this.#chat = new Chat(this.#api, home);
    const pages = new Pages(new Cards(hub, said));
    const pace = new Pace(clock, this.#chat.kind);
    this.#outbox = new Outbox({
      hub,
      chat: this.#chat,
      pages,
      pace,
      clock,
      stopped,
      onMoved: (to) => this.#moved(to),
    });
    const onItems = () => this.#outbox.wake();
    this.#prompts = new Prompts(hub, onItems);
    this.#intake = new Intake({ hub, words: said, clock, stopped, onItems, prompts: this.#prompts });
    this.#person = new Person({
      hub,
      config,
      home: () => this.#chat.id,
      moved: (to) => this.#moved(to),
      onItems,
      prompts: this.#prompts,
      words: said,
      gate: new Gate(() => this.#chat.id, config.telegram.security),
      botName: () => this.#botName,
      foreign: (id) => this.#outbox.foreign(id),
      answerElsewhere: (chat, blocks, replyTo) => this.#answerElsewhere(chat, blocks, replyTo),
      acknowledge: (query, text) => this.#acknowledge(query, text),
    });
  }

  async stop(): Promise<void> {
    this.#hub.oversee(undefined);
    this.#stopping.abort();
    await this.#running.catch(() => {});
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #serve(): Promise<void> {
    await this.#connect();
    if (this.#stopping.signal.aborted) return;
    log.info("telegram is connected", { bot: this.#botName, topics: String(this.#chat.hasTopics) });
    await Promise.all([
      this.#outbox.run(),
      pollUpdates({
        hub: this.#hub,
        api: this.#api,
        clock: this.#clock,
        stopped: this.#stopping.signal,
        handle: (update, next) => this.#person.handle(update, next),
      }),
    ]);
  }

  /** Until Telegram has said who the bot is and what the chat can do. */
  async #connect(): Promise<void> {
    let pauseMs = connectMs.first;
    while (!this.#stopping.signal.aborted) {
      const outcome = await this.#introduce();
      if (outcome.ok) return;
      if (outcome.kind === "moved" && outcome.to !== this.#chat.id) {
        const moved = await this.#moved(outcome.to).then(
          () => true,
          (error: unknown) => log.error("telegram's new chat cannot be noted", { error }),
        );
        if (moved) continue;
      }
      if (pauseMs === connectMs.first)
        log.warn("telegram is not reached yet; retrying", { error: "text" in outcome ? outcome.text : "" });
      await this.#clock.sleep(outcome.kind === "too_fast" ? outcome.waitMs : pauseMs, this.#stopping.signal);
      pauseMs = Math.min(connectMs.most, pauseMs * 2);
    }
  }

  async #introduce(): Promise<Outcome<unknown>> {
    const me = await this.#api.call((api, signal) => api.getMe(signal));
    if (!me.ok) return me;
    this.#botName = me.value.username;
    const chat = await this.#api.call((api, signal) => api.getChat(this.#chat.id, signal));
    if (!chat.ok) return chat;
    this.#chat.hasTopics = "is_forum" in chat.value && chat.value.is_forum === true;
    const { commands } = words(this.#config.language);
    // in this chat only: to anybody else the bot looks as if it could do nothing
    const scope = { type: "chat", chat_id: this.#chat.id } as const;
    const list = commandNames.map((command) => ({ command, description: commands[command] }));
    return this.#api.call((api, signal) => api.setMyCommands(list, { scope }, signal));
  }

  /** The group became a supergroup. One move at a time, and each once. */
  #moved(to: number): Promise<void> {
    this.#moving = this.#moving
      .catch(() => {})
      .then(async () => {
        const from = this.#chat.id;
        if (from === to) return;
        await this.#hub.store.telegram.move(from, to);
        this.#chat.id = to;
        log.info("the telegram group is a supergroup now; telegram.supergroup_id may be set to its new id", {
          from: String(from),
          to: String(to),
        });
        if (!(await this.#introduce()).ok) background("telegram introduction", () => this.#connect());
        this.#outbox.wake();
      });
    return this.#moving;
  }

  #acknowledge(query: string, text: string): void {
    background("telegram acknowledgement", () =>
      this.#api.call((api, signal) => api.answerCallbackQuery(query, { text: text.slice(0, 200) }, signal)),
    );
  }

  #answerElsewhere(chat: number, blocks: Block[], replyTo: number): void {
    background("telegram answer", async () => {
      const reply_parameters = { message_id: replyTo, allow_sending_without_reply: true };
      for (const part of split(blocks))
        await this.#api.call((api, signal) =>
          api.sendMessage(chat, part.plain, { reply_parameters }, signal),
        );
    });
  }
}
