// Runs of missions with small scripts as agents: how each way of ending is told, limits, queue, cancel, what they leave
// behind, and what their environment holds.
import { expect, test } from "bun:test";
import { existsSync, readFileSync, readlinkSync, statSync } from "node:fs";
import type { MissionRecord } from "../../src/daemon/mission-record.ts";
import { allProcesses, identify, isAlive } from "../../src/system/process.ts";
import { waitFor } from "../rig/wait.ts";
import { keyOf, orderOf, sceneOf } from "./launcher-scene.ts";

const alive = (pid: number) => {
  const process = identify(pid);
  return process !== undefined && isAlive(process);
};

test("a run: the task over standard input, each line a step, the output whole, the exit code", async () => {
  using scene = sceneOf('cat > got.txt; echo first; echo second; printf "héllo \\360\\237\\230\\200"');
  const order = orderOf(1);
  expect(scene.begin(order)).toMatchObject({ verdict: "taken", status: "running" });
  expect(await scene.hub.end(keyOf(order))).toMatchObject({ status: "completed", exit_code: 0 });
  const { entries, output, changes } = scene.hub.run(keyOf(order));
  expect(entries.map(({ kind, summary }) => [kind, summary])).toEqual([
    ["text", "first"],
    ["text", "second"],
    ["text", "héllo 😀"],
  ]);
  expect(output).toBe("first\nsecond\nhéllo 😀");
  expect(changes.map(({ status }) => status)).toEqual(["running", "completed"]);
  const prompt = scene.read("code/app/got.txt");
  expect(prompt).toContain("Mission m-20261122-000001. Asked by atlas/web@s-20261122-aaaaaa");
  expect(prompt).toEndWith("The task:\ntask 1\n");
  expect(statSync(`${scene.root}/home/missions/${keyOf(order)}`).mode & 0o777).toBe(0o700);
  expect(statSync(`${scene.root}/home/missions/${keyOf(order)}/stdout`).mode & 0o777).toBe(0o600);
});

test("exit 3: failed, with the code and what it said; a good text on the way changes nothing", async () => {
  using scene = sceneOf('echo "all done, success"; echo "no such table" >&2; exit 3');
  scene.begin(orderOf(1));
  expect(await scene.hub.end(keyOf(orderOf(1)))).toMatchObject({
    status: "failed",
    exit_code: 3,
    reason: "exit code 3; it said: no such table",
  });
  expect(scene.hub.run(keyOf(orderOf(1))).output).toBe("all done, success\n");
});

test("a missing program: launch_failed with its name, when planned and when it vanished after that", async () => {
  using scene = sceneOf("true", {
    commands: { agent: { command: "agent-program" }, gone: { command: "no-such" } },
  });
  expect(scene.launcher.plan(orderOf(1, { agent_command: "gone" }))).toMatchObject({
    verdict: "refused",
    status: "launch_failed",
    reason: 'there is no program "no-such" on this machine',
  });
  await Bun.write(`${scene.root}/bin/agent-program`, "#!/no/such/interpreter\n");
  const order = orderOf(2);
  expect(scene.begin(order)).toMatchObject({ verdict: "refused", status: "launch_failed" });
  expect(existsSync(`${scene.root}/home/missions/${keyOf(order)}`)).toBe(false);
  expect(scene.launcher.unfinished()).toEqual([]);
  expect(scene.hub.runs.size).toBe(0);
});

test("a hanging agent that ignores TERM ends at the shorter of both limits, with all that it started", async () => {
  using scene = sceneOf("trap '' TERM; sleep 300 & echo $! > child; setsid sleep 300 & sleep 300", {
    max_mission_duration: 1,
  });
  const order = orderOf(1, { timeout: 60 });
  scene.begin(order);
  const { pid } = recordOf(scene, order).process;
  expect(await scene.hub.end(keyOf(order), 20_000)).toMatchObject({
    status: "timed_out",
    reason: "it was still running after its 1 s",
  });
  await waitFor("everything to be gone", () => sleepers(scene.root).length === 0 && !alive(pid), {
    detail: () => sleepers(scene.root).join("\n"),
  });
});

test("what an agent leaves behind ends with it: in its group, in its session, and in sessions of its own", async () => {
  using scene = sceneOf(
    `sleep 300 & (setsid sh -c 'trap "" TERM; touch ../../up; sleep 300; sleep 300' &); until [ -e ../../go ]; do sleep 0.01; done; echo ok`,
  );
  const order = orderOf(1);
  scene.begin(order);
  const { pid } = recordOf(scene, order).process;
  await waitFor("all of it to run", () => existsSync(`${scene.root}/up`) && sleepers(scene.root).length >= 4);
  await Bun.write(`${scene.root}/go`, "");
  expect(await scene.hub.end(keyOf(order))).toMatchObject({ status: "completed" });
  expect(alive(pid)).toBe(false);
  await waitFor("everything to be gone", () => sleepers(scene.root).length === 0, {
    detail: () => sleepers(scene.root).join("\n"),
  });
  await waitFor("its record to be swept", () => recordOf(scene, order).unswept === undefined);
});

