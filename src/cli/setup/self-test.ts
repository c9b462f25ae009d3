// Proves what `setup` has made: two sessions of this machine write to each other through everything, daemon, link, hub
// and inboxes, with the real MCP server. Nothing of it stays here; the hub keeps one thread and two ended sessions as the
// history that they are, and prunes them like any other (hub.keep_days).
import { existsSync } from "node:fs";
import { mkdir, rm } from "node:fs/promises";
import { IntercomError } from "../../protocol/errors.ts";
import { DaemonHealth } from "../../protocol/local-api.ts";
import { AgentList, selfTestProject, selfTestWords } from "../../protocol/session.ts";
import { homePaths } from "../../system/paths.ts";
import { ownProgram } from "../../system/program.ts";
import { delay } from "../../system/wait.ts";
import { askDaemon, isServed } from "../access.ts";
import { McpAgent } from "../mcp-agent.ts";
import { servicesOf } from "../service/this-computer.ts";

/** ms */
const linkPatienceMs = 15_000;
const listedPatienceMs = 10_000;
/** ms; the daemon looks each second for sessions that have ended (one of an older version leaves their inboxes) */
const clearedPatienceMs = 10_000;

export type SelfTest = { step: string; ms: number }[];

/** Runs it; where nothing serves this home, `mode` is started for its duration. Throws what went wrong. */
export async function selfTest(mode: "standalone" | "hub" | "daemon", home: string): Promise<SelfTest> {
  const steps: SelfTest = [];
  const timed = async <T>(step: string, work: () => Promise<T>): Promise<T> => {
    const started = performance.now();
    const result = await work();
    steps.push({ step, ms: Math.round((performance.now() - started) * 10) / 10 });
    return result;
  };
  // a service that was just started may not answer yet: one beside it would take its place
  const served = (await servicesOf(home)).length > 0 || (await isServed("daemon"));
  await using _server = served ? undefined : TemporaryServer.start(mode);
  const machine = await timed("the daemon is linked to its hub", linked);
  await using stage = await Stage.open();
  const [asking, answering] = await timed("two sessions register", () =>
    Promise.all([stage.session(machine), stage.session(machine)]),
  );
  const { thread_id } = await timed("a message reaches the other session's inbox", () =>
    asking.agent.says("intercom_chat", { to: answering.address, message: selfTestWords.question }),
  );
  await timed("it is read there, once", () => answering.agent.reads(selfTestWords.question));
  await timed("the answer comes back", async () => {
    await answering.agent.says("intercom_reply", { thread_id, message: selfTestWords.answer });
    await asking.agent.reads(selfTestWords.answer);
  });
  return steps;
}

type Placed = { agent: McpAgent; address: string; session: string };

class Stage implements AsyncDisposable {
  readonly #directory: string;
  readonly #agents: McpAgent[] = [];
  readonly #sessions: string[] = [];

  private constructor(directory: string) {
    this.#directory = directory;
  }

  /** Always the same directory: another path of that name would be another project. */
  static async open(): Promise<Stage> {
    const directory = `${homePaths().run}/${selfTestProject}`;
    await mkdir(directory, { recursive: true });
    return new Stage(directory);
  }

  async session(machine: string): Promise<Placed> {
    const env = Object.entries(process.env).flatMap(([name, value]): [string, string][] =>
      value === undefined ? [] : [[name, value]],
    );
    const agent = await McpAgent.start(this.#directory, Object.fromEntries(env));
    this.#agents.push(agent);
    const found = await placed(agent, machine);
    this.#sessions.push(found.session);
    return found;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const agent of this.#agents) await agent.close();
    await rm(this.#directory, { recursive: true, force: true });
    const { inbox } = homePaths();
    const until = Date.now() + clearedPatienceMs;
    while (this.#sessions.some((id) => existsSync(`${inbox}/${id}.jsonl`)) && Date.now() < until)
      await delay(20);
  }
}

/** Each session says which one it is by a summary of its own. */
async function placed(agent: McpAgent, machine: string): Promise<Placed> {
  const mark = `self-test ${crypto.randomUUID()}`;
  const until = Date.now() + listedPatienceMs;
  while (Date.now() < until) {
    await agent.call("intercom_register", { summary: mark });
    const { agents } = AgentList.parse(
      await agent.call("intercom_list_agents", { filter: `machine:${machine}` }),
    );
    const [found] = agents
      .flatMap(({ project_id, sessions }) => sessions.map((one) => ({ project_id, ...one })))
      .filter(({ summary }) => summary === mark);
    if (found) {
      const { project_id, session_id: session } = found;
      return { agent, session, address: `${machine}/${project_id}@${session}` };
    }
    await delay(20);
  }
  throw new IntercomError("internal", "a session of this machine is not listed at the hub");
}

/** Resolves with the machine's name. */
async function linked(): Promise<string> {
  const until = Date.now() + linkPatienceMs;
  for (;;) {
    const health = await askDaemon("/health").then(DaemonHealth.parse, () => undefined);
    if (health?.link === "linked") return health.machine_id;
    if (Date.now() > until)
      throw health
        ? new IntercomError(
            "hub_unreachable",
            `the link is ${health.link}${health.link_reason ? `: ${health.link_reason}` : ""}`,
          )
        : new IntercomError("daemon_unreachable", "the daemon did not start");
    await delay(50);
  }
}

class TemporaryServer implements AsyncDisposable {
  readonly #child: Bun.Subprocess;

  private constructor(child: Bun.Subprocess) {
    this.#child = child;
  }

  static start(mode: string): TemporaryServer {
    return new TemporaryServer(Bun.spawn([...ownProgram(), mode], { stdio: ["ignore", "ignore", "ignore"] }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGTERM");
    await this.#child.exited;
  }
}
