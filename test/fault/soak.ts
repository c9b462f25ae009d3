// The soak: many messages between 20 sessions on 4 machines, through real hub and daemon processes, while their memory
// and open files are watched; then the hub is killed and started again on all that history. Sessions are simulated:
// a process each, with the real session client and no transcript, so that they report what they printed.
import { readdirSync, readFileSync, statSync } from "node:fs";
import { SessionClient } from "../../src/mcp/session-client.ts";
import { ChatAnswer } from "../../src/protocol/message.ts";
import { tools } from "../../src/protocol/tools.ts";
import { homePaths } from "../../src/system/paths.ts";
import { waitFor } from "../rig/wait.ts";
import type { Served } from "./served.ts";
import { World } from "./world.ts";

const machines = ["a", "b", "c", "d"];
const sessionsEach = 5;
/** messages of one thread, and characters of one message */
const perThread = 20;
const textLength = 200;
/** ms; what a session reads at a time is then as much as one answer carries, at most */
const readEveryMs = 1_000;
/** messages that may be on their way at once: a hub that stalls for 4 s must not let them pile up without end */
const mostUnderWay = 4_000;
const sampleEveryMs = 5_000;
const tellEveryMs = 60_000;
/** part of the messages after which the programs count as warm, and how far the rest may lie above that */
const warm = 0.1;
const allowedGrowth = 1.1;
const restarts = 5;
const restartLimitMs = 1_000;

type Sample = { done: number; memory: number; files: number };
type Pair = { sent: number; read: number };

class Soak {
  /** "from to": messages sent and read; each must be read in the order in which it was sent */
  readonly pairs = new Map<string, Pair>();
  readonly wrong: string[] = [];
  readonly samples = new Map<Served, Sample[]>();
  begun = 0;
  read = 0;

  constructor(
    readonly world: World,
    readonly goal: number,
  ) {
    for (const server of world.servers) this.samples.set(server, []);
  }

  pair(from: string, to: string): Pair {
    const pair = this.pairs.get(`${from} ${to}`) ?? { sent: 0, read: 0 };
    this.pairs.set(`${from} ${to}`, pair);
    return pair;
  }

  sample(): void {
    for (const [server, samples] of this.samples) {
      const memory =
        Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${server.pid}/status`, "utf8"))?.[1]) / 1024;
      samples.push({ done: this.read, memory, files: readdirSync(`/proc/${server.pid}/fd`).length });
    }
  }
}

/** One session: its process, its client, a sender and a reader. */
class Member {
  readonly #process: Bun.Subprocess;
  readonly client: SessionClient;
  address = "";

  constructor(
    readonly soak: Soak,
    readonly machine: Served,
    readonly project: string,
  ) {
    this.#process = Bun.spawn(["sleep", "infinity"], { stdio: ["ignore", "ignore", "ignore"] });
    this.client = new SessionClient({
      socket: homePaths(machine.home).daemonSocket,
      registration: () => ({ pid: this.#process.pid, project, agent: "unknown" }),
    });
    this.client.start();
  }

  async join(): Promise<void> {
    const found = await waitFor(`${this.machine.name}/${this.project} to be known`, () =>
      this.soak.world
        .ask<{ session_id: string }>(
          `SELECT session_id FROM sessions WHERE machine_id = '${this.machine.name}' AND project_id = '${this.project}'`,
        )
        .at(0),
    );
    this.address = `${this.machine.name}/${this.project}@${found.session_id}`;
  }

  /** Threads with one peer after another, until enough is sent. */
  async send(to: readonly Member[]): Promise<void> {
    const { soak } = this;
    for (let turn = 0; soak.begun < soak.goal; turn++) {
      const peer = to[turn % to.length];
      if (!peer) return;
      const pair = soak.pair(this.address, peer.address);
      let thread: string | undefined;
      for (let left = perThread; left > 0 && soak.begun < soak.goal; left--) {
        while (soak.begun - soak.read >= mostUnderWay) await Bun.sleep(20);
        soak.begun += 1;
        const message = `#${pair.sent}# ${"x".repeat(textLength)}`;
        const given = thread ? { thread_id: thread, message } : { to: peer.address, message };
        const { result } = await this.client.call(thread ? "intercom_reply" : "intercom_chat", given);
        const answer = ChatAnswer.parse(result);
        if (answer.status !== "delivered" && answer.status !== "queued")
          throw new Error(`${this.address}: ${JSON.stringify(answer)}`);
        pair.sent += 1;
        thread = answer.thread_id;
      }
    }
  }

  async receive(): Promise<void> {
    const { soak } = this;
    while (soak.read < soak.goal && soak.wrong.length < 20) {
      const { result, confirm } = await this.client.call("intercom_check_inbox", {});
      const { messages } = tools.intercom_check_inbox.output.parse(result);
      for (const { from_agent, message } of messages) this.#take(from_agent, message);
      if (confirm) await this.client.confirm(confirm);
      await Bun.sleep(readEveryMs);
    }
  }

  #take(from: string, message: string): void {
    const pair = this.soak.pairs.get(`${from} ${this.address}`);
    const number = Number(/^#(\d+)#/.exec(message)?.[1] ?? Number.NaN);
    this.soak.read += 1;
    if (pair && number === pair.read) pair.read += 1;
    else this.soak.wrong.push(`${this.address} read ${number} of ${from}, not ${pair?.read}`);
  }

  async close(): Promise<void> {
    void this.client.stop();
    this.#process.kill("SIGKILL");
    await this.#process.exited;
  }
}

