// From what the store has committed to what is to be shown. The cursor moves in the same transaction that takes the
// items, so a crash anywhere shows each thing once. Events only say when to look.
import { randomHex } from "../../protocol/ids.ts";
import type { RefusedChat } from "../../protocol/message.ts";
import { isSelfTest, selfTestProject } from "../../protocol/session.ts";
import type { NewTelegramItem, TelegramNews } from "../../store/telegram-store.ts";
import { log } from "../../system/log.ts";
import { bell } from "./bell.ts";
import type { TextBody } from "./cards.ts";
import type { Clock } from "./clock.ts";
import type { HubView } from "./hub-view.ts";
import { plain } from "./markup.ts";
import { cardId, isDispatched, isSpoken, missionOfResponse, writtenMessage } from "./names.ts";
import type { Prompts } from "./prompts.ts";
import { refusedItem } from "./refused.ts";
import type { Words } from "./words.ts";

/** ms to collect before a look: a message and its delivery come within it, and are one post instead of two */
const collectMs = 400;
/** ms between looks that no event asked for */
const backstopMs = 30_000;
/** ms a machine must be away, or back, before it is said; more after the hub's own start, when all dial again */
const settledMs = 5_000;
const startGraceMs = 45_000;

type Message = TelegramNews["messages"][number];
type Parts = {
  hub: HubView;
  words: Words;
  clock: Clock;
  stopped: AbortSignal;
  onItems: () => void;
  prompts: Prompts;
};

export class Intake {
  readonly #parts: Parts;
  readonly #bell = bell();
  readonly #startedAt: number;
  /** what events named since the last look */
  readonly #touched = new Set<string>();
  /** machine → since when it is not as was last said */
  readonly #turned = new Map<string, number>();
  /** machines that were linked since the start */
  readonly #seen = new Set<string>();
  #nextLookMs = backstopMs;

  constructor(parts: Parts) {
    this.#parts = parts;
    this.#startedAt = parts.clock.now();
  }

  /** Until `stopped`. */
  async run(): Promise<void> {
    const { hub, clock, stopped } = this.#parts;
    const unsubscribe = hub.subscribe((event) => {
      if (event.kind === "mission" || event.kind === "mission_entry") this.#touched.add(event.mission_id);
      if (event.kind === "approval") this.#touched.add(event.id);
      if (event.kind === "machine") this.#touched.add(event.machine_id);
      if (event.kind !== "session") this.#bell.ring();
    });
    await this.#touchUnfinished();
    while (!stopped.aborted) {
      try {
        await this.look();
      } catch (error) {
        log.error("telegram intake failed", { error });
      }
      await this.#bell.wait(this.#nextLookMs, clock, stopped);
      await clock.sleep(collectMs, stopped);
    }
    unsubscribe();
  }

  /** What an agent said to nobody. Its sender is answered in any case: what cannot be noted is only not shown. */
  async refused(chat: RefusedChat): Promise<void> {
    const { telegram } = this.#parts.hub.store;
    try {
      if ((await telegram.setting("watch")) === "off") return;
      await telegram.take({ items: [refusedItem(chat)] });
      this.#parts.onItems();
    } catch (error) {
      log.error("a chat without an active session cannot be shown", { error });
    }
  }

