// Claude Code: everything that is particular to it, from how its processes look to where its settings are.
import { basename } from "node:path";
import type { ProcessLook } from "../system/process.ts";
import { claudeActivity } from "./claude-activity.ts";
import { formatClaudeHookOutput, parseClaudeHookEvent, supportsClaudeHook } from "./claude-event.ts";
import { checkClaude, installClaude, isClaudePresent, uninstallClaude } from "./claude-install.ts";
import { claudeMissions, isClaudeSessionVariable } from "./claude-mission.ts";
import { claudePermissions } from "./claude-permission.ts";
import { claudeConfigDirectory } from "./claude-places.ts";
import { readClaudeTranscriptLine } from "./claude-transcript.ts";
import { claudeWaitsInHook, claudeWake, claudeWakeState } from "./claude-wake.ts";
import type { Integration } from "./integration.ts";

export const claude: Integration = {
  name: "claude",
  displayName: "Claude Code",
  clientNames: ["claude-code"],
  isAgentProcess: isClaudeProcess,
  isPresent: isClaudePresent,
  parseHookEvent: parseClaudeHookEvent,
  supportsHook: supportsClaudeHook,
  formatHookOutput: formatClaudeHookOutput,
  readTranscriptLine: readClaudeTranscriptLine,
  activity: claudeActivity,
  configDirectory: claudeConfigDirectory,
  wakeRoute: claudeWake,
  wakeState: claudeWakeState,
  waitsInHook: claudeWaitsInHook,
  missions: claudeMissions,
  permissions: claudePermissions,
  isSessionVariable: isClaudeSessionVariable,
  install: installClaude,
  uninstall: uninstallClaude,
  check: checkClaude,
};

/**
 * The native program is called `claude`, or after its version behind a link of that name (then argv[0] tells); the
 * npm package is node or bun with a script. A shell script called `claude` is a wrapper, not the agent.
 */
function isClaudeProcess({ name, argv }: ProcessLook): boolean {
  const title = basename(argv[0] ?? "");
  if (name === "claude") return true;
  if (/^\d+\.\d+\.\d+/.test(name)) return title === "claude";
  if (!/^(node|bun|deno)(-?\d[\d.]*)?$/.test(name)) return false;
  // node's process.title overwrites the whole command line
  if (title === "claude") return true;
  const script = argv.slice(1).find((word) => !word.startsWith("-")) ?? "";
  return basename(script) === "claude" || /(^|\/)claude-code\/cli\.[cm]?js$/.test(script);
}
