// A world for one or several cases: a hub and machines as processes of their own, simulated agents on them, and what
// the oracle needs to see.
import { Database } from "bun:sqlite";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { DaemonHealth } from "../../src/protocol/local-api.ts";
import { homePaths } from "../../src/system/paths.ts";
import { waitFor } from "../rig/wait.ts";
import { Book, sessionOf } from "./book.ts";
import { MachineClock } from "./clock.ts";
import { Dice } from "./dice.ts";
import { calm } from "./manners.ts";
import { type Elsewhere, judge, type Verdict } from "./oracle.ts";
import { patience, Served } from "./served.ts";
import { SimAgent } from "./sim-agent.ts";

export type WorldOptions = {
  binary: string;
  seed: number;
  machines?: readonly string[];
  agentsEach?: number;
  /** between daemons and hub */
  hubUrlFor?: (machine: string, url: string) => string;
  env?: Record<string, string>;
  /** agents with real MCP servers */
  realMcp?: boolean;
  /** other servers than processes of the built program */
  serve?: (...about: ConstructorParameters<typeof Served>) => Served;
  /** every machine has a clock of its own that can be set */
  clocks?: boolean;
  /** before anything runs in this home */
  prepareHome?: (home: string) => Promise<void>;
  /** after everything has ended */
  releaseHomes?: () => Promise<void>;
};

/** ms in which something must arrive once nothing fails any more, until everything has; and ms for all of it */
const drainMs = 60_000;
const longestDrainMs = 400_000;

export class World implements AsyncDisposable {
  /** what runs now: to be ended when the harness is */
  static readonly open = new Set<World>();
  readonly #clocks = new Map<string, MachineClock>();
  readonly agents: SimAgent[] = [];
  readonly machines: Served[] = [];
  /** sessions that ended for good */
  readonly absent = new Set<string>();
  readonly book: Book;
  readonly dice: Dice;
  /** what is wrong here shall be looked at */
  keep = false;

  readonly hub: Served;
  readonly hubUrl: string;

  private constructor(
    readonly root: string,
    address: string,
    private readonly options: WorldOptions,
  ) {
    this.hubUrl = `http://${address}`;
    const words = [options.binary, "hub", "--listen", address] as const;
    this.hub = this.#serve("hub", `${root}/hub`, words, this.#environment("hub"));
    this.dice = new Dice(options.seed);
    World.open.add(this);
    this.book = new Book(`w${options.seed}`);
  }

