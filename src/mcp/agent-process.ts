// Which process is the agent: the MCP server's parent, or the nearest known agent CLI above it when only wrappers
// (shells, env, npx) stand between. A shell that a person types into is nobody's agent.
import { integrations } from "../integrations/integration.ts";
import { IntercomError } from "../protocol/errors.ts";
import { ancestry, type ProcessLook } from "../system/process.ts";

const shells = new Set(["sh", "dash", "bash", "zsh", "fish", "ash", "ksh", "busybox"]);
/** programs that start another and wait for it; anything else between us and an agent is the agent itself */
const wrappers = new Set([...shells, "env", "nice", "timeout", "stdbuf", "npx", "bunx"]);

/**
 * The agent above the process `parentPid`, itself included; `parentPid` when no known agent is found. Started by hand
 * from a person's shell, the server itself stands for the agent: were the shell one, the person in it would lose
 * what only a person may do. Throws for init.
 */
export function agentAbove(parentPid: number, own: number = process.pid): { pid: number; agent: string } {
  const chain = ancestry(parentPid);
  for (const look of chain) {
    const agent = integrations.find((one) => one.isAgentProcess(look));
    if (agent) return { pid: look.pid, agent: agent.name };
    if (!isWrapper(look)) break;
  }
  if (parentPid <= 1)
    throw new IntercomError("bad_usage", "no agent started this MCP server", {
      hint: "let an agent start it: ai-intercom install claude",
    });
  const [parent] = chain;
  return { pid: parent && isTypedInto(parent) ? own : parentPid, agent: "unknown" };
}

/** A shell at a terminal that was given neither a command nor a script. */
function isTypedInto({ name, argv, terminal }: ProcessLook): boolean {
  if (!shells.has(name) || !terminal) return false;
  const words = name === "busybox" ? argv.slice(2) : argv.slice(1);
  for (let at = 0; at < words.length; at++) {
    const word = words[at] ?? "";
    if (/^-[a-z]*c/.test(word) || word === "--command") return false;
    // options that take the next word: bash's files, and those of `set` and `shopt`
    if (/^(--rcfile|--init-file|[-+][oO])$/.test(word)) at++;
    else if (!/^[-+]/.test(word)) return false;
  }
  return true;
}

function isWrapper({ name, argv }: ProcessLook): boolean {
  return (
    wrappers.has(name) ||
    (name === "node" && argv.some((part) => /(^|\/)(npx|npm)(-cli)?(\.js)?$/.test(part)))
  );
}
