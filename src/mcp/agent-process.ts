// Which process is the agent: the MCP server's parent, or the nearest known agent CLI above it when only wrappers
// (shells, env, npx) stand between.
import { integrations } from "../integrations/integration.ts";
import { IntercomError } from "../protocol/errors.ts";
import { ancestry, type ProcessLook } from "../system/process.ts";

/** programs that start another and wait for it; anything else between us and an agent is the agent itself */
const wrappers = new Set([
  "sh",
  "dash",
  "bash",
  "zsh",
  "fish",
  "ash",
  "busybox",
  "env",
  "nice",
  "timeout",
  "stdbuf",
  "npx",
  "bunx",
]);

/** The agent above the process `parentPid`, itself included; `parentPid` when no known agent is found. Throws for init. */
export function agentAbove(parentPid: number): { pid: number; agent: string } {
  for (const look of ancestry(parentPid)) {
    const agent = integrations.find((one) => one.isAgentProcess(look));
    if (agent) return { pid: look.pid, agent: agent.name };
    if (!isWrapper(look)) break;
  }
  if (parentPid <= 1)
    throw new IntercomError("bad_usage", "no agent started this MCP server", {
      hint: "let an agent start it: ai-intercom install claude",
    });
  return { pid: parentPid, agent: "unknown" };
}

function isWrapper({ name, argv }: ProcessLook): boolean {
  return (
    wrappers.has(name) ||
    (name === "node" && argv.some((part) => /(^|\/)(npx|npm)(-cli)?(\.js)?$/.test(part)))
  );
}
