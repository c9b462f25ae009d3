// Which messaging socket an MCP server may ring: its own agent's only, never one that the agent inherited from the
// shell of another session.
import { afterAll, describe, expect, test } from "bun:test";
import { createServer } from "node:net";
import { claude } from "../../src/integrations/claude.ts";
import { identify, variableOf } from "../../src/system/process.ts";
import { waitFor } from "../rig/wait";
import { type TestHome, testHome, write } from "./claude-home.ts";

const children: Bun.Subprocess[] = [];
afterAll(() => {
  for (const child of children) child.kill("SIGKILL");
});

/** A process that stands for the agent, started with `env`. */
async function agentWith(env: Record<string, string> = {}) {
  const child = Bun.spawn(["sleep", "600"], { env: { PATH: process.env.PATH ?? "", ...env } });
  children.push(child);
  // a moment after the start the kernel does not show it yet
  await waitFor("its environment", () => variableOf(child.pid, "PATH"));
  const found = identify(child.pid);
  if (!found) throw new Error("the process that stands for an agent is gone");
  return found;
}

/** What the registry says of that process; `ticks` of another start make it another process's. */
function registry({ root }: TestHome, agent: { pid: number; start: string }, fields: object = {}): void {
  const procStart = agent.start.split("-").at(-1);
  const entry = { pid: agent.pid, procStart, status: "idle", ...fields };
  write(`${root}/.claude/sessions/${agent.pid}.json`, JSON.stringify(entry));
}

describe.skipIf(process.platform !== "linux")("on Linux", () => {
  const outer = "/tmp/cc-socks/1.sock";
  const serverEnv = (home: TestHome, path: string) => ({
    HOME: home.root,
    CLAUDE_CODE_MESSAGING_SOCKET: path,
    CLAUDE_CODE_MESSAGING_TOKEN: "token",
  });

  type Case = [
    what: string,
    inherited: string | undefined,
    registered: object | undefined,
    path: string,
    own: boolean,
  ];
  const cases: Case[] = [
    ["the agent's own, named by its registry entry", undefined, { messagingSocketPath: "/s" }, "/s", true],
    ["its own, though it was started in another session", outer, { messagingSocketPath: "/s" }, "/s", true],
    ["its own, before it has an entry", undefined, undefined, "/s", true],
    ["its own, and the entry names none", undefined, {}, "/s", true],
    ["inherited by an old agent, whose entry names none", outer, {}, outer, false],
    ["inherited, before there is an entry", outer, undefined, outer, false],
    ["inherited, and its own is another", outer, { messagingSocketPath: "/s" }, outer, false],
    ["the entry names another", undefined, { messagingSocketPath: "/s" }, "/t", false],
    [
      "inherited, and the entry that names it is of a process that had the pid before",
      outer,
      { messagingSocketPath: outer, procStart: "1" },
      outer,
      false,
    ],
  ];
  test.each(cases)("%s", async (_, inherited, registered, path, own) => {
    const home = testHome();
    const agent = await agentWith(inherited === undefined ? {} : { CLAUDE_CODE_MESSAGING_SOCKET: inherited });
    if (registered) registry(home, agent, registered);
    const env = serverEnv(home, path);
    expect(claude.wakeRoute(env, agent) !== undefined).toBe(own);
    expect(claude.wakeState?.(env, agent)).toBe(own ? "missing" : "none");
  });

  test("a ring goes to the agent's own socket; once the entry names another, there is no route", async () => {
    const home = testHome();
    const path = `/tmp/aii-wake-${process.pid}.sock`;
    let heard = "";
    const server = createServer((connection) => connection.on("data", (bytes) => (heard += bytes)));
    await new Promise<void>((resolve) => server.listen(path, resolve));
    try {
      const agent = await agentWith();
      registry(home, agent, { messagingSocketPath: path });
      const env = serverEnv(home, path);
      expect(claude.wakeState?.(env, agent)).toBe("ready");
      await claude.wakeRoute(env, agent)?.("[ring]");
      await waitFor("the ring", () => heard.includes("[ring]"));
      registry(home, agent, { messagingSocketPath: "/other" });
      expect(claude.wakeRoute(env, agent)).toBeUndefined();
    } finally {
      server.close();
    }
  });
});
