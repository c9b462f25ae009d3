// What is to be shown, posted one after another: in order per topic, never lost, and never twice as far as Telegram
// lets one know. Each post is an intent on disk, the call, and its id on disk. When nobody knows whether a call was
// carried out (a crash, no answer, a server's error), the next ids of the chat are looked at before it is repeated:
// see `recovery.ts`.
import type { TelegramItem, TelegramPost } from "../../store/telegram-store.ts";
import { crashPoint } from "../../system/crash-point.ts";
import { log } from "../../system/log.ts";
import { bell } from "./bell.ts";
import type { Failure, Outcome } from "./bot-api.ts";
import type { Chat } from "./chat.ts";
import type { Clock } from "./clock.ts";
import type { HubView } from "./hub-view.ts";
import type { Pace } from "./pace.ts";
import { type Content, type Pages, refs } from "./pages.ts";
import { Recovery } from "./recovery.ts";

/** ms between two edits of one post */
const editGapMs = 3_000;
/** ms until a chat that cannot be written to is tried again */
const shutOutMs = 60_000;
/** ms after an unknown outcome, doubling */
const uncertainMs = { first: 1_000, most: 30_000 };
/** of so many steps one is an edit, however much waits to be posted */
const editEvery = 4;

type Parts = {
  hub: HubView;
  chat: Chat;
  pages: Pages;
  pace: Pace;
  clock: Clock;
  stopped: AbortSignal;
  /** Telegram gave the chat another id; resolves when it is known what can be done there */
  onMoved: (to: number) => Promise<void>;
};

export class Outbox {
  readonly #parts: Parts;
  readonly #recovery: Recovery;
  readonly #bell = bell();
  readonly #editedAt = new Map<number, number>();
  #steps = 0;
  #uncertain = 0;
  #warnedAt = Number.NEGATIVE_INFINITY;

  constructor(parts: Parts) {
    this.#parts = parts;
    this.#recovery = new Recovery(parts);
  }

  /** There may be something to do. */
  wake(): void {
    this.#bell.ring();
  }

  /** A message of somebody else: no post of ours has this id. */
  foreign(messageId: number): void {
    this.#recovery.foreign(messageId);
  }

