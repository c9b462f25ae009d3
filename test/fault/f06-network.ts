// F6: the network between a machine and its hub is slow, silent, one-sided, stuck or cut; then it comes back.
import { join } from "node:path";
import { type CaseResult, type Context, type FaultClass, noViolation, resultOf } from "./fault.ts";
import { lively } from "./manners.ts";
import { isClean } from "./oracle.ts";
import { Relay, type Weather } from "./relay.ts";
import { Traffic } from "./traffic.ts";
import { World } from "./world.ts";

const weathers: [name: string, Weather][] = [
  ["reset", { kind: "clear" }],
  ["slow", { kind: "slow", ms: 400 }],
  ["trickle", { kind: "trickle", bytes: 64, ms: 3 }],
  ["silent", { kind: "silent" }],
  ["lost-up", { kind: "one-way", lost: "up" }],
  ["lost-down", { kind: "one-way", lost: "down" }],
  ["stuck", { kind: "stuck" }],
  ["cut", { kind: "cut" }],
  ["half-open", { kind: "half-open", gone: "up" }],
  ["duplicate", { kind: "duplicate", chance: 0.5 }],
  ["torn", { kind: "torn", chance: 0.05 }],
  ["flap", { kind: "flap", ms: 150 }],
];
/** ten minutes in simulated time */
const partitions = ["silent", "cut", "stuck", "one-way"];
/** faults in one world, and worlds for each kind: 50 faults (issue 3) */
const faultsPerCase = 10;
const worlds = 5;
/** ms of one fault in each world: above the 15 s that a daemon waits for an answer */
const longestMs = 17_000;
/** three heartbeats lie above; the partition in simulated time passes them */
const lossy = new Set(["silent", "lost-up", "lost-down", "stuck", "cut", "half-open"]);

export const network: FaultClass = {
  name: "F6",
  title: "network faults between daemon and hub",
  cases: ({ slice }) => [
    ...Array.from({ length: slice ? 1 : worlds }, (_, round) => round).flatMap((round) =>
      weathers
        .filter(([name]) => !slice || ["reset", "lost-up", "duplicate"].includes(name))
        .map(([name, weather]) => ({
          id: `F6:${name}:${round}`,
          run: (context: Context) =>
            survive(
              weather,
              { faults: slice ? 3 : faultsPerCase, longest: !slice && lossy.has(name) ? longestMs : 0 },
              context,
            ),
        })),
    ),
    ...partitions.slice(0, slice ? 1 : partitions.length).flatMap((kind) =>
      (slice ? ["all"] : ["one", "all"]).map((whose) => ({
        id: `F6:partition:${kind}:${whose}`,
        run: (context: Context) => partition(kind, whose, slice ? 2 : 10, context),
      })),
    ),
  ],
};

/** In a process of its own, because its time is. */
async function partition(
  kind: string,
  whose: string,
  minutes: number,
  { binary, seed }: Context,
): Promise<CaseResult> {
  const program = join(import.meta.dir, "partition-process.ts");
  const child = Bun.spawn([process.execPath, program, kind, whose, String(minutes), String(seed), binary], {
    // no configuration of whoever runs this
    env: { ...process.env, AI_INTERCOM_HOME: join(import.meta.dir, "no-such-home") },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    timeout: 300_000,
  });
  const [out, err] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  if ((await child.exited) !== 0) throw new Error(`the partition broke: ${err.slice(-4_000)}`);
  return JSON.parse(out.trim().split("\n").at(-1) ?? ""); // boundary: our own program
}

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
        relay.weather =
          weather.kind === "half-open" ? { ...weather, gone: dice.chance(0.5) ? "up" : "down" } : weather;
        if (weather.kind === "clear") relay.reset();
      }
      await Bun.sleep(fault === faults - 1 && longest > 0 ? longest : dice.between(100, 2_500));
      for (const relay of struck) relay.weather = { kind: "clear" };
    }
    await traffic.stop();
    const verdict = await world.drain({ timeoutMs: 90_000 });
    return resultOf(world, isClean(verdict) ? noViolation : verdict, faults, weather.kind);
  } finally {
    for (const relay of relays.values()) await relay[Symbol.asyncDispose]();
  }
}
