// What whoever watches is told of missions and approvals, after the commit.
import { formatAddress } from "../protocol/address.ts";
import type { Approval, MissionEntry } from "../protocol/mission.ts";
import type { Mission } from "../store/mission-store.ts";
import { isoAt, type Parts } from "./parts.ts";

type Telling = Pick<Parts, "events" | "now">;

export function tellMission({ events, now }: Telling, mission: Mission): void {
  const { mission_id, thread_id, run, status, from, machine, project, reason } = mission;
  events.emit({
    kind: "mission",
    at: isoAt(now()),
    mission_id,
    thread_id,
    run,
    status,
    from: formatAddress(from),
    to: `${machine}/${project}`,
    ...(reason === null ? {} : { reason }),
  });
}

export function tellEntries({ events, now }: Telling, mission: Mission, entries: readonly MissionEntry[]) {
  const { mission_id, run } = mission;
  for (const entry of entries)
    events.emit({ kind: "mission_entry", at: isoAt(now()), mission_id, run, entry });
}

export function tellApproval(
  { events, now }: Telling,
  { id, mission_id, status, decided_by }: Approval,
): void {
  events.emit({
    kind: "approval",
    at: isoAt(now()),
    id,
    mission_id,
    status,
    ...(decided_by === null ? {} : { by: decided_by }),
  });
}
