// What the product costs while nothing happens: a daemon with ten idle sessions, linked to a hub that is another
// process, and the MCP servers of those sessions. Beside them a Bun process that does nothing at all. Linux only.
import { readdirSync, readFileSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { Fleet, type Machine } from "../test/rig/fleet.ts";
import { waitFor } from "../test/rig/wait.ts";
import type { Bench, Series } from "./measure.ts";

const baseline = "bun, nothing to do";
const daemon = "daemon, 10 idle sessions";
const server = "one of its MCP servers";
const sessions = 10;
/** ms of one look at the processor time, and before the first: what a start leaves behind has settled by then */
const windowMs = 5_000;
const settleMs = 15_000;
/** clock ticks a second in /proc (proc(5); 100 on every Linux that Bun runs on) */
const ticksPerSecond = 100;

export const rest: Bench = {
  name: "rest",
  about: `processor time of ${windowMs / 1_000} s at rest`,
  runs: 5,
  async run({ runs }) {
    await using fleet = await Fleet.start(["hub", "atlas"]);
    const machine = fleet.machine("atlas");
    const agents = await idleAgents(machine);
    const idle = Bun.spawn([process.execPath, "-e", "setInterval(() => {}, 1 << 30)"], { stdin: "ignore" });
    try {
      const { body } = await machine.local("GET", "/health");
      const servers = agents.map(childOf);
      const pids = { [baseline]: idle.pid, [daemon]: Number(body.pid), [server]: servers[0] ?? 0 };
      await Bun.sleep(settleMs);
      const series = await processorTime(pids, runs);
      const used = (series.get(daemon) ?? []).reduce((sum, ms) => sum + ms, 0);
      const largest = Math.max(...servers.map((pid) => megabytes(pid, "VmRSS")));
      return {
        series,
        baseline,
        bounds: [
          { what: "daemon, of one core", value: (100 * used) / (windowMs * runs), below: 0.5, unit: "%" },
          { what: "daemon, resident", value: megabytes(pids[daemon], "VmRSS"), below: 70, unit: "MB" },
          { what: "MCP server, resident (the largest)", value: largest, below: 70, unit: "MB" },
        ],
        notes: [
          `resident, of that not shared with other processes: ${[...Object.entries(pids)]
            .map(
              ([name, pid]) =>
                `${name} ${megabytes(pid, "VmRSS").toFixed(0)} MB, ${megabytes(pid, "RssAnon").toFixed(0)} MB`,
            )
            .join("; ")}`,
        ],
      };
    } finally {
      idle.kill();
      await idle.exited;
    }
  },
};

/** Agents that say of themselves what an idle Claude Code says; their pids. */
async function idleAgents(machine: Machine): Promise<number[]> {
  const registry = `${machine.env.HOME}/.claude/sessions`;
  await mkdir(registry, { recursive: true });
  const pids: number[] = [];
  for (let at = 0; at < sessions; at++) {
    const agent = await machine.agent(`project-${at}`);
    const entry = {
      pid: agent.pid,
      sessionId: agent.nativeSessionId,
      status: "idle",
      statusUpdatedAt: Date.now(),
    };
    await Bun.write(`${registry}/${agent.pid}.json`, JSON.stringify(entry));
    await waitFor(`agent ${at} to be idle`, async () => (await agent.session())?.status === "idle");
    pids.push(agent.pid);
  }
  return pids;
}

async function processorTime(pids: Record<string, number>, windows: number): Promise<Series> {
  const series: Series = new Map(Object.keys(pids).map((name) => [name, []]));
  for (let at = 0; at < windows; at++) {
    const before = Object.entries(pids).map(([name, pid]) => ({ name, pid, ms: processorMs(pid) }));
    await Bun.sleep(windowMs);
    for (const { name, pid, ms } of before) series.get(name)?.push(processorMs(pid) - ms);
  }
  return series;
}

/** utime and stime, fields 14 and 15 of /proc/PID/stat. */
function processorMs(pid: number): number {
  const fields = statOf(pid);
  return ((Number(fields[11]) + Number(fields[12])) * 1_000) / ticksPerSecond;
}

function megabytes(pid: number | undefined, field: "VmRSS" | "RssAnon"): number {
  const found = new RegExp(`^${field}:\\s+(\\d+) kB`, "m").exec(readFileSync(`/proc/${pid}/status`, "utf8"));
  return Number(found?.[1]) / 1_024;
}

/** The MCP server that the agent started. */
function childOf(agent: number): number {
  const child = readdirSync("/proc").find((name) => /^\d+$/.test(name) && parentOf(Number(name)) === agent);
  if (!child) throw new Error(`agent ${agent} has no MCP server`);
  return Number(child);
}

function parentOf(pid: number): number | undefined {
  try {
    return Number(statOf(pid)[1]);
  } catch {
    return undefined; // ended between two reads
  }
}

/** The fields behind the command's name, from the state on. */
function statOf(pid: number): string[] {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  return stat.slice(stat.lastIndexOf(")") + 2).split(" ");
}
