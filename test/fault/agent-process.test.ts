// The harness's agent process: a hook that is struck before it has begun still ends, and nothing was printed.
import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { AgentProcess } from "./agent-process.ts";
import { McpAgentProcess } from "./mcp-agent-process.ts";

test("hooks that are killed at once, some before they have opened their output, printed nothing", async () => {
  const directory = mkdtempSync("/tmp/aif-");
  const agents = Array.from(
    { length: 40 },
    () => new AgentProcess(directory, { AI_INTERCOM_HOME: directory }),
  );
  try {
    for (let round = 0; round < 5; round++) {
      const runs = await Promise.all(agents.map((agent) => agent.hook("/bin/false", "{}", { afterMs: 0 })));
      expect(runs.map(({ text }) => text)).toEqual(agents.map(() => ""));
    }
  } finally {
    await Promise.all(agents.map((agent) => agent.kill()));
    rmSync(directory, { recursive: true });
  }
});

test("an agent with a real MCP server that has died: its hook printed nothing, and who asks it is told", async () => {
  const directory = mkdtempSync("/tmp/aif-");
  const agent = new McpAgentProcess(directory, { AI_INTERCOM_HOME: directory }, "/bin/false");
  await agent.kill();
  expect(await agent.hook("/bin/false", "{}")).toEqual({ text: "", struck: false });
  await expect(agent.killServer()).rejects.toThrow("the agent died");
  await expect(agent.call("intercom_check_inbox", {})).rejects.toThrow("the agent died");
  rmSync(directory, { recursive: true });
});
