// What a tool call says when its daemon is lost in the middle of it: never that nothing was sent.
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { SessionClient } from "../../src/mcp/session-client.ts";
import { toIntercomError } from "../../src/protocol/errors.ts";

const root = mkdtempSync("/tmp/aii-client-");
afterAll(() => rmSync(root, { recursive: true }));

/** A daemon that takes registrations, and is gone for good as soon as it has read a tool call. */
function daemonThatDies(socket: string) {
  const answer = JSON.stringify({
    status: "registered",
    session_id: "s-20261123-00000a",
    inbox_path: "/i",
    address: "atlas/web@s-20261123-00000a",
  });
  const server = createServer((connection) => {
    let text = "";
    connection.on("error", () => {});
    connection.on("data", (bytes) => {
      text += bytes;
      if (text.includes("/api/tool/")) {
        server.close();
        connection.destroy();
      } else if (text.includes("/register"))
        connection.end(
          `HTTP/1.1 200 OK\r\nContent-Length: ${answer.length}\r\nConnection: close\r\n\r\n${answer}`,
        );
      else connection.destroy();
    });
  });
  return new Promise<void>((resolve) => server.listen(socket, resolve));
}

test.each([
  ["intercom_chat", /does not answer at .*; whether it took the message is not known/, "intercom_status"],
  ["intercom_list_agents", /does not answer at [^;]*$/, ""],
])(
  "%s to a daemon that dies over it",
  async (tool, message, hint) => {
    const socket = `${root}/${tool}.sock`;
    await daemonThatDies(socket);
    const client = new SessionClient({
      socket,
      registration: () => ({ pid: process.pid, project: "web", agent: "claude" }),
    });
    const error = toIntercomError(await client.call(tool, {}).catch((thrown: unknown) => thrown));
    expect(error.code).toBe("daemon_unreachable");
    expect(error.message).toMatch(message);
    expect(error.hint).toContain(hint);
    await client.stop();
  },
  60_000,
);