test("one line of 5 MB is whole", async () => {
  using scene = sceneOf("head -c 5000000 /dev/zero | tr '\\0' x; echo; echo end");
  const order = orderOf(1);
  scene.begin(order);
  expect(await scene.hub.end(keyOf(order))).toMatchObject({ status: "completed" });
  const { output, entries } = scene.hub.run(keyOf(order));
  expect(output).toBe(`${"x".repeat(5_000_000)}\nend\n`);
  expect(entries.map(({ summary }) => summary.length)).toEqual([500, 3]);
});

test("20 runs, two at a time, in the order in which they came", async () => {
  using scene = sceneOf(
    'echo "+" >> ../../log; sed -n \'$p\' >> ../../order; sleep 0.05; echo "-" >> ../../log',
    {
      max_parallel: 2,
    },
  );
  const orders = Array.from({ length: 20 }, (_, n) => orderOf(n + 1));
  const taken = orders.map((order) => scene.begin(order));
  expect(taken.map((one) => (one.verdict === "taken" ? one.status : one.reason))).toEqual([
    ...["running", "running"],
    ...Array.from({ length: 18 }, () => "queued"),
  ]);
  for (const order of orders)
    expect(await scene.hub.end(keyOf(order))).toMatchObject({ status: "completed" });
  let [now, most] = [0, 0];
  for (const sign of scene.read("log").trim().split("\n")) {
    now += sign === "+" ? 1 : -1;
    most = Math.max(most, now);
  }
  expect([now, most]).toEqual([0, 2]);
  const started = orders.map((order) => scene.hub.run(keyOf(order)).changes[0]?.at ?? "");
  expect(started).toEqual(started.toSorted());
  // of two at once either may write first, and on a busy machine much later than it began
  const ran = scene.read("order").trim().split("\n");
  expect(ran.map((line) => Number(line.split(" ")[1])).sort((a, b) => a - b)).toEqual(
    orders.map((_, at) => at + 1),
  );
});

test("cancel: a running one ends with its children, a waiting one never starts, an ended or unknown one is told", async () => {
  using scene = sceneOf("echo up; touch ../../ran-$(sed -n '$s/task //p'); sleep 300", { max_parallel: 1 });
  const [first, second] = [orderOf(1), orderOf(2)];
  scene.begin(first);
  scene.begin(second);
  await waitFor("the first to run", () => existsSync(`${scene.root}/ran-1`));
  const cancel = (n: number) =>
    scene.launcher.cancel({ mission_id: orderOf(n).mission_id, run: 1, reason: "the asker took it back" });
  expect(cancel(2)).toEqual({ status: "stopping" });
  expect(await scene.hub.end(keyOf(second))).toMatchObject({
    status: "cancelled",
    reason: "the asker took it back",
  });
  expect(cancel(1)).toEqual({ status: "stopping" });
  expect(await scene.hub.end(keyOf(first))).toMatchObject({ status: "cancelled" });
  expect(cancel(1)).toEqual({ status: "ended" });
  expect(cancel(9)).toEqual({ status: "unknown" });
  await waitFor("everything to be gone", () => sleepers(scene.root).length === 0);
  expect(existsSync(`${scene.root}/ran-2`)).toBe(false);
});

test("the environment: no secret of ours, nothing of an outer agent's session, the person's own things kept", async () => {
  const secrets = {
    AI_INTERCOM_METRICS_TOKEN: "s1",
    AI_INTERCOM_CRASH: "s2",
    TELEGRAM_BOT_TOKEN: "s3",
    HUB_URL: "s4",
    CLAUDECODE: "s5",
    CLAUDE_CODE_SESSION_ID: "s6",
    CLAUDE_CODE_MESSAGING_SOCKET: "s7",
    CLAUDE_CODE_MESSAGING_TOKEN: "s8",
    CLAUDE_PID: "s9",
    BUN_OPTIONS: "s10",
    BUN_BE_BUN: "s11",
    NODE_OPTIONS: "s12",
    NOTIFY_SOCKET: "s13",
  };
  using scene = sceneOf("env");
  Object.assign(scene.env, secrets, {
    ANTHROPIC_API_KEY: "theirs",
    CLAUDE_CONFIG_DIR: "/theirs",
    LANG: "C.UTF-8",
  });
  scene.restart();
  const order = orderOf(1);
  scene.begin(order);
  await scene.hub.end(keyOf(order));
  const names = scene.hub
    .run(keyOf(order))
    .output.split("\n")
    .map((line) => line.split("=")[0] ?? "");
  for (const name of Object.keys(secrets)) expect(names).not.toContain(name);
  for (const name of ["ANTHROPIC_API_KEY", "CLAUDE_CONFIG_DIR", "LANG", "PATH", "HOME"])
    expect(names).toContain(name);
  expect(scene.hub.run(keyOf(order)).output).toContain(`AI_INTERCOM_HOME=${scene.root}/home\n`);
});

