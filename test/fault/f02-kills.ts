// F2: kill -9 at any moment under load: hub, daemons, hooks, agents; alone and together.
import { type CaseResult, type Context, type FaultClass, resultOf } from "./fault.ts";
import { lively } from "./manners.ts";
import { Traffic } from "./traffic.ts";
import { World } from "./world.ts";

/** kills of servers in one world; hooks come on top */
const killsPerCase = 12;
const fullCases = 100;

export const kills: FaultClass = {
  name: "F2",
  title: "random kill -9 under load",
  cases: ({ slice }) =>
    Array.from({ length: slice ? 1 : fullCases }, (_, round) => round).flatMap((round) => [
      { id: `F2:kills:${round}`, run: (context: Context) => survive(slice ? 6 : killsPerCase, context) },
      { id: `F2:mcp:${round}`, run: (context: Context) => surviveMcp(slice ? 8 : 20, context) },
    ]),
};

async function survive(count: number, context: Context): Promise<CaseResult> {
  await using world = await World.start({ ...context, agentsEach: 3 });
  const { dice } = world;
  const started = performance.now();
  const traffic = new Traffic(world, {
    manners: { ...lively, realHook: 0.1, killHook: 0.6 },
    lanes: 6,
    pauseMs: 10,
  });
  const done: string[] = [];
  for (let kill = 0; kill < count; kill++) {
    await Bun.sleep(dice.between(50, 600));
    const victims = dice.chance(0.1) ? world.servers : [dice.pick(world.servers)];
    await Promise.all(victims.map((server) => server.kill()));
    done.push(victims.map(({ name }) => name).join("+"));
    if (dice.chance(0.3)) await dice.pick(world.agents).die();
    await Bun.sleep(dice.between(0, 300));
    await world.restart();
    for (const agent of world.agents) if (!agent.alive && dice.chance(0.5)) await agent.resume();
  }
  await traffic.stop();
  const rate = Math.round((traffic.sent * 1_000) / (performance.now() - started));
  const verdict = await world.drain();
  const hooks = world.agents.reduce((sum, { hooksKilled }) => sum + hooksKilled, 0);
  return resultOf(
    world,
    verdict,
    done.length + hooks,
    `killed ${done.join(" ")} and ${hooks} hooks; ${rate} messages/s, unanswered calls ${world.book.sent.filter(({ outcome }) => outcome === "unknown").length}`,
  );
}

/** kill -9 of real MCP servers in the middle of calls, and of a daemon now and then. */
async function surviveMcp(count: number, context: Context): Promise<CaseResult> {
  await using world = await World.start({ ...context, realMcp: true });
  const { dice } = world;
  const traffic = new Traffic(world, { manners: { ...lively, realHook: 0.3 }, lanes: 2 });
  let servers = 0;
  for (let kill = 0; kill < count; kill++) {
    await Bun.sleep(dice.between(50, 400));
    await dice.pick(world.agents).killMcp();
    if (!dice.chance(0.15)) continue;
    servers += 1;
    await dice.pick(world.servers).kill();
    await world.restart();
  }
  await traffic.stop();
  const verdict = await world.drain();
  const unanswered = world.book.sent.filter(({ outcome }) => outcome === "unknown").length;
  const detail = `killed ${count} MCP servers, ${servers} others; ${unanswered} calls without an answer`;
  return resultOf(world, verdict, count + servers, detail);
}
