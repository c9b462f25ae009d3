// Reading missions: lists, one in detail, its history. Whoever is not in a mission's thread, nor its machine, nor the
// person, learns not even that it exists.
import { formatAddress } from "../protocol/address.ts";
import { IntercomError } from "../protocol/errors.ts";
import type { Caller, HubParsed } from "../protocol/hub-api.ts";
import type { ListedMission, MissionDetail, MissionHistory, MissionList } from "../protocol/mission.ts";
import type { Mission, MissionStep } from "../store/mission-store.ts";
import type { Parts } from "./parts.ts";
import { firstThatFit, inHistory, mayRead } from "./queries.ts";

/** UTF-16 units of output in one answer */
const outputPage = 30_000;
/** newest entries in one answer */
const feedbackShown = 100;
/** UTF-16 units of a mission's text in a list */
const listedText = 2_000;

/** Throws `unknown_mission`. */
export async function visibleMission(
  { store }: Parts,
  caller: Caller,
  id: string,
  session: string | undefined,
): Promise<Mission> {
  const mission = await store.mission(id);
  // the mission's own address, which is on its machine, is a member too
  const members = mission ? await store.members(mission.thread_id) : undefined;
  if (mission && members && mayRead(caller, members, session)) return mission;
  throw new IntercomError("unknown_mission", `there is no mission ${id} of yours`);
}

export async function listMissions(
  { store }: Parts,
  caller: Caller,
  { status, limit, session_id }: HubParsed<"missions">,
): Promise<MissionList> {
  const whose = caller.kind === "person" ? {} : { machine: caller.machine, session: session_id };
  const missions = (await store.missions({ status, limit, ...whose })).map(listed);
  return { missions: firstThatFit(missions) };
}

export async function missionDetail(
  parts: Parts,
  caller: Caller,
  { id, session_id, output_from }: HubParsed<"mission">,
): Promise<MissionDetail> {
  const mission = await visibleMission(parts, caller, id, session_id);
  const { status, thread_id, text, run, requested_at, started_at, finished_at, turn_count } = mission;
  const output = await outputAt(parts, mission, output_from);
  const next = output_from + output.length;
  const entries = await parts.store.missionEntries(id, feedbackShown);
  return {
    mission_id: id,
    status,
    from: formatAddress(mission.from),
    to: `${mission.machine}/${mission.project}`,
    address: `${mission.machine}/${mission.project}@${id}`,
    thread_id,
    text,
    run,
    output,
    output_length: mission.output_length,
    ...(next < mission.output_length ? { output_next: next } : {}),
    feedback: entries.map(({ seq: _, ...entry }) => entry),
    requested_at,
    started_at,
    finished_at,
    turn_count,
    ...(mission.cost_usd === null ? {} : { cost_usd: mission.cost_usd }),
    ...(mission.exit_code === null ? {} : { exit_code: mission.exit_code }),
    ...(mission.reason === null ? {} : { reason: mission.reason }),
  };
}

export async function missionHistory(
  parts: Parts,
  caller: Caller,
  { id, session_id, limit, after }: HubParsed<"mission_history">,
): Promise<MissionHistory> {
  const { thread_id } = await visibleMission(parts, caller, id, session_id);
  if (after !== undefined && !/^\d{1,15}\.[01]\.\d{1,15}$/.test(after))
    throw new IntercomError("bad_request", "after: that is no place in a mission's history", {
      hint: "use the `next` of the page before",
    });
  const steps = await parts.store.missionSteps(id, after, limit + 1);
  const page = firstThatFit(steps.slice(0, limit));
  const last = page.length < steps.length ? page.at(-1)?.place : undefined;
  return {
    mission_id: id,
    thread_id,
    messages: page.map(inMission),
    ...(last === undefined ? {} : { next: last }),
  };
}

/** A page never ends in the middle of a character. */
async function outputAt({ store }: Parts, { mission_id, output_length }: Mission, from: number) {
  const text = await store.missionOutput(mission_id, from, outputPage);
  const cut = from + text.length < output_length && /[\ud800-\udbff]$/.test(text);
  return cut && text.length > 1 ? text.slice(0, -1) : text;
}

function listed(mission: Mission): ListedMission {
  const { mission_id, type, status, text, thread_id, run, requested_at, started_at, finished_at, reason } =
    mission;
  return {
    mission_id,
    type,
    status,
    from: formatAddress(mission.from),
    to: `${mission.machine}/${mission.project}`,
    text: text.length > listedText ? `${text.slice(0, listedText)}…` : text,
    thread_id,
    run,
    requested_at,
    started_at,
    finished_at,
    ...(reason === null ? {} : { reason }),
  };
}

function inMission(step: MissionStep): MissionHistory["messages"][number] {
  if (step.kind === "message") return inHistory(step.message);
  const { kind, summary, timestamp } = step.entry;
  return { id: step.place, run: step.run, kind, message: summary, timestamp };
}
