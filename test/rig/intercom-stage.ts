// The whole product around real clients: a fleet of machines served by the built executable, homes into which the
// real `install` wrote, and the fake model behind every client. What a session's model read is asked here.

import { mkdir, symlink } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { type ClaudeVersion, claudePath } from "../real/install";
import { binary } from "./binary";
import { ClaudePrint, type ClaudePrintOptions, ClaudeTerminal } from "./claude";
import { ClaudeHome } from "./claude-home";
import type { ClaudeOptions, ClaudeProcess } from "./claude-process";
import { countOccurrences, FakeModel, type Gate, type LoggedRequest } from "./fake-model";
import type { Step } from "./fake-script";
import { Fleet, type Machine } from "./fleet";
import { bash, isMainTurn } from "./stage";
import { waitFor } from "./wait";

/** Header by which the fake model's log tells the clients apart; it outlives `/clear`. */
const clientHeader = "x-test-client";

type Start<Options extends ClaudeOptions> = Omit<Options, "home" | "cwd">;

/** Fleet and model of one test or one file. Disposing it fails if the model met a problem. */
export class IntercomStage implements AsyncDisposable {
  readonly #homes: ClaudeHome[] = [];

  private constructor(
    readonly model: FakeModel,
    readonly fleet: Fleet,
  ) {}

