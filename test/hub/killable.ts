// A hub in a process of its own, to be killed at a named point, and the two scripted machines that outlive it.
import { mkdtempSync } from "node:fs";
import { homePaths } from "../../src/system/paths.ts";
import { Launcher } from "./launcher.ts";
import { Peer, session } from "./peer.ts";
import { personAt, type Reachable, startHub } from "./rig.ts";

type Child = Bun.Subprocess<"ignore", "pipe", "ignore">;

export async function spawnHub(home: string, crash?: string): Promise<{ child: Child; url: string }> {
  const entry = Bun.fileURLToPath(import.meta.resolve("./serve.ts"));
  const child = Bun.spawn([process.execPath, entry, home], {
    env: { ...process.env, ...(crash ? { AI_INTERCOM_CRASH: crash } : {}) },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "ignore",
  });
  const { value } = await child.stdout.getReader().read();
  return { child, url: new TextDecoder().decode(value).trim() };
}

/** ms until a world that cannot come to an end says so */
const deadlineMs = 30_000;

export class KillableWorld {
  readonly #paths = homePaths(mkdtempSync("/tmp/aii-hub-"));
  #child: Child | undefined;
  #url = "";
  readonly hub: Reachable;
  readonly mac: Peer;
  readonly limn: Launcher;
  /** how often the hub died */
  deaths = 0;

  constructor() {
    const url = () => this.#url;
    this.hub = {
      hub: {
        get url() {
          return url();
        },
      },
      person: personAt(this.#paths.hubSocket),
    };
    this.mac = new Peer(this.hub, "mac");
    this.limn = new Launcher(new Peer(this.hub, "limn"));
  }

  /** Both machines are enrolled at a hub; then it starts anew in a process of its own, to die at `crash`. */
  async start(crash: string): Promise<void> {
    {
      await using first = await startHub({}, this.#paths);
      this.#url = first.hub.url;
      await this.mac.enrol();
      await this.limn.peer.enrol();
    }
    await this.#spawn(crash);
    // it may die while they connect
    await Promise.race([this.#connect().catch(() => undefined), this.#child?.exited]);
  }

  /** Repeats `step`, as outboxes and persons do, until it is true; whenever the hub is dead it is started again. */
  async until<T>(label: string, step: () => Promise<T | undefined | false>): Promise<T> {
    const deadline = performance.now() + deadlineMs;
    let last: unknown;
    while (performance.now() < deadline) {
      if (this.#child?.exitCode !== null || this.#child.signalCode !== null) await this.#revive();
      try {
        const value = await Promise.race([step(), Bun.sleep(3_000)]);
        if (value !== undefined && value !== false) return value;
        last = value;
      } catch (error) {
        last = error;
      }
      await Bun.sleep(20);
    }
    throw new Error(`${label} did not come; last: ${Bun.inspect(last)}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child?.kill("SIGKILL");
    await this.#child?.exited;
  }

  async #revive(): Promise<void> {
    this.deaths += 1;
    await this.#spawn();
    await this.#connect();
  }

  async #spawn(crash?: string): Promise<void> {
    ({ child: this.#child, url: this.#url } = await spawnHub(this.#paths.home, crash));
  }

  async #connect(): Promise<void> {
    await this.mac.connect();
    await this.mac.presence(session("web@s-a"));
    await this.limn.connect();
  }
}
