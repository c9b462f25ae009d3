// A scripted launcher: what a machine's daemon answers about missions, and what it reports. The test decides.
import { createHash } from "node:crypto";
import type { z } from "zod";
import type { Approval, MissionAnswer, MissionDetail } from "../../src/protocol/mission.ts";
import {
  type MissionCancel,
  type MissionChange,
  type MissionOrder,
  type MissionPlanAnswer,
  type MissionReportAnswer,
  type MissionStart,
  type MissionStartAnswer,
  newMissionId,
} from "../../src/protocol/mission.ts";
import { waitFor } from "../rig/wait.ts";
import { Peer, routeInput, session } from "./peer.ts";
import type { Reachable } from "./rig.ts";

type PlanAnswer = z.infer<typeof MissionPlanAnswer>;
type StartAnswer = z.infer<typeof MissionStartAnswer>;
type Ready = Extract<PlanAnswer, { verdict: "ready" }>;

/** A machine with the project `api`, which runs what it is asked to. */
export class Launcher {
  readonly peer: Peer;
  /** of its policy */
  level: Ready["approval"] = "never";
  /** part of every plan, and so of its hash */
  argv = ["agent", "-p"];
  readonly plans: MissionOrder[] = [];
  readonly starts: MissionStart[] = [];
  readonly cancels: MissionCancel[] = [];
  /** runs it has, in the words of its presence */
  runs: { mission_id: string; run: number }[] = [];
  /** how many it began */
  begun = 0;
  plan: (order: MissionOrder) => PlanAnswer | Promise<PlanAnswer> = (order) => this.ready(order);
  begin: (start: MissionStart) => StartAnswer | Promise<StartAnswer> = (start) => this.take(start);
  stop: (cancel: MissionCancel) => { status: string } | Promise<{ status: string }> = () => ({
    status: "stopping",
  });

  constructor(peer: Peer) {
    this.peer = peer;
    peer.answer = (op, payload) => this.#answer(op, payload);
  }

  static async online(hub: Reachable, id = "limn"): Promise<Launcher> {
    const launcher = new Launcher(new Peer(hub, id));
    await launcher.peer.enrol();
    await launcher.connect();
    return launcher;
  }

  async connect(): Promise<void> {
    await this.peer.connect();
    await this.presence();
  }

  presence(): Promise<unknown> {
    const projects = [{ project_id: "api", path: "/api", description: "", capabilities: [], tags: [] }];
    return this.peer.request("presence", { sessions: [session("api@s-b")], projects, missions: this.runs });
  }

  ready(order: MissionOrder): Ready {
    const hash = createHash("sha256")
      .update(JSON.stringify([order, this.argv]))
      .digest("hex");
    const plan = { directory: "/api", argv: this.argv, permission: "default", hash };
    return { verdict: "ready", approval: this.level, plan };
  }

  /** As the real one: a known run is answered again, another plan or an approval that is missing is refused. */
  take({ order, hash, approved_by }: MissionStart, status: "running" | "queued" = "running"): StartAnswer {
    const { mission_id, run } = order;
    const at = new Date().toISOString();
    if (this.runs.some((one) => one.mission_id === mission_id && one.run === run))
      return { verdict: "taken", status, at };
    if (this.ready(order).plan.hash !== hash)
      return { verdict: "refused", status: "denied", reason: "what would run has changed" };
    if (this.level !== "never" && approved_by === undefined)
      return { verdict: "refused", status: "denied", reason: "nobody approved it" };
    this.runs.push({ mission_id, run });
    this.begun += 1;
    return { verdict: "taken", status, at };
  }

  report(mission_id: string, report: Record<string, unknown>, run = 1): Promise<MissionReportAnswer> {
    return this.peer.request("mission_report", { mission_id, run, ...report });
  }

  /** Output and end of a run, which it then forgets. */
  async end(
    mission_id: string,
    status: MissionChange["status"] = "completed",
    {
      text = "",
      run = 1,
      ...more
    }: { text?: string; run?: number; reason?: string; exit_code?: number } = {},
  ): Promise<MissionReportAnswer> {
    const change = { status, at: new Date().toISOString(), ...more };
    const answer = await this.report(mission_id, { output: { offset: 0, text }, change }, run);
    this.runs = this.runs.filter((one) => one.mission_id !== mission_id || one.run !== run);
    return answer;
  }

  #answer(op: string, payload: unknown): unknown {
    switch (op) {
      case "mission_plan":
        this.plans.push(payload as MissionOrder);
        return this.plan(payload as MissionOrder);
      case "mission_start":
        this.starts.push(payload as MissionStart);
        return this.begin(payload as MissionStart);
      case "mission_cancel":
        this.cancels.push(payload as MissionCancel);
        return this.stop(payload as MissionCancel);
      default:
        throw new Error(`unknown request "${op}"`);
    }
  }
}

type More = { mission?: object; to?: string | undefined; [field: string]: unknown };

/** `from`: `project@session` of the peer's machine. */
export function ask(peer: Peer, from: string, message: string, more: More = {}): Promise<MissionAnswer> {
  return peer.request("route", askInput(`${peer.id}/${from}`, message, more));
}

export function askInput(from: string, message: string, more: More = {}) {
  const { mission = {}, to, ...rest } = { to: "limn/api", ...more };
  const wish = "continues" in mission ? mission : { id: newMissionId(), ...mission };
  return routeInput(from, to, message, { type: "ask", mission: wish, ...rest });
}

export const detail = async (hub: Reachable, id: string | undefined): Promise<MissionDetail> =>
  (await hub.person("GET", `/api/missions/${id}`)).body as unknown as MissionDetail;

export async function reaches(
  hub: Reachable,
  id: string | undefined,
  status: string,
): Promise<MissionDetail> {
  let last: MissionDetail | undefined;
  await waitFor(
    `mission ${id} is ${status}`,
    async () => {
      last = await detail(hub, id);
      return last.status === status;
    },
    { detail: () => JSON.stringify(last) },
  );
  return last as MissionDetail;
}

/** The answers of missions that a session of the peer got. */
export const responses = (peer: Peer) =>
  peer.received.filter(({ message }) => message.type === "response").map(({ message }) => message);

export async function responded(peer: Peer, count: number) {
  await waitFor(`${count} responses at ${peer.id}`, () => responses(peer).length >= count, {
    detail: () => JSON.stringify(peer.received),
  });
  return responses(peer);
}

/** The answer of that run, by its id: those of earlier missions may still be on their way. */
export function responseOf(peer: Peer, mission: string | undefined, run = 1) {
  const wanted = `response-${mission}-${run}`;
  return waitFor(`${wanted} at ${peer.id}`, () => responses(peer).find(({ id }) => id === wanted), {
    detail: () => JSON.stringify(peer.received),
  });
}

export async function pending(hub: Reachable): Promise<Approval[]> {
  const { body } = await hub.person("GET", "/api/approvals");
  return (body as unknown as { approvals: Approval[] }).approvals;
}

/** The person decides about the only approval that waits. */
export async function decide(
  hub: Reachable,
  decision: "approve" | "deny",
  scope?: "once" | "mission" | "session" | "always",
) {
  const [only, ...more] = await pending(hub);
  if (!only || more.length > 0) throw new Error(`${more.length + (only ? 1 : 0)} approvals wait, not one`);
  return hub.person("POST", `/api/approvals/${only.id}`, { decision, ...(scope ? { scope } : {}) });
}
