// Agents' questions whether they may use a tool: a card each, answered once. The agent asks anew every second, so a
// card that is not asked about any more is over.
import { randomHex } from "../../protocol/ids.ts";
import type { PermissionAnswer, PermissionAsk } from "../../protocol/permission.ts";
import type { TelegramItem } from "../../store/telegram-store.ts";
import type { HubView } from "./hub-view.ts";

/** ms without being asked again: the agent's machine is gone */
const goneMs = 15_000;

/** What a card's item carries. */
export type PromptBody = {
  address: string;
  tool: string;
  text: string;
  status: Exclude<PermissionAnswer["status"], "nobody">;
  by?: string;
};

const keyOf = (ref: string) => `permission:${ref}`;

export class Prompts {
  readonly #hub: HubView;
  readonly #onItems: () => void;
  readonly #askedMs = new Map<string, number>();

  constructor(hub: HubView, onItems: () => void) {
    this.#hub = hub;
    this.#onItems = onItems;
  }

  /** What a machine is told about a question of one of its sessions. */
  async ask(
    machine: string,
    { id, session_id, tool, text, withdrawn }: PermissionAsk,
  ): Promise<PermissionAnswer> {
    const { store, now } = this.#hub;
    const ref = `${machine}:${id}`;
    const item = await store.telegram.item(keyOf(ref));
    if (item && withdrawn) await this.#end(item, { status: "withdrawn" });
    if (withdrawn) return { status: "withdrawn" };
    this.#askedMs.set(ref, now());
    if (item) {
      const { status, by } = bodyOf(item);
      if (status !== "pending") this.#askedMs.delete(ref);
      return { status, ...(by === undefined ? {} : { by }) };
    }
    const session = await store.session(machine, session_id);
    // a machine asks for its own sessions, while they are open
    if (session?.ended_at !== null) return { status: "nobody" };
    const address = `${machine}/${session.project_id}@${session_id}`;
    const body: PromptBody = { address, tool, text, status: "pending" };
    await store.telegram.take({
      items: [
        {
          key: keyOf(ref),
          place: "main",
          kind: "permission",
          ref,
          body: JSON.stringify(body),
          nonce: randomHex(8),
        },
      ],
    });
    this.#onItems();
    return { status: "pending" };
  }

  isAsked({ ref }: TelegramItem): boolean {
    return this.#hub.now() - (this.#askedMs.get(ref) ?? 0) < goneMs;
  }

  /** Questions whose machine fell silent are over. */
  async sweep(): Promise<void> {
    for (const [ref, at] of this.#askedMs) {
      if (this.#hub.now() - at < goneMs) continue;
      this.#askedMs.delete(ref);
      const item = await this.#hub.store.telegram.item(keyOf(ref));
      if (item && bodyOf(item).status === "pending") await this.#end(item, { status: "withdrawn" });
    }
  }

  async #end(item: TelegramItem, how: { status: "withdrawn" }): Promise<void> {
    this.#askedMs.delete(item.ref);
    if (item.nonce === null) return;
    await this.#hub.store.telegram.take({
      decided: { nonce: item.nonce, body: decidedBody(item, how) },
    });
    this.#onItems();
  }
}

/** Written by this file, in this shape. */
export const bodyOf = ({ body }: TelegramItem): PromptBody => JSON.parse(body ?? "{}") as PromptBody;

export const decidedBody = (item: TelegramItem, how: Pick<PromptBody, "status" | "by">): string =>
  JSON.stringify({ ...bodyOf(item), ...how });