/** True when nothing is wrong. */
export async function soak(options: { binary: string; seed: number; messages: number }): Promise<boolean> {
  const env = { AI_INTERCOM_LIMITS_UNREAD: "1000000", AI_INTERCOM_LIMITS_LOOP: "1000000000" };
  await using world = await World.start({ ...options, machines, agentsEach: 0, env });
  const run = new Soak(world, options.messages);
  const members = world.machines.flatMap((machine) =>
    Array.from({ length: sessionsEach }, (_, at) => new Member(run, machine, `p${at}`)),
  );
  const started = performance.now();
  const clocks = [
    setInterval(() => run.sample(), sampleEveryMs),
    setInterval(() => tell(run, started), tellEveryMs),
  ];
  try {
    await Promise.all(members.map((member) => member.join()));
    await Promise.all(
      members.flatMap((member, at) => [
        member.send([...members.slice(at + 1), ...members.slice(0, at)]),
        member.receive(),
      ]),
    );
  } finally {
    for (const clock of clocks) clearInterval(clock);
  }
  run.sample();
  const seconds = (performance.now() - started) / 1_000;
  const times = await restartHub(world);
  const good = report(run, seconds, times);
  for (const member of members) await member.close();
  return good;
}

function tell({ world, read, goal, samples }: Soak, started: number): void {
  const now = world.servers.map((server) => {
    const { memory = 0, files = 0 } = samples.get(server)?.at(-1) ?? {};
    return `${server.name} ${memory.toFixed(0)} MB ${files} files`;
  });
  const perSecond = Math.round(read / ((performance.now() - started) / 1_000));
  console.log(`${read} of ${goal} messages, ${perSecond}/s; ${now.join(", ")}`);
}

/** ms from the start of the program until the hub is ready, and until all machines are linked again. */
async function restartHub(world: World): Promise<{ ready: number; linked: number }[]> {
  const times: { ready: number; linked: number }[] = [];
  for (let at = 0; at < restarts; at++) {
    await world.hub.kill();
    const started = performance.now();
    const running = world.hub.start();
    await waitFor("the hub to be ready", async () => (await fetch(`${world.hubUrl}/readyz`)).ok);
    const ready = performance.now() - started;
    await running;
    await waitFor("all machines to be linked", async () => {
      const links = await Promise.all(world.machines.map(({ home }) => linkOf(home)));
      return links.every((link) => link === "linked");
    });
    times.push({ ready, linked: performance.now() - started });
  }
  return times;
}

async function linkOf(home: string): Promise<unknown> {
  const answer = await fetch("http://daemon/health", { unix: homePaths(home).daemonSocket });
  const { link } = (await answer.json()) as { link?: unknown }; // boundary: the daemon's own answer
  return link;
}

function report(run: Soak, seconds: number, times: { ready: number; linked: number }[]): boolean {
  const lost = [...run.pairs.values()].reduce((sum, { sent, read }) => sum + Math.max(0, sent - read), 0);
  const size = statSync(homePaths(run.world.hub.home).hubDatabase).size / 1024 ** 2;
  const growths = [...run.samples].map(([server, samples]) => ({
    server,
    memory: growth(samples, run.goal, ({ memory }) => memory),
    files: growth(samples, run.goal, ({ files }) => files),
  }));
  for (const { server, memory, files } of growths)
    console.log(
      `${server.name}: memory ${memory.before.toFixed(0)} → ${memory.after.toFixed(0)} MB, files ${files.before} → ${files.after}`,
    );
  const flat = growths.every(({ memory, files }) => memory.flat && files.flat);
  const ready = Math.max(...times.map((one) => one.ready));
  console.log(
    `hub restarts: ${times.map((one) => `${one.ready.toFixed(0)} (links ${one.linked.toFixed(0)})`).join(", ")} ms`,
  );
  for (const line of run.wrong.slice(0, 20)) console.log(`  wrong: ${line}`);
  const good = lost === 0 && run.wrong.length === 0 && flat && ready < restartLimitMs;
  console.log(
    `soak: ${run.read} messages in ${seconds.toFixed(0)} s (${(run.read / seconds).toFixed(0)}/s), lost ${lost}, doubled or misplaced ${run.wrong.length}, memory and files ${flat ? "flat" : "NOT flat"}, hub ready within ${ready.toFixed(0)} ms with a database of ${size.toFixed(0)} MB`,
  );
  return good;
}

/** Medians just after the warm-up and at the end. */
function growth(samples: Sample[], goal: number, of: (sample: Sample) => number) {
  const median = (from: number, to: number) => {
    const values = samples.filter(({ done }) => done >= from * goal && done <= to * goal).map(of);
    return values.sort((one, other) => one - other)[Math.floor(values.length / 2)] ?? Number.NaN;
  };
  const [before, after] = [median(warm, 2 * warm), median(1 - warm, 1)];
  return { before, after, flat: after <= before * allowedGrowth };
}
