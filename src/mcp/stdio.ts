// `ai-intercom mcp-server`: the MCP server on stdin and stdout, for the agent that started it. Ends with its
// agent: at the end of stdin, on a signal, or when its parent is gone.
import { StdioServerTransport } from "@modelcontextprotocol/sdk/server/stdio.js";
import { integrationOf, integrationOfClient } from "../integrations/integration.ts";
import { writeToFifo } from "../system/fifo.ts";
import { log } from "../system/log.ts";
import { homePaths } from "../system/paths.ts";
import { identify } from "../system/process.ts";
import { background } from "../system/wait.ts";
import { agentAbove } from "./agent-process.ts";
import { intercomServer } from "./server.ts";
import { SessionClient } from "./session-client.ts";

/** ms between looks at whether the agent is still our parent */
const parentCheckMs = 2_000;

/** Serves until the agent goes away. */
export async function serveStdio(): Promise<void> {
  const parent = process.ppid;
  const above = agentAbove(parent);
  let agent = above.agent;
  let clientVersion = "";
  const agentProcess = identify(above.pid) ?? { pid: above.pid };
  const wake = () => integrationOf(agent).wakeRoute(process.env, agentProcess);
  const waitsInHook = () => integrationOf(agent).waitsInHook(process.env, clientVersion);
  const client: SessionClient = new SessionClient({
    socket: homePaths().daemonSocket,
    registration: () => ({
      pid: above.pid,
      cwd: process.cwd(),
      agent: agent === "unknown" ? undefined : agent,
      config_directory: integrationOf(agent).configDirectory?.(process.env),
      wake: wake() ? "socket" : waitsInHook() ? "hook" : "none",
    }),
    onEvent: async (event) => {
      if (event.event === "ring") await wake()?.(event.text);
      if (event.event !== "ping") return;
      const state = integrationOf(agent).wakeState?.(process.env, agentProcess) ?? "none";
      await client.pong(event.id, state === "none" && waitsInHook() ? "hook" : state);
    },
  });
  const written = new PrintedClaims((nonce) => client.confirm(nonce));
  const server = intercomServer(
    (name, given) => client.call(name, given),
    (nonce) => written.expect(nonce),
  );
  server.server.oninitialized = () => {
    const told = server.server.getClientVersion();
    agent = integrationOfClient(told?.name ?? "")?.name ?? agent;
    clientVersion = told?.version ?? "";
    client.start();
  };
  const transport = written.watch(new StdioServerTransport());
  const ended = new Promise<void>((resolve) => {
    const timer = setInterval(() => process.ppid !== parent && resolve(), parentCheckMs);
    timer.unref();
    process.stdin.once("end", resolve).once("close", resolve);
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(signal, () => resolve());
  });
  await server.connect(transport);
  await ended;
  await client.stop();
  // a shell that waits beside the agent must not outlive it, and the daemon may be away
  if (waitsInHook()) writeToFifo(`${homePaths().bell}/${above.pid}`, () => "");
  await server.close();
}

/** Reports a claim as printed once the answer that carried it has been written to stdout. */
class PrintedClaims {
  readonly #confirm: (nonce: string) => Promise<void>;
  #expected: string[] = [];

  constructor(confirm: (nonce: string) => Promise<void>) {
    this.#confirm = confirm;
  }

  expect(nonce: string): void {
    this.#expected.push(nonce);
  }

  watch(transport: StdioServerTransport): StdioServerTransport {
    const send = transport.send.bind(transport);
    transport.send = async (message) => {
      await send(message);
      const text = this.#expected.length > 0 ? JSON.stringify(message) : "";
      for (const nonce of this.#expected.filter((one) => text.includes(one))) {
        this.#expected = this.#expected.filter((one) => one !== nonce);
        background("claim report", () =>
          this.#confirm(nonce).catch((error) => log.debug("claim report failed", { error })),
        );
      }
    };
    return transport;
  }
}