  /** Until `stopped`. */
  async run(): Promise<void> {
    const { stopped, clock } = this.#parts;
    while (!stopped.aborted) {
      const waitMs = await this.#step().catch((error: unknown) => {
        log.error("telegram outbox failed", { error });
        return shutOutMs;
      });
      if (waitMs > 0) await this.#bell.wait(waitMs, clock, stopped);
    }
  }

  /** One call at most; ms until the next makes sense. */
  async #step(): Promise<number> {
    const { store } = this.#parts.hub;
    const intent = await store.telegram.setting("intent");
    if (intent !== undefined) return this.#after(await this.#recovery.settle(intent));
    const waiting = await store.telegram.waiting(40);
    this.#steps += 1;
    if (waiting.length > 0 && this.#steps % editEvery !== 0) return this.#post(waiting);
    const edited = await this.#edit(waiting.length > 0);
    if (edited !== undefined) return edited;
    return waiting.length > 0 ? this.#post(waiting) : Number.MAX_SAFE_INTEGER;
  }

  async #post(items: TelegramItem[]): Promise<number> {
    const { chat, pages, pace, hub } = this.#parts;
    const [first] = items;
    if (!first) return 0;
    const waitMs = pace.waitMs(first.place === "main");
    // a little longer is no loss: more of the same topic may come and share the post
    if (waitMs > 0) return waitMs;
    const topic = chat.hasTopics ? await hub.store.telegram.topic(first.place) : undefined;
    if (topic === undefined && chat.hasTopics && first.place !== "main")
      return this.#after(await this.#createTopic(first));
    const page = await pages.next(items);
    if (!page.content) {
      await hub.store.telegram.skip(page.parts);
      return 0;
    }
    await this.#intend({ kind: "post", place: first.place, parts: page.parts });
    const { content } = page;
    const outcome = await pace.counted(() =>
      chat.send(content, { topic, reply_to: first.reply_to ?? undefined }),
    );
    crashPoint("telegram.sent");
    if (!outcome.ok) return this.#failed(outcome, first, page);
    await hub.store.telegram.posted({
      message_id: outcome.value,
      hash: content.hash,
      parts: page.parts,
    });
    crashPoint("telegram.posted");
    return this.#after(outcome);
  }

  async #failed(
    outcome: { ok: false } & Failure,
    { place }: TelegramItem,
    page: Awaited<ReturnType<Pages["next"]>>,
  ): Promise<number> {
    const { store } = this.#parts.hub;
    switch (outcome.kind) {
      case "uncertain":
        return this.#after(outcome);
      case "topic_closed":
        await this.#endIntent();
        return this.#after(await this.#reopen(place));
      case "topic_missing":
        log.info("a topic was deleted in Telegram; a new one is made", { place });
        await store.telegram.setTopic(place, undefined);
        return 0;
      case "too_fast":
      case "unauthorized":
      case "shut_out":
      case "moved":
      case "conflict":
        await this.#endIntent();
        return this.#after(outcome);
      default:
        log.warn("telegram refuses a post; it is left out", { error: outcome.text, items: refs(page) });
        await store.telegram.skip(page.parts);
        return 0;
    }
  }

  /** A topic that may not be opened again is left as it is; the place gets another one. */
  async #reopen(place: string): Promise<Outcome<unknown>> {
    const { chat, hub } = this.#parts;
    const topic = await hub.store.telegram.topic(place);
    if (topic === undefined) return { ok: true, value: undefined };
    const outcome = await chat.reopen(topic);
    const refused = !outcome.ok && ["refused", "no_topics", "topic_missing"].includes(outcome.kind);
    if (!refused) return outcome;
    await hub.store.telegram.setTopic(place, undefined);
    return { ok: true, value: undefined };
  }

  async #createTopic(first: TelegramItem): Promise<Outcome<unknown>> {
    const { chat, pages, pace, hub } = this.#parts;
    const { place } = first;
    const name = await pages.topicName(first);
    await this.#intend({ kind: "topic", place, name });
    const outcome = await pace.counted(() => chat.createTopic(name));
    crashPoint("telegram.topic-created");
    if (outcome.ok) await hub.store.telegram.setTopic(place, outcome.value);
    else if (outcome.kind !== "uncertain") await this.#endIntent();
    // whatever the reason, waiting for it would hold up everything else
    if (!outcome.ok && outcome.kind === "refused") return { ...outcome, kind: "no_topics" };
    return outcome;
  }

  /** undefined: there is nothing to edit now. `more`: something else waits to be posted. */
  async #edit(more: boolean): Promise<number | undefined> {
    const { pages, pace, hub, clock } = this.#parts;
    let soonest = Number.MAX_SAFE_INTEGER;
    for (const post of await hub.store.telegram.changed(200)) {
      const dueMs = (this.#editedAt.get(post.message_id) ?? -editGapMs) + editGapMs - clock.now();
      if (dueMs > 0) {
        soonest = Math.min(soonest, dueMs);
        continue;
      }
      const content = await pages.again(post);
      if (content === undefined || content.hash === post.hash) {
        await hub.store.telegram.compared(post);
        continue;
      }
      // what stands outside topics, a person looks at and presses
      const waitMs = pace.waitMs(post.parts[0]?.item.place === "main");
      if (waitMs > 0) {
        soonest = Math.min(soonest, waitMs);
        continue;
      }
      return this.#after(await this.#editPost(post, content));
    }
    return more || soonest === Number.MAX_SAFE_INTEGER ? undefined : soonest;
  }

  async #editPost(post: TelegramPost, content: Content): Promise<Outcome<unknown>> {
    const { chat, pace, hub, clock } = this.#parts;
    const { message_id, changes } = post;
    this.#editedAt.set(message_id, clock.now());
    if (this.#editedAt.size > 1000) this.#editedAt.delete(this.#editedAt.keys().next().value ?? 0);
    const outcome = await pace.counted(() => chat.edit(message_id, content));
    if (outcome.ok || outcome.kind === "not_modified") {
      await hub.store.telegram.compared({ message_id, changes, hash: content.hash });
      return { ok: true, value: undefined };
    }
    switch (outcome.kind) {
      case "message_missing":
      case "not_ours":
        await hub.store.telegram.forget(message_id);
        return { ok: true, value: undefined };
      case "topic_closed":
        return this.#reopen(post.parts[0]?.item.place ?? "");
      case "refused":
        log.warn("telegram refuses an edit", { error: outcome.text });
        await hub.store.telegram.compared({ message_id, changes, hash: content.hash });
        return { ok: true, value: undefined };
      default:
        // the same edit may be made again
        return outcome;
    }
  }

  /** ms to wait after a call that came to this. */
  async #after(outcome: Outcome<unknown>): Promise<number> {
    if (outcome.ok || outcome.kind !== "uncertain") this.#uncertain = 0;
    if (outcome.ok) return 0;
    switch (outcome.kind) {
      case "too_fast":
        this.#parts.pace.pause(outcome.waitMs);
        return outcome.waitMs;
      case "moved":
        if (outcome.to === this.#parts.chat.id) return uncertainMs.first;
        await this.#parts.onMoved(outcome.to);
        return 0;
      case "uncertain": {
        this.#uncertain += 1;
        this.#warn("telegram cannot be reached; what is to be shown waits", outcome.text);
        return Math.min(uncertainMs.most, uncertainMs.first * 2 ** (this.#uncertain - 1));
      }
      case "no_topics":
        this.#warn("topics cannot be made in this chat; everything is shown outside topics", outcome.text);
        this.#parts.chat.hasTopics = false;
        return 0;
      case "unauthorized":
      case "shut_out":
      case "conflict":
        this.#warn("telegram does not let the bot write in telegram.supergroup_id", outcome.text);
        return shutOutMs;
      default:
        this.#warn("telegram refuses a call", outcome.text);
        return uncertainMs.first;
    }
  }

  /** Once a minute at most. */
  #warn(text: string, error: string): void {
    const now = this.#parts.clock.now();
    if (this.#parts.stopped.aborted) return;
    if (now - this.#warnedAt < 60_000) return;
    this.#warnedAt = now;
    log.warn(text, { error });
  }

  async #intend(intent: Intent): Promise<void> {
    const { telegram } = this.#parts.hub.store;
    const after = Number((await telegram.setting("newest")) ?? 0);
    await telegram.set("intent", JSON.stringify({ ...intent, after } satisfies Intent & { after: number }));
    crashPoint("telegram.intended");
  }

  async #endIntent(): Promise<void> {
    await this.#parts.hub.store.telegram.skip([]);
  }
}

type Intent =
  | { kind: "post"; place: string; parts: { seq: number; part: number; last: boolean }[] }
  | { kind: "topic"; place: string; name: string };
