// Brings a queued mission to its machine: asks what would run there, puts it to a person where the machine's policy
// wants that and nothing is granted, and has it started. An attempt may be repeated at any time: until its machine
// answers for it a mission is merely queued, and a machine begins a run once.
import type { z } from "zod";
import { formatAddress } from "../protocol/address.ts";
import { IntercomError, toIntercomError } from "../protocol/errors.ts";
import {
  type MissionOrder,
  MissionPlanAnswer,
  type MissionStart,
  MissionStartAnswer,
  newApprovalId,
} from "../protocol/mission.ts";
import type { Mission, MissionTransition } from "../store/mission-store.ts";
import { crashPoint } from "../system/crash-point.ts";
import { log } from "../system/log.ts";
import { background } from "../system/wait.ts";
import { tellApproval, tellMission } from "./mission-events.ts";
import { isoAt, type Parts } from "./parts.ts";

/** ms a daemon may take to say what it would run, and to begin it; the asker's own daemon waits 15 s in all */
export const missionAnswerMs = 5_000;

type Refusal = Extract<z.infer<typeof MissionPlanAnswer>, { verdict: "refused" }>;
type Ready = Extract<z.infer<typeof MissionPlanAnswer>, { verdict: "ready" }>;
/** How the mission stands after an attempt; `refusal` when its machine just refused it. */
export type Attempt = { mission: Mission; refusal?: Refusal };

export class Dispatcher {
  readonly #parts: Parts;
  readonly #onEnd: () => void;
  readonly #onUnwanted: (mission: Mission) => void;
  readonly #running = new Map<string, Promise<Attempt>>();
  readonly #again = new Set<string>();

  /** `onUnwanted`: a machine began a run that was cancelled in the meantime. */
  constructor(parts: Parts, { onEnd, onUnwanted }: { onEnd: () => void; onUnwanted: (m: Mission) => void }) {
    this.#parts = parts;
    this.#onEnd = onEnd;
    this.#onUnwanted = onUnwanted;
  }

