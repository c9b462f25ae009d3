// A launcher with a machine around it: a home, projects, agents that are small shell scripts, and a hub that keeps what
// is reported by the rules of the protocol.
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { Launcher } from "../../src/daemon/launcher.ts";
import { Projects } from "../../src/daemon/projects.ts";
import { DaemonState } from "../../src/daemon/state.ts";
import { IntercomError } from "../../src/protocol/errors.ts";
import type { HubInput } from "../../src/protocol/hub-api.ts";
import type { MissionChange, MissionEntry, MissionOrder } from "../../src/protocol/mission.ts";
import { Config } from "../../src/system/config.ts";
import { waitFor } from "../rig/wait.ts";

type Report = HubInput<"mission_report">;
type Kept = { entries: MissionEntry[]; output: string; changes: MissionChange[] };

/** What a hub has of each run; takes nothing twice and nothing behind a gap. */
class FakeHub {
  linked = true;
  unwanted = new Set<string>();
  readonly runs = new Map<string, Kept>();

  take({ mission_id, run, entries = [], output, change }: Report): unknown {
    if (!this.linked) throw new IntercomError("hub_unreachable", "the hub is away");
    const key = `${mission_id}.${run}`;
    const kept = this.run(key);
    this.runs.set(key, kept);
    const unwanted = this.unwanted.has(key);
    if (!unwanted) {
      for (const entry of entries) if (entry.seq === kept.entries.length + 1) kept.entries.push(entry);
      if (output?.offset === kept.output.length) kept.output += output.text;
      if (change) kept.changes.push(change);
    }
    return { entries: kept.entries.length, output: kept.output.length, unwanted };
  }

  run(key: string): Kept {
    return this.runs.get(key) ?? { entries: [], output: "", changes: [] };
  }

  /** The end of a run, once it is told. */
  async end(key: string, timeoutMs?: number): Promise<MissionChange> {
    return waitFor(
      `the end of ${key}`,
      () => this.run(key).changes.find(({ status }) => status !== "running"),
      { ...(timeoutMs ? { timeoutMs } : {}), detail: () => JSON.stringify([...this.runs]).slice(0, 3_000) },
    );
  }
}

type Settings = Record<string, unknown>;

export class Scene implements Disposable {
  readonly hub = new FakeHub();
  readonly projects: Projects;
  readonly settings: Config["agent_launcher"];
  launcher: Launcher;
  changes = 0;

  constructor(
    settings: Settings = {},
    readonly root: string = mkdtempSync("/tmp/aii-msn-"),
    readonly env: Record<string, string> = {},
  ) {
    for (const path of ["home", "code/app", "bin"])
      mkdirSync(`${root}/${path}`, { recursive: true, mode: 0o700 });
    const config = Config.parse({
      agent_launcher: { allowed_paths: [`${root}/code`], default_command: "agent", ...settings },
      projects: [{ id: "app", path: `${root}/code/app` }],
    });
    this.settings = config.agent_launcher;
    this.projects = new Projects(DaemonState.open(`${root}/home/daemon.json`), config.projects);
    this.launcher = this.#make();
  }

  /** A launcher that starts in this home, as a restarted daemon's does. */
  restart(): void {
    this.launcher.stop();
    this.launcher = this.#make();
    this.launcher.start();
  }

  policies(text: string): void {
    writeFileSync(`${this.root}/home/policies.yml`, text);
  }

  /** Takes an order as a hub does: the plan, then the start. Throws when it is refused. */
  begin(order: MissionOrder, approved_by: string | undefined = "test") {
    const plan = this.launcher.plan(order);
    if (plan.verdict === "refused") throw new Error(`refused: ${plan.status}: ${plan.reason}`);
    return this.launcher.take({ order, hash: plan.plan.hash, approved_by });
  }

  read(path: string): string {
    return readFileSync(`${this.root}/${path}`, "utf8");
  }

  [Symbol.dispose](): void {
    this.launcher.stop();
  }

  #make(): Launcher {
    const { root } = this;
    return new Launcher({
      projects: this.projects,
      settings: this.settings,
      machine: "limn",
      home: `${root}/home`,
      policies: `${root}/home/policies.yml`,
      missions: `${root}/home/missions`,
      language: "en",
      env: { PATH: `${root}/bin:${process.env.PATH}`, HOME: root, ...this.env },
      graceMs: 600,
      link: { isLinked: () => this.hub.linked, send: async (report) => this.hub.take(report) },
      onChange: () => {
        this.changes += 1;
      },
    });
  }
}

/** A program in the scene's PATH. */
export function script(root: string, name: string, text: string): void {
  mkdirSync(`${root}/bin`, { recursive: true });
  writeFileSync(`${root}/bin/${name}`, `#!/bin/sh\n${text}\n`);
  chmodSync(`${root}/bin/${name}`, 0o755);
}

/** A scene whose default agent runs this shell text; `format: text` unless said otherwise. */
export function sceneOf(text: string, settings: Settings = {}, agent: Settings = {}): Scene {
  const root = mkdtempSync("/tmp/aii-msn-");
  script(root, "agent-program", text);
  const scene = new Scene({ commands: { agent: { command: "agent-program", ...agent } }, ...settings }, root);
  scene.launcher.start();
  return scene;
}

export function orderOf(n: number, more: Partial<MissionOrder> = {}): MissionOrder {
  return {
    mission_id: `m-20261122-${n.toString(16).padStart(6, "0")}`,
    run: 1,
    type: "ask",
    from_agent: "atlas/web@s-20261122-aaaaaa",
    project: "app",
    message: `task ${n}`,
    agent_command: "",
    files: [],
    context: [],
    ...more,
  };
}

export const keyOf = (order: MissionOrder): string => `${order.mission_id}.${order.run}`;
