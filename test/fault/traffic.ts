// Load: agents that write to each other in threads and read as they go, until they are told to stop.
import { calm, type Manners } from "./manners.ts";
import type { SimAgent } from "./sim-agent.ts";
import type { World } from "./world.ts";

export type TrafficOptions = {
  manners: Manners;
  /** senders at a time per agent */
  lanes?: number;
  /** ms between two messages of a lane, at most */
  pauseMs?: number;
  /** part of the messages that no single hook output can carry */
  long?: number;
  longSize?: number;
  /** ms between two turns of an agent, at most */
  readPauseMs?: number;
};

export class Traffic {
  readonly #world: World;
  readonly #options: Required<TrafficOptions>;
  #going = true;
  #running: Promise<unknown>;
  #lane = 0;
  sent = 0;

  constructor(world: World, options: TrafficOptions) {
    this.#world = world;
    this.#options = { lanes: 1, pauseMs: 30, long: 0.03, longSize: 14_000, readPauseMs: 60, ...options };
    this.#running = Promise.all(
      world.agents.flatMap((agent) => [
        this.#live(agent),
        ...Array.from({ length: this.#options.lanes }, () => this.#write(agent)),
      ]),
    );
  }

  /** Resolves when every call that was begun has its answer. */
  async stop(): Promise<void> {
    this.#going = false;
    await this.#running;
  }

  /** Reads whenever mail waits, as an agent that is woken or works anyway. */
  async #live(agent: SimAgent): Promise<void> {
    const dice = this.#world.dice.fork(`life ${agent.address}`);
    while (this.#going) {
      if (agent.alive && (agent.hasMail || dice.chance(0.05))) await agent.turn(this.#options.manners);
      await Bun.sleep(dice.between(5, this.#options.readPauseMs + 1));
    }
    if (agent.alive) await agent.turn(calm);
  }

  /** One lane: a thread with one peer, a few messages, each after the answer to the one before; then another. */
  async #write(agent: SimAgent): Promise<void> {
    const { lanes: _, pauseMs, long, longSize } = this.#options;
    const dice = this.#world.dice.fork(`lane ${agent.address} ${this.#lane++}`);
    const others = this.#world.agents.filter((one) => one !== agent);
    while (this.#going) {
      const to = dice.pick(others);
      const lane = `lane ${agent.address} ${this.#lane++}`;
      let thread: string | undefined;
      for (let left = dice.between(1, 6); left > 0 && this.#going; left--) {
        if (!agent.alive) break;
        const size = dice.chance(long) ? longSize : 0;
        const said = await agent.say(to, { thread, lane, size });
        this.sent += 1;
        thread = said.thread ?? thread;
        if (thread === undefined) break;
        await Bun.sleep(dice.between(0, pauseMs + 1));
      }
      await Bun.sleep(dice.between(1, pauseMs + 2));
    }
  }
}
