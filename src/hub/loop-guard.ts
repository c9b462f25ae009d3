// The loop guard: what both sides are told when a thread of agents goes on without a person, and the person's word
// that lets it go on.
import { IntercomError } from "../protocol/errors.ts";
import type { LoopGuard } from "../store/store.ts";
import type { Config } from "../system/config.ts";
import { isoAt, keepForSessionMs, type Parts } from "./parts.ts";

export function loopGuard({ language, limits }: Config, thread: string): LoopGuard {
  const limit = limits.loop;
  if (language === "fr")
    return {
      limit,
      reason: `${limit} messages d'agents de suite sans une personne`,
      notice: `Le fil ${thread} compte ${limit} messages d'agents de suite sans une personne. Les suivants sont retenus jusqu'à ce qu'une personne écrive dans le fil ou lance : ai-intercom release ${thread}`,
    };
  return {
    limit,
    reason: `${limit} agent messages in a row without a person`,
    notice: `Thread ${thread} has had ${limit} agent messages in a row without a person. Further ones are held until a person writes in the thread or runs: ai-intercom release ${thread}`,
  };
}

/** Lets what is held go. Throws `unknown_thread`. */
export async function releaseThread(
  { store, events, links, now }: Parts,
  thread: string,
): Promise<{ thread_id: string; released: number }> {
  const at = isoAt(now());
  const released = await store.release(thread, { at, expires_at: isoAt(now() + keepForSessionMs) });
  if (!released) throw new IntercomError("unknown_thread", `there is no thread ${thread}`);
  events.states(released.changes);
  for (const machine of released.machines) {
    if (links.isLinked(machine)) links.present(machine);
    else events.states(await store.queueAccepted(machine, links.offlineReason(machine), at));
  }
  return { thread_id: thread, released: released.changes.length };
}
