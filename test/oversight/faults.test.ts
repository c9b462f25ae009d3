// Everything that can go wrong between the bot and Telegram: nothing is lost, nothing is shown twice, and the order
// in each topic holds.
import { afterEach, expect, test } from "bun:test";
import { Dice } from "../fault/dice.ts";
import type { Fault } from "../rig/telegram.ts";
import { waitFor } from "../rig/wait.ts";
import { chat, type Stage, setStage } from "./stage.ts";

let stage: Stage;
afterEach(() => stage[Symbol.asyncDispose]());

/** The numbered messages `m<n>.` that a topic shows, in order. */
function numbers(topic?: number | "outside"): number[] {
  const text = stage.fake
    .shown(topic)
    .map((one) => one.text)
    .join("\n");
  return [...text.matchAll(/\bm(\d+)\./g)].map(([, n]) => Number(n));
}

const calls = (method: string) => stage.fake.calls.filter((one) => one.method === method);

test.each(["cut", "cut after", "500", "500 after", "429", "entities"] satisfies Fault[])(
  "a post that meets: %s",
  async (fault) => {
    stage = await setStage({ speed: 200 });
    const { thread } = await chat(stage, "m1.");
    await stage.fake.sees("m1.");
    stage.fake.fault("sendMessage", fault);
    await chat(stage, "m2.", { thread_id: thread });
    await stage.fake.sees("m2.");
    await chat(stage, "m3.", { thread_id: thread });
    await stage.fake.sees("m3.");
    expect(numbers()).toEqual([1, 2, 3]);
    expect(calls("sendMessage").length).toBeGreaterThanOrEqual(3);
  },
);

test.each(["cut after", "500 after", "500", "429"] satisfies Fault[])(
  "a topic whose making meets: %s",
  async (fault) => {
    stage = await setStage({ speed: 200 });
    stage.fake.fault("createForumTopic", fault);
    const { thread } = await chat(stage, "m1.");
    await stage.fake.sees("m1.");
    expect([...stage.fake.topics.values()].map(({ name }) => name)).toEqual([
      `💬 mac/web → limn/api · ${thread}`,
    ]);
    expect(numbers()).toEqual([1]);
  },
);

test.each(["cut", "cut after", "500 after", "429", "entities"] satisfies Fault[])(
  "an edit that meets: %s (the next try may hear that nothing is modified)",
  async (fault) => {
    stage = await setStage({ speed: 200 });
    const { id } = await chat(stage, "m1.");
    const posted = await stage.fake.sees("Session: ✅ delivered");
    const before = posted.versions.length;
    stage.fake.fault("editMessageText", fault);
    await stage.limn.peer.receipt("s-b", id, "seen");
    await stage.fake.sees("Session: 👁 seen");
    await chat(stage, "m2.");
    await stage.fake.sees("m2.");
    expect(numbers()).toEqual([1, 2]);
    expect(stage.fake.messages.get(posted.id)?.versions).toHaveLength(before + 1);
  },
);

test("retry_after is kept to the second", async () => {
  stage = await setStage({ speed: 50 });
  const { thread } = await chat(stage, "m1.");
  await stage.fake.sees("m1.");
  stage.fake.fault("sendMessage", "429");
  await chat(stage, "m2.", { thread_id: thread });
  await stage.fake.sees("m2.");
  const [refused, again] = calls("sendMessage").slice(-2);
  expect(refused?.status).toBe(429);
  expect((again?.at ?? 0) - (refused?.at ?? 0)).toBeGreaterThanOrEqual(2_000);
  const between = stage.fake.calls.filter(
    ({ at, method }) => at > (refused?.at ?? 0) && at < (again?.at ?? 0) && method !== "getUpdates",
  );
  expect(between).toEqual([]);
});

test("a closed topic is opened again, a deleted one made anew; a deleted post is not made again", async () => {
  stage = await setStage({ speed: 200 });
  const { thread, id } = await chat(stage, "m1.");
  const first = await stage.fake.sees("m1.");
  stage.fake.closeTopic(first.topic ?? 0);
  await chat(stage, "m2.", { thread_id: thread });
  expect((await stage.fake.sees("m2.")).topic).toBe(first.topic);
  expect(stage.fake.topics.get(first.topic ?? 0)?.closed).toBe(false);
  stage.fake.deleteMessage(first.id);
  await stage.limn.peer.receipt("s-b", id, "seen");
  stage.fake.deleteTopic(first.topic ?? 0);
  await chat(stage, "m3.", { thread_id: thread });
  const third = await stage.fake.sees("m3.");
  expect(third.topic).not.toBe(first.topic);
  const said = stage.fake.say("here", { topic: third.topic });
  await waitFor("the word to arrive", () => stage.mac.received.length === 1);
  expect((await stage.fake.sees("✅ delivered", third.topic)).topic).toBe(third.topic);
  expect(stage.mac.received[0]?.message.thread_id).toBe(thread);
  expect(numbers()).toEqual([3]);
  expect(said).toBeGreaterThan(third.id);
});

