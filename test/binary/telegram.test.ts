// The built program with its bot: real agents' chat in view, a person's word and decisions, from Telegram; and a hub
// that Telegram cannot hurt.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import type { ScriptedAgent } from "../rig/agent";
import { Fleet } from "../rig/fleet";
import { botToken, FakeTelegram, owner, stranger } from "../rig/telegram";
import { waitFor } from "../rig/wait";

let fake: FakeTelegram;
let fleet: Fleet;
let a: ScriptedAgent;
let b: ScriptedAgent;
beforeAll(async () => {
  // within the true limits the program waits; that is shown with a fast clock in test/oversight
  fake = new FakeTelegram({ limits: false });
  fleet = await Fleet.start(["limn", "atlas"], {
    TELEGRAM_BOT_TOKEN: botToken,
    TELEGRAM_SUPERGROUP_ID: String(fake.chat),
    TELEGRAM_OWNER_ID: String(owner.id),
    AI_INTERCOM_TELEGRAM_API_ROOT: fake.url,
  });
  a = await fleet.machine("limn").agent("a");
  b = await fleet.machine("atlas").agent("b");
}, 60_000);
afterAll(async () => {
  await fleet[Symbol.asyncDispose]();
  await fake.stop();
});

test("agents' chat in view, its state edited in place, and a person's word that reaches both", async () => {
  const { thread_id } = await a.call("intercom_chat", { to: "atlas/b", message: "is <it> done?" });
  const posted = await fake.sees("is <it> done?");
  expect(posted.text).toStartWith(`📨 Chat [${thread_id}]`);
  expect(fake.topics.get(posted.topic ?? 0)?.name).toContain(thread_id);
  await b.read();
  await b.call("intercom_reply", { thread_id, message: "yes" });
  expect((await fake.sees("↩️ Reply")).topic).toBe(posted.topic);
  await waitFor("the state", () => fake.messages.get(posted.id)?.text.endsWith("↩️ replied"));
  fake.say("not by me", { topic: posted.topic, from: stranger });
  fake.say("well done", { topic: posted.topic });
  expect(
    await waitFor("the word at b", async () => (await b.read()).find((text) => text === "well done")),
  ).toBe("well done");
  expect(await waitFor("the word at a", async () => (await a.read()).includes("well done"))).toBe(true);
  const { messages } = await a.call("intercom_history", { thread_id });
  expect(messages.map(({ message }: { message: string }) => message)).toEqual([
    "is <it> done?",
    "yes",
    "well done",
  ]);
});

test("commands: by a stranger nothing, by the owner answered", async () => {
  const unheard = fake.say("/agents", { from: stranger });
  const id = fake.say("/agents");
  const shown = await waitFor("the list", () => fake.shown().find(({ replyTo }) => replyTo === id));
  expect(shown.text).toContain("atlas/b");
  fake.say("/chat atlas/b hello from afar");
  expect(await waitFor("it", async () => (await b.read())[0])).toBe("hello from afar");
  expect(fake.commands.map(({ command }) => command)).toContain("start_agent");
  expect(fake.shown().filter(({ replyTo }) => replyTo === unheard)).toEqual([]);
});

test("the hub is killed: what is said meanwhile is shown when it is back, once", async () => {
  const limn = fleet.machine("limn");
  const { thread_id } = await a.call("intercom_chat", { to: "atlas/b", message: "before the kill" });
  await fake.sees("before the kill");
  const port = new URL(fleet.hubUrl).port;
  await limn.crash();
  await limn.serve("standalone", "--listen", `127.0.0.1:${port}`);
  await limn.linked();
  await fleet.machine("atlas").linked();
  await a.call("intercom_reply", { thread_id, message: "after the kill" });
  await fake.sees("after the kill");
  for (const text of ["before the kill", "after the kill"])
    expect(fake.shown().filter((one) => one.text.includes(text))).toHaveLength(1);
});

test("a machine asks to join: approved by a button", async () => {
  const late = fleet.add("late");
  const { code, out, err } = await late.run(["join", "--hub-url", fleet.hubUrl, "--json"]);
  if (code !== 0 && !`${out}${err}`.includes("pending")) throw new Error(`join: ${code} ${out} ${err}`);
  const card = await fake.sees("A machine asks to join");
  const { machines } = await fleet.machine("limn").json("machines");
  const waiting = machines.find(({ id }: { id: string }) => id === "late");
  expect(card.text).toContain(waiting.fingerprint);
  fake.press(card, "Approve");
  await waitFor("the approval", async () => {
    const list = (await fleet.machine("limn").json("machines")).machines;
    return list.find(({ id }: { id: string }) => id === "late").status === "offline";
  });
});

test("a permission question of an agent: allowed from Telegram", async () => {
  const atlas = fleet.machine("atlas");
  expect((await atlas.json("permissions")).permissions).toBe("off");
  expect((await atlas.json("permissions", "on")).permissions).toBe("on");
  const input = { file_path: "/x/y.ts", old_string: "one", new_string: "two" };
  const printed = b.hook("PermissionRequest", { tool_name: "Edit", tool_input: input }, { guard: false });
  const card = await fake.sees("/x/y.ts\n- one\n+ two");
  expect(card.text).toContain(`atlas/b@${(await b.session()).session_id}`);
  fake.press(card, "Allow");
  expect(JSON.parse(await printed)).toEqual({
    hookSpecificOutput: { hookEventName: "PermissionRequest", decision: { behavior: "allow" } },
  });
  await waitFor("the card", () => fake.messages.get(card.id)?.text.includes("allowed by @owner"));
});

test("Telegram is away: the hub starts, chat is as quick as ever, and nothing tells the token", async () => {
  const nowhere = await Fleet.start(["solo"], {
    TELEGRAM_BOT_TOKEN: botToken,
    TELEGRAM_SUPERGROUP_ID: "-100",
    AI_INTERCOM_TELEGRAM_API_ROOT: "http://127.0.0.1:1",
  });
  try {
    const solo = nowhere.machine("solo");
    const [x, y] = [await solo.agent("x"), await solo.agent("y")];
    expect((await x.call("intercom_chat", { to: "solo/y", message: "hi" })).status).toBe("delivered");
    expect(await y.read()).toEqual(["hi"]);
    const server = solo.server;
    await waitFor("a word about it", () => server?.log().includes("telegram is not reached yet"));
    expect(server?.log()).not.toContain(botToken.split(":")[1]);
    const config = await solo.run(["doctor"]);
    expect(`${config.out}${config.err}`).not.toContain(botToken.split(":")[1]);
  } finally {
    await nowhere[Symbol.asyncDispose]();
  }
}, 60_000);

test("a wrong token is named without being shown", async () => {
  const machine = fleet.add("wrong");
  await machine.run(["status"]);
  writeFileSync(`${fleet.root}/wrong.yml`, "telegram:\n  bot_token: not-a-token\n", { mode: 0o600 });
  const { code, err } = await machine.run(["hub", "--config", `${fleet.root}/wrong.yml`]);
  expect(code).toBe(1);
  expect(err).toContain("telegram.bot_token cannot be its value");
  expect(err).not.toContain("not-a-token");
});