  static async start(options: WorldOptions): Promise<World> {
    const root = await mkdtemp("/tmp/aif-");
    const world = new World(root, `127.0.0.1:${await freePort()}`, options);
    const { hub } = world;
    try {
      await mkdir(hub.home, { recursive: true, mode: 0o700 });
      await options.prepareHome?.(hub.home);
      await hub.start();
      await Promise.all((options.machines ?? ["a", "b"]).map((name) => world.#join(name)));
      for (const machine of world.machines)
        for (let i = 0; i < (options.agentsEach ?? 2); i++) await world.agent(machine, `p${i}`);
      await world.listed();
    } catch (error) {
      await world[Symbol.asyncDispose]();
      throw error;
    }
    return world;
  }

  clockOf({ name }: Served): MachineClock {
    const clock = this.#clocks.get(name);
    if (!clock) throw new Error(`the clock of ${name} cannot be set`);
    return clock;
  }

  get servers(): Served[] {
    return [this.hub, ...this.machines];
  }

  environment(machine: Served): Record<string, string> {
    return this.#environment(machine.name, this.#urlFor(machine.name));
  }

  async agent(machine: Served, project: string): Promise<SimAgent> {
    const agent = await SimAgent.start(
      {
        root: this.root,
        home: machine.home,
        project,
        name: `${machine.name}/${project}`,
        binary: this.options.binary,
        env: this.environment(machine),
        realMcp: this.options.realMcp ?? false,
        now: this.#clocks.get(machine.name)?.now ?? Date.now,
      },
      this.book,
      this.dice.fork(`agent ${machine.name}/${project}`),
    );
    agent.onOther = (address) => this.agents.find((one) => one.address === address);
    this.agents.push(agent);
    return agent;
  }

  /** Waits until the hub knows every session. */
  async listed(): Promise<void> {
    await waitFor(
      "the hub to know every session",
      () => {
        const open = new Set(
          this.ask<{ session_id: string }>("SELECT session_id FROM sessions").map((row) => row.session_id),
        );
        return this.agents.every(({ sessionId }) => open.has(sessionId));
      },
      patience,
    );
  }

  /** Starts whatever does not run. */
  async restart(): Promise<void> {
    await Promise.all(this.servers.filter(({ running }) => !running).map((server) => server.start()));
  }

  /** Nothing fails any more: agents read until all is in context and settled. Then the oracle. */
  async drain({ timeoutMs = drainMs }: { timeoutMs?: number } = {}): Promise<Verdict> {
    await this.restart();
    for (const agent of this.agents)
      if (!agent.alive && !this.absent.has(agent.address)) await agent.resume();
    await Promise.all(this.agents.map((agent) => agent.repliesSent()));
    const open = new Set(this.agents.filter(({ alive }) => alive).map(({ address }) => address));
    const [begun, before] = [performance.now(), { state: "", at: performance.now() }];
    // on a machine that is busy with other things it takes its time, as long as it goes on
    while (performance.now() < Math.min(before.at + timeoutMs, begun + longestDrainMs)) {
      await Promise.all(this.agents.filter(({ alive }) => alive).map((agent) => agent.turn(calm)));
      const missing = this.book.missing(open).length;
      const waiting = await Promise.all(this.machines.map(outboxSize));
      if (missing === 0 && waiting.every((size) => size === 0) && this.#isQuiet(open)) break;
      const state = `${this.book.reads.length} ${missing} ${waiting}`;
      if (state !== before.state) Object.assign(before, { state, at: performance.now() });
      await Bun.sleep(50);
    }
    return judge(this.book, await this.elsewhere(), this.absent);
  }

  async elsewhere(): Promise<Elsewhere> {
    const places = new Map<string, string>();
    const add = (id: string, place: string) =>
      places.set(id, places.has(id) ? `${places.get(id)} and ${place}` : place);
    for (const { id, state, reason } of this.ask<{ id: string; state: string; reason: string }>(
      "SELECT message_id AS id, state, reason FROM deliveries WHERE state IN ('accepted', 'queued', 'held', 'failed', 'expired')",
    ))
      add(id, `${state === "failed" || state === "expired" ? "told " : ""}${state} at the hub (${reason})`);
    for (const machine of this.machines) {
      const { home, name } = machine;
      // what was sent stands there until all is
      const size = await outboxSize(machine);
      for (const line of size > 0 ? linesOf(homePaths(home).outbox).slice(-size) : []) {
        const id = /"kind":"route".*"message_id":"([^"]+)"/.exec(line)?.[1];
        if (id) add(id, `in the outbox of ${name}`);
      }
      for (const { line, file } of inboxLines(home)) {
        const [, flag, id] = /,"read":(false|true | true),"id":"([^"]+)"/.exec(line) ?? [];
        if (id && flag !== " true") add(id, `${flag === "false" ? "unread" : "claimed"} in ${name} ${file}`);
        if (id?.endsWith("-refused")) add(id.slice(0, -"-refused".length), "told refused");
      }
    }
    return places;
  }

  /** What a report needs beside the verdict. */
  logs(): string {
    return this.servers.map(({ name, output }) => `--- ${name}\n${output}`).join("\n");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    World.open.delete(this);
    for (const agent of this.agents) await agent.close();
    for (const server of this.servers) await server.kill();
    await this.options.releaseHomes?.();
    if (!this.keep) await rm(this.root, { recursive: true, force: true });
  }

  /** No claim is open, nothing waits in an outbox or at the hub for an open session. */
  #isQuiet(open: ReadonlySet<string>): boolean {
    const sessions = new Set([...open].map(sessionOf));
    if (this.agents.some((agent) => agent.alive && agent.hasMail)) return false;
    for (const { home } of this.machines)
      for (const { line } of ledgerLines(home)) if (!line.includes('"claims":[]')) return false;
    return this.ask<{ address: string }>(
      "SELECT address FROM deliveries WHERE state IN ('accepted', 'queued')",
    ).every(({ address }) => !sessions.has(sessionOf(address)));
  }

  /** Reads the hub's database. */
  ask<T>(sql: string): T[] {
    const db = new Database(homePaths(this.hub.home).hubDatabase, { readonly: true });
    try {
      return db.query<T, []>(sql).all();
    } finally {
      db.close();
    }
  }

  async #join(name: string): Promise<void> {
    const home = `${this.root}/${name}`;
    await mkdir(home, { recursive: true, mode: 0o700 });
    await this.options.prepareHome?.(home);
    const env = this.#environment(name, this.#urlFor(name));
    const { binary } = this.options;
    const { code } = JSON.parse(await run([binary, "invite", "--json"], this.#environment("hub")));
    await run([binary, "join", code], env);
    const machine = this.#serve(name, home, [binary, "daemon"], env);
    this.machines.push(machine);
    this.machines.sort((one, other) => one.name.localeCompare(other.name));
    await machine.start();
  }

  #serve(...about: ConstructorParameters<typeof Served>): Served {
    return this.options.serve?.(...about) ?? new Served(...about);
  }

  #environment(name: string, hubUrl?: string): Record<string, string> {
    if (this.options.clocks && !this.#clocks.has(name))
      this.#clocks.set(name, new MachineClock(`${this.root}/${name}.clock`));
    const clock = this.#clocks.get(name);
    return environment(
      this.root,
      name,
      { ...this.options.env, ...(clock ? { AI_INTERCOM_CLOCK: clock.path } : {}) },
      hubUrl,
    );
  }

  #urlFor(machine: string): string {
    return this.options.hubUrlFor?.(machine, this.hubUrl) ?? this.hubUrl;
  }
}

