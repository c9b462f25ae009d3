// Missions with the real client: limn is the hub's host, and asks; atlas runs `claude -p` against the fake model. What
// the mission's agent read is asked of the model.

import { claudePath } from "../real/install";
import type { ScriptedAgent, ToolResult } from "./agent";
import { ClaudeHome } from "./claude-home";
import { FakeModel, type LoggedRequest } from "./fake-model";
import type { Step } from "./fake-script";
import { Fleet, type Machine } from "./fleet";
import { response } from "./missions";
import { isMainTurn } from "./stage";
import { waitFor } from "./wait";

export class MissionStage implements AsyncDisposable {
  private constructor(
    readonly model: FakeModel,
    readonly home: ClaudeHome,
    readonly fleet: Fleet,
    readonly limn: Machine,
    readonly atlas: Machine,
  ) {}

  /** `args`: the person's own arguments of the agent on atlas. */
  static async open(args = ["--dangerously-skip-permissions"]): Promise<MissionStage> {
    const model = FakeModel.start();
    const home = await ClaudeHome.create({ modelUrl: model.url, projects: ["app"] });
    const fleet = await Fleet.start(["limn"], {}, (machine) =>
      machine.name === "atlas" ? configOf(home, args) : undefined,
    );
    const atlas = await fleet.join("atlas", home.env());
    const { code, err } = await atlas.run(["install", "claude"]);
    if (code !== 0) throw new Error(`install claude exited ${code}: ${err}`);
    return new MissionStage(model, home, fleet, fleet.machine("limn"), atlas);
  }

  asker(): Promise<ScriptedAgent> {
    return this.limn.agent("web");
  }

  /** A gate of its own name: `step` holds an answer of the model there. */
  gate(): ReturnType<FakeModel["gate"]> & { step: Step } {
    const name = crypto.randomUUID();
    return { ...this.model.gate(name), step: { gate: name } };
  }

  /** What the mission's own agent asked the model, oldest first. */
  turns(missionId: string): LoggedRequest[] {
    return this.model
      .requests()
      .filter((one) => isMainTurn(one) && one.text.includes(`Mission ${missionId}`));
  }

  approve(missionId: string, ...more: string[]): Promise<unknown> {
    return this.limn.json("approvals", "approve", missionId, ...more);
  }

  status(missionId: string): Promise<ToolResult> {
    return this.limn.json("missions", "show", missionId);
  }

  /** Waits until the hub says what is looked for. */
  until(missionId: string, label: string, fits: (mission: ToolResult) => boolean): Promise<ToolResult> {
    let last: unknown;
    return waitFor(
      `${missionId} to be ${label}`,
      async () => {
        const mission = await this.status(missionId);
        last = mission;
        return fits(mission) && mission;
      },
      { timeoutMs: 45_000, detail: () => `${JSON.stringify(last)}\n${this.model.describe()}` },
    );
  }

  ended(missionId: string): Promise<ToolResult> {
    return this.until(missionId, "over", ({ finished_at }) => finished_at !== null);
  }

  /** The response in the asker's inbox; a client takes its time on a busy machine. */
  async response(asker: ScriptedAgent, missionId: string): Promise<ToolResult> {
    await this.ended(missionId);
    return response(asker, missionId);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.model[Symbol.asyncDispose]();
    await this.fleet[Symbol.asyncDispose]();
    await this.home[Symbol.asyncDispose]();
    if (this.model.problems.length > 0)
      throw new Error(`the fake model met: ${this.model.problems.join("; ")}`);
  }
}

function configOf(home: ClaudeHome, args: string[]) {
  return {
    projects: [{ id: "app", path: home.project("app") }],
    agent_launcher: {
      allowed_paths: [home.root],
      default_args: args,
      commands: { claude: { command: claudePath("2.1.330"), format: "claude" } },
    },
  };
}
