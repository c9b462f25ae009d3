// `ai-intercom demo`: the product at work in a temporary home, with real parts only: a hub, two machines, two MCP
// sessions over stdio. Leaves nothing behind.

import { mkdir, mkdtemp, realpath, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { z } from "zod";
import { IntercomError } from "../protocol/errors.ts";
import { Invite } from "../protocol/hub-api.ts";
import { MessageStatus } from "../protocol/message.ts";
import { AgentList } from "../protocol/session.ts";
import { ownProgram } from "../system/program.ts";
import { delay } from "../system/wait.ts";
import { command } from "./command.ts";
import { McpAgent } from "./mcp-agent.ts";
import { dim, print } from "./output.ts";

/** ms that any one step may take */
const stepTimeoutMs = 15_000;
const [question, answer] = ["Which port does your API listen on?", "8080. The health check is GET /livez."];

export const demo = command({
  name: "demo",
  description:
    "a hub and two machines in a temporary home, two real MCP sessions that chat; each step with its time",
  args: {},
  examples: ["ai-intercom demo"],
  run: async () => {
    await using stage = await Stage.open();
    await play(stage);
  },
});

async function play(stage: Stage): Promise<void> {
  const started = performance.now();
  const hubUrl = await step("start a hub and machine limn", () => stage.standalone("limn"));
  const { code } = await step("invite a second machine", async () =>
    Invite.parse(await stage.run("limn", ["invite", "--json"])),
  );
  await step("machine atlas joins with the code", () =>
    stage.run("atlas", ["join", code, "--hub-url", hubUrl, "--machine-id", "atlas", "--json"]),
  );
  await step("start its daemon", () => stage.daemon("atlas"));
  const mnemos = await step("an agent starts on limn, in project mnemos", () =>
    stage.agent("limn", "mnemos"),
  );
  const website = await step("an agent starts on atlas, in project website", () =>
    stage.agent("atlas", "website"),
  );
  await step("atlas/website sees limn/mnemos", () => seen(website, "limn", "mnemos"));
  const asked = await step(`atlas/website → limn/mnemos: "${question}"`, async () =>
    website.says("intercom_chat", { to: "limn/mnemos", message: question }),
  );
  await step("limn/mnemos reads its inbox", () => mnemos.reads(question));
  await step(`limn/mnemos replies: "${answer}"`, async () =>
    mnemos.says("intercom_reply", { thread_id: asked.thread_id, message: answer }),
  );
  await step("atlas/website reads the answer", () => website.reads(answer));
  const { states } = await step("atlas/website asks where its question is", async () =>
    MessageStatus.parse(await website.call("intercom_status", { message_id: asked.message_id })),
  );
  for (const { state, at } of states) print(dim(`           ${state.padEnd(10)} ${at}`));
  print(
    `\nall of it in ${Math.round(performance.now() - started)} ms. For real: ai-intercom install claude && ai-intercom standalone`,
  );
}

/** Runs one step and prints how long it took. */
async function step<T>(title: string, work: () => Promise<T>): Promise<T> {
  const started = performance.now();
  const result = await work();
  print(`${`${(performance.now() - started).toFixed(1)} ms`.padStart(10)}  ${title}`);
  return result;
}

async function seen(agent: McpAgent, machine: string, project: string): Promise<void> {
  await until(async () => {
    const { agents } = AgentList.parse(await agent.call("intercom_list_agents", {}));
    return agents.some(
      (one) => one.machine_id === machine && one.project_id === project && one.session !== null,
    );
  }, `${machine}/${project} to be listed`);
}

async function until(done: () => Promise<boolean>, what: string): Promise<void> {
  const deadline = Date.now() + stepTimeoutMs;
  while (!(await done())) {
    if (Date.now() > deadline)
      throw new IntercomError("internal", `waited ${stepTimeoutMs / 1000} s for ${what}`);
    await delay(10);
  }
}

/** The temporary home of everything the demo starts; closing it ends and removes all of it. */
class Stage {
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
    const directory = `${this.#root}/${machine}-projects/${project}`;
    await mkdir(directory, { recursive: true });
    const agent = await McpAgent.start(directory, this.environment(machine));
    this.#agents.push(agent);
    return agent;
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
