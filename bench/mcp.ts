// How long an agent waits for its MCP server: from the start of the process to its answer to `initialize`.
import { type Bench, interleaved, median } from "./measure.ts";
import { finishSilent, Programs } from "./programs.ts";

const baseline = "empty Bun program";
const ours = "mcp-server, initialize";

export const mcp: Bench = {
  name: "mcp",
  about: "start of the MCP server until it answers initialize",
  runs: 60,
  async run({ runs }) {
    await using programs = await Programs.prepare();
    const env = {
      PATH: process.env.PATH ?? "",
      HOME: programs.directory,
      AI_INTERCOM_HOME: `${programs.directory}/home`,
    };
    const series = await interleaved(
      {
        [baseline]: () => finishSilent([programs.empty], { env, input: "" }),
        [ours]: () => untilInitialized(programs.ours, env),
      },
      runs,
    );
    return {
      series,
      baseline,
      bounds: [{ what: "median", value: median(series, ours), below: 150, unit: "ms" }],
    };
  },
};

const initialize = `${JSON.stringify({
  jsonrpc: "2.0",
  id: 1,
  method: "initialize",
  params: {
    protocolVersion: "2025-06-18",
    capabilities: {},
    clientInfo: { name: "bench", version: "1" },
  },
})}\n`;

async function untilInitialized(program: string, env: Record<string, string>): Promise<number> {
  const started = performance.now();
  const child = Bun.spawn([program, "mcp-server"], {
    env,
    cwd: "/",
    stdin: "pipe",
    stdout: "pipe",
    stderr: "inherit",
    timeout: 10_000,
  });
  child.stdin.write(initialize);
  child.stdin.flush();
  let answer = "";
  const decoder = new TextDecoder();
  for await (const part of child.stdout) {
    answer += decoder.decode(part, { stream: true });
    if (answer.includes("\n")) break;
  }
  const took = performance.now() - started;
  child.stdin.end();
  await child.exited;
  if (!answer.includes('"serverInfo"')) throw new Error(`the MCP server answered ${answer}`);
  return took;
}
