// A scripted agent: a real process that starts the built MCP server as its child and runs hook commands as its
// children, the way an agent CLI does. The test tells it what to do; `agent-process.ts` is the process.
import { join } from "node:path";
import { binary } from "./binary";
import { waitFor, within } from "./wait";

export type AgentRequest =
  | { do: "call"; server: number; tool: string; given: Record<string, unknown> }
  | { do: "hook"; command: string; input: string }
  | { do: "startServer" }
  | { do: "killServer"; server: number };

export type AgentReply = { id: number; ok: boolean; value: unknown };

// biome-ignore lint/suspicious/noExplicitAny: the tests assert the shape of tool answers
export type ToolResult = Record<string, any>;

export class ScriptedAgent {
  readonly #child: Bun.Subprocess;
  readonly #env: Record<string, string>;
  readonly #cwd: string;
  readonly #program: string;
  readonly #waiting = new Map<number, (reply: AgentReply) => void>();
  #next = 1;
  transcript: string;
  readonly nativeSessionId: string;

  private constructor(options: {
    cwd: string;
    env: Record<string, string>;
    nativeSessionId?: string;
    transcript?: string;
    program?: string;
  }) {
    this.#env = options.env;
    this.#cwd = options.cwd;
    this.#program = options.program ?? binary;
    this.nativeSessionId = options.nativeSessionId ?? crypto.randomUUID();
    this.transcript = options.transcript ?? `${options.cwd}/../${this.nativeSessionId}.jsonl`;
    this.#child = Bun.spawn([process.execPath, join(import.meta.dir, "agent-process.ts")], {
      cwd: options.cwd,
      env: { ...options.env, BINARY: this.#program },
      stdio: ["ignore", "inherit", "inherit"],
      ipc: (message: AgentReply) => {
        this.#waiting.get(message.id)?.(message);
        this.#waiting.delete(message.id);
      },
    });
  }

  static async start(options: {
    cwd: string;
    env: Record<string, string>;
    nativeSessionId?: string;
    transcript?: string;
    program?: string;
    /** false: it has our MCP server only */
    hooks?: boolean;
  }): Promise<ScriptedAgent> {
    const agent = new ScriptedAgent(options);
    await agent.#ask({ do: "startServer" });
    if (options.hooks !== false) await agent.hook("SessionStart", { source: "startup" });
    return agent;
  }

  get #daemon(): string {
    return `${this.#env.AI_INTERCOM_HOME}/run/daemon.sock`;
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** Waits until the daemon knows this agent; returns its session id. */
  async registered(): Promise<string> {
    return waitFor(`a session for pid ${this.pid}`, async () => (await this.session())?.session_id);
  }

  /** Waits until the hub lists this agent, so that others can write to it. */
  async listed(): Promise<void> {
    const id = await this.registered();
    await waitFor(`the hub to list session ${id}`, async () => {
      const response = await fetch("http://daemon/api/agents", { unix: this.#daemon });
      return response.ok && (await response.text()).includes(`"${id}"`);
    });
  }

  // biome-ignore lint/suspicious/noExplicitAny: the tests assert the shape
  async session(): Promise<any> {
    const response = await fetch("http://daemon/api/sessions", {
      unix: `${this.#env.AI_INTERCOM_HOME}/run/daemon.sock`,
    });
    const { sessions } = (await response.json()) as { sessions: { pid: number }[] };
    return sessions.find((one) => one.pid === this.pid);
  }

  /** Calls a tool through MCP server number `server`; gives the structured answer. */
  async call(tool: string, given: Record<string, unknown> = {}, server = 0): Promise<ToolResult> {
    return (await this.#ask({ do: "call", server, tool, given })) as ToolResult;
  }

  /**
   * Runs the hook command that `install` writes, as a child of this agent; gives what it printed. `lateSeconds`: the
   * machine is so busy that the process, once there, needs as long to get going.
   */
  async hook(
    event: string,
    more: Record<string, unknown> = {},
    options: { guard?: boolean; lateSeconds?: number } = {},
  ): Promise<string> {
    const input = JSON.stringify({
      session_id: this.nativeSessionId,
      transcript_path: this.transcript,
      cwd: this.#cwd,
      hook_event_name: event,
      ...(event === "PostToolBatch" ? { tool_calls: [] } : {}),
      ...(event === "UserPromptSubmit" ? { prompt: "go on" } : {}),
      ...more,
    });
    const late = options.lateSeconds === undefined ? "" : `sleep ${options.lateSeconds}; `;
    const guard =
      options.guard === false || event === "SessionStart"
        ? ""
        : `[ -e "$AI_INTERCOM_HOME/inbox/pending/$PPID" ] || exit 0; `;
    return (await this.#ask({
      do: "hook",
      command: `${late}${guard}exec "${this.#program}" check-inbox --format hook`,
      input,
    })) as string;
  }

  /** The same, and the transcript shows that the model got it and answered. */
  async take(event = "PostToolBatch"): Promise<string> {
    const context = await this.context(event);
    if (context !== "") await this.proveContext(context);
    return context;
  }

  /** Runs any shell command as a child of this agent; gives what it printed. */
  async shell(command: string): Promise<string> {
    return (await this.#ask({ do: "hook", command, input: "" })) as string;
  }

  /** The text that the hook hands to the model; empty when it printed nothing. */
  async context(
    event = "PostToolBatch",
    more: Record<string, unknown> = {},
    options: { lateSeconds?: number } = {},
  ): Promise<string> {
    const printed = await this.hook(event, more, options);
    if (printed === "") return "";
    const { hookSpecificOutput } = JSON.parse(printed) as {
      hookSpecificOutput: { hookEventName: string; additionalContext: string };
    };
    if (hookSpecificOutput.hookEventName !== event)
      throw new Error(`the hook named ${hookSpecificOutput.hookEventName}, not ${event}`);
    return hookSpecificOutput.additionalContext;
  }

  /** Reads the inbox by the tool, and the transcript shows that the model got it. */
  async read(): Promise<string[]> {
    const answer = await this.call("intercom_check_inbox");
    if (answer.delivery) await this.proveContext(JSON.stringify(answer));
    return (answer.messages as { message: string }[]).map(({ message }) => message);
  }

  /** Writes what the real agent writes when hook text reached its context, then a later answer of the model. */
  async proveContext(text: string, { answered = true } = {}): Promise<void> {
    const lines: unknown[] = [
      {
        type: "attachment",
        isSidechain: false,
        timestamp: new Date().toISOString(),
        attachment: { type: "hook_additional_context", content: [text], hookEvent: "PostToolBatch" },
      },
    ];
    if (answered) lines.push(this.#answer());
    await this.#append(lines);
  }

  /** A later answer of the model, without proof of anything before it. */
  async answerWithoutProof(): Promise<void> {
    await this.#append([this.#answer()]);
  }

  startServer(): Promise<number> {
    return this.#ask({ do: "startServer" }) as Promise<number>;
  }

  async killServer(server = 0): Promise<void> {
    await this.#ask({ do: "killServer", server });
  }

  /** Ends the agent process the hard way. */
  async kill(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#child.exited;
  }

  async close(): Promise<void> {
    await this.kill();
  }

  #answer() {
    return {
      type: "assistant",
      isSidechain: false,
      timestamp: new Date().toISOString(),
      message: {
        id: `msg_${crypto.randomUUID()}`,
        role: "assistant",
        model: "fake",
        content: [{ type: "text", text: "ok" }],
      },
    };
  }

  async #append(lines: unknown[]): Promise<void> {
    const { appendFile } = await import("node:fs/promises");
    await appendFile(this.transcript, lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
  }

  async #ask(request: AgentRequest): Promise<unknown> {
    const id = this.#next++;
    const answered = new Promise<AgentReply>((resolve) => this.#waiting.set(id, resolve));
    this.#child.send({ id, ...request });
    const reply = await within(`the scripted agent to ${request.do}`, answered, { timeoutMs: 30_000 });
    if (!reply.ok) throw new Error(String(reply.value));
    return reply.value;
  }
}
