// Several machines on this computer: each a home of its own, served by the built executable. Everything is in one
// temporary directory with a short path (Unix sockets allow 104 bytes) and ends with the test.
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { ScriptedAgent } from "./agent";
import { binary } from "./binary";
import { waitFor } from "./wait";

export type Answered = { status: number; body: Record<string, unknown> };

export type Ran = { code: number; out: string; err: string };

/** A person's process that runs `standalone`, `hub` or `daemon`. */
export type Server = {
  pid: number;
  log(): string;
  kill(signal?: NodeJS.Signals): Promise<void>;
  exited: Promise<number>;
};

export class Machine {
  readonly #root: string;
  readonly #servers: Server[] = [];
  readonly #agents: ScriptedAgent[] = [];
  /** its commands and servers run this; its agents the program under test, unless they name another */
  program = binary;

  constructor(
    readonly name: string,
    root: string,
    readonly extraEnv: Record<string, string> = {},
  ) {
    this.#root = root;
  }

  /** the newest that was started */
  get server(): Server | undefined {
    return this.#servers.at(-1);
  }

  get home(): string {
    return `${this.#root}/${this.name}`;
  }

  get env(): Record<string, string> {
    const { PATH = "" } = process.env;
    return {
      PATH,
      HOME: this.#root,
      LANG: "C.UTF-8",
      AI_INTERCOM_HOME: this.home,
      AI_INTERCOM_MACHINE_ID: this.name,
      ...this.extraEnv,
    };
  }

  directory(project: string): string {
    return `${this.#root}/p-${this.name}/${project}`;
  }

  /** Writes its config.yml; `undefined` writes none. */
  async configure(config: unknown): Promise<void> {
    if (config === undefined) return;
    await mkdir(this.home, { recursive: true, mode: 0o700 });
    await Bun.write(`${this.home}/config.yml`, JSON.stringify(config)); // JSON is YAML too
  }