function environment(root: string, name: string, more: Record<string, string> = {}, url?: string) {
  return {
    PATH: process.env.PATH ?? "",
    HOME: root,
    LANG: "C.UTF-8",
    AI_INTERCOM_HOME: `${root}/${name}`,
    AI_INTERCOM_MACHINE_ID: name,
    AI_INTERCOM_LIMITS_RATE: "100000",
    AI_INTERCOM_LIMITS_BURST: "100000",
    AI_INTERCOM_LIMITS_LOOP: "1000000",
    ...(url === undefined ? {} : { HUB_URL: url }),
    ...more,
  };
}

async function run(words: string[], env: Record<string, string>): Promise<string> {
  const child = Bun.spawn(words, { env, stdin: "ignore", stdout: "pipe", stderr: "pipe", timeout: 30_000 });
  const [out, err] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  if ((await child.exited) !== 0) throw new Error(`${words.slice(1, 2)} failed: ${err}`);
  return out;
}

/** What the daemon itself says that it still owes; a daemon that does not answer owes something. */
async function outboxSize({ home }: Served): Promise<number> {
  try {
    const signal = AbortSignal.timeout(5_000);
    const answer = await fetch("http://daemon/health", { unix: homePaths(home).daemonSocket, signal });
    return DaemonHealth.parse(await answer.json()).outbox;
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}

async function freePort(): Promise<number> {
  const server = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: () => {} } });
  const { port } = server;
  server.stop(true);
  return port;
}

function linesOf(path: string): string[] {
  return existsSync(path)
    ? readFileSync(path, "utf8")
        .split("\n")
        .filter((line) => line !== "")
    : [];
}

function filesOf(home: string, ending: string): { line: string; file: string }[] {
  const { inbox } = homePaths(home);
  const files = existsSync(inbox) ? readdirSync(inbox).filter((name) => name.endsWith(ending)) : [];
  return files.flatMap((file) => linesOf(`${inbox}/${file}`).map((line) => ({ line, file })));
}
const inboxLines = (home: string) => filesOf(home, ".jsonl");
const ledgerLines = (home: string) => filesOf(home, ".ledger");
