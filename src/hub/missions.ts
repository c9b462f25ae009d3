// Missions at the hub: asked for, continued, cancelled, reported on, lost. Every step is a compare-and-set in the
// store first; what a machine or a person must be told follows, and is repeated after a restart.
import { type Address, formatAddress, parseAddress } from "../protocol/address.ts";
import { IntercomError, toIntercomError } from "../protocol/errors.ts";
import type { Caller, HubParsed, Presence, RouteInput } from "../protocol/hub-api.ts";
import { newThreadId } from "../protocol/ids.ts";
import {
  type MissionCancel,
  MissionCancelAnswer,
  type MissionReportAnswer,
  MissionRequest,
  newMissionId,
} from "../protocol/mission.ts";
import type { Mission, MissionOutcome, MissionTransition } from "../store/mission-store.ts";
import { crashPoint } from "../system/crash-point.ts";
import { log } from "../system/log.ts";
import { background } from "../system/wait.ts";
import { contentHash, messageConflict, tellMessage, threadConflict } from "./acceptance.ts";
import type { From } from "./callers.ts";
import { type Attempt, Dispatcher, missionAnswerMs } from "./mission-dispatch.ts";
import { tellApproval, tellEntries, tellMission } from "./mission-events.ts";
import { visibleMission } from "./mission-queries.ts";
import { answerTo, missionContext } from "./mission-request.ts";
import type { Answer } from "./operations.ts";
import { isoAt, keepForSessionMs, type Parts } from "./parts.ts";
import { requireMachine, requireProject } from "./recipients.ts";
import { isMember } from "./thread.ts";

/** ms a cancel waits for the end of what it stops */
const stopWaitMs = 2_000;

type Ask = RouteInput & { type: Mission["type"] };
type Task = Pick<Mission, "request" | "context" | "from" | "hash" | "text">;
type Cancelled = { mission_id: string; status: Mission["status"]; reason?: string };

export class Missions {
  readonly #parts: Parts;
  readonly #dispatcher: Dispatcher;
  readonly #tellNotices: () => void;

  constructor(parts: Parts, tellNotices: () => void) {
    this.#parts = parts;
    this.#tellNotices = tellNotices;
    const onUnwanted = (mission: Mission) => this.#stop(mission, "it was cancelled before it began");
    this.#dispatcher = new Dispatcher(parts, { onEnd: tellNotices, onUnwanted });
  }

  settled(): Promise<void> {
    return this.#dispatcher.settled();
  }

  /** One attempt to have a queued mission started; resolves with how it stands. */
  attempt(id: string): Promise<Attempt> {
    return this.#dispatcher.attempt(id);
  }

