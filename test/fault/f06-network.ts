// F6: the network between a machine and its hub is slow, silent, one-sided, stuck or cut; then it comes back.
import { type CaseResult, type Context, type FaultClass, noViolation, resultOf } from "./fault.ts";
import { lively } from "./manners.ts";
import { isClean } from "./oracle.ts";
import { Relay, type Weather } from "./relay.ts";
import { Traffic } from "./traffic.ts";
import { World } from "./world.ts";

const weathers: [name: string, Weather][] = [
  ["reset", { kind: "clear" }],
  ["slow", { kind: "slow", ms: 400 }],
  ["silent", { kind: "silent" }],
  ["lost-up", { kind: "one-way", lost: "up" }],
  ["lost-down", { kind: "one-way", lost: "down" }],
  ["stuck", { kind: "stuck" }],
  ["cut", { kind: "cut" }],
];
/** faults in one world */
const faultsPerCase = 6;
/** ms of the longest fault: a request's 15 s and three heartbeats lie below */
const longestMs = 40_000;

export const network: FaultClass = {
  name: "F6",
  title: "network faults between daemon and hub",
  cases: ({ slice }) =>
    Array.from({ length: slice ? 1 : 15 }, (_, round) => round).flatMap((round) =>
      weathers
        .filter(([name]) => !slice || name === "reset" || name === "lost-up")
        .map(([name, weather]) => ({
          id: `F6:${name}:${round}`,
          run: (context: Context) =>
            survive(weather, { faults: slice ? 2 : faultsPerCase, longest: slice ? 0 : longestMs }, context),
        })),
    ),
};

async function survive(
  weather: Weather,
  { faults, longest }: { faults: number; longest: number },
  context: Context,
): Promise<CaseResult> {
  const relays = new Map<string, Relay>();
  let roll = Math.random;
  const hubUrlFor = (machine: string, url: string) => {
    const relay = relays.get(machine) ?? new Relay(Number(new URL(url).port), () => roll());
    relays.set(machine, relay);
    return `http://127.0.0.1:${relay.port}`;
  };
  try {
    await using world = await World.start({ ...context, hubUrlFor });
    const { dice } = world;
    roll = () => dice.roll();
    const traffic = new Traffic(world, { manners: lively, lanes: 2, pauseMs: 200 });
    for (let fault = 0; fault < faults; fault++) {
      await Bun.sleep(dice.between(200, 1_000));
      const all = [...relays.values()];
      const struck = dice.chance(0.4) ? all : [dice.pick(all)];
      for (const relay of struck) {
        relay.weather = weather;
        if (weather.kind === "clear") relay.reset();
      }
      // mostly short, now and then longer than every patience
      await Bun.sleep(dice.chance(0.15) ? Math.max(longest, 2_000) : dice.between(100, 3_000));
      for (const relay of struck) relay.weather = { kind: "clear" };
    }
    await traffic.stop();
    const verdict = await world.drain({ timeoutMs: 90_000 });
    return resultOf(world, isClean(verdict) ? noViolation : verdict, faults, weather.kind);
  } finally {
    for (const relay of relays.values()) await relay[Symbol.asyncDispose]();
  }
}
