// What this machine would run for an order, and whether it may: the project's real path inside an allowed one, a fixed
// command line from the configuration, no shell. A plan's hash binds what a person approved to what is started.
import { createHash } from "node:crypto";
import { realpathSync, statSync } from "node:fs";
import { posix } from "node:path";
import { type AgentMissions, integrationNamed } from "../integrations/integration.ts";
import { nearMatches } from "../protocol/address.ts";
import { toIntercomError } from "../protocol/errors.ts";
import type { LaunchPlan, MissionOrder } from "../protocol/mission.ts";
import type { Config, LaunchCommand } from "../system/config.ts";
import { contains, type Projects } from "./projects.ts";

export type Refused = {
  verdict: "refused";
  status: "denied" | "launch_failed" | "error";
  reason: string;
  hint?: string;
};
export type Launch = {
  verdict: "ready";
  plan: LaunchPlan;
  prompt: LaunchCommand["prompt"];
  /** whose output it is; undefined: text that is the answer */
  agent: AgentMissions | undefined;
  /** name of the integration, or of the command */
  agentName: string;
};

export type Planning = {
  projects: Projects;
  settings: Config["agent_launcher"];
  /** the agent's own conversation of an earlier run, and the command that led it; its name as it was asked for */
  conversationOf: (missionId: string, run: number) => Conversation | undefined;
  /** where programs are looked for */
  searchPath: string;
};

type Conversation = { id: string; agent: string; agent_command: string };

export function planLaunch(order: MissionOrder, planning: Planning): Launch | Refused {
  const place = directoryOf(order, planning);
  if (place.verdict === "refused") return place;
  const known = commandOf(order.agent_command, planning.settings);
  if (known.verdict === "refused") return known;
  const { name, command } = known;
  const program = programOf(command.command, planning.searchPath);
  if (program === undefined)
    return refused("launch_failed", `there is no program "${command.command}" on this machine`, {
      hint: `install it there, or set agent_launcher.commands.${name}.command; it is looked for in the daemon's PATH`,
    });
  const agent = command.format === "text" ? undefined : integrationNamed(command.format)?.missions;
  const more = name === planning.settings.default_command ? planning.settings.default_args : [];
  const resume = resumeOf(order, { agent, format: command.format }, planning);
  if (resume.verdict === "refused") return resume;
  // the command's own arguments first: they may name the script that an interpreter runs
  const line = (conversation?: string) => [
    program,
    ...command.args,
    ...(agent ? agent.argv({ args: more, resume: conversation }) : more),
  ];
  const argv = line(resume.conversation);
  const permission = agent?.permission(argv.slice(1)) ?? "default";
  const plan = { directory: place.directory, argv, permission };
  return {
    verdict: "ready",
    plan: {
      ...plan,
      ...(resume.conversation === undefined ? {} : { fresh_argv: line() }),
      hash: hashOf(order, plan),
    },
    prompt: command.prompt,
    agent,
    agentName: agent ? command.format : name,
  };
}

export function refused(status: Refused["status"], reason: string, more: { hint?: string } = {}): Refused {
  return { verdict: "refused", status, reason, ...more };
}

/** The real path counts, on both sides: a link out of an allowed directory leads out of it. */
function directoryOf(
  { project, files }: MissionOrder,
  { projects, settings }: Planning,
): { verdict: "found"; directory: string } | Refused {
  let path: string;
  try {
    path = projects.named(project).path;
  } catch (thrown) {
    const { message, hint } = toIntercomError(thrown);
    return refused("error", message, hint === undefined ? {} : { hint });
  }
  const directory = realDirectory(path);
  if (directory === undefined)
    return refused("launch_failed", `the directory of project "${project}" is not there`, {
      hint: "look at it on that machine; intercom_list_agents shows where it was",
    });
  const allowed = settings.allowed_paths.flatMap((one) => realDirectory(one) ?? []);
  if (!allowed.some((root) => contains(root, directory)))
    return refused("denied", `no agent may be started in project "${project}" on this machine`, {
      hint: `its person allows it in config.yml there: agent_launcher.allowed_paths must hold a directory above ${directory}`,
    });
  const outside = files.find((file) => leadsOut(file));
  if (outside !== undefined)
    return refused("error", `the file "${outside}" is not inside the project`, {
      hint: "name files by their paths in the receiving project, without ..",
    });
  return { verdict: "found", directory };
}

const leadsOut = (file: string): boolean => file.startsWith("/") || /^\.\.(\/|$)/.test(posix.normalize(file));

function realDirectory(path: string): string | undefined {
  if (path === "") return undefined;
  try {
    const real = realpathSync(path);
    return statSync(real).isDirectory() ? real : undefined;
  } catch {
    return undefined;
  }
}

/** Only what the configuration names; an asker chooses among names and never says a command line. */
function commandOf(
  wished: string,
  { default_command, commands }: Config["agent_launcher"],
): { verdict: "found"; name: string; command: LaunchCommand } | Refused {
  const name = wished === "" ? default_command : wished;
  const names = [...new Set(["claude", ...Object.keys(commands)])];
  const configured = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (configured) return { verdict: "found", name, command: configured };
  if (name === "claude")
    return {
      verdict: "found",
      name,
      command: { command: "claude", args: [], prompt: "stdin", format: "claude" },
    };
  const near = nearMatches(name, names);
  return refused("denied", `"${name}" is not an agent command of this machine`, {
    hint: `agent_command is one of ${(near.length > 0 ? near : names).join(", ")}, or empty; more are named in agent_launcher.commands there`,
  });
}

/** An absolute path: neither the project's directory nor a relative entry of PATH may decide what runs. */
function programOf(command: string, searchPath: string): string | undefined {
  const PATH = searchPath
    .split(":")
    .filter((entry) => entry.startsWith("/"))
    .join(":");
  return Bun.which(command, { PATH, cwd: "/" }) ?? undefined;
}

function resumeOf(
  { mission_id, run, agent_command }: MissionOrder,
  { agent, format }: { agent: AgentMissions | undefined; format: string },
  { conversationOf, settings }: Planning,
): { verdict: "found"; conversation?: string } | Refused {
  if (run === 1) return { verdict: "found" };
  if (!agent?.canResume)
    return refused("error", "this agent cannot continue an earlier conversation", {
      hint: "start a new mission, and tell it in the message what it must know",
    });
  const conversation = conversationOf(mission_id, run);
  const named = (command: string) => command || settings.default_command;
  if (conversation) {
    const isOwn = conversation.agent === format && named(conversation.agent_command) === named(agent_command);
    if (isOwn) return { verdict: "found", conversation: conversation.id };
    return refused("error", `another agent command led the conversation of mission ${mission_id}`, {
      hint: "continue it without an agent_command, or start a new mission",
    });
  }
  return refused("error", `this machine no longer has the conversation of mission ${mission_id}`, {
    hint: "start a new mission, and tell it in the message what it must know",
  });
}

/** Fields in a fixed order, each with its name: nothing can move from one into another. */
function hashOf(order: MissionOrder, plan: Omit<LaunchPlan, "hash">): string {
  const { mission_id, run, type, from_agent, project, message, agent_command, timeout, files } = order;
  const context = order.context.map((one) => [one.from_agent, one.message]);
  const { directory, argv, permission } = plan;
  const fields = {
    ...{
      mission_id,
      run,
      type,
      from_agent,
      project,
      message,
      agent_command,
      timeout: timeout ?? null,
      files,
      context,
    },
    ...{ directory, argv, permission },
  };
  return createHash("sha256").update(JSON.stringify(fields)).digest("hex");
}
