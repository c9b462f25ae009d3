// Whoever writes to a mission that is over: its agent was for that task only and has ended. Only a continuation opens
// its session again, so such a message would wait for nobody.
import { type Address, formatAddress } from "../protocol/address.ts";
import type { ChatAnswer } from "../protocol/message.ts";
import { MissionId } from "../protocol/mission.ts";
import type { Mission } from "../store/mission-store.ts";
import type { Parts } from "./parts.ts";

/** The mission whose own session this address is, unless that session is open. */
export async function missionWithoutSession(
  { store }: Parts,
  address: Address,
): Promise<Mission | undefined> {
  if (address.kind !== "session" || !MissionId.safeParse(address.session).success) return undefined;
  const session = await store.session(address.machine, address.session);
  return session?.ended_at === null ? undefined : store.mission(address.session);
}

/** The ends that somebody may still read at; `over`: a mission among the others. */
export async function openEnds(
  parts: Parts,
  ends: readonly Address[],
): Promise<{ open: Address[]; over: Mission | undefined }> {
  const missions = await Promise.all(ends.map((end) => missionWithoutSession(parts, end)));
  const isOver = (at: number) => (missions[at]?.finished_at ?? null) !== null;
  return {
    open: ends.filter((_, at) => !isOver(at)),
    over: missions.find((_, at) => isOver(at)),
  };
}

/** What is true of a message to it, of which nothing is stored; and what to do instead. */
export function overAnswer(mission: Mission, from: Address): ChatAnswer {
  const { mission_id, status, started_at } = mission;
  const place = formatAddress({ kind: "project", machine: mission.machine, project: mission.project });
  const further =
    from.kind === "human"
      ? `ai-intercom ask ${place} "…" --continue ${mission_id}`
      : `intercom_ask(to="${place}", mission_id="${mission_id}", message="…") continues it`;
  const anew =
    from.kind === "human" ? `ai-intercom ask ${place} "…"` : `intercom_ask(to="${place}", message="…")`;
  return {
    status: "no_active_session",
    reason: `mission ${mission_id} is ${status}, and ${started_at === null ? "no agent ran for it" : "its agent has ended"}`,
    hint: started_at === null ? anew : further,
  };
}
