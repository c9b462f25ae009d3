// The process of a scripted agent (agent.ts): does what the test asks over IPC. Not a test.
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import type { AgentRequest } from "./agent";

const servers: { client: Client; transport: StdioClientTransport }[] = [];
const env = Object.fromEntries(
  Object.entries(process.env).flatMap(([key, value]) => (value === undefined ? [] : [[key, value]])),
);
// as an agent names its own socket to its children, and was not started with it
if (env.AGENT_SOCKET) env.CLAUDE_CODE_MESSAGING_SOCKET = env.AGENT_SOCKET;

process.on("message", (request: AgentRequest & { id: number }) => {
  carryOut(request).then(
    (value) => process.send?.({ id: request.id, ok: true, value }),
    (error: unknown) =>
      process.send?.({
        id: request.id,
        ok: false,
        value: error instanceof Error ? error.message : String(error),
      }),
  );
});

async function carryOut(request: AgentRequest): Promise<unknown> {
  switch (request.do) {
    case "startServer": {
      const client = new Client({ name: "claude-code", version: "2.1.330" });
      const transport = new StdioClientTransport({
        command: env.BINARY ?? "",
        args: ["mcp-server"],
        env,
        cwd: process.cwd(),
        stderr: "inherit",
      });
      await client.connect(transport);
      return servers.push({ client, transport }) - 1;
    }
    case "killServer": {
      const { pid } = servers[request.server]?.transport ?? {};
      if (pid) process.kill(pid, "SIGKILL");
      return undefined;
    }
    case "call": {
      const result = await servers[request.server]?.client.callTool(
        { name: request.tool, arguments: request.given },
        undefined,
        { timeout: 30_000 },
      );
      return result?.structuredContent ?? { raw: result };
    }
    case "hook": {
      const child = Bun.spawn(["/bin/sh", "-c", request.command], {
        env,
        stdin: new Blob([request.input]),
        stdout: "pipe",
        stderr: "inherit",
      });
      const out = await new Response(child.stdout).text();
      const code = await child.exited;
      if (code !== 0) throw new Error(`the hook exited ${code}`);
      return out.trim();
    }
    default:
      return request satisfies never;
  }
}
