// F8: several readers of one inbox at the same time (hooks and tool calls of one agent, as parallel tools bring them
// about) while several sessions write to it, at several rates.
import { type CaseResult, type Context, type FaultClass, noViolation, resultOf } from "./fault.ts";
import { calm, type Manners } from "./manners.ts";
import { isClean } from "./oracle.ts";
import type { SimAgent } from "./sim-agent.ts";
import { World } from "./world.ts";

const readers = [2, 3, 4, 5, 6, 7, 8];
const writers = [1, 2, 3, 4];
/** ms between two messages of one writer */
const pauses = [0, 5, 20, 50, 200];
/** ms of one combination */
const lastsMs = 1_200;
const manners: Manners = { ...calm, drop: 0.1, check: 0.35, lateMs: 60 };

export const manyReaders: FaultClass = {
  name: "F8",
  title: "2–8 readers and 1–4 writers of one inbox",
  cases: ({ slice }) =>
    (slice ? [8] : readers).flatMap((count) =>
      (slice ? [5] : pauses).map((pauseMs) => ({
        id: `F8:${count} readers:${pauseMs} ms`,
        run: (context: Context) => survive(count, slice ? [3] : writers, pauseMs, context),
      })),
    ),
};

async function survive(
  readerCount: number,
  counts: number[],
  pauseMs: number,
  context: Context,
): Promise<CaseResult> {
  await using world = await World.start({ ...context, agentsEach: 3 });
  const [reader, ...others] = world.agents;
  if (!reader) throw new Error("a world without agents");
  let verdict = noViolation;
  for (const count of counts) {
    let going = true;
    const running = [
      ...Array.from({ length: readerCount }, () => read(world, reader, () => going)),
      ...others.slice(0, count).map((writer) => write(writer, reader, pauseMs, () => going)),
    ];
    await Bun.sleep(lastsMs);
    going = false;
    await Promise.all(running);
    verdict = await world.drain();
    if (!isClean(verdict)) break;
  }
  return resultOf(world, verdict, counts.length, `${readerCount} readers, ${counts.join(", ")} writers`);
}

async function read(world: World, reader: SimAgent, going: () => boolean): Promise<void> {
  while (going()) {
    if (reader.hasMail) await reader.read(manners);
    await Bun.sleep(world.dice.between(1, 15));
  }
}

async function write(writer: SimAgent, to: SimAgent, pauseMs: number, going: () => boolean): Promise<void> {
  const lane = `${writer.address} ${crypto.randomUUID()}`;
  let thread: string | undefined;
  while (going()) {
    thread = (await writer.say(to, { thread, lane })).thread ?? thread;
    await Bun.sleep(pauseMs);
  }
}
