// Was it posted or not? Telegram knows no key by which a call may be repeated, and tells a bot no history. But ids in
// a chat only grow, and this bot posts one thing at a time: if the unknown call was carried out, its post has one of
// the next ids after the newest that was known before. An edit that changes nothing finds it, and nobody sees it.
// What remains: a call that Telegram carries out only after it was looked for here is shown twice.
import type { ShownPart } from "../../store/telegram-store.ts";
import { log } from "../../system/log.ts";
import type { Outcome } from "./bot-api.ts";
import type { Chat } from "./chat.ts";
import type { HubView } from "./hub-view.ts";
import type { Pace } from "./pace.ts";
import type { Pages } from "./pages.ts";

/** ids that are looked at; people may have written in the meantime */
const furthest = 40;
/** so many ids in a row that do not exist: there is nothing further */
const emptyEnd = 3;

type Intent =
  | { kind: "post"; place: string; parts: ShownPart[]; after: number }
  | { kind: "topic"; place: string; name: string; after: number };

export class Recovery {
  readonly #parts: { hub: HubView; chat: Chat; pages: Pages; pace: Pace };
  readonly #foreign = new Set<number>();

  constructor(parts: { hub: HubView; chat: Chat; pages: Pages; pace: Pace }) {
    this.#parts = parts;
  }

  foreign(messageId: number): void {
    this.#foreign.add(messageId);
    if (this.#foreign.size > 1000) this.#foreign.delete(this.#foreign.values().next().value ?? 0);
  }

  /** Finds out what became of the intent, and ends it. A failed outcome: unknown still, look again later. */
  async settle(text: string): Promise<Outcome<unknown>> {
    // Written by the outbox, in this shape.
    const intent = JSON.parse(text) as Intent;
    const { pace } = this.#parts;
    let empty = 0;
    for (let id = intent.after + 1; id <= intent.after + furthest && empty < emptyEnd; id++) {
      if (this.#foreign.has(id)) continue;
      const waitMs = pace.waitMs(true);
      if (waitMs > 0) return { ok: false, kind: "too_fast", waitMs };
      const outcome = await pace.counted(() => this.#look(intent, id));
      if (outcome.ok || outcome.kind === "not_modified") return this.#found(intent, id);
      switch (outcome.kind) {
        case "message_missing":
        case "topic_missing":
          empty += 1;
          break;
        case "not_ours":
        case "refused":
          empty = 0;
          break;
        default:
          return outcome;
      }
    }
    await this.#parts.hub.store.telegram.skip([]);
    return { ok: true, value: undefined };
  }

  async #look(intent: Intent, id: number): Promise<Outcome<unknown>> {
    const { chat } = this.#parts;
    if (intent.kind === "topic") return chat.renameTopic(id, intent.name);
    const content = await this.#content(intent);
    // its items are gone: whether they were posted does not matter any more
    return content ? chat.edit(id, content) : { ok: false, kind: "message_missing", text: "" };
  }

  async #found(intent: Intent, id: number): Promise<Outcome<unknown>> {
    const { telegram } = this.#parts.hub.store;
    log.info("telegram: an interrupted call had been carried out", { kind: intent.kind, id: String(id) });
    if (intent.kind === "topic") await telegram.setTopic(intent.place, id);
    else {
      const content = await this.#content(intent);
      await telegram.posted({ message_id: id, hash: content?.hash ?? "", parts: intent.parts });
    }
    return { ok: true, value: undefined };
  }

  async #content({ parts }: Extract<Intent, { kind: "post" }>) {
    const items = await this.#parts.hub.store.telegram.items(parts.map(({ seq }) => seq));
    const wanted = items.flatMap((item) => {
      const shown = parts.find(({ seq }) => seq === item.seq);
      return shown ? [{ item, part: shown.part }] : [];
    });
    return this.#parts.pages.again({ message_id: 0, hash: "", changes: 0, parts: wanted });
  }
}
