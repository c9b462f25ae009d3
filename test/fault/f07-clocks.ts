// F7: somebody sets the clock of a running machine: a day ahead, a day back, in the middle of a claim, again and
// again, or it stands still. Its agents live on the same clock.
import { type CaseResult, type Context, type FaultClass, resultOf } from "./fault.ts";
import { lively, type Manners } from "./manners.ts";
import type { Served } from "./served.ts";
import { Traffic } from "./traffic.ts";
import { World } from "./world.ts";

const dayMs = 24 * 3600 * 1000;
type Step = (world: World, victims: Served[]) => Promise<string>;

/** Each leaves the clock wherever it is; only the last one of a case is followed by the true time. */
const steps: Record<string, Step> = {
  "day-ahead": (world, victims) => shift(world, victims, dayMs),
  "day-back": (world, victims) => shift(world, victims, -dayMs),
  /** small ones, as a time server makes them */
  jitter: async (world, victims) => {
    for (let at = 0; at < 10; at++) {
      for (const victim of victims) world.clockOf(victim).shift(world.dice.between(-30_000, 30_000));
      await Bun.sleep(world.dice.between(20, 150));
    }
    return "10 × ±30 s";
  },
  frozen: async (world, victims) => {
    for (const victim of victims) world.clockOf(victim).freeze();
    await Bun.sleep(world.dice.between(1_000, 4_000));
    return "frozen";
  },
};
/** most deliveries are thrown away: a claim must die, whatever the clock says */
const forgetful: Manners = { ...lively, drop: 0.4, check: 0.4 };

export const clocks: FaultClass = {
  name: "F7",
  title: "clock steps of hub and machines",
  cases: ({ slice }) =>
    Array.from({ length: slice ? 1 : 5 }, (_, round) => round).flatMap((round) =>
      Object.entries(steps)
        .filter(([name]) => !slice || name === "day-back")
        .flatMap(([name, step]) =>
          (slice ? (["all"] as const) : (["hub", "machine", "all"] as const)).map((whose) => ({
            id: `F7:${name}:${whose}:${round}`,
            run: (context: Context) => survive(step, whose, slice ? 1 : 3, context),
          })),
        ),
    ),
};

async function survive(
  step: Step,
  whose: "hub" | "machine" | "all",
  count: number,
  context: Context,
): Promise<CaseResult> {
  await using world = await World.start({ ...context, clocks: true });
  const { dice } = world;
  const traffic = new Traffic(world, { manners: forgetful, lanes: 2, pauseMs: 60 });
  const done: string[] = [];
  for (let at = 0; at < count; at++) {
    await Bun.sleep(dice.between(300, 1_000));
    const victims =
      whose === "all" ? world.servers : [whose === "hub" ? world.hub : dice.pick(world.machines)];
    done.push(`${victims.map(({ name }) => name).join("+")} ${await step(world, victims)}`);
    if (dice.chance(0.4)) await dice.pick(world.servers).kill();
    await Bun.sleep(dice.between(300, 1_500));
    await world.restart();
    if (whose === "all" && at === count - 1) break; // one wrong time for all is as good as the true one
    for (const victim of victims) world.clockOf(victim).shift(0);
  }
  for (const server of world.servers) if (step === steps.frozen) world.clockOf(server).shift(0);
  await traffic.stop();
  const verdict = await world.drain({ timeoutMs: 60_000 });
  return resultOf(world, verdict, count, done.join(", "));
}

async function shift(world: World, victims: Served[], ms: number): Promise<string> {
  for (const victim of victims) world.clockOf(victim).shift(ms);
  return `${ms / dayMs} day`;
}
