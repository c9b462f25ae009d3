// F2: kill -9 at any moment under load: hub, daemons, hooks, MCP servers, and everything at once. Many kills in one
// running world; the oracle counts when it has come to rest.
import { type CaseResult, type Context, type FaultClass, resultOf } from "./fault.ts";
import { lively, type Manners } from "./manners.ts";
import { Traffic } from "./traffic.ts";
import { World } from "./world.ts";

type Role = "hub" | "daemon" | "hook" | "mcp";

/** kills in one world, and worlds in the full run: 500, 500, 1,000, 1,000 (issue 3) */
const sizes: Record<Role, { kills: number; slice: number; worlds: number }> = {
  hub: { kills: 25, slice: 3, worlds: 20 },
  daemon: { kills: 25, slice: 3, worlds: 20 },
  hook: { kills: 50, slice: 8, worlds: 20 },
  mcp: { kills: 50, slice: 4, worlds: 20 },
};
/** ms in which hooks must have been killed so often */
const patienceMs = 120_000;
/** "under 200 messages/s": so many lanes of each agent write at once, with pauses of at most so many ms */
const lanes = { slice: 5, full: 7 };
const pauseMs = 150;

export const kills: FaultClass = {
  name: "F2",
  title: "random kill -9 under load",
  cases: ({ slice }) =>
    (Object.keys(sizes) as Role[]).flatMap((role) =>
      Array.from({ length: slice ? 1 : sizes[role].worlds }, (_, round) => ({
        id: `F2:${role}:${slice ? "slice" : round}`,
        run: (context: Context) =>
          slice
            ? survive(role, sizes[role].slice, lanes.slice, context)
            : survive(role, sizes[role].kills, lanes.full, context),
      })),
    ),
};

async function survive(role: Role, count: number, lanes: number, context: Context): Promise<CaseResult> {
  await using world = await World.start({ ...context, agentsEach: 3, realMcp: role === "mcp" });
  const started = performance.now();
  const manners: Manners =
    role === "hook" ? { ...lively, realHook: 0.9, killHook: 0.8, lateMs: 100 } : lively;
  const traffic = new Traffic(world, { manners, lanes, pauseMs, readPauseMs: role === "hook" ? 10 : 60 });
  const others = role === "hook" ? await hooksStruck(world, count) : await strike(world, role, count);
  const rate = Math.round((traffic.sent * 1_000) / (performance.now() - started));
  await traffic.stop();
  const verdict = await world.drain();
  const hooks = world.agents.reduce((sum, { hooksStruck }) => sum + hooksStruck, 0);
  const unanswered = world.book.sent.filter(({ outcome }) => outcome === "unknown").length;
  const detail = `killed ${role === "hook" ? hooks : count} × ${role}; ${others} other kills; ${rate} messages/s offered, ${unanswered} calls without an answer`;
  return resultOf(world, verdict, role === "hook" ? hooks : count, detail);
}

/** Kills so often; now and then an agent, or everything. Returns how many of those. */
async function strike(world: World, role: Exclude<Role, "hook">, count: number): Promise<number> {
  const { dice } = world;
  let others = 0;
  for (let kill = 0; kill < count; kill++) {
    await Bun.sleep(dice.between(50, 400));
    // a dead agent has no MCP server
    if (role === "mcp") await dice.pick(world.agents.filter(({ alive }) => alive)).killMcp();
    else await (role === "hub" ? world.hub : dice.pick(world.machines)).kill();
    if (dice.chance(0.1)) {
      others += world.servers.length;
      await Promise.all(world.servers.map((server) => server.kill()));
    }
    if (dice.chance(0.2)) {
      others += 1;
      await dice.pick(world.agents).die();
    }
    await Bun.sleep(dice.between(0, 200));
    await world.restart();
    for (const agent of world.agents) if (!agent.alive && dice.chance(0.7)) await agent.resume();
  }
  return others;
}

/** The agents kill their own hooks; meanwhile daemons die too. */
async function hooksStruck(world: World, count: number): Promise<number> {
  const { dice } = world;
  const until = performance.now() + patienceMs;
  let others = 0;
  while (performance.now() < until) {
    if (world.agents.reduce((sum, { hooksStruck }) => sum + hooksStruck, 0) >= count) return others;
    await Bun.sleep(dice.between(300, 1_500));
    if (!dice.chance(0.3)) continue;
    others += 1;
    await dice.pick(world.servers).kill();
    await world.restart();
  }
  return others;
}
