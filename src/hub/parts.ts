// What the parts of one hub share. Made once by hub.ts and handed to each.
import type { RefusedChat } from "../protocol/message.ts";
import type { PermissionAnswer, PermissionAsk } from "../protocol/permission.ts";
import type { Speaks } from "../protocol/version.ts";
import type { Store } from "../store/store.ts";
import type { Config } from "../system/config.ts";
import type { Events } from "./events.ts";
import type { Links } from "./links.ts";

export type Parts = {
  store: Store;
  events: Events;
  links: Links;
  config: Config;
  /** versions of the link's protocol */
  speaks: Speaks;
  now: () => number;
  /** takes up the program that now lies in this one's place; missing where nobody would start it again */
  restart?: () => void;
};

/** Shows a hub to a person elsewhere, and brings that person's answers. */
export type Overseer = {
  permission(machine: string, ask: PermissionAsk): Promise<PermissionAnswer>;
  /** Resolves when it is on disk that this is to be shown, once per id. Never rejects. */
  refused(chat: RefusedChat): Promise<void>;
};

/** ms that mail for an ended session, or for a project's next one, is kept; delivery.md */
export const keepForSessionMs = 7 * 24 * 3600 * 1000;

export const isoAt = (ms: number): string => new Date(ms).toISOString();
