// A mission between two machines: from `intercom_ask` through a real MCP server until the agent runs on the other
// machine, and from a line that the agent prints until the hub shows it. The agent is a shell that prints the time.
import { mkdirSync } from "node:fs";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { binary } from "../test/rig/binary.ts";
import { Fleet, type Machine } from "../test/rig/fleet.ts";
import { waitFor } from "../test/rig/wait.ts";
import { type Bench, interleaved, median, p99 } from "./measure.ts";

const baseline = "bare start of the same program";
const started = "intercom_ask → the agent runs";
const shown = "printed → shown by the hub";

/** unix ms, printed when it starts and a moment later, while it still runs */
const agent = ["-c", "date +%s%3N; cat > /dev/null; sleep 0.2; date +%s%3N; sleep 0.5"];

export const missions: Bench = {
  name: "missions",
  about: "a mission that nobody has to approve: started, and seen at work, on another machine",
  runs: 40,
  async run({ runs }) {
    const limits = { AI_INTERCOM_LIMITS_RATE: "100000", AI_INTERCOM_LIMITS_BURST: "100000" };
    await using fleet = await Fleet.start(["hub", "atlas", "limn"], limits, (machine) => {
      mkdirSync(machine.directory("app"), { recursive: true });
      return {
        projects: [{ id: "app", path: machine.directory("app") }],
        agent_launcher: {
          allowed_paths: [machine.directory("")],
          default_command: "clock",
          commands: { clock: { command: "/bin/sh", args: agent } },
        },
      };
    });
    await Bun.write(`${fleet.machine("limn").home}/policies.yml`, "defaults: {require_approval: never}\n");
    await using asker = await Asker.start(fleet.machine("atlas"));
    const seen: number[] = [];
    const series = await interleaved(
      {
        [baseline]: bareStart,
        [started]: async () => {
          const run = await asker.run();
          seen.push(run.shown);
          return run.started;
        },
      },
      runs,
    );
    series.set(shown, seen.slice(-(series.get(started)?.length ?? 0)));
    return {
      series,
      baseline,
      bounds: [
        { what: "started, median", value: median(series, started), below: 50, unit: "ms" },
        { what: "shown, p99", value: p99(series, shown), below: 300, unit: "ms" },
      ],
      notes: [
        "the clocks are one clock; `shown` is what a loop of intercom_status calls sees, its own time included",
      ],
    };
  },
};

async function bareStart(): Promise<number> {
  const at = Date.now();
  const child = Bun.spawn(["/bin/sh", "-c", "date +%s%3N"], { stdio: ["ignore", "pipe", "ignore"] });
  return Number(await new Response(child.stdout).text()) - at;
}

type Status = { status: string; feedback: { summary: string }[] };

class Asker implements AsyncDisposable {
  #count = 0;

  private constructor(private readonly client: Client) {}

  static async start(machine: Machine): Promise<Asker> {
    const client = new Client({ name: "bench", version: "1" });
    await client.connect(
      new StdioClientTransport({ command: binary, args: ["mcp-server"], env: machine.env, cwd: "/tmp" }),
    );
    return new Asker(client);
  }

  /** ms from the call to the agent's first line, and from its second line to the hub's answer that shows it. */
  async run(): Promise<{ started: number; shown: number }> {
    const at = Date.now();
    const { status, mission_id } = await this.#call<{ status: string; mission_id: string }>("intercom_ask", {
      to: "limn/app",
      message: `what time is it? (${++this.#count})`,
    });
    if (status !== "launched") throw new Error(`intercom_ask answered ${status}`);
    const look = () => this.#call<Status>("intercom_status", { mission_id });
    const both = await waitFor("its second line", async () => {
      const { feedback } = await look();
      return feedback.length === 2 && { feedback, at: Date.now() };
    });
    await waitFor("its end", async () => (await look()).status === "completed");
    const [first, second] = both.feedback.map(({ summary }) => Number(summary));
    return { started: (first ?? Number.NaN) - at, shown: both.at - (second ?? Number.NaN) };
  }

  async #call<T>(name: string, given: Record<string, unknown>): Promise<T> {
    const { structuredContent } = await this.client.callTool({ name, arguments: given });
    return structuredContent as T; // boundary: the tool's answer
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.client.close();
  }
}