  /** `ask` and `start_agent`. What it answers is durable; a retry is answered from what stands. */
  async ask(input: Ask, to: string | undefined, from: From): Promise<Answer> {
    if (input.payload.thread_id !== undefined)
      throw new IntercomError("bad_request", "a mission has a thread of its own", {
        hint: "hand a thread over with context_thread, or continue a finished mission by its mission_id",
      });
    const request = input.payload.mission ?? MissionRequest.parse({});
    const known = await this.#parts.store.missionOfMessage(input.payload.message_id);
    const context = known ? [] : await missionContext(this.#parts, request.context_thread, from);
    const what = { request, context, from, hash: contentHash(input), text: input.payload.message };
    if (request.continues !== undefined) {
      if (input.type !== "ask") throw new IntercomError("bad_request", "only an ask continues a mission");
      return { later: this.#continue(input, request.continues, to, what, known !== undefined) };
    }
    const place = await this.#projectOf(to, known !== undefined);
    const { message_id, new_thread_id } = input.payload;
    const created = this.#parts.store.createMission({
      ...what,
      ...place,
      mission_id: request.id ?? newMissionId(new Date(this.#parts.now())),
      thread_id: new_thread_id ?? newThreadId(),
      type: input.type,
      message_id,
      to_agent: `${place.machine}/${place.project}`,
      at: isoAt(this.#parts.now()),
    });
    return { later: this.#asked(input, created) };
  }

  async report(machine: string, input: HubParsed<"mission_report">): Promise<MissionReportAnswer> {
    const { store, now } = this.#parts;
    const outcome = await store.reportMission(machine, input, isoAt(now()));
    crashPoint("mission.reported");
    if (outcome.outcome === "unwanted") return { entries: 0, output: 0, unwanted: true };
    const { mission, fresh, changed, entries, output } = outcome;
    tellEntries(this.#parts, mission, fresh);
    if (changed) tellMission(this.#parts, mission);
    if (changed && mission.finished_at !== null) this.#tellNotices();
    return { entries, output, unwanted: false };
  }

  /** What runs ends by its machine's report; the answer waits for it a moment. */
  async cancel(caller: Caller, { id, session_id }: HubParsed<"mission_cancel">): Promise<Cancelled> {
    const seen = await visibleMission(this.#parts, caller, id, session_id);
    if (!mayCancel(caller, seen, session_id))
      throw new IntercomError("forbidden", `mission ${id} was asked for by ${formatAddress(seen.from)}`, {
        hint: "only who asked for it, or the person, may cancel it",
      });
    const by = caller.kind === "person" ? caller.name : formatAddress(seen.from);
    for (;;) {
      const mission = (await this.#parts.store.mission(id)) ?? seen;
      if (mission.finished_at !== null) return cancelled(mission, "it had ended already");
      const withHub = mission.status !== "running" && mission.taken_at === null;
      const reason = `cancelled by ${by}`;
      if (withHub) {
        const moved = await this.#move(mission, { status: "cancelled", reason });
        if (moved) return cancelled(moved);
        continue;
      }
      // kept with the wish: it may be told much later
      if (mission.cancel_requested || (await this.#move(mission, { cancel_requested: true, reason })))
        return this.#stopNow(mission, reason);
    }
  }

  /**
   * A machine said what it has: what it began and does not name is lost, what waits for it is sent. `heardMs`: what
   * it took after it said so is not meant.
   */
  async present(machine: string, missions: Presence["missions"], heardMs: number): Promise<void> {
    const named = missions && new Set(missions.map(nameOf));
    const heardAt = isoAt(heardMs);
    for (const mission of await this.#parts.store.liveMissions(machine)) {
      const isHere = named?.delete(nameOf(mission));
      if (mission.taken_at === null) this.#sendOut(mission);
      else if (isHere === false && mission.taken_at < heardAt) await this.#lose(mission);
      else if (mission.cancel_requested) this.#stop(mission, mission.reason ?? "cancelled");
    }
    crashPoint("mission.present");
    for (const { mission_id, run } of missions ?? []) {
      if (!named?.has(nameOf({ mission_id, run }))) continue;
      const mission = await this.#parts.store.mission(mission_id);
      if (mission?.machine === machine && mission.run === run && mission.status === "cancelled")
        this.#stop(mission, mission.reason ?? "cancelled");
    }
  }

  /** What a clock must bring about: further attempts, repeated cancels, and the end of waiting. */
  async sweep(): Promise<void> {
    const { store, links, now } = this.#parts;
    const tooOld = isoAt(now() - keepForSessionMs);
    for (const mission of await store.liveMissions()) {
      const isWaiting = mission.status === "queued" && mission.taken_at === null;
      if (isWaiting && mission.requested_at <= tooOld)
        await this.#move(mission, {
          status: "expired",
          reason: `it waited for 7 days: ${mission.reason ?? "not started"}`,
        });
      else if (isWaiting && links.isLinked(mission.machine)) this.#sendOut(mission);
      else if (mission.cancel_requested && links.isLinked(mission.machine))
        this.#stop(mission, mission.reason ?? "cancelled");
    }
  }

  /** The store changed these with something else: who watches is told, and machines are. */
  async ended(missions: readonly Mission[]): Promise<void> {
    for (const mission of missions) {
      if (mission.finished_at === null) this.#stop(mission, mission.reason ?? "cancelled");
      else await this.#tellWithdrawn(mission);
      tellMission(this.#parts, mission);
    }
    if (missions.length > 0) this.#tellNotices();
  }

  async #continue(
    input: Ask,
    id: string,
    to: string | undefined,
    what: Task,
    known: boolean,
  ): Promise<unknown> {
    const { store, now } = this.#parts;
    for (;;) {
      const mission = await store.mission(id);
      const members = mission && (await store.members(mission.thread_id));
      if (!mission || !members || !isAsker(mission, what.from, members))
        throw new IntercomError("unknown_mission", `there is no mission ${id} of yours`);
      const place = `${mission.machine}/${mission.project}`;
      if (to !== undefined && to !== place)
        throw new IntercomError("bad_request", `mission ${id} is in ${place}, not in ${to}`);
      const next = continuing(mission, what);
      // a refusal must not replace what the run before left
      const refusal =
        known || mission.finished_at === null ? undefined : await this.#dispatcher.refusal(next);
      if (refusal) return answerTo({ mission, refusal });
      const outcome = await store.continueMission(id, mission.version, {
        ...what,
        request: next.request,
        message_id: input.payload.message_id,
        to_agent: place,
        at: isoAt(now()),
      });
      if (outcome.outcome !== "stale") return this.#asked(input, Promise.resolve(outcome));
      if (mission.finished_at === null)
        throw new IntercomError("conflict", `mission ${id} is ${mission.status}`, {
          hint: `while it runs, write to it: intercom_chat to ${place}@${id}`,
        });
    }
  }

  async #asked(input: Ask, asked: Promise<MissionOutcome>): Promise<unknown> {
    const outcome = await asked;
    const { message_id, new_thread_id = "", mission: request, await_delivery } = input.payload;
    if (outcome.outcome === "conflict") {
      if (outcome.over === "message") throw messageConflict(message_id);
      if (outcome.over === "thread") throw threadConflict(new_thread_id);
      throw new IntercomError("conflict", `mission id ${request?.id} is taken`, {
        hint: "propose another mission id",
      });
    }
    crashPoint("mission.asked");
    const { mission } = outcome;
    if (outcome.outcome === "created") this.#tellAsked(mission);
    const attempt = this.#dispatcher.attempt(mission.mission_id);
    // nobody waits for the machine's answer: what becomes of it comes as a response
    if (await_delivery !== false) return answerTo(await attempt);
    background("mission dispatch", () => attempt);
    return answerTo({ mission });
  }

  #tellAsked(mission: Mission): void {
    const { message_id: id, hash, thread_id, type, from, text, requested_at: at } = mission;
    const to_agent = `${mission.machine}/${mission.project}`;
    tellMessage(this.#parts, { id, hash, thread_id, opens_thread: true, type, from, to_agent, text, at });
    tellMission(this.#parts, mission);
  }

  /** Where a new mission shall run. A retry was checked when it was new. */
  async #projectOf(to: string | undefined, known: boolean): Promise<{ machine: string; project: string }> {
    const address: Address | undefined = to === undefined ? undefined : parseAddress(to);
    if (address?.kind !== "project")
      throw new IntercomError("bad_request", "to_agent: a mission runs in machine/project", {
        hint: "ai-intercom agents lists them; a session that runs is reached with chat",
      });
    const { machine, project } = address;
    if (known) return { machine, project };
    await requireMachine(this.#parts, machine);
    await requireProject(this.#parts, address);
    return { machine, project };
  }

  #sendOut(mission: Mission): void {
    if (mission.status === "queued") this.#dispatcher.start(mission.mission_id);
  }

  async #lose(mission: Mission): Promise<void> {
    const reason = `machine ${mission.machine} does not know of it any more`;
    await this.#move(mission, { status: "lost", reason });
  }

  #stop(mission: Mission, reason: string): void {
    background("mission cancel", () => this.#askToStop(mission, reason));
  }

  async #stopNow(mission: Mission, reason: string): Promise<Cancelled> {
    const { events, links, store } = this.#parts;
    const { mission_id, machine } = mission;
    const ended = events.missionEnd(mission_id, stopWaitMs);
    await this.#askToStop(mission, reason);
    await ended.until;
    ended.forget();
    const after = (await store.mission(mission_id)) ?? mission;
    if (after.finished_at !== null) return cancelled(after);
    return cancelled(
      after,
      links.isLinked(machine)
        ? `machine ${machine} is stopping it`
        : `machine ${machine} is offline: it is stopped when that is back`,
    );
  }

  /** Tells the machine. One that has no such run has lost it. */
  async #askToStop({ mission_id, run, machine }: Mission, reason: string): Promise<void> {
    const { links, store } = this.#parts;
    const cancel: MissionCancel = { mission_id, run, reason };
    if (!links.isLinked(machine)) return;
    try {
      const answer = await links.request(machine, "mission_cancel", cancel, missionAnswerMs, "refuse");
      const { status } = MissionCancelAnswer.parse(answer);
      if (status !== "unknown") return;
    } catch (thrown) {
      log.warn("a machine was not told to stop a mission", {
        machine,
        mission: mission_id,
        error: toIntercomError(thrown),
      });
      return;
    }
    const mission = await store.mission(mission_id);
    if (mission?.run === run && mission.taken_at !== null && mission.finished_at === null)
      await this.#lose(mission);
  }

  async #move(mission: Mission, change: MissionTransition): Promise<Mission | undefined> {
    const { store, now } = this.#parts;
    const { mission_id, version, status } = mission;
    const moved = await store.moveMission(mission_id, version, change, isoAt(now()));
    if (!moved) return undefined;
    crashPoint("mission.moved");
    if (status === "pending_approval") await this.#tellWithdrawn(moved);
    tellMission(this.#parts, moved);
    if (moved.finished_at !== null) this.#tellNotices();
    return moved;
  }

  async #tellWithdrawn({ mission_id }: Mission): Promise<void> {
    const [newest] = await this.#parts.store.approvals({ all: true, mission_id, limit: 1 });
    if (newest?.status === "withdrawn") tellApproval(this.#parts, newest);
  }
}

const nameOf = ({ mission_id, run }: { mission_id: string; run: number }) => `${mission_id} ${run}`;

/** The further run as it would stand. Its conversation is known only to the agent that led it. */
function continuing(mission: Mission, task: Task): Mission {
  const agent_command = task.request.agent_command || mission.request.agent_command;
  return { ...mission, ...task, request: { ...task.request, agent_command }, run: mission.run + 1 };
}

function cancelled({ mission_id, status, reason: why }: Mission, reason = why ?? undefined): Cancelled {
  return { mission_id, status, ...(reason === undefined ? {} : { reason }) };
}

function mayCancel(caller: Caller, { from }: Mission, session: string | undefined): boolean {
  if (caller.kind === "person") return true;
  return (
    from.kind === "session" &&
    from.machine === caller.machine &&
    (session === undefined || from.session === session)
  );
}

/** Any session of the asker's project may go on with it, and the person with every one. */
function isAsker({ from }: Mission, who: From, members: readonly Address[]): boolean {
  if (who.kind === "human") return true;
  const isOurs = from.kind === "session" && from.machine === who.machine && from.project === who.project;
  return isOurs && isMember(members, who.machine, undefined);
}