  /** Runs a command to its end. */
  async run(
    words: string[],
    options: { stdin?: string; cwd?: string; env?: Record<string, string> } = {},
  ): Promise<Ran> {
    const child = Bun.spawn([this.program, ...words], {
      env: { ...this.env, ...options.env },
      cwd: options.cwd ?? this.#root,
      stdin: new Blob([options.stdin ?? ""]),
      stdout: "pipe",
      stderr: "pipe",
      timeout: 30_000,
    });
    const [out, err, code] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
      child.exited,
    ]);
    return { code, out, err };
  }

  /** Runs a command with `--json`; throws unless it exits 0. */
  // biome-ignore lint/suspicious/noExplicitAny: the tests assert the shape
  async json(...words: string[]): Promise<any> {
    const { code, out, err } = await this.run([...words, "--json"]);
    if (code !== 0) throw new Error(`${words.join(" ")} exited ${code}: ${err}`);
    return JSON.parse(out);
  }

  /** Starts a server and waits for its first line. */
  async serve(...words: string[]): Promise<Server> {
    const child = Bun.spawn([this.program, ...words], {
      env: this.env,
      cwd: this.#root,
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
    let text = "";
    for (const stream of [child.stdout, child.stderr]) void collect(stream, (part) => (text += part));
    const server: Server = {
      pid: child.pid,
      log: () => text,
      exited: child.exited,
      kill: async (signal = "SIGTERM") => {
        child.kill(signal);
        await child.exited;
      },
    };
    this.#servers.push(server);
    await waitFor(
      `${words[0]} of ${this.name} to start`,
      () => /listening on|daemon of machine/.test(text) || child.exitCode !== null,
      { detail: () => text },
    );
    if (child.exitCode !== null)
      throw new Error(`${words[0]} of ${this.name} exited ${child.exitCode}: ${text}`);
    return server;
  }

  async linked(): Promise<void> {
    await waitFor(`${this.name} to be linked`, async () => (await this.json("status")).link === "linked");
  }

  /** A scripted agent: a process of its own with its MCP server and the installed hook commands. */
  async agent(
    project: string,
    options: { listed?: boolean; program?: string; hooks?: boolean } = {},
  ): Promise<ScriptedAgent> {
    await mkdir(this.directory(project), { recursive: true });
    const { program = binary, hooks } = options;
    const agent = await ScriptedAgent.start({ cwd: this.directory(project), env: this.env, program, hooks });
    this.#agents.push(agent);
    if (options.listed !== false) await agent.listed();
    return agent;
  }

  /** A request to the daemon's local API. */
  local(method: string, path: string, body?: unknown): Promise<Answered> {
    return this.#ask("daemon", method, path, body);
  }

  /** What the hub's own socket tells a person on its host; throws what it answers instead of a fact. */
  async fact(path: string): Promise<Record<string, unknown>> {
    const { status, body } = await this.#ask("hub", "GET", path);
    if (status !== 200) throw new Error(`${path} answered ${status}: ${JSON.stringify(body)}`);
    return body;
  }

  async #ask(role: "hub" | "daemon", method: string, path: string, body?: unknown): Promise<Answered> {
    const response = await fetch(`http://${role}${path}`, {
      unix: `${this.home}/run/${role}.sock`,
      method,
      ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
      headers: { "x-ai-intercom-pid": String(process.pid), "x-ai-intercom-agent-pid": String(process.pid) },
    });
    return { status: response.status, body: (await response.json()) as Record<string, unknown> };
  }

  /** Its servers die at once, without a word. */
  async crash(): Promise<void> {
    for (const server of this.#servers.splice(0)) await server.kill("SIGKILL");
  }

  async close(): Promise<void> {
    for (const agent of this.#agents) await agent.close();
    for (const server of this.#servers.reverse()) await server.kill("SIGKILL");
  }
}

export class Fleet implements AsyncDisposable {
  readonly #machines: Machine[] = [];
  #hubUrl = "";
  #config: (machine: Machine) => unknown = () => undefined;

  private constructor(readonly root: string) {}

  /** A root without machines. */
  static async empty(): Promise<Fleet> {
    return new Fleet(await mkdtemp("/tmp/aii-"));
  }

  /**
   * The first machine runs `standalone`; each further one joins it by invitation and runs `daemon`. `config`: what
   * stands in a machine's config.yml before it starts.
   */
  static async start(
    names: string[],
    env: Record<string, string> = {},
    config: (machine: Machine) => unknown = () => undefined,
  ): Promise<Fleet> {
    const fleet = await Fleet.empty();
    fleet.#config = config;
    try {
      const [first = "limn", ...rest] = names;
      await fleet.#startHub(fleet.add(first, env));
      for (const name of rest) await fleet.join(name, env);
    } catch (error) {
      await fleet[Symbol.asyncDispose]();
      throw error;
    }
    return fleet;
  }

  get hubUrl(): string {
    return this.#hubUrl;
  }

  machine(name: string): Machine {
    const found = this.#machines.find((one) => one.name === name);
    if (!found) throw new Error(`no machine ${name}`);
    return found;
  }

  /** A home without anything running in it. */
  add(name: string, env: Record<string, string> = {}): Machine {
    const machine = new Machine(name, this.root, env);
    this.#machines.push(machine);
    return machine;
  }

  async join(name: string, env: Record<string, string> = {}): Promise<Machine> {
    const machine = this.add(name, env);
    const [host = machine] = this.#machines;
    await machine.configure(this.#config(machine));
    const { code } = await host.json("invite");
    await machine.json("join", code);
    await machine.serve("daemon");
    await machine.linked();
    return machine;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const machine of this.#machines) await machine.close();
    await rm(this.root, { recursive: true, force: true });
  }

  async #startHub(machine: Machine): Promise<void> {
    await machine.configure(this.#config(machine));
    const server = await machine.serve("standalone", "--listen", "127.0.0.1:0");
    this.#hubUrl = /http:\/\/[\d.]+:\d+/.exec(server.log())?.[0] ?? "";
    await machine.linked();
  }
}

async function collect(stream: ReadableStream<Uint8Array>, take: (text: string) => void): Promise<void> {
  const decoder = new TextDecoder();
  for await (const part of stream) take(decoder.decode(part, { stream: true }));
}
