// F1: a kill at every named step. Each point of the source is armed in the process that passes it, at its first pass
// and at later ones; the process dies there, starts again, and the oracle counts.
import { appendFileSync, readdirSync } from "node:fs";
import { Glob } from "bun";
import { writeLine } from "../../src/inbox/mail-line.ts";
import { homePaths } from "../../src/system/paths.ts";
import { type CaseResult, type Context, type FaultClass, noViolation, resultOf } from "./fault.ts";
import { lively } from "./manners.ts";
import { isClean } from "./oracle.ts";
import type { Served } from "./served.ts";
import type { SimAgent } from "./sim-agent.ts";
import { Traffic } from "./traffic.ts";
import { World } from "./world.ts";

type Point = { name: string; role: "hub" | "daemon" };

type Armed = Point & { nth: number; again?: true };

/** ms in which an armed process must pass its point; a point that it did not pass is armed again, for longer */
const patienceMs = 4_000;
const secondPatienceMs = 10_000;
const killsPerPoint = 50;
/** rounds in one world; in each, the hub and both daemons are armed */
const roundsPerCase = 4;
/** passed seldom: an end, a damaged file, an empty outbox, a change in who is there; and those that pass once in a life */
const rare = /^(inbox\.(return|drop)|sessions\.|notice\.|delivery\.given|outbox\.|hub\.presence)/;
const once = /^(inbox\.(load|compact)|lost-mail)\./;
/** passed once by a daemon that finds its outbox damaged */
const ofDamagedOutbox = /^(outbox\.open|lost-routes)\./;

export const crashPoints: FaultClass = {
  name: "F1",
  title: "kill at every named crash point",
  cases: async ({ slice }) => {
    const rounds = armedRounds(await findPoints(), slice ? 1 : killsPerPoint);
    return Array.from({ length: Math.ceil(rounds.length / roundsPerCase) }, (_, at) => ({
      id: `F1:${slice ? "slice:" : ""}${at}`,
      run: (context: Context) => survive(rounds.slice(at * roundsPerCase, (at + 1) * roundsPerCase), context),
    }));
  },
};

/** Every point so often, at a later pass each time: the hub and both daemons die in one round, each at its own. */
function armedRounds(points: Point[], times: number): Armed[][] {
  const all = Array.from({ length: times }, (_, time) => time).flatMap((time) =>
    points.map((point) => ({ ...point, nth: 1 + (time % passesOf(point)) })),
  );
  const hub = all.filter(({ role }) => role === "hub");
  const daemon = all.filter(({ role }) => role === "daemon");
  const rounds: Armed[][] = [];
  while (hub.length + daemon.length > 0) rounds.push([...hub.splice(0, 1), ...daemon.splice(0, 2)]);
  return rounds;
}

/** How many passes of a point are tried, from the first on. */
function passesOf({ name }: Point): number {
  if (ofDamagedOutbox.test(name)) return 1;
  if (once.test(name)) return 2;
  return rare.test(name) ? 3 : 25;
}