  /** Takes everything that is new. */
  async look(): Promise<void> {
    const { hub, onItems } = this.#parts;
    const touched = [...this.#touched];
    this.#touched.clear();
    this.#nextLookMs = backstopMs;
    await this.#parts.prompts.sweep();
    const cards = [...(await this.#approvals()), ...(await this.#joins())];
    const machines = await this.#machines();
    await hub.store.telegram.take({
      items: [...cards, ...machines.items],
      touched,
      settings: machines.settings,
    });
    for (;;) {
      const news = await hub.store.telegram.news(200);
      if (news.messages.length === 0 && news.touched.length === 0) break;
      const items: NewTelegramItem[] = [];
      const watching = (await hub.store.telegram.setting("watch")) !== "off";
      for (const message of news.messages) items.push(...(await this.#itemsOf(message, watching)));
      await hub.store.telegram.take({
        cursor: news.cursor,
        items,
        touched: news.touched,
      });
    }
    onItems();
  }

  /** What a crash may have kept from being edited. */
  async #touchUnfinished(): Promise<void> {
    const { telegram } = this.#parts.hub.store;
    for (const kind of ["mission", "dispatch", "approval", "join"] as const)
      for (const { ref } of await telegram.itemsOfKind(kind, 100)) this.#touched.add(ref);
  }

  async #itemsOf(message: Message, watching: boolean): Promise<NewTelegramItem[]> {
    const { id, type, thread_id, first, to_human } = message;
    if (type === "status" && !to_human) return [];
    if ((type === "chat" || type === "send") && !watching && !to_human && message.from_agent !== "human")
      return [];
    if (type === "ask" || type === "start_agent") return this.#missionItems(message);
    if (await this.#isSelfTest(message)) return [];
    const dispatched = await this.#dispatched(message);
    const item: NewTelegramItem = {
      key: cardId.message(id),
      place: dispatched ? "main" : thread_id,
      kind: "message",
      ref: id,
      body: first ? "first" : "reply",
      reply_to: dispatched?.reply_to ?? (isSpoken(id) ? writtenMessage(id) : undefined),
    };
    return [item];
  }

  async #isSelfTest({ id, from_agent }: Message): Promise<boolean> {
    if (!from_agent.includes(selfTestProject)) return false;
    const message = await this.#parts.hub.store.message(id);
    return message !== undefined && isSelfTest(message);
  }

  /** What was asked, and a card that follows the run. A dispatcher's has its card already, outside topics. */
  async #missionItems({ id, thread_id }: Message): Promise<NewTelegramItem[]> {
    if (isDispatched(id)) return [];
    const asked: NewTelegramItem = {
      key: cardId.message(id),
      place: thread_id,
      kind: "message",
      ref: id,
      body: "first",
    };
    const mission = await this.#parts.hub.store.missionOfMessage(id);
    if (!mission) return [asked];
    const { mission_id, run } = mission;
    return [
      asked,
      {
        key: cardId.mission(mission_id, run),
        place: thread_id,
        kind: "mission",
        ref: mission_id,
        body: String(run),
        nonce: randomHex(8),
      },
    ];
  }

  /** The result of what was put to the dispatcher answers the person's message, outside topics. */
  async #dispatched({ id, type }: Message): Promise<{ reply_to: number | undefined } | undefined> {
    const mission = type === "response" ? missionOfResponse(id) : undefined;
    if (mission === undefined) return undefined;
    const asked = (await this.#parts.hub.store.mission(mission))?.message_id ?? "";
    return isDispatched(asked) ? { reply_to: writtenMessage(asked) } : undefined;
  }

  async #approvals(): Promise<NewTelegramItem[]> {
    const waiting = await this.#parts.hub.store.approvals({ all: false, limit: 1000 });
    const items = waiting.map(
      ({ id }): NewTelegramItem => ({
        key: cardId.approval(id),
        place: "main",
        kind: "approval",
        ref: id,
        nonce: randomHex(8),
      }),
    );
    return this.#unknown(items.reverse());
  }

  async #joins(): Promise<NewTelegramItem[]> {
    const machines = await this.#parts.hub.store.machines();
    const items = machines
      .filter(({ status }) => status === "pending")
      .map(
        (machine): NewTelegramItem => ({
          key: cardId.join(machine),
          place: "main",
          kind: "join",
          ref: machine.id,
          nonce: randomHex(8),
        }),
      );
    return this.#unknown(items);
  }

  async #unknown(items: NewTelegramItem[]): Promise<NewTelegramItem[]> {
    const known = await Promise.all(items.map(({ key }) => this.#parts.hub.store.telegram.item(key)));
    return items.filter((_, at) => known[at] === undefined);
  }

  /** Machines that are away, or back, for long enough to be worth a word. */
  async #machines(): Promise<{ items: NewTelegramItem[]; settings: Record<string, string> }> {
    const { hub, clock, words } = this.#parts;
    const items: NewTelegramItem[] = [];
    const settings: Record<string, string> = {};
    const now = clock.now();
    const graceMs = this.#startedAt + startGraceMs - now;
    for (const { id, status } of await hub.store.machines()) {
      if (status !== "approved") continue;
      const is = hub.isLinked(id) ? "online" : "offline";
      if (is === "online") this.#seen.add(id);
      const said = await hub.store.telegram.setting(`machine:${id}`);
      if (said === undefined && is === "offline") continue;
      if (said === is) {
        this.#turned.delete(id);
        continue;
      }
      const since = this.#turned.get(id) ?? now;
      this.#turned.set(id, since);
      const waitMs = Math.max(since + settledMs - now, is === "online" || this.#seen.has(id) ? 0 : graceMs);
      if (said !== undefined && waitMs > 0) {
        this.#nextLookMs = Math.min(this.#nextLookMs, waitMs);
        continue;
      }
      this.#turned.delete(id);
      settings[`machine:${id}`] = is;
      if (said === undefined) continue;
      const at = new Date(hub.now()).toISOString();
      items.push(textItem(`machine:${id}:${is}:${at}`, "main", plain(words[is](id)), true));
    }
    return { items, settings };
  }
}

export function textItem(
  key: string,
  place: string,
  blocks: TextBody["blocks"] | TextBody["blocks"][number],
  quiet: boolean,
  reply_to?: number,
): NewTelegramItem {
  const body: TextBody = { blocks: Array.isArray(blocks) ? blocks : [blocks], quiet };
  return { key, place, kind: "text", ref: "", body: JSON.stringify(body), reply_to };
}
