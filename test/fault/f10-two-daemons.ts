// F10: two daemons with one key, two hubs on one database, and epochs that are over: whoever comes second takes no
// mail unseen.
import { cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { homePaths } from "../../src/system/paths.ts";
import { type CaseResult, type Context, type FaultClass, noViolation, resultOf } from "./fault.ts";
import { lively } from "./manners.ts";
import { isClean } from "./oracle.ts";
import { Served } from "./served.ts";
import { Traffic } from "./traffic.ts";
import { World } from "./world.ts";

type Kind = "same-home" | "cloned-key" | "cloned-home" | "stale-epoch" | "hub-home" | "hub-store";
const kinds: Kind[] = ["same-home", "cloned-key", "cloned-home", "stale-epoch", "hub-home", "hub-store"];
const roundsPerCase = 3;

export const twoDaemons: FaultClass = {
  name: "F10",
  title: "two daemons with one key, two hubs on one database, stale epochs",
  cases: ({ slice }) =>
    Array.from({ length: slice ? 1 : 3 }, (_, round) => round).flatMap((round) =>
      kinds
        .filter((kind) => !slice || kind === "same-home" || kind === "hub-store")
        .map((kind) => ({
          id: `F10:${kind}:${round}`,
          run: (context: Context) => survive(kind, slice ? 1 : roundsPerCase, context),
        })),
    ),
};

async function survive(kind: Kind, rounds: number, context: Context): Promise<CaseResult> {
  await using world = await World.start(context);
  let verdict = noViolation;
  for (let round = 1; round <= rounds; round++) {
    const machine = world.dice.pick(world.machines);
    const traffic = new Traffic(world, { manners: lively, lanes: 2, pauseMs: 80 });
    await Bun.sleep(world.dice.between(200, 800));
    if (kind === "same-home") await secondInOneHome(world, machine, context);
    else if (kind === "hub-home" || kind === "hub-store") await secondHub(world, kind, context);
    else await cloneFor(world, machine, kind, round, context);
    await traffic.stop();
    verdict = await world.drain();
    if (!isClean(verdict)) return resultOf(world, verdict, round, `${kind} of ${machine.name}`);
  }
  return resultOf(world, verdict, rounds, kind);
}

/** The lock refuses it, for as long as the first one lives. */
async function secondInOneHome(world: World, machine: Served, { binary }: Context): Promise<void> {
  const second = new Served("second", machine.home, [binary, "daemon"], world.environment(machine));
  if (await starts(second)) world.book.wrong.push(`a second daemon started in the home of ${machine.name}`);
  await machine.kill();
  await second.start();
  await Bun.sleep(world.dice.between(200, 800));
  await second.kill();
  await machine.start();
}

/** Refused while the first one lives; then it may have the database, and the first one gets it back. */
async function secondHub(world: World, kind: "hub-home" | "hub-store", { binary }: Context): Promise<void> {
  const home = kind === "hub-home" ? world.hub.home : `${world.root}/hub2`;
  mkdirSync(home, { recursive: true, mode: 0o700 });
  const second = new Served("second hub", home, [binary, "hub", "--listen", "127.0.0.1:0"], {
    ...world.environment(world.hub),
    AI_INTERCOM_HOME: home,
    AI_INTERCOM_HUB_STORE: homePaths(world.hub.home).hubDatabase,
  });
  if (await starts(second)) world.book.wrong.push("a second hub started on a database in use");
  await second.kill();
  await world.hub.kill();
  await second.start();
  await Bun.sleep(world.dice.between(100, 500));
  if (await starts(world.hub)) world.book.wrong.push("the first hub came back on a database in use");
  await second.kill();
  await world.restart();
}

const starts = (server: Served): Promise<boolean> => server.start().catch(() => false);

export async function cloneFor(
  world: World,
  machine: Served,
  kind: "cloned-key" | "cloned-home" | "stale-epoch",
  round: number,
  { binary }: Context,
): Promise<void> {
  const home = `${world.root}/clone-${machine.name}-${round}`;
  mkdirSync(home, { mode: 0o700 });
  const [from, to] = [homePaths(machine.home), homePaths(home)];
  cpSync(from.machineKey, to.machineKey);
  if (kind === "cloned-home") copyState(from, to);
  const clone = new Served("clone", home, [binary, "daemon"], {
    ...world.environment(machine),
    AI_INTERCOM_HOME: home,
  });
  if (kind === "stale-epoch") machine.signal("SIGSTOP");
  try {
    await clone.start();
    await Bun.sleep(world.dice.between(500, 2_500));
  } finally {
    await clone.kill();
    machine.signal("SIGCONT");
  }
}

/** As on another computer: the same sessions and mail, but no process of them runs there. */
function copyState(from: ReturnType<typeof homePaths>, to: ReturnType<typeof homePaths>): void {
  const state = readFileSync(from.daemonState, "utf8");
  writeFileSync(to.daemonState, state.replaceAll(/"start": "[^"]*"/g, '"start": "elsewhere-1"'), {
    mode: 0o600,
  });
  for (const path of ["inbox", "outbox"] as const)
    if (existsSync(from[path])) cpSync(from[path], to[path], { recursive: true });
}
