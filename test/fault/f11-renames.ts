// F11: machines restart, conversations are resumed, projects and machines get other names, a home is copied.
import { cloneFor } from "./f10-two-daemons.ts";
import { type CaseResult, type Context, type FaultClass, noViolation, resultOf } from "./fault.ts";
import { lively } from "./manners.ts";
import { isClean } from "./oracle.ts";
import { Served } from "./served.ts";
import { Traffic } from "./traffic.ts";
import { World } from "./world.ts";

type Change = (world: World, round: number, context: Context) => Promise<void>;

const changes: Record<string, Change> = {
  /** all servers stop as asked and start again; some of the agents too */
  restart: async (world) => {
    await Promise.all(world.servers.map((server) => server.kill("SIGTERM")));
    for (const agent of world.agents) if (world.dice.chance(0.3)) await agent.die();
    await world.restart();
  },
  /** all conversations end, mail goes on, and they are resumed in another order */
  resume: async (world) => {
    await Promise.all(world.agents.map((agent) => agent.die()));
    await Bun.sleep(world.dice.between(100, 2_500));
    for (const agent of world.agents.toReversed()) await agent.resume();
  },
  /** a conversation is resumed in a directory of another name */
  "rename-project": async (world, round) => {
    for (const [at, agent] of world.agents.entries()) {
      if (!agent.alive || !world.dice.chance(0.6)) continue;
      await agent.die();
      await Bun.sleep(world.dice.between(0, 1_500));
      await agent.resume({ project: `renamed-${round}-${at}` });
    }
  },
  "rename-machine": renameMachine,
  clone: (world, round, context) =>
    cloneFor(world, world.dice.pick(world.machines), "cloned-home", round, context),
};
const roundsPerCase = 2;

export const renames: FaultClass = {
  name: "F11",
  title: "restart, resume, rename, clone",
  cases: ({ slice }) =>
    Array.from({ length: slice ? 1 : 5 }, (_, at) => at).flatMap((at) =>
      Object.entries(changes)
        .filter(([name]) => !slice || name === "resume" || name === "rename-project")
        .map(([name, change]) => ({
          id: `F11:${name}:${at}`,
          run: (context: Context) => survive(name, change, slice ? 1 : roundsPerCase, context),
        })),
    ),
};

async function survive(name: string, change: Change, rounds: number, context: Context): Promise<CaseResult> {
  await using world = await World.start(context);
  let verdict = noViolation;
  for (let round = 1; round <= rounds; round++) {
    const traffic = new Traffic(world, { manners: lively, lanes: 2, pauseMs: 80 });
    await Bun.sleep(world.dice.between(300, 1_000));
    await change(world, round, context);
    await Bun.sleep(world.dice.between(300, 1_000));
    await traffic.stop();
    verdict = await world.drain();
    if (!isClean(verdict)) return resultOf(world, verdict, round, name);
  }
  return resultOf(world, verdict, rounds, name);
}

/** The machine comes back under another name, to which nobody wrote, and then under its own again. */
async function renameMachine(world: World, round: number, { binary }: Context): Promise<void> {
  const machine = world.dice.pick(world.machines);
  await machine.kill("SIGTERM");
  const renamed = new Served("renamed", machine.home, [binary, "daemon"], {
    ...world.environment(machine),
    AI_INTERCOM_MACHINE_ID: `${machine.name}${round}`,
  });
  await renamed.start();
  await Bun.sleep(world.dice.between(500, 1_500));
  await renamed.kill("SIGTERM");
  await machine.start();
}
