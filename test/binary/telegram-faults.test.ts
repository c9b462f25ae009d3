// The built program's bot at its true pace against everything that Telegram does wrong: nothing is lost, nothing is
// shown twice, and the order in the topic holds. Each fault alone, and more of them, with a fast clock: test/oversight.
import { afterAll, beforeAll, expect, test } from "bun:test";
import type { ScriptedAgent } from "../rig/agent";
import { Fleet } from "../rig/fleet";
import { botToken, FakeTelegram, owner } from "../rig/telegram";
import { waitFor } from "../rig/wait";

let fake: FakeTelegram;
let fleet: Fleet;
let a: ScriptedAgent;
let thread_id: string;
beforeAll(async () => {
  fake = new FakeTelegram();
  fleet = await Fleet.start(["limn", "atlas"], {
    TELEGRAM_BOT_TOKEN: botToken,
    TELEGRAM_SUPERGROUP_ID: String(fake.chat),
    TELEGRAM_OWNER_ID: String(owner.id),
    AI_INTERCOM_TELEGRAM_API_ROOT: fake.url,
    AI_INTERCOM_LIMITS_RATE: "1000000",
    AI_INTERCOM_LIMITS_BURST: "1000000",
    AI_INTERCOM_LIMITS_LOOP: "1000000",
  });
  a = await fleet.machine("limn").agent("a");
  await fleet.machine("atlas").agent("b");
  ({ thread_id } = await a.call("intercom_chat", { to: "atlas/b", message: "m0." }));
  await fake.sees("m0.");
}, 60_000);
afterAll(async () => {
  await fleet[Symbol.asyncDispose]();
  await fake.stop();
});

let next = 1;
async function say(): Promise<string> {
  const message = `m${next++}.`;
  await a.call("intercom_reply", { thread_id, message });
  return message;
}
const numbers = () =>
  fake.shown().flatMap(({ text }) => [...text.matchAll(/\bm(\d+)\./g)].map(([, n]) => Number(n)));
const shown = (count: number) =>
  waitFor(`${count} messages in view`, () => numbers().length >= count, {
    timeoutMs: 240_000,
    detail: () => `${numbers().length}, ${fake.calls.length} calls`,
  });

test("cut calls, 429, refused markup, 5xx, cut polls, updates twice and out of order, a topic closed and deleted", async () => {
  for (const fault of ["cut", "cut after", "429", "entities", "500"] as const) {
    fake.fault("sendMessage", fault);
    fake.fault("editMessageText", fault);
    fake.fault("getUpdates", "cut");
    await shown(Number((await say()).slice(1, -1)) + 1);
  }
  const [first] = fake.shown();
  fake.closeTopic(first?.topic ?? 0);
  await say();
  await shown(next);
  fake.swapNext();
  fake.say("a first word", { topic: first?.topic });
  fake.say("a second word", { topic: first?.topic });
  fake.repeatNewest();
  const words = async () => (await a.read()).filter((text) => text.endsWith("word"));
  const heard: string[] = [];
  await waitFor("both words", async () => heard.push(...(await words())) >= 2);
  expect(heard.sort()).toEqual(["a first word", "a second word"]);
  expect(numbers()).toEqual(Array.from({ length: next }, (_, n) => n));
  fake.deleteTopic(first?.topic ?? 0);
  const gone = next;
  await say();
  await waitFor("the new topic", () => numbers().at(-1) === gone, { timeoutMs: 120_000 });
  expect(await words()).toEqual([]);
  expect(fake.tooFast).toBe(0);
}, 400_000);

test("500 messages in a burst arrive, each once, within the limits", async () => {
  const before = numbers().length;
  await Promise.all(Array.from({ length: 500 }, say));
  await shown(before + 500);
  expect(numbers().toSorted((one, other) => one - other)).toEqual(
    Array.from({ length: before + 500 }, (_, n) => next - before - 500 + n),
  );
  expect(fake.tooFast).toBe(0);
}, 400_000);
