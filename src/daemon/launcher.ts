// Runs missions on this machine: plans what would run, takes what may run, starts as many at once as allowed and keeps
// the others in order, and finds its runs again after a restart. What one run does is mission-run.ts.

import type { z } from "zod";
import { integrations } from "../integrations/integration.ts";
import { formatAddress } from "../protocol/address.ts";
import { toIntercomError } from "../protocol/errors.ts";
import type {
  MissionCancel,
  MissionCancelAnswer,
  MissionOrder,
  MissionPlanAnswer,
  MissionStart,
  MissionStartAnswer,
} from "../protocol/mission.ts";
import type { Config } from "../system/config.ts";
import { log } from "../system/log.ts";
import { ancestry, isAlive } from "../system/process.ts";
import { every } from "../system/wait.ts";
import { type Launch, planLaunch, type Refused, refused } from "./launch-plan.ts";
import { MissionRecords, runKeyOf } from "./mission-record.ts";
import { MissionReports, type ReportParts } from "./mission-reports.ts";
import { MissionRun, type RunParts, startingNow } from "./mission-run.ts";
import { Policies } from "./policies.ts";
import type { Projects } from "./projects.ts";

type PlanAnswer = z.infer<typeof MissionPlanAnswer>;
type StartAnswer = z.infer<typeof MissionStartAnswer>;
type CancelAnswer = z.infer<typeof MissionCancelAnswer>;

export type LauncherOptions = {
  projects: Projects;
  settings: Config["agent_launcher"];
  machine: string;
  home: string;
  /** file of the policies */
  policies: string;
  /** directory of the records */
  missions: string;
  language: "en" | "fr";
  /** what the agents inherit, cleaned */
  env: Record<string, string | undefined>;
  link: Pick<ReportParts, "isLinked" | "send">;
  /** which runs there are changed */
  onChange: () => void;
  /** ms between a polite signal and the end; default 5 s */
  graceMs?: number;
};

/** A process that belongs to a run. `own`: it is the mission's agent itself, not one that this agent started. */
export type MissionProcess = { mission_id: string; project: string; own: boolean };

const defaultGraceMs = 5_000;
/** runs that may wait on one machine */
const maxQueued = 1_000;
/** ms between looks for old records */
const tidyMs = 3600 * 1000;

export class Launcher {
  readonly #options: LauncherOptions;
  readonly #policies: Policies;
  readonly #records: MissionRecords;
  readonly #reports: MissionReports;
  readonly #runs = new Map<string, MissionRun>();
  #timer: ReturnType<typeof setInterval> | undefined;
  #stopped = false;
  /** a run that the hub has not been told to be taken: there is nothing to report of it yet */
  #taking: MissionRun | undefined;

