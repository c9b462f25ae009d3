// An agent's process with the real MCP server as its child: a Bun process (test/rig/agent-process.ts) that does what
// it is asked. The server can be killed in the middle of a call; the agent starts another one then.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { ToolAnswer } from "../../src/protocol/local-api.ts";
import { allProcesses, ancestry } from "../../src/system/process.ts";
import type { AgentReply, AgentRequest } from "../rig/agent.ts";
import { within } from "../rig/wait.ts";
import { type AgentTools, befall, type HookRun, type Process } from "./agent-process.ts";

export class McpAgentProcess implements AgentTools, Process {
  readonly #child: Bun.Subprocess;
  readonly #waiting = new Map<number, (reply: AgentReply) => void>();
  #next = 1;
  #server: Promise<number>;
  readonly startTicks: string;

  constructor(directory: string, env: Record<string, string>, binary: string) {
    this.#child = Bun.spawn([process.execPath, join(import.meta.dir, "../rig/agent-process.ts")], {
      cwd: directory,
      env: { ...env, BINARY: binary },
      stdio: ["ignore", "ignore", "ignore"],
      ipc: (message: AgentReply) => {
        this.#waiting.get(message.id)?.(message);
        this.#waiting.delete(message.id);
      },
    });
    const stat = readFileSync(`/proc/${this.pid}/stat`, "utf8");
    this.startTicks = stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? "";
    this.#server = this.#start();
  }

  get pid(): number {
    return this.#child.pid;
  }

  async call(tool: string, given: Record<string, unknown>): Promise<ToolAnswer> {
    const server = await this.#server;
    const result = await this.#ask({ do: "call", server, tool, given });
    return { result: result as Record<string, unknown> }; // boundary: structured content of our own server
  }

  /** The real server does it. */
  async confirm(): Promise<void> {}

  async stop(): Promise<void> {}

  /** kill -9 of the MCP server; the agent starts it again. */
  async killServer(): Promise<void> {
    const server = await this.#server;
    await this.#ask({ do: "killServer", server });
    this.#server = this.#start();
    await this.#server;
  }

  /** The MCP server stands still for so long. */
  async stopServer(ms: number): Promise<void> {
    await this.#server;
    const children = allProcesses().filter(({ parent }) => parent === this.pid);
    const servers = children.filter(({ pid }) => ancestry(pid)[0]?.argv.includes("mcp-server"));
    await Promise.all(servers.map(({ pid }) => befall(pid, ms)));
  }

  async hook(binary: string, input: string): Promise<HookRun> {
    const command = `[ -e "$AI_INTERCOM_HOME/inbox/pending/$PPID" ] || exit 0; exec "${binary}" check-inbox --format hook`;
    try {
      return { text: String(await this.#ask({ do: "hook", command, input })), struck: false };
    } catch (error) {
      if (this.#dead) return { text: "", struck: false };
      throw error;
    }
  }

  get #dead(): boolean {
    return this.#child.signalCode !== null || this.#child.exitCode !== null;
  }

  async kill(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#child.exited;
    for (const answer of this.#waiting.values()) answer({ id: 0, ok: false, value: "the agent died" });
    this.#waiting.clear();
  }

  #start(): Promise<number> {
    const started = this.#ask({ do: "startServer" }) as Promise<number>;
    started.catch(() => undefined); // whoever calls a tool learns it
    return started;
  }

  async #ask(request: AgentRequest): Promise<unknown> {
    if (this.#dead) throw new Error("the agent died");
    const id = this.#next++;
    const answered = new Promise<AgentReply>((resolve) => this.#waiting.set(id, resolve));
    this.#child.send({ id, ...request });
    const reply = await within(`the agent to ${request.do}`, answered, { timeoutMs: 45_000 });
    if (!reply.ok) throw new Error(String(reply.value));
    return reply.value;
  }
}