test("a task as an argument: only where configured, as one word whatever it holds, and only when it fits", async () => {
  using scene = sceneOf('printf "%s|%s" "$#" "$2"', {}, { args: ["--go"], prompt: "argument" });
  const order = orderOf(1, { message: "$(touch pwned); `id` \"quoted\" 'single'\n--flag" });
  scene.begin(order);
  expect(await scene.hub.end(keyOf(order))).toMatchObject({ status: "completed" });
  const { output } = scene.hub.run(keyOf(order));
  expect(output).toStartWith("2|You were started by ai-intercom");
  expect(output).toContain("$(touch pwned); `id` \"quoted\" 'single'\n--flag");
  expect(existsSync(`${scene.root}/code/app/pwned`)).toBe(false);
  const long = orderOf(2, { message: "x".repeat(120_000) });
  expect(scene.begin(long)).toMatchObject({ verdict: "refused", status: "launch_failed" });
});

test("a task of 300,000 characters goes over standard input", async () => {
  using scene = sceneOf("tail -n 1 | wc -c");
  const order = orderOf(1, { message: "y".repeat(300_000) });
  scene.begin(order);
  await scene.hub.end(keyOf(order));
  expect(scene.hub.run(keyOf(order)).output.trim()).toBe("300001");
});

test("steps reach the hub while the agent runs, and a hub that was away gets them all later, the end last", async () => {
  using scene = sceneOf("echo one; while [ ! -e ../../go ]; do sleep 0.02; done; echo two");
  const order = orderOf(1);
  scene.begin(order);
  await waitFor("the first step", () => scene.hub.run(keyOf(order)).entries.length === 1);
  scene.hub.linked = false;
  await Bun.write(`${scene.root}/go`, "");
  await waitFor("its end", () => recordOf(scene, order).state === "ended");
  expect(scene.hub.run(keyOf(order)).changes.map(({ status }) => status)).toEqual(["running"]);
  expect(scene.launcher.unfinished()).toEqual([{ mission_id: order.mission_id, run: 1 }]);
  scene.hub.linked = true;
  scene.launcher.linked();
  expect(await scene.hub.end(keyOf(order))).toMatchObject({ status: "completed" });
  expect(scene.hub.run(keyOf(order)).output).toBe("one\ntwo\n");
  await waitFor("nothing to be owed", () => scene.launcher.unfinished().length === 0);
});

test("a run that the hub does not want is stopped and told no more", async () => {
  using scene = sceneOf("echo up; sleep 300");
  const order = orderOf(1);
  scene.hub.unwanted.add(keyOf(order));
  scene.begin(order);
  await waitFor("its end", () => recordOf(scene, order).state === "ended");
  expect(scene.launcher.unfinished()).toEqual([]);
  expect(scene.hub.run(keyOf(order)).changes).toEqual([]);
  await waitFor("everything to be gone", () => sleepers(scene.root).length === 0);
});

test("an order that is sent again is not begun again", async () => {
  using scene = sceneOf("echo x >> ../../count; sleep 0.1");
  const order = orderOf(1);
  scene.begin(order);
  expect(scene.begin(order)).toMatchObject({ verdict: "taken", status: "running" });
  await scene.hub.end(keyOf(order));
  expect(scene.begin(order)).toMatchObject({ verdict: "taken" });
  expect(scene.read("count")).toBe("x\n");
  const other = { ...order, message: "another task" };
  expect(scene.begin(other)).toMatchObject({ verdict: "refused", status: "error" });
});

type Scened = ReturnType<typeof sceneOf>;

function recordOf(scene: Scened, order: ReturnType<typeof orderOf>): Required<MissionRecord> {
  return JSON.parse(scene.read(`home/missions/${keyOf(order)}/record.json`));
}

/** Processes of this test's agents: each works in a directory of its scene. */
function sleepers(root: string): string[] {
  return allProcesses().flatMap(({ pid }) => {
    try {
      const inside = readlinkSync(`/proc/${pid}/cwd`).startsWith(`${root}/`);
      return inside ? [readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ")] : [];
    } catch {
      return []; // gone between two reads
    }
  });
}
