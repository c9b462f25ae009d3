// F3: what a power cut leaves of the last bytes that nobody had been told of: cut off at any byte, or filled with
// zeros. And files that are damaged against every promise: then what was unproved may come twice, and of what cannot
// come back its sender is told.
import {
  appendFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { homePaths } from "../../src/system/paths.ts";
import type { Dice } from "./dice.ts";
import { acknowledged } from "./f03-acknowledged.ts";
import { sweeps } from "./f03-sweep.ts";
import { type CaseResult, type Context, type FaultClass, noViolation, resultOf } from "./fault.ts";
import { lively } from "./manners.ts";
import { isClean, type Verdict } from "./oracle.ts";
import type { Served } from "./served.ts";
import { Traffic } from "./traffic.ts";
import { World } from "./world.ts";

type Damage = {
  name: string;
  role: "hub" | "daemon";
  /** dies here, between the write and the word about it */
  point: string;
  /** what was done; undefined when there was nothing to do it to */
  strike(world: World, server: Served): string | undefined;
  /** what the promise does not cover where a file was damaged that had been synced, or was never meant to be */
  forgives?: (keyof Verdict)[];
};

const damages: Damage[] = [
  { name: "inbox", role: "daemon", point: "inbox.append.written", strike: strikeInbox },
  { name: "outbox", role: "daemon", point: "outbox.written", strike: strikeOutbox },
  { name: "wal", role: "hub", point: "store.before-commit", strike: strikeWal },
  {
    name: "ledger",
    role: "daemon",
    point: "inbox.claim.ledgered",
    strike: (world, { home }) => strikeOneOf(world.dice, filesIn(home, ".ledger")),
    forgives: ["doubled"],
  },
  {
    name: "daemon.json",
    role: "daemon",
    point: "replace-file.before-rename",
    strike: (world, { home }) => strikeOneOf(world.dice, [homePaths(home).daemonState]),
    // sessions come back under new addresses; the old mail stands unread in its file
    forgives: ["stuck", "misplaced", "doubled", "failed", "disordered"],
  },
];

export const damage: FaultClass = {
  name: "F3",
  title: "truncation and zero fill of unacknowledged tails",
  cases: ({ slice }) => [
    ...sweeps(slice ? 41 : 1),
    ...acknowledged(slice),
    // and on the running program
    ...Array.from({ length: slice ? 1 : 5 }, (_, round) => round).flatMap((round) =>
      damages
        .filter(({ forgives }) => !slice || !forgives)
        .map((one) => ({
          id: `F3:${one.name}:${round}`,
          run: (context: Context) => survive(one, slice ? 2 : 10, context),
        })),
    ),
  ],
};

async function survive(damage: Damage, strikes: number, context: Context): Promise<CaseResult> {
  await using world = await World.start(context);
  const done: string[] = [];
  let verdict = noViolation;
  // where a kill left nothing to damage it is tried again
  for (let strike = 0; strike < 2 * strikes + 2 && done.length < strikes; strike++) {
    const server = damage.role === "hub" ? world.hub : world.dice.pick(world.machines);
    await server.kill();
    await server.start({ crash: `${damage.point}:${world.dice.between(5, 40)}` });
    const traffic = new Traffic(world, { manners: lively, lanes: 2, pauseMs: 80 });
    await server.endsWithin(20_000);
    await server.kill();
    const what = damage.strike(world, server);
    if (what !== undefined) done.push(what);
    await world.restart();
    await traffic.stop();
    verdict = forgive(await world.drain(damage.forgives ? { timeoutMs: 8_000 } : {}), damage);
    if (!isClean(verdict)) break;
    if (damage.name === "daemon.json") break; // its sessions have lost their addresses
  }
  const result = resultOf(world, verdict, done.length, `${damage.name}: ${done.join("; ")}`);
  return done.length > 0 ? result : { ...result, skipped: "nothing to damage was found" };
}

function forgive(verdict: Verdict, { forgives = [] }: Damage): Verdict {
  return { ...verdict, ...Object.fromEntries(forgives.map((kind) => [kind, []])) };
}

/** The lines at the end of an inbox that the hub has no answer for: it sends them again. */
function strikeInbox(world: World, { home }: Served): string | undefined {
  const answered = new Set(
    world
      .ask<{ id: string }>(
        "SELECT message_id AS id FROM deliveries WHERE state NOT IN ('accepted', 'queued')",
      )
      .map(({ id }) => id),
  );
  for (const path of filesIn(home, ".jsonl")) {
    const lines = readFileSync(path, "utf8").split(/(?<=\n)/);
    let from = statSync(path).size;
    for (const line of lines.reverse()) {
      const id = /"id":"([^"]+)"/.exec(line)?.[1];
      if (id !== undefined && answered.has(id)) break;
      from -= Buffer.byteLength(line);
    }
    const what = strikeTail(world.dice, path, from);
    if (what !== undefined) return what;
  }
  return undefined;
}

/** The last line: written, and its sender not told. */
function strikeOutbox(world: World, { home }: Served): string | undefined {
  const path = homePaths(home).outbox;
  const bytes = readFileSync(path);
  return strikeTail(world.dice, path, bytes.lastIndexOf(0x0a, bytes.length - 2) + 1);
}

/** Half a frame behind the last commit, as a write that was cut off leaves it. */
function strikeWal(world: World, { home }: Served): string | undefined {
  const path = `${homePaths(home).hubDatabase}-wal`;
  if (!existsSync(path)) return undefined;
  const { dice } = world;
  const bytes = readFileSync(path);
  const length = dice.between(1, 2_049);
  const torn = dice.chance(0.3) ? Buffer.alloc(length) : bytes.subarray(-4_120).subarray(0, length);
  appendFileSync(path, torn);
  const noIndex = dice.chance(0.5);
  if (noIndex) rmSync(`${homePaths(home).hubDatabase}-shm`, { force: true });
  return `${torn.length} bytes of a frame${noIndex ? ", no index" : ""}`;
}

function strikeOneOf(dice: Dice, paths: string[]): string | undefined {
  const path = paths.length > 0 ? dice.pick(paths) : undefined;
  return path && strikeTail(dice, path, Math.max(0, statSync(path).size - 2_048));
}

/** Cuts off, or fills with zeros, everything from a byte at or behind `from`. */
function strikeTail(dice: Dice, path: string, from: number): string | undefined {
  const bytes = readFileSync(path);
  if (from >= bytes.length) return undefined;
  const at = dice.between(from, bytes.length);
  if (dice.chance(0.5)) truncateSync(path, at);
  else writeFileSync(path, Buffer.concat([bytes.subarray(0, at), Buffer.alloc(bytes.length - at)]));
  return `byte ${at - bytes.length} of ${path.slice(path.lastIndexOf("/") + 1)}`;
}

function filesIn(home: string, ending: string): string[] {
  const { inbox } = homePaths(home);
  return readdirSync(inbox)
    .filter((name) => name.endsWith(ending))
    .map((name) => `${inbox}/${name}`);
}