  constructor(options: LauncherOptions) {
    this.#options = options;
    this.#policies = new Policies(options.policies);
    this.#records = MissionRecords.open(options.missions);
    this.#reports = new MissionReports({
      ...options.link,
      onTold: (run) => this.#told(run),
      onUnwanted: (run) => this.#unwanted(run),
    });
  }

  /** Finds the runs of an earlier daemon again, and starts what waited. */
  start(): void {
    for (const record of this.#records.all()) {
      if (record.state === "ended" && record.told_at !== undefined && !record.unswept) continue;
      const run = new MissionRun(record, this.#runParts());
      this.#runs.set(run.key, run);
    }
    for (const run of [...this.#runs.values()]) {
      if (run.record.state !== "queued") this.#adopt(run);
      this.#news(run);
    }
    this.#startNext();
    const tidy = () => this.#records.tidy(Date.now());
    tidy();
    this.#timer = every(tidyMs, "removing old missions", tidy);
  }

  /** The agents go on without this daemon. */
  stop(): void {
    this.#stopped = true;
    clearInterval(this.#timer);
    this.#reports.stop();
    for (const run of this.#runs.values()) run.close();
  }

  /** The link stands: the hub gets what it does not have. */
  linked(): void {
    this.#reports.linked();
  }

  /** What the hub must believe to be here: everything of which it has not heard the end. */
  unfinished(): { mission_id: string; run: number }[] {
    return [...this.#runs.values()]
      .filter(({ record }) => record.told_at === undefined)
      .map(({ record: { order } }) => ({ mission_id: order.mission_id, run: order.run }));
  }

  usesProject(project: string): boolean {
    return [...this.#runs.values()].some(
      ({ record }) => record.state !== "ended" && record.order.project === project,
    );
  }

  /** What would run, and what this machine's person wants to be asked first. Changes nothing. */
  plan(order: MissionOrder): PlanAnswer {
    const launch = this.#plan(order);
    if (launch.verdict === "refused") return launch;
    const policy = this.#policyFor(order);
    if (policy.verdict === "refused") return policy;
    const { approval, label } = policy;
    return { verdict: "ready", approval, ...(label === undefined ? {} : { label }), plan: launch.plan };
  }

  /** Takes a run: it starts now or in its turn. One that was taken before is answered again. */
  take({ order, hash, approved_by }: MissionStart): StartAnswer {
    const known = this.#records.get(order);
    if (known) return known.plan.hash === hash ? this.#answerFor(order) : refused("error", taken(order));
    const launch = this.#plan(order);
    if (launch.verdict === "refused") return launch;
    if (launch.plan.hash !== hash)
      return refused("denied", "what would run now is not what was decided on", {
        hint: "the project, the command or its arguments changed on that machine; ask again",
      });
    const policy = this.#policyFor(order);
    if (policy.verdict === "refused") return policy;
    if (policy.approval !== "never" && approved_by === undefined)
      return refused("denied", "this machine's policy wants an approval, and nobody gave one");
    if (this.#count("queued") >= maxQueued)
      return refused("launch_failed", `${maxQueued} missions wait on this machine already`);
    return this.#create(order, launch, approved_by);
  }

  cancel({ mission_id, run, reason }: MissionCancel): CancelAnswer {
    const found = this.#runs.get(runKeyOf({ mission_id, run }));
    if (!found) return { status: this.#records.get({ mission_id, run }) ? "ended" : "unknown" };
    if (found.record.state === "ended") return { status: "ended" };
    found.stop("cancelled", reason);
    return { status: "stopping" };
  }

  /** Whether `pid` was started by a run, by what the operating system says of its ancestors. */
  processOf(pid: number): MissionProcess | undefined {
    const chain = ancestry(pid);
    const leaders = new Map(
      [...this.#runs.values()].flatMap((run) => {
        const { process } = run.record;
        return run.isActive && process && isAlive(process) ? [[process.pid, run] as const] : [];
      }),
    );
    const at = chain.findIndex((look) => leaders.has(look.pid));
    const run = leaders.get(chain[at]?.pid ?? 0);
    if (!run) return undefined;
    const { mission_id, project } = run.record.order;
    // a wrapper's agent is the first one below it; an agent further down was started by that one
    const above = chain.slice(1, at + 1);
    const own = !above.some((look) => integrations.some((one) => one.isAgentProcess(look)));
    return { mission_id, project, own };
  }

  #plan(order: MissionOrder): Launch | Refused {
    const { projects, settings, env } = this.#options;
    const conversationOf = (missionId: string, run: number) =>
      this.#records
        .all()
        .filter(({ order }) => order.mission_id === missionId && order.run < run)
        .sort((a, b) => b.order.run - a.order.run)
        .flatMap(({ native_session_id: id, agent, order: { agent_command } }) =>
          id === undefined ? [] : [{ id, agent, agent_command }],
        )[0];
    return planLaunch(order, { projects, settings, conversationOf, searchPath: env.PATH ?? "" });
  }

  #policyFor({ from_agent, project, type, message }: MissionOrder) {
    const to = formatAddress({ kind: "project", machine: this.#options.machine, project });
    const verdict = this.#policies.decide({ from: from_agent, to, type, text: message });
    if (verdict.verdict === "level") return verdict;
    return refused("denied", `this machine's policies cannot be used: ${verdict.reason}`, {
      hint: verdict.hint,
    });
  }

  #create(order: MissionOrder, launch: Launch, approved_by: string | undefined): StartAnswer {
    const run = new MissionRun(
      {
        order,
        plan: launch.plan,
        prompt: launch.prompt,
        ...(launch.agent ? { format: launch.agentName } : {}),
        agent: launch.agentName,
        ...(approved_by === undefined ? {} : { approved_by }),
        taken_at: new Date().toISOString(),
        place: this.#records.nextPlace(),
        // where it can start now, one record on the disk says both: taken, and being started
        ...(this.#hasRoom() ? startingNow() : { state: "queued" as const }),
      },
      this.#runParts(),
    );
    try {
      this.#records.create(run.record);
    } catch (thrown) {
      log.error("a mission cannot be kept on disk", { mission: run.key, error: thrown });
      return refused("launch_failed", `this machine cannot keep it: ${toIntercomError(thrown).message}`);
    }
    this.#runs.set(run.key, run);
    this.#taking = run;
    if (run.isActive) this.#start(run);
    this.#taking = undefined;
    const { state, end } = run.record;
    if (state === "ended") {
      this.#forget(run);
      return refused("launch_failed", end?.reason ?? "it could not be started");
    }
    this.#news(run);
    this.#options.onChange();
    return this.#answerFor(order);
  }

  #answerFor(order: MissionOrder): StartAnswer {
    const record = this.#records.get(order);
    const queued = record?.state === "queued";
    const at =
      (queued ? record?.taken_at : record?.started_at) ?? record?.taken_at ?? new Date().toISOString();
    return { verdict: "taken", status: queued ? "queued" : "running", at };
  }

  /** First come, first served, as many as may run at once. */
  #startNext(): void {
    for (const run of [...this.#runs.values()]) {
      if (!this.#hasRoom()) return;
      if (run.record.state === "queued") this.#start(run);
    }
  }

  #hasRoom(): boolean {
    return !this.#stopped && this.#count("active") < this.#options.settings.max_parallel;
  }

  #start(run: MissionRun): void {
    try {
      run.start();
    } catch (error) {
      log.warn("a mission could not be started", { mission: run.key, error });
    }
  }

  #count(what: "queued" | "active"): number {
    const runs = [...this.#runs.values()];
    return runs.filter((run) => (what === "active" ? run.isActive : run.record.state === "queued")).length;
  }

  #adopt(run: MissionRun): void {
    try {
      run.adopt();
    } catch (error) {
      log.error("a mission of an earlier daemon cannot be followed", { mission: run.key, error });
    }
  }

  #runParts(): RunParts {
    const { home, language, env, settings, graceMs = defaultGraceMs } = this.#options;
    return {
      graceMs,
      records: this.#records,
      home,
      language,
      env,
      maxSeconds: settings.max_mission_duration,
      onNews: (run) => this.#news(run),
      onEnd: () => this.#startNext(),
      onSwept: (run) => this.#drop(run),
    };
  }

  #news(run: MissionRun): void {
    if (run !== this.#taking && run.record.told_at === undefined) this.#reports.tell(run);
  }

  #told(run: MissionRun): void {
    run.told();
    this.#drop(run);
    this.#options.onChange();
  }

  /** What is over and told need not be remembered here; its record is on disk. */
  #drop(run: MissionRun): void {
    const { state, told_at, unswept } = run.record;
    if (state !== "ended" || told_at === undefined || unswept) return;
    run.close();
    this.#runs.delete(run.key);
  }

  /** It is stopped; its record stays for a while, for the mission may be continued. */
  #unwanted(run: MissionRun): void {
    log.info("the hub does not want a mission any more", { mission: run.key });
    run.told();
    run.stop("cancelled", "the hub does not want it any more");
    this.#drop(run);
    this.#options.onChange();
  }

  #forget(run: MissionRun): void {
    run.close();
    this.#runs.delete(run.key);
    this.#records.remove(run.record);
  }
}

const taken = ({ mission_id, run }: MissionOrder): string =>
  `run ${run} of mission ${mission_id} was taken before, for another order`;
