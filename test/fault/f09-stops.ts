// F9: a process stands still (SIGSTOP: a laptop lid, a debugger, swapping) and goes on; the others carry on meanwhile.
import { type CaseResult, type Context, type FaultClass, resultOf } from "./fault.ts";
import { lively, type Manners } from "./manners.ts";
import { Traffic } from "./traffic.ts";
import { World } from "./world.ts";

type Role = "hub" | "daemon" | "hook" | "mcp";
/** stops, the longest of them in ms; above the product's own limit where it has one, named behind it */
type Size = { stops: number; longest: number };

const sizes: Record<Role, { slice: Size; full: Size[] }> = {
  // 15 s until a daemon gives up an answer; three heartbeats of 15 s
  hub: {
    slice: { stops: 2, longest: 2_000 },
    full: [...many(5, { stops: 4, longest: 17_000 }), { stops: 1, longest: 50_000 }],
  },
  // three heartbeats, and 60 s that the hub waits for an answer
  daemon: {
    slice: { stops: 2, longest: 2_000 },
    full: [...many(5, { stops: 4, longest: 17_000 }), { stops: 1, longest: 65_000 }],
  },
  // 500 ms until it gives up; 2 s of grace for a claim; 20 s after the asker's end
  hook: {
    slice: { stops: 6, longest: 1_500 },
    full: [...many(5, { stops: 40, longest: 4_000 }), { stops: 6, longest: 25_000 }],
  },
  // 8 s that it waits for a daemon, 30 s for an answer
  mcp: {
    slice: { stops: 2, longest: 1_500 },
    full: [...many(5, { stops: 10, longest: 9_000 }), { stops: 2, longest: 33_000 }],
  },
};
function many(count: number, size: Size): Size[] {
  return Array.from({ length: count }, () => size);
}

export const stops: FaultClass = {
  name: "F9",
  title: "SIGSTOP and SIGCONT of hub, daemons, hooks, MCP servers",
  cases: ({ slice }) =>
    (Object.keys(sizes) as Role[]).flatMap((role) =>
      (slice ? [sizes[role].slice] : sizes[role].full).map((size, round) => ({
        id: `F9:${role}:${round}`,
        run: (context: Context) => survive(role, size, context),
      })),
    ),
};

async function survive(role: Role, size: Size, context: Context): Promise<CaseResult> {
  await using world = await World.start({ ...context, realMcp: role === "mcp" });
  const manners: Manners =
    role === "hook" ? { ...lively, realHook: 0.9, stopHook: 0.7, stopMs: size.longest } : lively;
  const traffic = new Traffic(world, { manners, lanes: 2, pauseMs: 200 });
  const done = role === "hook" ? await hooksStopped(world, size) : await stop(world, role, size);
  await traffic.stop();
  const verdict = await world.drain({ timeoutMs: 90_000 });
  return resultOf(world, verdict, done.length, `stopped ${done.join(", ")}`);
}

async function stop(world: World, role: Exclude<Role, "hook">, { stops, longest }: Size): Promise<string[]> {
  const { dice } = world;
  const done: string[] = [];
  for (let at = 0; at < stops; at++) {
    await Bun.sleep(dice.between(200, 800));
    const ms = at === stops - 1 ? longest : dice.between(300, Math.min(longest, 4_000));
    if (role === "mcp") await dice.pick(world.agents).stopMcp(ms);
    else {
      const server = role === "hub" ? world.hub : dice.pick(world.machines);
      server.signal("SIGSTOP");
      await Bun.sleep(ms);
      server.signal("SIGCONT");
    }
    done.push(`${role} ${ms} ms`);
  }
  return done;
}

/** The agents stop their own hooks, each for a time of its own. */
async function hooksStopped(world: World, { stops, longest }: Size): Promise<string[]> {
  const until = performance.now() + 60_000 + 2 * longest;
  const struck = () => world.agents.reduce((sum, { hooksStruck }) => sum + hooksStruck, 0);
  while (struck() < stops && performance.now() < until) await Bun.sleep(50);
  return Array.from({ length: struck() }, () => `a hook up to ${longest} ms`);
}
