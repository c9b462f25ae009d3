// Waking an idle Claude Code session (2.1.224 and later): a line on the session's own messaging socket starts a
// turn. Only the session's own child passes its gate in every permission mode, so this runs in the MCP server.
// Frames: facts measured on 2.1.330. No answer ever comes: a successful write proves nothing. Sessions without that
// socket have a hook that waits beside them (claude-command.ts).
import { lstatSync } from "node:fs";
import { connect } from "node:net";
import type { WakeState } from "../protocol/checkup.ts";
import { environmentOf } from "../system/process.ts";
import { claudeSocketOf } from "./claude-activity.ts";
import { claudeConfigDirectory } from "./claude-places.ts";
import type { AgentProcess, Wake } from "./integration.ts";

type Environment = Record<string, string | undefined>;

/** the oldest client on which asyncRewake was proved; one that does not know it would be held by the hook */
const oldestWithRewake = "2.1.197";
/** ms for a local socket to take one line */
const writeTimeoutMs = 2_000;

/** The route to this MCP server's own session; undefined where the client offers none. */
export function claudeWake(env: Environment, agent: AgentProcess): Wake | undefined {
  const socket = ownSocket(env, agent);
  const token = env.CLAUDE_CODE_MESSAGING_TOKEN;
  return socket === undefined ? undefined : (text) => post(socket, token, text);
}

/** Looks only: to connect would be noticed by the session. */
export function claudeWakeState(env: Environment, agent: AgentProcess): WakeState {
  const socket = ownSocket(env, agent);
  return socket === undefined ? "none" : stateOf(socket);
}

/**
 * The socket that `env` names, if it is that agent's own. A client without one (2.1.197, `--bare`) passes on what it was
 * started with, and in a shell of another session that is the other one's: a ring there would start a foreign turn.
 */
function ownSocket(env: Environment, agent: AgentProcess): string | undefined {
  const { CLAUDE_CODE_MESSAGING_SOCKET: path } = env;
  if (!path?.startsWith("/")) return undefined;
  const named = claudeSocketOf(agent, claudeConfigDirectory(env));
  const own = named === undefined ? wasAdded(path, agent) : named === path;
  return own ? path : undefined;
}

/** The agent was not started with it, so it stands in our environment by the agent's doing. Unknown on macOS: no. */
function wasAdded(path: string, { pid }: AgentProcess): boolean {
  const inherited = environmentOf(pid);
  return inherited.length > 0 && !inherited.includes(`CLAUDE_CODE_MESSAGING_SOCKET=${path}`);
}

function stateOf(path: string): WakeState {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (!stat) return "missing";
  return stat.isSocket() && stat.uid === process.getuid?.() ? "ready" : "foreign";
}

/**
 * Only an interactive client: `claude -p` waits at its end for every hook that still runs. The client sets the
 * variable itself, whatever it inherits (proved on 2.1.197 and 2.1.330).
 */
export function claudeWaitsInHook(env: Environment, clientVersion: string): boolean {
  return env.CLAUDE_CODE_ENTRYPOINT === "cli" && Bun.semver.order(clientVersion, oldestWithRewake) >= 0;
}

function post(path: string, token: string | undefined, text: string): Promise<void> {
  const state = stateOf(path);
  if (state !== "ready") throw new Error(`${path} is ${state}: not a socket of this user`);
  const frames = [
    ...(token ? [{ type: "auth", token }] : []),
    { type: "user", message: { role: "user", content: text }, msgV: 1, msg_id: crypto.randomUUID() },
  ];
  return new Promise((resolve, reject) => {
    const connection = connect(path);
    connection.setTimeout(writeTimeoutMs, () =>
      connection.destroy(new Error("the session's socket does not take the line")),
    );
    connection.once("error", reject);
    connection.once("close", () => resolve());
    connection.end(frames.map((frame) => `${JSON.stringify(frame)}\n`).join(""));
  });
}
