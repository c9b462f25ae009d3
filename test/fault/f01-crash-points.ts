// F1: a kill at every named step. Each point of the source is armed in the process that passes it, at its first pass
// and at later ones; the process dies there, starts again, and the oracle counts.
import { appendFileSync, readdirSync } from "node:fs";
import { Glob } from "bun";
import { writeLine } from "../../src/inbox/mail-line.ts";
import { homePaths } from "../../src/system/paths.ts";
import { type CaseResult, type Context, type FaultClass, noViolation, resultOf } from "./fault.ts";
import { isClean } from "./oracle.ts";
import type { Served } from "./served.ts";
import { lively } from "./sim-agent.ts";
import { Traffic } from "./traffic.ts";
import { World } from "./world.ts";

type Point = { name: string; role: "hub" | "daemon" };

/** ms in which an armed process must pass its point */
const patienceMs = 8_000;
/** kills in one world */
const killsPerCase = 5;
const killsPerPoint = 50;

export const crashPoints: FaultClass = {
  name: "F1",
  title: "kill at every named crash point",
  cases: async ({ slice }) => {
    const points = await findPoints();
    const rounds = slice ? 1 : Math.ceil(killsPerPoint / killsPerCase);
    const passes = (round: number) =>
      slice ? [1] : Array.from({ length: killsPerCase }, (_, i) => 1 + ((round * killsPerCase + i) % 25));
    return Array.from({ length: rounds }, (_, round) => round).flatMap((round) =>
      points.map((point) => ({
        id: `F1:${point.name}:${round}`,
        run: (context: Context) => survive(point, passes(round), context),
      })),
    );
  },
};

/** Every crashPoint("…") of the source; which process passes it, its directory says. */
export async function findPoints(): Promise<Point[]> {
  const points = new Map<string, Point>();
  for await (const file of new Glob("src/**/*.ts").scan(`${import.meta.dir}/../..`)) {
    const source = await Bun.file(`${import.meta.dir}/../../${file}`).text();
    for (const [, name = ""] of source.matchAll(/\bcrashPoint\("([^"]+)"\)/g))
      points.set(name, { name, role: /^src\/(hub|store)\//.test(file) ? "hub" : "daemon" });
  }
  return [...points.values()].sort((one, other) => one.name.localeCompare(other.name));
}

async function survive({ name, role }: Point, passes: number[], context: Context): Promise<CaseResult> {
  await using world = await World.start(context);
  let kills = 0;
  let verdict = noViolation;
  for (const nth of passes) {
    const server = role === "hub" ? world.hub : world.dice.pick(world.machines);
    await server.kill();
    prepare(name, server);
    await server.start({ crash: `${name}:${nth}` });
    const traffic = new Traffic(world, { manners: lively, lanes: 2 });
    await provoke(world, server, name);
    if (!server.running) kills += 1;
    else await server.kill();
    await Bun.sleep(world.dice.between(0, 200));
    await world.restart();
    await traffic.stop();
    verdict = await world.drain();
    if (!isClean(verdict)) return resultOf(world, verdict, kills, `killed ${server.name} at ${name}:${nth}`);
  }
  const result = resultOf(world, verdict, kills, `${name}: ${kills} of ${passes.length} reached`);
  return kills > 0 ? result : { ...result, skipped: `${name} was never reached` };
}

/** What a point needs to be passed that traffic alone does not bring. */
function prepare(point: string, server: Served): void {
  const { inbox } = homePaths(server.home);
  const mails = server.name === "hub" ? [] : readdirSync(inbox).filter((file) => file.endsWith(".jsonl"));
  for (const file of mails) {
    if (point.startsWith("inbox.load")) appendFileSync(`${inbox}/${file}`, '{"thread_id":"t-torn","mess');
    if (point.startsWith("inbox.compact")) appendFileSync(`${inbox}/${file}`, oldMail());
  }
}

/** More than a megabyte that was read long ago: the next append compacts. */
function oldMail(): string {
  return Array.from({ length: 20 }, () => {
    const record = {
      thread_id: "t-000000000000",
      from_agent: "a/old@s-20260101-000000",
      timestamp: "2026-01-01T00:00:00.000Z",
      message: "old ".repeat(16_000),
      id: `old-${crypto.randomUUID()}`,
    };
    return `${writeLine(record, "settled").text}\n`;
  }).join("");
}

/** Until the armed process is dead: agents end and resume, and the other side goes away for a moment. */
async function provoke(world: World, armed: Served, point: string): Promise<void> {
  const until = performance.now() + patienceMs;
  const ends = /^(delivery\.given|inbox\.return|sessions?\.)/.test(point);
  const offline = /^(outbox|sender|link)\./.test(point);
  while (armed.running && performance.now() < until) {
    if (await armed.endsWithin(world.dice.between(100, 500))) return;
    const agent = world.dice.pick(world.agents.filter(({ home }) => home === armed.home || armed === world.hub));
    if (agent.alive && (ends || world.dice.chance(0.1))) {
      await agent.die();
      await armed.endsWithin(world.dice.between(50, 1_500));
      if (!armed.running) return; // resumed by the drain
      await agent.resume().catch(() => undefined); // the armed process may die meanwhile: the drain says what is wrong
    }
    if (offline && world.hub.running) {
      await world.hub.kill();
      await armed.endsWithin(world.dice.between(100, 400));
      await world.hub.start();
    }
  }
}
