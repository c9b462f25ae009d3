// A fleet whose machines may start the scripted agent (mission-agent.ts), and what tests of missions ask of it.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { ScriptedAgent, ToolResult } from "./agent";
import { Fleet, type Machine } from "./fleet";
import { waitFor } from "./wait";

const script = join(import.meta.dir, "mission-agent.ts");

/** on every machine */
const projects = ["mnemos", "website"];

/** limn is the hub's host, atlas has joined; missions may run in every project's directory of both. */
export function missionFleet(
  names: string[] = ["limn", "atlas"],
  env: Record<string, string> = {},
): Promise<Fleet> {
  return Fleet.start(names, env, (machine) => ({
    projects: projects.map((id) => {
      mkdirSync(machine.directory(id), { recursive: true });
      return { id, path: machine.directory(id) };
    }),
    agent_launcher: {
      default_command: "scripted",
      allowed_paths: [machine.directory("")],
      commands: {
        scripted: { command: process.execPath, args: [script], format: "claude" },
        plain: { command: "/bin/sh", args: ["-c", "echo first; cat > /dev/null; echo last"] },
      },
    },
  }));
}

// biome-ignore lint/suspicious/noExplicitAny: the tests assert the shape
type Json = any;

/** The approval that waits for this mission. */
export function pending(host: Machine, missionId: string): Promise<Json> {
  return waitFor(`an approval of ${missionId}`, async () => {
    const { approvals } = await host.json("approvals");
    return approvals.find((one: Json) => one.mission_id === missionId && one.status === "pending");
  });
}

/** The mission once it has reached one of these; throws what it last saw. */
export function reached(host: Machine, missionId: string, ...status: string[]): Promise<Json> {
  return waitFor(`${missionId} to be ${status.join(" or ")}`, async () => {
    const mission = await host.json("missions", "show", missionId);
    if (!status.includes(mission.status)) throw new Error(`${mission.status}: ${mission.reason ?? ""}`);
    return mission;
  });
}

/** The response of this mission's latest end, once it stands in the asker's inbox; everything before it is read. */
export function response(agent: ScriptedAgent, missionId: string): Promise<ToolResult> {
  return waitFor(`the response of ${missionId}`, async () => {
    const answer = await agent.call("intercom_check_inbox");
    if (answer.delivery) await agent.proveContext(JSON.stringify(answer));
    return (answer.messages as ToolResult[]).find(({ from_agent }) => from_agent.endsWith(`@${missionId}`));
  });
}
