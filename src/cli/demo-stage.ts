// Where the demo plays: a temporary home for each machine, the servers that run in them, and MCP clients that stand in
// for agents. Closing it ends and removes all of it.
import { mkdir, mkdtemp, realpath, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { z } from "zod";
import { IntercomError } from "../protocol/errors.ts";
import { ownProgram } from "../system/program.ts";
import { delay } from "../system/wait.ts";
import { McpAgent } from "./mcp-agent.ts";

/** ms that any one step may take */
const stepTimeoutMs = 15_000;
/** ms between looks at what is waited for */
const lookMs = 10;

export async function until(done: () => Promise<boolean>, what: string): Promise<void> {
  const deadline = Date.now() + stepTimeoutMs;
  while (!(await done())) {
    if (Date.now() > deadline)
      throw new IntercomError("internal", `waited ${stepTimeoutMs / 1000} s for ${what}`);
    await delay(lookMs);
  }
}

/** The temporary home of everything the demo starts; closing it ends and removes all of it. */
export class Stage {
  readonly #root: string;
  readonly #servers: ReturnType<Stage["spawn"]>[] = [];
  readonly #agents: McpAgent[] = [];

  private constructor(root: string) {
    this.#root = root;
  }

  static async open(): Promise<Stage> {
    return new Stage(await realpath(await mkdtemp(`${tmpdir()}/ai-intercom-demo-`)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const agent of this.#agents) await agent.close();
    for (const server of this.#servers.reverse()) {
      server.kill("SIGTERM");
      await server.exited;
    }
    await rm(this.#root, { recursive: true, force: true });
  }

  /** A project with a file to look into, and a configuration that lets the stand-in run there. */
  async prepare(machine: string, project: string, readme: string): Promise<void> {
    const [program, ...args] = ownProgram();
    const launcher = {
      default_command: "stand-in",
      allowed_paths: [this.#projects(machine)],
      commands: { "stand-in": { command: program, args: [...args, "stand-in"] } },
    };
    await mkdir(`${this.#root}/${machine}`, { mode: 0o700 });
    // JSON is YAML too
    await Bun.write(`${this.#root}/${machine}/config.yml`, JSON.stringify({ agent_launcher: launcher }));
    await Bun.write(`${this.#projects(machine)}/${project}/README.md`, `${readme}\n`);
  }

  /** Starts hub and daemon; resolves with the hub's URL. */
  async standalone(machine: string): Promise<string> {
    const line = await this.firstLine(this.server(machine, ["standalone", "--listen", "127.0.0.1:0"]));
    const url = /http:\/\/\S+?(?=,|\s|$)/.exec(line)?.[0];
    if (url === undefined) throw new IntercomError("internal", `the hub did not start: ${line}`);
    await this.linked(machine);
    return url;
  }

  async daemon(machine: string): Promise<void> {
    await this.firstLine(this.server(machine, ["daemon"]));
    await this.linked(machine);
  }

  /** Runs a command with `--json` to its end and gives its answer. */
  async run(machine: string, words: string[]): Promise<unknown> {
    const child = this.spawn(machine, words);
    const [out, err, code] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
      child.exited,
    ]);
    if (code !== 0) throw new IntercomError("internal", `${words[0]} failed: ${err.trim()}`);
    return JSON.parse(out);
  }

  async agent(machine: string, project: string): Promise<McpAgent> {
    const directory = `${this.#projects(machine)}/${project}`;
    await mkdir(directory, { recursive: true });
    const agent = await McpAgent.start(directory, this.environment(machine));
    this.#agents.push(agent);
    return agent;
  }

  #projects(machine: string): string {
    return `${this.#root}/${machine}-projects`;
  }

  private async linked(machine: string): Promise<void> {
    const Status = z.object({ link: z.string() });
    await until(
      async () => Status.parse(await this.run(machine, ["status", "--json"])).link === "linked",
      `${machine} to be linked`,
    );
  }

  private server(machine: string, words: string[]) {
    const child = this.spawn(machine, words);
    this.#servers.push(child);
    return child;
  }

  private spawn(machine: string, words: string[]) {
    return Bun.spawn([...ownProgram(), ...words], {
      env: this.environment(machine),
      cwd: this.#root,
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
  }

  private environment(machine: string): Record<string, string> {
    const { PATH = "", HOME = "" } = process.env;
    return { PATH, HOME, AI_INTERCOM_HOME: `${this.#root}/${machine}`, AI_INTERCOM_MACHINE_ID: machine };
  }

  private async firstLine(child: ReturnType<Stage["spawn"]>): Promise<string> {
    for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) return text;
    return new Response(child.stderr).text();
  }
}