  /** The first machine is the hub's host. */
  static async open(
    machines: string[] = ["limn", "atlas"],
    env: Record<string, string> = {},
  ): Promise<IntercomStage> {
    const model = FakeModel.start();
    try {
      return new IntercomStage(model, await Fleet.start(machines, env));
    } catch (error) {
      await model[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** A home on that machine, with the hooks and the MCP entry that `ai-intercom install claude` merged into it. */
  async home(machineName: string, settings?: Readonly<Record<string, unknown>>): Promise<InstalledHome> {
    const machine = this.fleet.machine(machineName);
    const home = await ClaudeHome.create({ modelUrl: this.model.url });
    this.#homes.push(home);
    if (settings) await home.writeSettings(settings);
    const { code, err } = await machine.run(["install", "claude"], { env: { HOME: home.path } });
    if (code !== 0) throw new Error(`install claude exited ${code}: ${err}`);
    return new InstalledHome(this, machine, home);
  }

  /** A home on that machine into which the client's own `plugin` command installed ours, from this repository. */
  async pluginHome(machineName: string, clientVersion: ClaudeVersion): Promise<InstalledHome> {
    const machine = this.fleet.machine(machineName);
    const home = await ClaudeHome.create({ modelUrl: this.model.url });
    this.#homes.push(home);
    await mkdir(`${home.path}/.local/bin`, { recursive: true });
    await symlink(binary, `${home.path}/.local/bin/ai-intercom`);
    for (const words of [
      ["marketplace", "add", join(import.meta.dir, "../..")],
      ["install", "ai-intercom@ai-intercom"],
    ]) {
      const run = Bun.spawnSync([claudePath(clientVersion), "plugin", ...words], {
        env: home.env(),
        cwd: home.project(),
        timeout: 60_000,
      });
      if (run.exitCode !== 0) throw new Error(`claude plugin ${words.join(" ")}: ${run.stdout}${run.stderr}`);
    }
    return new InstalledHome(this, machine, home);
  }

  /** A person writes to an agent, on the hub's host. The text stands in the agent's inbox when this resolves. */
  async write(to: string, text: string): Promise<{ thread_id: string; message_id: string }> {
    const sent = await this.#host().json("chat", to, text);
    // a machine that is slow for more than 2 s has the text later than the command waits
    if (sent.status === "queued")
      await waitFor("the text to be delivered", async () =>
        (await this.states(sent.message_id)).includes("delivered"),
      );
    else if (sent.status !== "delivered") throw new Error(`chat to ${to}: ${JSON.stringify(sent)}`);
    return sent;
  }

  /**
   * The states a message has reached, as the hub knows them, with their times. Asked without the command line: a test
   * that waits for a state would keep a processor busy with starting programs, beside the clients that it waits for.
   */
  async history(messageId: string): Promise<{ state: string; at: string; reason?: string }[]> {
    const { states } = await this.#host().fact(`/api/messages/${messageId}`);
    return states as { state: string; at: string; reason?: string }[];
  }

  /** The states in order; one that was said again with another reason counts once. */
  async states(messageId: string): Promise<string[]> {
    const states = (await this.history(messageId)).map(({ state }) => state);
    return states.filter((state, at) => state !== states[at - 1]);
  }

  /** Whether the hub lists the session with that exact address. */
  async isOpen(address: string): Promise<boolean> {
    const agents = (await this.#host().fact("/api/agents")).agents as Agent[];
    return agents.some(({ machine_id, project_id, sessions }) =>
      sessions.some(({ session_id }) => `${machine_id}/${project_id}@${session_id}` === address),
    );
  }

  /** A gate of its own name: `step` holds an answer of the model there. */
  gate(): Gate & { step: Step } {
    const name = crypto.randomUUID();
    return { ...this.model.gate(name), step: { gate: name } };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.model[Symbol.asyncDispose]();
    await this.fleet[Symbol.asyncDispose]();
    for (const home of this.#homes) await home[Symbol.asyncDispose]();
    if (this.model.problems.length > 0)
      throw new Error(`the fake model met: ${this.model.problems.join("; ")}`);
  }

  #host(): Machine {
    return this.fleet.machine("limn");
  }
}

export class InstalledHome {
  constructor(
    readonly stage: IntercomStage,
    readonly machine: Machine,
    readonly files: ClaudeHome,
  ) {}

  /** The sessions of this home cannot be woken: mail for an idle one waits for its next prompt. */
  async withoutBell(): Promise<this> {
    return this.#serverEnv({ CLAUDE_CODE_MESSAGING_SOCKET: "", CLAUDE_CODE_ENTRYPOINT: "" });
  }

  /** The MCP server finds no messaging socket, as with 2.1.197 and with some providers: a hook waits to be rung. */
  async withoutSocket(): Promise<this> {
    return this.#serverEnv({ CLAUDE_CODE_MESSAGING_SOCKET: "" });
  }

  /** Our hook of this event runs `words` of shell first, where mail waits. `timeout` in seconds, else the installed one. */
  async beforeMailHook(event: string, words: string, timeout?: number): Promise<void> {
    const settings = Settings.parse(await Bun.file(join(this.files.path, ".claude/settings.json")).json());
    const hooks = settings.hooks[event]?.flatMap((group) => group.hooks) ?? [];
    const hook = hooks.find(({ command }) => command.includes("check-inbox"));
    const guarded = hook?.command.replace(" || exit 0; ", `$&${words}; `);
    if (!hook || guarded === undefined || guarded === hook.command)
      throw new Error(`install wrote no ${event} hook with a guard`);
    hook.command = guarded;
    if (timeout !== undefined) hook.timeout = timeout;
    await this.files.writeSettings(settings);
  }

  async #serverEnv(env: Record<string, string>): Promise<this> {
    const path = join(this.files.path, ".claude.json");
    const state = ClientState.parse(await Bun.file(path).json());
    Object.assign(state.mcpServers["ai-intercom"].env, env);
    await Bun.write(path, JSON.stringify(state));
    return this;
  }

  /** An interactive session; resolves when others can write to it. */
  async terminal(options: Start<ClaudeOptions>): Promise<IntercomSession<ClaudeTerminal>> {
    const name = crypto.randomUUID();
    const claude = await ClaudeTerminal.start(this.#options(options, name));
    return this.#session(claude, name);
  }

  /** A headless run; resolves when others can write to it, which needs a script that holds it until then. */
  async print(options: Start<ClaudePrintOptions>): Promise<IntercomSession<ClaudePrint>> {
    const name = crypto.randomUUID();
    const claude = await ClaudePrint.start(this.#options(options, name));
    return this.#session(claude, name);
  }

  #options<O extends ClaudeOptions>(options: Start<O>, name: string) {
    return {
      ...options,
      home: this.files,
      env: { ...options.env, ANTHROPIC_CUSTOM_HEADERS: `${clientHeader}: ${name}` },
    };
  }

  async #session<C extends ClaudeProcess>(claude: C, name: string): Promise<IntercomSession<C>> {
    const { stage, machine } = this;
    try {
      const address = await waitFor(
        `claude ${claude.pid} to be listed by the hub`,
        async () => {
          const own = await localSession(machine, claude.pid);
          const full = own && `${machine.name}/${own.project}@${own.session_id}`;
          return full && (await stage.isOpen(full)) && full;
        },
        { detail: () => claude.describe() },
      );
      return new IntercomSession(this, claude, name, address);
    } catch (error) {
      await claude.close();
      throw error;
    }
  }
}

const ClientState = z.looseObject({
  mcpServers: z.object({ "ai-intercom": z.looseObject({ env: z.record(z.string(), z.string()) }) }),
});

const Settings = z.looseObject({
  hooks: z.record(
    z.string(),
    z.array(z.looseObject({ hooks: z.array(z.looseObject({ command: z.string() })) })),
  ),
});

/** A real client that others can write to. */
export class IntercomSession<C extends ClaudeProcess> implements AsyncDisposable {
  constructor(
    readonly home: InstalledHome,
    readonly claude: C,
    readonly name: string,
    /** `machine/project@session` */
    readonly address: string,
  ) {}

  /** The product's id of it, `s-…`. */
  get id(): string {
    return this.address.slice(this.address.indexOf("@") + 1);
  }

  /** What this session's main agent asked the model, oldest first. */
  turns(): LoggedRequest[] {
    return this.requests().filter(isMainTurn);
  }

  /** Everything this client asked the model, subagents and side jobs too. */
  requests(): LoggedRequest[] {
    return this.home.stage.model.requests().filter(({ headers }) => headers[clientHeader] === this.name);
  }

  /** How often `text` stands in each turn: `[0, 1, 1]` is once, and from the second turn on. */
  counts(text: string): number[] {
    return this.turns().map((request) => countOccurrences(request, text));
  }

  /** How many rings its model has read, each counted once. */
  rings(): number {
    const marks = this.turns().flatMap(({ text }) => text.match(/\[ai-intercom ring [0-9a-f]+\]/g) ?? []);
    return new Set(marks).size;
  }

  /**
   * How many rings one mail that came at `since` (by `performance.now()`) may have cost so far: a client that a busy
   * machine keeps from reading for 5 s is rung again, and each ring is a turn.
   */
  ringsSince(since: number): number {
    return 1 + Math.floor((performance.now() - since) / 5_000);
  }

  /** Waits for the first turn of this session that fits. */
  turn(label: string, fits: (request: LoggedRequest) => boolean): Promise<LoggedRequest> {
    return this.home.stage.model.waitForRequest(
      (request) => request.headers[clientHeader] === this.name && isMainTurn(request) && fits(request),
      { label },
    );
  }

  /** What the daemon says of this session now. */
  local() {
    return localSession(this.home.machine, this.claude.pid);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.claude.close();
  }
}

/** A call of one of the product's tools, by its short name. */
export function intercom(tool: string, input: Record<string, unknown> = {}): Step {
  return { tool: `mcp__ai-intercom__intercom_${tool}`, input };
}

/** A tool call that lasts until the test lets it end. Its files are in the client's home. */
export class HeldTool {
  readonly #name = `tool-${crypto.randomUUID()}`;
  readonly step: Step = bash(
    `touch "$HOME/${this.#name}-runs"; while [ -d "$HOME" ] && [ ! -e "$HOME/${this.#name}-go" ]; do sleep 0.03; done; echo tool-output`,
  );

  constructor(readonly home: InstalledHome) {}

  async running(): Promise<void> {
    await waitFor("the tool to run", () => Bun.file(`${this.home.files.path}/${this.#name}-runs`).exists(), {
      detail: () => this.home.stage.model.describe(),
    });
  }

  async finish(): Promise<void> {
    await this.home.files.write(`${this.#name}-go`, "");
  }
}

type Agent = { machine_id: string; project_id: string; sessions: { session_id: string }[] };

async function localSession(machine: Machine, pid: number) {
  const { body } = await machine.local("GET", "/api/sessions");
  const sessions = body.sessions as {
    pid: number;
    session_id: string;
    project: string;
    inbox_pending: number;
    status: string;
  }[];
  return sessions.find((one) => one.pid === pid);
}
