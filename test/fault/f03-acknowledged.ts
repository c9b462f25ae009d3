// F3 on bytes that were acknowledged, against every promise of a disk: lines of inboxes that the hub counts as
// delivered, lines of the outbox whose senders were told `queued`. Nothing can bring such a message back; its sender
// must be told, of that message and of no other.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { homePaths } from "../../src/system/paths.ts";
import { waitFor } from "../rig/wait.ts";
import { sessionOf } from "./book.ts";
import { type CaseResult, type Context, type FaultCase, noViolation, resultOf } from "./fault.ts";
import { calm, lively } from "./manners.ts";
import { isClean } from "./oracle.ts";
import { patience } from "./served.ts";
import { Traffic } from "./traffic.ts";
import { World } from "./world.ts";

/** Which files, and what their senders read. */
type Strike = { name: "inbox" | "outbox"; files(home: string): string[]; words: string };

const strikes: Strike[] = [
  { name: "inbox", files: inboxFiles, words: "the line that held it was damaged" },
  { name: "outbox", files: (home) => [homePaths(home).outbox], words: "it is not sent from here" },
];

export const acknowledged = (slice: boolean): FaultCase[] =>
  strikes.flatMap((strike) =>
    Array.from({ length: slice ? 1 : 5 }, (_, round) => ({
      id: `F3:acknowledged-${strike.name}:${round}`,
      run: (context: Context) => survive(strike, slice ? 2 : 10, context),
    })),
  );

async function survive(strike: Strike, times: number, context: Context): Promise<CaseResult> {
  await using world = await World.start(context);
  const done: string[] = [];
  let verdict = noViolation;
  for (let tries = 2 * times + 2; tries > 0 && done.length < times && isClean(verdict); tries--) {
    const traffic = new Traffic(world, { manners: lively, lanes: 2, pauseMs: 80 });
    await Bun.sleep(world.dice.between(200, 600));
    await traffic.stop();
    verdict = await world.drain();
    if (!isClean(verdict)) break;
    if (strike.name === "outbox") await world.hub.kill();
    const server = world.dice.pick(world.machines);
    await sayUnread(world);
    await server.kill();
    const ids = strike.files(server.home).flatMap((path) => damage(world, path, strike));
    await world.restart();
    await told(world, ids, strike);
    // told: that it is nowhere, or where it came from somewhere else, is right
    for (const one of world.book.sent) if (ids.includes(one.id ?? "")) one.outcome = "unknown";
    verdict = await world.drain();
    if (ids.length > 0) done.push(`${ids.length} of ${server.name}`);
  }
  const result = resultOf(world, verdict, done.length, `${strike.name}: ${done.join("; ")}`);
  return done.length > 0 ? result : { ...result, skipped: "nothing to damage was found" };
}

/** Mail that stands unread, or waits for the hub, while the file is damaged. */
async function sayUnread(world: World): Promise<void> {
  await Promise.all(
    world.agents.map(async (agent, at) => {
      const to = world.agents[(at + 1) % world.agents.length] ?? agent;
      const lane = `unread ${agent.address} ${world.book.sent.length}`;
      for (let left = 4; left > 0; left--) await agent.say(to, { lane });
    }),
  );
}

/**
 * Zeros from a byte inside an acknowledged line on, in an inbox over more lines at times; or the file ends in this
 * line. Of the outbox its sender must be left, which stands in the first bytes: nobody else knows. Gives the ids.
 */
function damage(world: World, path: string, { name }: Strike): string[] {
  const { dice } = world;
  const acknowledged = name === "outbox" ? queuedIds(world) : deliveredIds(world);
  const bytes = readFileSync(path);
  const lines: { id: string; at: number; end: number }[] = [];
  for (let at = 0; at < bytes.length; ) {
    const end = bytes.indexOf(0x0a, at) + 1 || bytes.length;
    const id = /"(?:message_)?id":"([^"]+)"/.exec(bytes.toString("latin1", at, end))?.[1];
    if (id !== undefined) lines.push({ id, at, end });
    at = end;
  }
  const meant = lines.filter(({ id }) => acknowledged.has(id));
  if (meant.length === 0) return [];
  const { at, end } = dice.pick(meant);
  const from = dice.between(at + (name === "outbox" ? senderBytes : 1), end - 1);
  const last = name === "outbox" ? end : bytes.length;
  const until = dice.chance(0.3) ? last : Math.min(last, from + dice.between(1, 400));
  const damaged = Buffer.from(bytes).fill(0, from, until);
  writeFileSync(path, dice.chance(0.5) && until === bytes.length ? bytes.subarray(0, from) : damaged);
  return meant.filter((one) => one.at < until && one.end - 1 > from).map(({ id }) => id);
}

/** `{"kind":"route","session_id":"s-20261123-1a2b3c"` */
const senderBytes = 48;

const deliveredIds = (world: World): Set<string> =>
  new Set(
    world
      .ask<{ id: string }>("SELECT message_id AS id FROM deliveries WHERE state = 'delivered'")
      .map(({ id }) => id),
  );

const queuedIds = (world: World): Set<string> =>
  new Set(
    world.book.sent.flatMap(({ id, answer }) =>
      id !== undefined && answer?.startsWith("queued") ? [id] : [],
    ),
  );

/** Everyone reads until each of these messages' senders has the notice. */
async function told(world: World, ids: string[], { words }: Strike): Promise<void> {
  const untold = () => {
    const pattern = new RegExp(words);
    const notices = world.book.reads.filter(({ from, text }) => from === "hub" && pattern.test(text));
    return world.book.sent
      .filter(({ id }) => id !== undefined && ids.includes(id))
      .filter(
        ({ id = "", from }) =>
          !notices.some(
            ({ session, text }) =>
              sessionOf(session) === sessionOf(from) &&
              (text.includes(id) || text.startsWith("A message of yours")),
          ),
      );
  };
  await waitFor(
    "every sender to be told",
    async () => {
      await Promise.all(world.agents.map((agent) => agent.turn(calm)));
      return untold().length === 0;
    },
    { ...patience, detail: () => `${JSON.stringify(untold())}\n${world.logs()}` },
  );
}

function inboxFiles(home: string): string[] {
  const { inbox } = homePaths(home);
  return readdirSync(inbox)
    .filter((name) => name.endsWith(".jsonl"))
    .map((name) => `${inbox}/${name}`);
}