/** Every crashPoint("…") of the source; which process passes it, its directory says. */
async function findPoints(): Promise<Point[]> {
  const points = new Map<string, Point>();
  for await (const file of new Glob("src/**/*.ts").scan(`${import.meta.dir}/../..`)) {
    // neither Telegram nor a mission is in this world: test/oversight/crash.test.ts, test/hub/mission-crash.test.ts and
    // test/daemon/launcher-restart.test.ts kill at each of their points
    if (file.startsWith("src/oversight/")) continue;
    if (file.startsWith("src/store/rescue")) continue; // at each in test/store/rescue-crash.test.ts: no traffic gets there
    const source = await Bun.file(`${import.meta.dir}/../../${file}`).text();
    for (const [, name = ""] of source.matchAll(/\bcrashPoint\("([^"]+)"\)/g))
      if (!/^(mission|approval|launcher)\./.test(name))
        points.set(name, { name, role: /^src\/(hub|store)\//.test(file) ? "hub" : "daemon" });
  }
  return [...points.values()].sort((one, other) => one.name.localeCompare(other.name));
}

async function survive(passes: Armed[][], context: Context): Promise<CaseResult> {
  await using world = await World.start(context);
  // every inbox has a file
  for (const [at, agent] of world.agents.entries())
    await agent.say(world.agents[(at + 1) % world.agents.length] ?? agent, { lane: `first ${at}` });
  const [killed, missed]: [string[], string[]] = [[], []];
  let verdict = noViolation;
  const rounds = [...passes];
  for (let pass = rounds.shift(); pass; pass = rounds.shift()) {
    const daemons = world.dice.chance(0.5) ? [...world.machines] : world.machines.toReversed();
    const armed = pass.map((point) => ({ point, server: point.role === "hub" ? world.hub : take(daemons) }));
    for (const { point, server } of armed) {
      await server.kill();
      prepare(point.name, server);
    }
    await Promise.all(
      armed.map(({ point, server }) => server.start({ crash: `${point.name}:${point.nth}` })),
    );
    const traffic = new Traffic(world, { manners: lively, lanes: 2, pauseMs: 80 });
    const away: Away = { taken: new Set(), resuming: [] };
    await Promise.all(
      armed.map(async ({ point, server }) => {
        await provoke(world, server, point, away);
        if (server.running && !point.again) rounds.push([{ ...point, nth: 1, again: true }]);
        else (server.running ? missed : killed).push(`${server.name} at ${point.name}:${point.nth}`);
        // another one's point may want it away just now: what starts it there would find it killed here
        while (away.taken.has(server)) await Bun.sleep(20);
        away.taken.add(server);
        await server.kill();
        // the others need it to reach their own points
        if (armed.length > 1) await server.start();
        away.taken.delete(server);
      }),
    );
    await Bun.sleep(world.dice.between(0, 200));
    await world.restart();
    await Promise.all(away.resuming);
    await traffic.stop();
    verdict = await world.drain();
    if (!isClean(verdict)) break;
  }
  const unreached = missed.length > 0 ? `; not reached: ${missed.join(", ")}` : "";
  const result = resultOf(world, verdict, killed.length, `killed ${killed.join(", ")}${unreached}`);
  return killed.length > 0 ? result : { ...result, skipped: `never reached: ${missed.join(", ")}` };
}

function take<T>(list: T[]): T {
  const one = list.shift();
  if (one === undefined) throw new Error("more points than processes");
  return one;
}

/** What a point needs to be passed that traffic alone does not bring. */
function prepare(point: string, server: Served): void {
  const { inbox, outbox } = homePaths(server.home);
  const mails = server.name === "hub" ? [] : readdirSync(inbox).filter((file) => file.endsWith(".jsonl"));
  for (const file of mails) {
    if (/^(inbox\.load|lost-mail)\./.test(point))
      appendFileSync(`${inbox}/${file}`, '{"thread_id":"t-torn","mess');
    if (ofDamagedOutbox.test(point))
      appendFileSync(outbox, `{"kind":"route","session_id":"${file.replace(".jsonl", "")}","at":"torn\n`);
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

/** What is taken away for a moment and comes back by itself: two armed processes may want the same at once. */
type Away = { taken: Set<Served | SimAgent>; resuming: Promise<void>[] };

/** Until the armed process is dead: agents end and resume, and the other side goes away for a moment. */
async function provoke(world: World, armed: Served, point: Armed, { taken, resuming }: Away): Promise<void> {
  const until = performance.now() + (point.again ? secondPatienceMs : patienceMs);
  const ends = /^(delivery\.given|inbox\.(return|drop)|sessions\.|notice\.|hub\.presence)/.test(point.name);
  // it empties by itself, and not while the hub goes away again and again
  const offline = /^outbox\.(?!emptied)/.test(point.name);
  while (armed.running && performance.now() < until) {
    if (await armed.endsWithin(world.dice.between(100, 500))) return;
    const agent = world.dice.pick(
      world.agents.filter(({ home }) => home === armed.home || armed === world.hub),
    );
    if (agent.alive && !taken.has(agent) && (ends || world.dice.chance(0.1))) {
      taken.add(agent);
      await agent.die();
      await armed.endsWithin(world.dice.between(50, 1_500));
      if (!armed.running) return; // resumed by the drain
      // where the armed process dies meanwhile it goes on when that is back
      const resumed = agent.resume().finally(() => taken.delete(agent));
      resuming.push(resumed);
      await Promise.race([resumed, armed.endsWithin(patienceMs)]);
    }
    if (offline && !taken.has(world.hub) && world.hub.running && !world.hub.armed) {
      taken.add(world.hub);
      await world.hub.kill();
      await armed.endsWithin(world.dice.between(100, 400));
      await world.hub.start();
      taken.delete(world.hub);
    }
  }
}
