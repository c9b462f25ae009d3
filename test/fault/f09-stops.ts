// F9: a process stands still (SIGSTOP: a laptop lid, a debugger, swapping) and goes on; the others carry on meanwhile.
import { type CaseResult, type Context, type FaultClass, resultOf } from "./fault.ts";
import { lively } from "./manners.ts";
import { Traffic } from "./traffic.ts";
import { World } from "./world.ts";

export const stops: FaultClass = {
  name: "F9",
  title: "SIGSTOP and SIGCONT of hub and daemons",
  cases: ({ slice }) =>
    Array.from({ length: slice ? 1 : 10 }, (_, round) => ({
      id: `F9:stops:${round}`,
      run: (context: Context) =>
        survive(slice ? { stops: 2, longest: 2_000 } : { stops: 3, longest: 35_000 }, context),
    })),
};

async function survive(
  { stops: count, longest }: { stops: number; longest: number },
  context: Context,
): Promise<CaseResult> {
  await using world = await World.start(context);
  const { dice } = world;
  const traffic = new Traffic(world, { manners: lively, lanes: 2, pauseMs: 200 });
  const done: string[] = [];
  for (let stop = 0; stop < count; stop++) {
    await Bun.sleep(dice.between(200, 800));
    const server = dice.pick(world.servers);
    const ms = stop === count - 1 ? longest : dice.between(500, 4_000);
    server.signal("SIGSTOP");
    await Bun.sleep(ms);
    server.signal("SIGCONT");
    done.push(`${server.name} ${ms} ms`);
  }
  await traffic.stop();
  const verdict = await world.drain({ timeoutMs: 90_000 });
  return resultOf(world, verdict, count, `stopped ${done.join(", ")}`);
}
