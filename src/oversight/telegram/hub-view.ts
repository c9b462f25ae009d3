// What the bot sees of a hub: its memory, its operations as a person, and what happens in it.
import type { HubEvent, HubInput, HubOperation } from "../../protocol/hub-api.ts";
import type { RefusedChat } from "../../protocol/message.ts";
import type { PermissionAnswer, PermissionAsk } from "../../protocol/permission.ts";
import type { Store } from "../../store/store.ts";

export type HubView = {
  /** read here; written only through `store.telegram` */
  store: Store;
  /** Runs an operation as the person `name`; throws what that person is told. */
  ask<O extends HubOperation>(op: O, input: HubInput<O>, name: string): Promise<unknown>;
  /** After the commit, in this process, not for certain: a hint to look at the store. */
  subscribe(listener: (event: HubEvent) => void): () => void;
  /** From now on agents' questions, and what they said in vain, come here; undefined: to nobody. */
  oversee(
    overseer:
      | {
          permission(machine: string, ask: PermissionAsk): Promise<PermissionAnswer>;
          refused(chat: RefusedChat): Promise<void>;
        }
      | undefined,
  ): void;
  isLinked(machine: string): boolean;
  /** ms since 1970 */
  now(): number;
};