test("a closed topic that may not be opened again: the thread goes on in another", async () => {
  stage = await setStage({ speed: 200 });
  const { thread } = await chat(stage, "m1.");
  const first = await stage.fake.sees("m1.");
  stage.fake.closeTopic(first.topic ?? 0);
  stage.fake.fault("reopenForumTopic", "no rights");
  await chat(stage, "m2.", { thread_id: thread });
  expect((await stage.fake.sees("m2.")).topic).not.toBe(first.topic);
  expect(numbers()).toEqual([1, 2]);
});

test("topics that may not be made: everything is shown outside, in order", async () => {
  stage = await setStage({ speed: 200 });
  stage.fake.forum = false;
  const { thread } = await chat(stage, "m1.");
  await chat(stage, "m2.", { thread_id: thread });
  await waitFor("both", () => numbers("outside").length === 2);
  expect(numbers()).toEqual([1, 2]);
});

test("five minutes of 502: chat goes on unhindered, then all of it is shown, in order", async () => {
  stage = await setStage({ speed: 600, settings: { limits: { rate: 1e6, burst: 1e6, loop: 1000 } } });
  const { thread } = await chat(stage, "m1.");
  await stage.fake.sees("m1.");
  stage.fake.away = true;
  const started = performance.now();
  for (let n = 2; n <= 40; n++) await chat(stage, `m${n}.`, { thread_id: thread });
  // one call to Telegram alone may take so long before it is given up
  expect(performance.now() - started).toBeLessThan(20_000);
  expect(stage.limn.peer.texts()).toHaveLength(40);
  const since = stage.fake.calls.length;
  await waitFor("some tries", () => stage.fake.calls.length > since + 4, { timeoutMs: 20_000 });
  stage.fake.away = false;
  await waitFor("all 40", () => numbers().length >= 40, {
    timeoutMs: 20_000,
    detail: () => String(numbers()),
  });
  expect(numbers()).toEqual(Array.from({ length: 40 }, (_, n) => n + 1));
});

test("away when the bot starts: it connects when Telegram is back, nothing is lost", async () => {
  stage = await setStage({ speed: 200 });
  await stage.stop();
  stage.fake.away = true;
  await chat(stage, "m1.");
  await stage.start();
  await chat(stage, "m2.");
  await waitFor("a try", () => stage.fake.calls.some(({ status }) => status === 502));
  stage.fake.away = false;
  await stage.fake.sees("m1.");
  await stage.fake.sees("m2.");
  expect(numbers()).toEqual([1, 2]);
});

test("updates: the same twice, in the other order, through cut polls: each acted on once", async () => {
  stage = await setStage({ speed: 200 });
  const { thread } = await chat(stage, "hello");
  const { topic } = await stage.fake.sees("hello");
  stage.fake.say("u1", { topic });
  stage.fake.repeatNewest();
  await waitFor("u1", () => stage.mac.texts().includes("u1"));
  stage.fake.repeatNewest();
  stage.fake.swapNext();
  stage.fake.say("u2", { topic });
  stage.fake.say("u3", { topic });
  await waitFor("u2 and u3", () => stage.mac.received.length >= 3);
  stage.fake.fault("getUpdates", "cut", 2);
  stage.fake.fault("getUpdates", "cut after", 2);
  stage.fake.fault("getUpdates", "500 after", 1);
  stage.fake.say("u4", { topic });
  await waitFor("u4", () => stage.mac.texts().includes("u4"));
  await stage.fake.idle();
  expect(stage.mac.texts().sort()).toEqual(["u1", "u2", "u3", "u4"]);
  const history = (await stage.hub.person("GET", `/api/threads/${thread}`)).body;
  expect(history.messages.filter(({ from_agent }) => from_agent === "human")).toHaveLength(4);
  await stage.restart();
  stage.fake.repeatNewest();
  await stage.fake.idle();
  expect(stage.mac.received).toHaveLength(4);
});

test("any mixture of faults and restarts of the bot: each once, in order per topic", async () => {
  stage = await setStage({ speed: 2_000 });
  const dice = new Dice(20261122);
  const faults = ["cut", "cut after", "500", "500 after", "429", "entities"] satisfies Fault[];
  const threads: string[] = [];
  for (let n = 1; n <= 90; n++) {
    const thread = threads[n % 3];
    if (dice.chance(0.5))
      stage.fake.fault(
        dice.pick(["sendMessage", "editMessageText", "createForumTopic", "getUpdates"]),
        dice.pick(faults),
      );
    const sent = await chat(stage, `m${n}.`, thread === undefined ? {} : { thread_id: thread });
    if (thread === undefined) threads[n % 3] = sent.thread;
    if (dice.chance(0.1)) await stage.restart();
    if (dice.chance(0.1)) stage.fake.say(`between ${n}`);
    if (dice.chance(0.3))
      await waitFor("some to be shown", () => numbers().length >= n - 10, { timeoutMs: 20_000 });
  }
  await waitFor("all 90", () => numbers().length >= 90, {
    timeoutMs: 30_000,
    detail: () => `${numbers().length}: ${numbers()}`,
  });
  const live = [...stage.fake.topics.values()];
  expect(live).toHaveLength(3);
  for (const { id } of live) {
    const shown = numbers(id);
    expect(shown).toHaveLength(30);
    expect(shown).toEqual([...shown].sort((a, b) => a - b));
    expect(new Set(shown.map((n) => n % 3)).size).toBe(1);
  }
});
