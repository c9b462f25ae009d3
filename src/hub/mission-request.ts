// The two ends of asking for a mission: what goes along with it, and what the asker is answered at once.
import { IntercomError } from "../protocol/errors.ts";
import type { MissionAnswer } from "../protocol/mission.ts";
import type { Mission } from "../store/mission-store.ts";
import type { From } from "./callers.ts";
import type { Attempt } from "./mission-dispatch.ts";
import type { Parts } from "./parts.ts";
import { isMember } from "./thread.ts";

/** newest messages of a thread that is handed over, and their bytes of JSON in all */
const contextMessages = 20;
const contextBytes = 64 * 1024;

/** The newest messages of the asker's own thread, oldest first. Throws `unknown_thread`, `not_a_member`. */
export async function missionContext(
  { store }: Parts,
  thread: string | undefined,
  from: From,
): Promise<Mission["context"]> {
  if (thread === undefined) return [];
  const members = await store.members(thread);
  if (!members) throw new IntercomError("unknown_thread", `there is no thread ${thread}`);
  if (from.kind === "session" && !isMember(members, from.machine, from.session))
    throw new IntercomError("not_a_member", `thread ${thread} is between others`, {
      hint: "hand over a thread of your own",
    });
  const kept: Mission["context"] = [];
  let bytes = 0;
  for (const { from_agent, message } of (await store.thread(thread, contextMessages)).reverse()) {
    bytes += Buffer.byteLength(JSON.stringify({ from_agent, message }));
    if (bytes > contextBytes) break;
    kept.unshift({ from_agent, message });
  }
  return kept;
}

export function answerTo({ mission, refusal }: Attempt): MissionAnswer {
  const { mission_id, thread_id, status, reason, started_at } = mission;
  const about = { mission_id, thread_id };
  const why = reason ?? undefined;
  if (refusal) {
    const { hint } = refusal;
    return { status: refusal.status, ...about, error: refusal.reason, ...(hint ? { hint } : {}) };
  }
  switch (status) {
    case "pending_approval":
      return {
        status,
        ...about,
        reason: "a person must allow it",
        hint: "its answer comes into your inbox by itself; a person decides with: ai-intercom approvals",
      };
    case "queued":
      return { status, ...about, reason: why, hint: "it starts by itself; its answer comes into your inbox" };
    case "denied":
      return { status, ...about, error: why };
    case "running":
    case "completed":
      return { status: "launched", ...about };
    case "failed":
    case "timed_out":
    case "cancelled":
    case "lost":
    case "expired":
      if (started_at !== null) return { status: "launched", ...about };
      return { status: status === "failed" ? "launch_failed" : "error", ...about, error: why ?? status };
    default:
      return status satisfies never;
  }
}