  /** One attempt at a time for each mission; who asks meanwhile gets its outcome. Throws `unknown_mission`. */
  attempt(id: string): Promise<Attempt> {
    const running = this.#running.get(id);
    if (running) {
      this.#again.add(id);
      return running;
    }
    const attempt = this.#attempt(id).finally(() => {
      this.#running.delete(id);
      if (this.#again.delete(id)) this.start(id);
    });
    this.#running.set(id, attempt);
    return attempt;
  }

  start(id: string): void {
    background("mission dispatch", () => this.attempt(id));
  }

  /** Why the mission's machine, which is linked, would not run it as it is given; nothing is changed. */
  async refusal(mission: Mission): Promise<Refusal | undefined> {
    if (!this.#parts.links.isLinked(mission.machine)) return undefined;
    const answer = await this.#ask(mission, "mission_plan", orderOf(mission), MissionPlanAnswer);
    return typeof answer !== "string" && answer.verdict === "refused" ? answer : undefined;
  }

  /** Everything that was begun is done. */
  async settled(): Promise<void> {
    while (this.#running.size > 0) {
      this.#again.clear();
      await Promise.allSettled(this.#running.values());
    }
  }

  async #attempt(id: string): Promise<Attempt> {
    const mission = await this.#parts.store.mission(id);
    if (!mission) throw new IntercomError("unknown_mission", `there is no mission ${id}`);
    if (mission.status !== "queued" || mission.taken_at !== null) return { mission };
    if (!this.#parts.links.isLinked(mission.machine))
      return this.#waits(mission, this.#parts.links.offlineReason(mission.machine));
    if (mission.plan_hash !== null) return this.#begin(mission, mission.plan_hash);
    return this.#plan(mission);
  }

  async #plan(mission: Mission): Promise<Attempt> {
    const answer = await this.#ask(mission, "mission_plan", orderOf(mission), MissionPlanAnswer);
    if (typeof answer === "string") return this.#waits(mission, answer);
    if (answer.verdict === "refused") return this.#refused(mission, answer);
    crashPoint("mission.planned");
    const allowed = await this.#allowedBy(mission, answer);
    if (allowed === undefined) return this.#askPerson(mission, answer);
    const cleared = await this.#move(mission, {
      plan_hash: answer.plan.hash,
      approved_by: allowed.by,
      reason: null,
    });
    if (!cleared) return this.#asItStands(mission);
    crashPoint("mission.cleared");
    return this.#begin(cleared, answer.plan.hash);
  }

  /** undefined: a person has to be asked. The asker can only tighten what the machine's policy says. */
  async #allowedBy(mission: Mission, { approval, plan }: Ready): Promise<{ by: string | null } | undefined> {
    const { from, machine, project, type, mission_id, request } = mission;
    if (request.require_approval === "always") return undefined;
    if (approval === "never") return { by: null };
    const grant = await this.#parts.store.matchingGrant({ from, machine, project, type, mission_id, plan });
    return grant ? { by: grant.created_by } : undefined;
  }

  async #askPerson(mission: Mission, { approval, label, plan }: Ready): Promise<Attempt> {
    const { store, config, now } = this.#parts;
    const nowMs = now();
    const asked = await store.requestApproval(
      {
        id: newApprovalId(),
        mission_id: mission.mission_id,
        run: mission.run,
        from: formatAddress(mission.from),
        to: `${mission.machine}/${mission.project}`,
        type: mission.type,
        text: mission.text,
        level: approval,
        ...(label === undefined ? {} : { label }),
        plan,
        requested_at: isoAt(nowMs),
        expires_at: isoAt(nowMs + config.approvals.expire_minutes * 60_000),
      },
      mission.version,
    );
    crashPoint("mission.approval-asked");
    if (!asked) return this.#asItStands(mission);
    tellApproval(this.#parts, asked.approval);
    tellMission(this.#parts, asked.mission);
    return { mission: asked.mission };
  }

  async #begin(mission: Mission, hash: string): Promise<Attempt> {
    const start: MissionStart = {
      order: orderOf(mission),
      hash,
      ...(mission.approved_by === null ? {} : { approved_by: mission.approved_by }),
    };
    const answer = await this.#ask(mission, "mission_start", start, MissionStartAnswer);
    if (typeof answer === "string") return this.#waits(mission, answer);
    if (answer.verdict === "refused") return this.#refused(mission, answer);
    crashPoint("mission.begun");
    const taken = await this.#move(mission, {
      status: answer.status,
      taken_at: isoAt(this.#parts.now()),
      ...(answer.status === "running"
        ? { started_at: answer.at, reason: null }
        : { reason: `waits for its turn on ${mission.machine}` }),
    });
    if (taken) return { mission: taken };
    // its machine's report was faster, or somebody cancelled it
    const { mission: standing } = await this.#asItStands(mission);
    const lives =
      standing.run === mission.run && (standing.status === "queued" || standing.status === "running");
    if (!lives) this.#onUnwanted(mission);
    return { mission: standing };
  }

  /** The daemon's answer; or, as text, why there is none now. */
  async #ask<S extends z.ZodType>(
    { machine, mission_id }: Mission,
    op: string,
    payload: MissionOrder | MissionStart,
    schema: S,
  ): Promise<z.output<S> | string> {
    try {
      const answer = await this.#parts.links.request(machine, op, payload, missionAnswerMs, "refuse");
      const parsed = schema.safeParse(answer);
      if (parsed.success) return parsed.data;
      log.warn("a daemon's answer about a mission cannot be read", { machine, op, error: parsed.error });
      return `machine ${machine} gave an answer that cannot be read; it is tried again`;
    } catch (thrown) {
      const error = toIntercomError(thrown);
      const { links } = this.#parts;
      if (!links.isLinked(machine)) return links.offlineReason(machine);
      log.warn("a daemon did not take a mission", { machine, mission: mission_id, op, error });
      return `machine ${machine}: ${error.message}; it is tried again`;
    }
  }

  async #waits(mission: Mission, reason: string): Promise<Attempt> {
    if (mission.reason === reason) return { mission };
    const waiting = await this.#move(mission, { reason });
    return waiting ? { mission: waiting } : this.#asItStands(mission);
  }

  async #refused(mission: Mission, refusal: Refusal): Promise<Attempt> {
    const { status, reason, hint } = refusal;
    const over = await this.#move(mission, {
      status: status === "denied" ? "denied" : "failed",
      reason: hint ? `${reason} (${hint})` : reason,
    });
    if (!over) return this.#asItStands(mission);
    crashPoint("mission.refused");
    this.#onEnd();
    return { mission: over, refusal };
  }

  async #move(mission: Mission, change: MissionTransition): Promise<Mission | undefined> {
    const { store, now } = this.#parts;
    const moved = await store.moveMission(mission.mission_id, mission.version, change, isoAt(now()));
    if (moved) tellMission(this.#parts, moved);
    return moved;
  }

  async #asItStands(mission: Mission): Promise<Attempt> {
    return { mission: (await this.#parts.store.mission(mission.mission_id)) ?? mission };
  }
}

/** The same for the plan and, an hour later, for the start. */
function orderOf(mission: Mission): MissionOrder {
  const { mission_id, run, type, from, project, text, request, context } = mission;
  return {
    mission_id,
    run,
    type,
    from_agent: formatAddress(from),
    project,
    message: text,
    agent_command: request.agent_command,
    ...(request.timeout === undefined ? {} : { timeout: request.timeout }),
    files: request.files,
    context,
  };
}
