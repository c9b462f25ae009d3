// Waking an idle Claude Code session (2.1.224 and later): a line on the session's own messaging socket starts a
// turn. Only the session's own child passes its gate in every permission mode, so this runs in the MCP server.
// Frames: facts measured on 2.1.330. No answer ever comes: a successful write proves nothing.
import { lstatSync } from "node:fs";
import { connect } from "node:net";
import type { Wake } from "./integration.ts";

/** ms for a local socket to take one line */
const writeTimeoutMs = 2_000;

/** The route to this MCP server's own session; undefined where the client offers none. */
export function claudeWake(env: Record<string, string | undefined>): Wake | undefined {
  const socket = env.CLAUDE_CODE_MESSAGING_SOCKET;
  const token = env.CLAUDE_CODE_MESSAGING_TOKEN;
  if (!socket?.startsWith("/")) return undefined;
  return (text) => post(socket, token, text);
}

function post(path: string, token: string | undefined, text: string): Promise<void> {
  const stat = lstatSync(path);
  if (!stat.isSocket() || stat.uid !== process.getuid?.())
    throw new Error(`${path} is not a socket of this user`);
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
