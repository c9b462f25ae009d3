// kill -9 of the hub at every step between the store and Telegram: each message is shown once, each word of the
// person arrives once. And what the hub says of it all never holds the token.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync } from "node:fs";
import { newMessageId } from "../../src/protocol/ids.ts";
import { homePaths } from "../../src/system/paths.ts";
import { Peer, routeInput, session } from "../hub/peer.ts";
import { personAt } from "../hub/rig.ts";
import { botToken, FakeTelegram, fastClock } from "../rig/telegram.ts";
import { waitFor } from "../rig/wait.ts";

const speed = 400;
const paths = homePaths(mkdtempSync("/tmp/aii-tg-"));
const person = personAt(paths.hubSocket);
/** what each process of the hub has said so far */
const said: string[] = [];
let fake: FakeTelegram;
let running: Bun.Subprocess<"ignore", "pipe", "pipe"> | undefined;
let url = "";
let starts = 0;

async function start(crash = ""): Promise<void> {
  starts += 1;
  const entry = Bun.fileURLToPath(import.meta.resolve("./serve.ts"));
  const settings = {
    hub: { listen: "127.0.0.1:0" },
    limits: { rate: 1e6, burst: 1e6, loop: 1e6 },
    telegram: fake.settings,
  };
  running = Bun.spawn([process.execPath, entry, paths.home, JSON.stringify(settings), String(speed)], {
    env: { ...process.env, ...(crash === "" ? {} : { AI_INTERCOM_CRASH: crash }) },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  void collect(running.stderr, said.push("") - 1);
  const { value } = await running.stdout.getReader().read();
  url = new TextDecoder().decode(value).trim();
}

async function collect(stream: ReadableStream<Uint8Array>, at: number): Promise<void> {
  const decoder = new TextDecoder();
  for await (const part of stream) said[at] += decoder.decode(part, { stream: true });
}

async function end(): Promise<void> {
  running?.kill("SIGKILL");
  await running?.exited;
}

/** As long as it takes: the hub may be dead, and is started again then. */
async function written(text: string, thread_id: string | undefined): Promise<string> {
  const id = newMessageId();
  const input = routeInput("human", thread_id ? undefined : "limn/api", text, {
    message_id: id,
    await_delivery: false,
    ...(thread_id ? { thread_id } : { if_no_session: "queue" }),
  });
  const { body } = await waitFor(`${text} to be accepted`, async () => {
    if (running?.signalCode) await start();
    const reply = await person("POST", "/api/route", input);
    return reply.status === 200 && reply;
  });
  return body.thread_id;
}

const numbers = () =>
  fake.shown().flatMap(({ text }) => [...text.matchAll(/\bk(\d+)\./g)].map(([, n]) => Number(n)));

beforeAll(async () => {
  fake = new FakeTelegram({ clock: fastClock(speed) });
  await start();
  const limn = new Peer(
    {
      hub: {
        get url() {
          return url;
        },
      },
      person,
    },
    "limn",
  );
  await limn.enrol();
  await limn.connect();
  await limn.presence(session("api@s-b"));
  limn.close();
});
afterAll(async () => {
  await end();
  await fake.stop();
});

test.each([
  ["telegram.intended", 1],
  ["telegram.intended", 2],
  ["telegram.sent", 1],
  ["telegram.sent", 2],
  ["telegram.posted", 1],
  ["telegram.topic-created", 1],
  ["telegram.topic-created", 2],
  ["store.before-commit", 7],
  ["store.after-commit", 7],
  ["store.before-commit", 12],
  ["store.after-commit", 12],
] as const)("killed at %s, the %d. time", async (point, nth) => {
  await end();
  const before = numbers().length;
  const topics = fake.topics.size;
  await start(`${point}:${nth}`);
  const started = starts;
  const first = await written(`k${before}.`, undefined);
  const second = await written(`k${before + 1}.`, undefined);
  for (let n = 2; n < 6; n++) await written(`k${before + n}.`, n % 2 === 0 ? first : second);
  await waitFor(
    "all of it",
    async () => {
      if (running?.signalCode) await start();
      // what the killed hub posted last may be seen before its end is
      return starts > started && numbers().length >= before + 6;
    },
    { detail: () => String(numbers()) },
  );
  expect(numbers().toSorted((a, b) => a - b)).toEqual(Array.from({ length: before + 6 }, (_, n) => n));
  expect(starts).toBe(started + 1);
  expect(fake.topics.size).toBe(topics + 2);
  for (const { id } of [...fake.topics.values()].slice(-2)) {
    const shown = fake
      .shown(id)
      .flatMap(({ text }) => [...text.matchAll(/\bk(\d+)\./g)].map(([, n]) => Number(n)));
    expect(shown).toEqual(shown.toSorted((a, b) => a - b));
  }
});

test.each(["telegram.acted", "telegram.taken", "store.after-commit"])(
  "a word, killed at %s",
  async (point) => {
    await end();
    await start();
    const thread = await written(`k${numbers().length}.`, undefined);
    const { id: topic } = await waitFor("its topic", () => fake.topicNamed(thread));
    await end();
    await start(`${point}:1`);
    fake.say(`a word at ${point}`, { topic });
    await waitFor("the kill", () => running?.signalCode === "SIGKILL");
    await start();
    await fake.idle();
    const { messages } = (await person("GET", `/api/threads/${thread}`)).body;
    expect(messages.filter(({ message }) => message === `a word at ${point}`)).toHaveLength(1);
  },
);

test("the token is in none of the hub's words, whatever went wrong", async () => {
  await end();
  await start();
  fake.fault("sendMessage", "cut", 2);
  fake.fault("editMessageText", "500", 2);
  fake.fault("getUpdates", "cut", 2);
  await written(`k${numbers().length}.`, undefined);
  await waitFor("its word about it", () => said.at(-1)?.includes("telegram cannot be reached; what"), {
    detail: () => said.at(-1) ?? "",
  });
  await fake.stop();
  await written("nobody sees this", undefined);
  await end();
  const [, secret = ""] = botToken.split(":");
  expect(said.filter((text) => text.includes(secret))).toEqual([]);
});
