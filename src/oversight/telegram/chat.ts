// The one chat in which everything is shown, as calls: post, edit, topics.
import type { BotApi, Outcome } from "./bot-api.ts";
import type { Content } from "./pages.ts";

export class Chat {
  readonly #api: BotApi;
  /** another one once Telegram has made a supergroup of the group */
  id: number;
  /** a supergroup with topics, in which the bot may make some */
  hasTopics = false;

  constructor(api: BotApi, id: number) {
    this.#api = api;
    this.id = id;
  }

  get kind(): "group" | "private" {
    return this.id < 0 ? "group" : "private";
  }

  /** The id of the new message. What Telegram cannot read as HTML is sent as plain text. */
  async send(content: Content, where: { topic?: number; reply_to?: number }): Promise<Outcome<number>> {
    return this.#readable(content, (text, parse_mode) =>
      this.#api.call(async (api, signal) => {
        const sent = await api.sendMessage(
          this.id,
          text,
          {
            ...(parse_mode === undefined ? {} : { parse_mode }),
            ...(where.topic === undefined ? {} : { message_thread_id: where.topic }),
            ...(where.reply_to === undefined
              ? {}
              : {
                  reply_parameters: { message_id: where.reply_to, allow_sending_without_reply: true },
                }),
            ...markup(content),
            disable_notification: content.quiet,
            link_preview_options: { is_disabled: true },
          },
          signal,
        );
        return sent.message_id;
      }),
    );
  }

  async edit(messageId: number, content: Content): Promise<Outcome<unknown>> {
    return this.#readable(content, (text, parse_mode) =>
      this.#api.call((api, signal) =>
        api.editMessageText(
          this.id,
          messageId,
          text,
          {
            ...(parse_mode === undefined ? {} : { parse_mode }),
            ...markup(content),
            link_preview_options: { is_disabled: true },
          },
          signal,
        ),
      ),
    );
  }

  createTopic(name: string): Promise<Outcome<number>> {
    return this.#api.call(
      async (api, signal) => (await api.createForumTopic(this.id, name, {}, signal)).message_thread_id,
    );
  }

  renameTopic(topic: number, name: string): Promise<Outcome<unknown>> {
    return this.#api.call((api, signal) => api.editForumTopic(this.id, topic, { name }, signal));
  }

  reopen(topic: number): Promise<Outcome<unknown>> {
    return this.#api.call((api, signal) => api.reopenForumTopic(this.id, topic, signal));
  }

  async #readable<T>(
    { html, plain }: Content,
    send: (text: string, parse_mode: "HTML" | undefined) => Promise<Outcome<T>>,
  ): Promise<Outcome<T>> {
    const outcome = await send(html, "HTML");
    if (outcome.ok || (outcome.kind !== "unreadable_html" && outcome.kind !== "refused")) return outcome;
    return send(plain, undefined);
  }
}

function markup({ buttons }: Content) {
  return { reply_markup: { inline_keyboard: buttons.length === 0 ? [] : [buttons] } };
}
