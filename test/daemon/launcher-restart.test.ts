// The daemon dies without a word while missions run: the agents go on, and the next daemon finds them, follows them,
// keeps their limits, and tells what it cannot know as lost.
import { expect, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import type { MissionRecord } from "../../src/daemon/mission-record.ts";
import type { MissionOrder } from "../../src/protocol/mission.ts";
import { identify } from "../../src/system/process.ts";
import { waitFor, within } from "../rig/wait.ts";
import { keyOf, orderOf, Scene, script } from "./launcher-scene.ts";

const agent = { commands: { agent: { command: "agent-program" } } };
const claudish = { commands: { agent: { command: "agent-program", format: "claude" } } };
const result = (more: object) =>
  JSON.stringify({
    type: "result",
    subtype: "success",
    is_error: false,
    num_turns: 2,
    total_cost_usd: 0.5,
    ...more,
  });

/** Starts a daemon that takes these orders, and ends it by SIGKILL when `until` holds (or lets it die by itself). */
async function daemonThatDies(
  root: string,
  settings: object,
  orders: MissionOrder[],
  { until, crash }: { until?: () => boolean; crash?: string },
): Promise<void> {
  const child = Bun.spawn(
    [
      process.execPath,
      Bun.fileURLToPath(import.meta.resolve("./launcher-process.ts")),
      root,
      JSON.stringify(settings),
      JSON.stringify(orders),
    ],
    {
      env: { PATH: process.env.PATH ?? "", HOME: root, ...(crash ? { AI_INTERCOM_CRASH: crash } : {}) },
      stdout: "ignore",
      stderr: "ignore",
    },
  );
  try {
    if (until) await waitFor("the daemon to be ready to die", until);
    else await within("the daemon to die by itself", child.exited);
  } finally {
    child.kill("SIGKILL");
    await child.exited;
  }
}

function next(root: string, settings: object): Scene {
  const scene = new Scene(settings as Record<string, unknown>, root);
  scene.launcher.start();
  return scene;
}

const recordOf = (root: string, order: MissionOrder): MissionRecord =>
  JSON.parse(readFileSync(`${root}/home/missions/${keyOf(order)}/record.json`, "utf8"));

/** The agent runs, and the daemon has noted its process. */
const isUp = (root: string, order: MissionOrder): boolean =>
  existsSync(`${root}/code/app/up`) && recordOf(root, order).process !== undefined;

const fresh = (text: string): string => {
  const root = mkdtempSync("/tmp/aii-msn-");
  script(root, "agent-program", text);
  return root;
};

test("found again: it was not disturbed, its steps keep their numbers, its end is judged by its stream", async () => {
  const root = fresh(
    `echo '{"type":"assistant","message":{"id":"a1","content":[{"type":"text","text":"before"}]}}'; touch up; until [ -e ../../go ]; do sleep 0.02; done; echo '${result({ result: "the answer" })}'; touch finished; sleep 0.2`,
  );
  const order = orderOf(1);
  await daemonThatDies(root, claudish, [order], { until: () => isUp(root, order) });
  const { pid } = recordOf(root, order).process ?? { pid: 0 };
  expect(identify(pid)).toBeDefined();
  using scene = next(root, claudish);
  expect(scene.launcher.unfinished()).toEqual([{ mission_id: order.mission_id, run: 1 }]);
  await waitFor("the first step", () => scene.hub.run(keyOf(order)).entries.length === 1);
  expect(identify(pid)).toBeDefined();
  await Bun.write(`${root}/go`, "");
  expect(await scene.hub.end(keyOf(order))).toMatchObject({
    status: "completed",
    turn_count: 2,
    cost_usd: 0.5,
  });
  expect(scene.hub.run(keyOf(order))).toMatchObject({
    output: "the answer",
    entries: [{ seq: 1, kind: "text", summary: "before" }],
  });
});

test("it ended while no daemon ran: judged by its last word, lost without one, and what was printed is there", async () => {
  for (const [last, expected] of [
    [result({ result: "done" }), { status: "completed" }],
    [
      result({ is_error: true, result: "out of credit" }),
      { status: "failed", reason: "error: out of credit" },
    ],
    [
      "",
      {
        status: "lost",
        reason:
          "how it ended was not seen, for the daemon was restarted meanwhile, and its output does not say it",
      },
    ],
  ] as const) {
    const root = fresh(`touch up; until [ -e ../../go ]; do sleep 0.02; done; echo '${last}'`);
    const order = orderOf(1);
    await daemonThatDies(root, claudish, [order], { until: () => isUp(root, order) });
    const { pid } = recordOf(root, order).process ?? { pid: 0 };
    await Bun.write(`${root}/go`, "");
    await waitFor("the agent to end", () => identify(pid) === undefined);
    using scene = next(root, claudish);
    expect(await scene.hub.end(keyOf(order))).toMatchObject(expected);
  }
});

test("text without a daemon: lost, for nothing says how it ended", async () => {
  const root = fresh("echo half; touch up; until [ -e ../../go ]; do sleep 0.02; done; echo whole");
  const order = orderOf(1);
  await daemonThatDies(root, agent, [order], { until: () => isUp(root, order) });
  const { pid } = recordOf(root, order).process ?? { pid: 0 };
  await Bun.write(`${root}/go`, "");
  await waitFor("the agent to end", () => identify(pid) === undefined);
  using scene = next(root, agent);
  expect(await scene.hub.end(keyOf(order))).toMatchObject({ status: "lost" });
  expect(scene.hub.run(keyOf(order)).output).toBe("half\nwhole\n");
});

test("the queue and the time limit outlive the daemon", async () => {
  const root = fresh("sed -n '$s/task //p' >> ../../order; until [ -e ../../go ]; do sleep 0.02; done");
  const settings = { ...agent, max_parallel: 1, max_mission_duration: 3 };
  const orders = [1, 2, 3].map((n) => orderOf(n));
  await daemonThatDies(root, settings, orders, {
    until: () =>
      existsSync(`${root}/home/missions/${keyOf(orderOf(3))}/record.json`) && existsSync(`${root}/order`),
  });
  using scene = next(root, settings);
  expect(scene.launcher.unfinished().length).toBe(3);
  expect(await scene.hub.end(keyOf(orderOf(1)))).toMatchObject({ status: "timed_out" });
  await Bun.write(`${root}/go`, "");
  for (const order of orders.slice(1))
    expect(await scene.hub.end(keyOf(order))).toMatchObject({ status: "completed" });
  expect(readFileSync(`${root}/order`, "utf8")).toBe("1\n2\n3\n");
});

test("a cancel that the daemon did not live to carry out is carried out by the next", async () => {
  const root = fresh("trap '' TERM; touch up; until [ -e ../../go ]; do sleep 0.02; done");
  const order = orderOf(1);
  await daemonThatDies(root, agent, [order], { until: () => isUp(root, order) });
  {
    // a daemon that dies between noting the cancel and the agent's end: stopped before its first KILL
    using scene = next(root, agent);
    scene.launcher.cancel({ mission_id: order.mission_id, run: 1, reason: "enough" });
  }
  expect(recordOf(root, order)).toMatchObject({ state: "running", stop: { status: "cancelled" } });
  using scene = next(root, agent);
  expect(await scene.hub.end(keyOf(order), 20_000)).toMatchObject({ status: "cancelled", reason: "enough" });
});

test.each([
  ["launcher.before-start", "started by the next daemon, once", 1, "completed"],
  ["launcher.started", "found by its mark, once", 1, "completed"],
])("killed at %s: %s", async (crash, _, runs, status) => {
  const root = fresh(
    'echo x >> ../../count; until [ -e ../../go ]; do sleep 0.02; done; echo \'{"type":"result","subtype":"success","is_error":false,"result":"r"}\'',
  );
  const order = orderOf(1);
  await daemonThatDies(root, claudish, [order], { crash });
  using scene = next(root, claudish);
  await waitFor("the agent to run", () => existsSync(`${root}/count`));
  await Bun.write(`${root}/go`, "");
  expect(await scene.hub.end(keyOf(order))).toMatchObject({ status });
  expect(readFileSync(`${root}/count`, "utf8")).toBe("x\n".repeat(runs));
});

test("killed right after the start, and the agent gone before the next daemon: lost, never begun again", async () => {
  const root = fresh("echo x >> ../../count");
  const order = orderOf(1);
  await daemonThatDies(root, claudish, [order], { crash: "launcher.started" });
  await waitFor("the agent to have run", () => existsSync(`${root}/count`));
  using scene = next(root, claudish);
  expect(await scene.hub.end(keyOf(order))).toMatchObject({ status: "lost" });
  expect(readFileSync(`${root}/count`, "utf8")).toBe("x\n");
});

test("killed after the end was noted, or after it was reported: told once more, and no more after that", async () => {
  for (const crash of ["launcher.ended", "launcher.reported:3"]) {
    const root = fresh("echo out");
    const order = orderOf(1);
    await daemonThatDies(root, agent, [order], { crash });
    using scene = next(root, agent);
    expect(await scene.hub.end(keyOf(order))).toMatchObject({ status: "completed", exit_code: 0 });
    expect(scene.hub.run(keyOf(order)).output).toBe("out\n");
    await waitFor("nothing to be owed", () => scene.launcher.unfinished().length === 0);
    scene.restart();
    expect(scene.launcher.unfinished()).toEqual([]);
  }
});

test("a damaged record is told and left; the others go on", async () => {
  const root = fresh("true");
  {
    using scene = next(root, agent);
    for (const n of [1, 2]) scene.begin(orderOf(n));
    for (const n of [1, 2]) await scene.hub.end(keyOf(orderOf(n)));
  }
  const path = `${root}/home/missions/${keyOf(orderOf(1))}/record.json`;
  await Bun.write(path, "{ cut off");
  rmSync(`${root}/home/missions/${keyOf(orderOf(2))}/stdout`);
  using scene = next(root, agent);
  scene.begin(orderOf(3));
  expect(await scene.hub.end(keyOf(orderOf(3)))).toMatchObject({ status: "completed" });
  expect(readFileSync(path, "utf8")).toBe("{ cut off");
});
