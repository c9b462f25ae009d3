// What every agent CLI's integration can do, and the ones that we have. Whatever differs between vendors is behind
// this type; nothing outside src/integrations knows a vendor's formats.
import type { TranscriptReader } from "../inbox/transcript.ts";
import type { WakeState } from "../protocol/checkup.ts";
import type { ProcessIdentity, ProcessLook } from "../system/process.ts";
import { claude } from "./claude.ts";
import type { Change } from "./installation.ts";
import { unknownAgent } from "./unknown-agent.ts";

/** The program and its first arguments, e.g. ["/home/me/.local/bin/ai-intercom"]; absolute paths. */
export type Program = readonly [string, ...string[]];

/** Every agent CLI that we know; a new vendor is one line here and its own files beside. */
export const integrations: readonly Integration[] = [claude];

/** By a session's `agent`; an agent that we do not know tells nothing about itself. */
export function integrationOf(agent: string): Integration {
  return integrationNamed(agent) ?? unknownAgent;
}

/** By the name in `install AGENT`. */
export function integrationNamed(name: string): Integration | undefined {
  return integrations.find((integration) => integration.name === name);
}

/** By MCP `clientInfo.name`. */
export function integrationOfClient(clientName: string): Integration | undefined {
  return integrations.find((integration) => integration.clientNames.includes(clientName));
}

/** What an agent told a hook of ours on its standard input. */
export type HookEvent = {
  /** the vendor's name: `UserPromptSubmit`, `Stop`, … */
  event: string;
  nativeSessionId: string;
  transcriptPath?: string;
  cwd?: string;
  /** of a session's start: `startup`, `resume`, `clear`, `compact`, `fork` */
  source?: string;
  /** the hook runs for a subagent: what it prints would reach only that */
  isSubagent: boolean;
  /** this turn goes on because a stop hook asked for it */
  stopHookActive?: boolean;
  /** the user's text; also the text of a ring */
  prompt?: string;
};

/** An agent's process; without its start identity, the pid must do. */
export type AgentProcess = { pid: ProcessIdentity["pid"]; start?: ProcessIdentity["start"] };

/** Where the agent may keep its own records; none is needed. */
export type ActivityHints = {
  transcriptPath?: string;
  /** the agent's own configuration directory, e.g. its CLAUDE_CONFIG_DIR */
  configDirectory?: string;
};

export type Activity = {
  status: "working" | "idle" | "waiting" | "unknown";
  /** ms since the epoch: since when it has this status */
  since?: number;
  /** the session as the agent itself names it now */
  nativeSessionId?: string;
};

export type InstallOptions = {
  program: Program;
  /** our home, absolute */
  home: string;
  /** where to look for the agent's configuration; default: this process's environment */
  env?: Record<string, string | undefined>;
  /** plan and report only */
  dryRun?: boolean;
};
export type UninstallOptions = Omit<InstallOptions, "program">;

export type InstallReport = {
  changes: Change[];
  /** what the person should know besides, each a whole sentence */
  notes: string[];
};

export type CheckReport = {
  /** `outdated`: something of ours is there, and `install` would change something */
  state: "absent" | "outdated" | "current";
  /** what `install` would change */
  differences: Change[];
  /** what the entries that stand there start; absolute paths, each once */
  programs: string[];
  /** the homes in which they look for mail, each once */
  homes: string[];
  /** where the hooks that bring mail should stand: the rest of ours is there, and none of them */
  hooksMissing?: string;
  notes: string[];
  /** the notes because of which no hook of ours runs */
  hooksStopped: string[];
};

/** Posts a line that starts a turn of the idle agent. Rejects when it cannot be written; proves nothing else. */
export type Wake = (text: string) => Promise<void>;

/** Something the agent of a mission did or said. */
export type MissionStep = { kind: "tool" | "file" | "command" | "text" | "error"; summary: string };

/** What one line of an agent's output tells. */
export type MissionNews = {
  steps: MissionStep[];
  /** the conversation, by which the agent can continue it */
  nativeSessionId?: string;
  /** the id of one of its answers; lines of the same answer repeat it */
  turn?: string;
  /** a part of its final answer */
  output?: string;
  /** the agent's own word on how it ended; the latest counts */
  verdict?: { ok: boolean; reason?: string; turns?: number; costUsd?: number };
};

/** How an agent runs a mission and what its output means. */
export type AgentMissions = {
  /** arguments behind the program; the task comes over standard input */
  argv(options: { args: readonly string[]; resume?: string }): string[];
  /** what these arguments permit, in words; `default` where nothing is set */
  permission(args: readonly string[]): string;
  canResume: boolean;
  /** Foreign lines tell nothing, never an error. */
  readLine(line: string): MissionNews;
};

/** Set by an agent for the processes of one of its own sessions; whatever a mission starts must not inherit it. */
export function isSessionVariable(name: string): boolean {
  return integrations.some((integration) => integration.isSessionVariable?.(name) === true);
}

/** What an agent asks before it uses a tool, and how it is answered. */
export type AgentPermissions = {
  /** undefined: this is no such question */
  read(hookInput: string): { tool: string; text: string } | undefined;
  /** what the hook prints */
  format(allowed: boolean, by: string): string;
};

export type Integration = {
  /** as in `install AGENT` and in a session's `agent` field */
  name: string;
  displayName: string;
  /** MCP `clientInfo.name` */
  clientNames: readonly string[];
  isAgentProcess(look: ProcessLook): boolean;
  /** Does this agent seem to be on this machine? */
  isPresent(env?: Record<string, string | undefined>): boolean;

  /** Malformed or foreign input is undefined, never an error. */
  parseHookEvent(stdinText: string): HookEvent | undefined;
  /** Can text be given to the model at this event? */
  supportsHook(event: string): boolean;
  /** What the hook must print so that `text` reaches the model; empty where it cannot. */
  formatHookOutput(event: string, text: string): string;

  /** One line of the agent's transcript; undefined when it proves nothing. */
  readTranscriptLine: TranscriptReader;
  /** What the agent says of itself now. Another process that had the same pid is not taken for it. */
  activity(agent: AgentProcess, hints?: ActivityHints): Activity;

  /** Where the agent that started an MCP server with this environment keeps its records. */
  configDirectory?(env: Record<string, string | undefined>): string;
  /** How an MCP server with this environment wakes `agent`, which started it; undefined where it cannot. */
  wakeRoute(env: Record<string, string | undefined>, agent: AgentProcess): Wake | undefined;
  /** Whether that route is there now, without using it. For integrations that have one. */
  wakeState?(env: Record<string, string | undefined>, agent: AgentProcess): WakeState;
  /** Where there is no such route: does a hook of ours wait beside the idle agent, for the daemon to ring? */
  waitsInHook(env: Record<string, string | undefined>, clientVersion: string): boolean;

  /** For agents that can be started for one task. */
  missions?: AgentMissions;
  /** For agents whose questions can be answered from elsewhere. */
  permissions?: AgentPermissions;
  isSessionVariable?(name: string): boolean;

  install(options: InstallOptions): Promise<InstallReport>;
  uninstall(options: UninstallOptions): Promise<InstallReport>;
  check(options: InstallOptions): Promise<CheckReport>;
};
