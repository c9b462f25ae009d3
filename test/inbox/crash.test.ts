// A kill at every named crash point, several times each, on one inbox that lives through all of them.
// Oracle: what the hub got an ack for stands in the agent's context exactly once, whole and in order.
import { afterAll, expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { dirname } from "node:path";
import { Glob } from "bun";
import { Life, messages, oracle, perLife, World } from "./crash-scenario.ts";
import { filesOf, freshDirectory, quiet, removeDirectories } from "./support.ts";

afterAll(removeDirectories);

quiet(); // torn lines are part of the scenario

/** which pass through the point kills, life by life */
const passes = [1, 1, 2, 4];
const noneWrong = { lost: [], doubled: [], disordered: [] };

async function crashPoints(): Promise<string[]> {
  const names = new Set(["replace-file.before-rename", "replace-file.after-rename"]);
  for (const file of new Glob("src/inbox/*.ts").scanSync()) {
    const source = await Bun.file(file).text();
    for (const [, name = ""] of source.matchAll(/crashPoint\("([^"]+)"\)/g)) names.add(name);
  }
  return [...names].sort();
}

/** Lives one life; true when it was killed. Any other failure is the test's. */
async function live(directory: string, life: number, seed: number, crash: string): Promise<boolean> {
  const child = Bun.spawn(
    [process.execPath, `${import.meta.dir}/crash-scenario.ts`, directory, `${life}`, `${seed}`],
    {
      env: { ...process.env, AI_INTERCOM_CRASH: crash },
      stdout: "ignore",
      stderr: "pipe",
    },
  );
  const errors = await new Response(child.stderr).text();
  await child.exited;
  if (child.signalCode !== "SIGKILL" && child.exitCode !== 0) throw new Error(`${crash}: ${errors}`);
  return child.signalCode === "SIGKILL";
}

async function survive(point: string, seed: number) {
  const directory = dirname(freshDirectory());
  let kills = 0;
  for (const [life, pass] of passes.entries())
    if (await live(directory, life, seed + life, `${point}:${pass}`)) kills++;
  const sent = messages(passes.length * perLife);
  new Life(directory, seed).finish(sent);
  return { kills, wrong: oracle(new World(directory), sent) };
}

test("a kill at any crash point loses, doubles and disorders nothing", async () => {
  const points = await crashPoints();
  expect(points.length).toBeGreaterThan(15);
  const waiting = points.map((point, i) => ({ point, seed: 1_000 * i }));
  const results: Record<string, Awaited<ReturnType<typeof survive>>> = {};
  const worker = async () => {
    for (let job = waiting.pop(); job; job = waiting.pop())
      results[job.point] = await survive(job.point, job.seed);
  };
  await Promise.all([worker(), worker(), worker(), worker()]);
  for (const point of points) {
    expect([point, results[point]?.wrong]).toEqual([point, noneWrong]);
    // rare steps are not passed four times in one life
    expect([point, (results[point]?.kills ?? 0) >= 2]).toEqual([point, true]);
  }
}, 300_000);

test("without kills a thousand steps leave nothing wrong", () => {
  const directory = dirname(freshDirectory());
  const sent = messages(150);
  const life = new Life(directory, 7);
  for (let step = 0; step < 1_000; step++) life.step(sent);
  life.finish(sent);
  expect(oracle(new World(directory), sent)).toEqual(noneWrong);
});

test("a ledger lost at every restart doubles some and loses none: the oracle can tell", () => {
  const directory = dirname(freshDirectory());
  const sent = messages(150);
  const life = new Life(directory, 8, {
    whileDown: () => rmSync(filesOf(`${directory}/inbox`).ledger, { force: true }),
  });
  for (let step = 0; step < 1_000; step++) life.step(sent);
  life.finish(sent);
  const { lost, doubled } = oracle(new World(directory), sent);
  expect(lost).toEqual([]);
  expect(doubled.length).toBeGreaterThan(0);
});

test("the oracle sees a loss, a double and a swap", () => {
  const sent = messages(4).map((one) => ({ ...one, thread_id: "t-1" }));
  const printed = sent.map(({ id, message }) => ({
    nonce: id,
    parts: [{ id, part: 1, of: 1, text: message }],
  }));
  expect(oracle({ printed }, sent)).toEqual(noneWrong);
  const [a, b, c, d] = printed;
  if (!a || !b || !c || !d) throw new Error("four were made");
  expect(oracle({ printed: [a, b, d] }, sent).lost).toEqual(["m2"]);
  expect(oracle({ printed: [a, b, c, c, d] }, sent).doubled).toEqual(["m2"]);
  expect(oracle({ printed: [a, c, b, d] }, sent).disordered).toEqual(["m2"]);
});
