// What comes from Telegram, by long polling: each update once. Its effect, its answer and its id are written in one
// transaction; what it did elsewhere carries an id derived from it, so that doing it again does nothing.
import type { Update } from "grammy/types";
import { log } from "../../system/log.ts";
import type { BotApi, Failure } from "./bot-api.ts";
import type { Clock } from "./clock.ts";
import type { HubView } from "./hub-view.ts";

/** seconds a poll may be held by Telegram */
const pollSeconds = 25;
/** ms after which a held poll counts as cut */
const pollMs = (pollSeconds + 10) * 1000;
const retryMs = { first: 1_000, most: 30_000 };
/** ms after another program polled with this token, or the token was refused */
const shutOutMs = 60_000;

/** tries of one update */
const mostFailures = 5;

type Parts = {
  hub: HubView;
  api: BotApi;
  clock: Clock;
  stopped: AbortSignal;
  /** Resolves when the effect is on disk; false: not yet. `next`: the id to ask Telegram for from then on. */
  handle(update: Update, next: number): Promise<boolean>;
};

export async function pollUpdates({ hub, api, clock, stopped, handle }: Parts): Promise<void> {
  const { telegram } = hub.store;
  let offset = Number((await telegram.setting("offset")) ?? 0);
  let failures = 0;
  const failed = new Map<number, number>();
  while (!stopped.aborted) {
    const outcome = await api.call(
      (bot, signal) =>
        bot.getUpdates(
          {
            ...(offset > 0 ? { offset } : {}),
            timeout: pollSeconds,
            allowed_updates: ["message", "edited_message", "callback_query"],
          },
          signal,
        ),
      { deadlineMs: pollMs, until: stopped },
    );
    if (outcome.ok) {
      const taken = await takeAll(outcome.value, hub, handle, failed);
      offset = taken.next ?? offset;
      failures = 0;
      if (taken.all) continue;
    }
    if (stopped.aborted) return;
    failures += 1;
    await clock.sleep(outcome.ok ? retryMs.first : pauseMs(outcome, failures), stopped);
  }
}

/** In the order of their ids: Telegram orders them, another server may not. What is not taken stays unread there. */
async function takeAll(
  updates: Update[],
  { store }: HubView,
  handle: Parts["handle"],
  failed: Map<number, number>,
): Promise<{ next?: number; all: boolean }> {
  let next: number | undefined;
  for (const update of updates.sort((a, b) => a.update_id - b.update_id)) {
    try {
      const known = await store.telegram.knowsUpdate(update.update_id);
      if (!known && !(await handle(update, update.update_id + 1))) return { next, all: false };
    } catch (error) {
      log.error("a telegram update could not be taken", { error });
      if (!(await givesUp(store, update.update_id, failed))) return { next, all: false };
    }
    next = update.update_id + 1;
  }
  return { next, all: true };
}

/** One that fails again and again must not shut out all that follow; while nothing can be written, it does. */
async function givesUp(store: HubView["store"], id: number, failed: Map<number, number>): Promise<boolean> {
  const times = (failed.get(id) ?? 0) + 1;
  failed.set(id, times);
  if (times < mostFailures) return false;
  try {
    await store.telegram.take({ update: { id, next: id + 1 } });
  } catch {
    return false;
  }
  failed.delete(id);
  log.error("a telegram update is left out after several tries", { update: String(id) });
  return true;
}

function pauseMs(failure: Failure, failures: number): number {
  switch (failure.kind) {
    case "too_fast":
      return failure.waitMs;
    case "conflict":
      log.warn("another program reads this telegram bot's updates", { error: failure.text });
      return shutOutMs;
    case "unauthorized":
      log.warn("telegram.bot_token is refused", { error: failure.text });
      return shutOutMs;
    default:
      if (failures === 1) log.warn("telegram cannot be reached; retrying", { error: failure.text });
      return Math.min(retryMs.most, retryMs.first * 2 ** (failures - 1));
  }
}
