// The group becomes a supergroup: Telegram gives it another id, and the configured one goes on working, for good.
import { afterEach, expect, test } from "bun:test";
import { ask, reaches } from "../hub/launcher.ts";
import { stranger } from "../rig/telegram.ts";
import { waitFor } from "../rig/wait.ts";
import { chat, type Stage, setStage } from "./stage.ts";

let stage: Stage;
afterEach(() => stage[Symbol.asyncDispose]());

const commands = () =>
  stage.fake.calls.filter(({ method }) => method === "setMyCommands").at(-1)?.payload.scope;

test("an answer of the Bot API tells it: what waits, what is open and what comes is shown there, once", async () => {
  stage = await setStage({ forum: false });
  const { fake } = stage;
  stage.limn.level = "once";
  await chat(stage, "in the old group");
  await fake.sees("in the old group");
  const { mission_id = "" } = await ask(stage.mac, "web@s-a", "to be approved");
  await fake.sees("🔐 Approval");
  const { to } = fake.becomesSupergroup({ told: false });
  const { thread } = await chat(stage, "in the new one");
  const posted = await fake.sees("in the new one");
  expect(fake.topics.get(posted.topic ?? 0)?.name).toContain(thread);
  const card = await fake.sees("🔐 Approval");
  expect(card.replyTo).toBeUndefined();
  expect(commands()).toEqual({ type: "chat", chat_id: to });
  await stage.restart();
  await chat(stage, "after a restart");
  await fake.sees("after a restart");
  fake.press(card, "Once", { from: stranger });
  fake.say("not by me", { topic: posted.topic, from: stranger });
  fake.say("by me", { topic: posted.topic });
  await waitFor("the word", () => stage.mac.texts().length > 0);
  expect(stage.mac.texts()).toEqual(["by me"]);
  expect(stage.limn.starts).toEqual([]);
  fake.press(card, "Once");
  await reaches(stage.hub, mission_id, "running");
  await waitFor("the card", () => fake.messages.get(card.id)?.text.includes("approved by"));
  const everything = [...fake.former, ...fake.shown()].map(({ text }) => text).join("\n");
  for (const text of ["in the old group", "in the new one", "after a restart"])
    expect(everything.split(text)).toHaveLength(2);
});

test("Telegram's notice tells it, though nothing is to be posted: the owner is heard there", async () => {
  stage = await setStage({ forum: false });
  const { fake } = stage;
  await chat(stage, "in the old group");
  await fake.sees("in the old group");
  fake.becomesSupergroup({ told: true });
  await fake.idle();
  const id = fake.say("/machines");
  await waitFor("the answer", () => fake.shown().some(({ replyTo }) => replyTo === id));
  const unheard = fake.say("/machines", { from: stranger });
  const later = fake.say("/watch");
  await waitFor("the later answer", () => fake.shown().some(({ replyTo }) => replyTo === later));
  expect(fake.shown().filter(({ replyTo }) => replyTo === unheard)).toEqual([]);
});

test("it happened while the hub was away: it goes on where the group is now", async () => {
  stage = await setStage({ forum: false });
  const { fake } = stage;
  await chat(stage, "before");
  await fake.sees("before");
  await stage.stop();
  fake.becomesSupergroup({ told: false, forum: false });
  await chat(stage, "meanwhile");
  await stage.start();
  const posted = await fake.sees("meanwhile");
  fake.say("a word", { replyTo: posted.id });
  await waitFor("the word", () => stage.mac.texts().includes("a word"));
  expect(fake.shown().filter(({ text }) => text.includes("before"))).toEqual([]);
});

test("nobody else can say it: other words, other groups, other ids change nothing", async () => {
  stage = await setStage({ forum: false });
  const { fake } = stage;
  await chat(stage, "before");
  await fake.sees("before");
  const elsewhere = -77;
  fake.say('{"migrate_to_chat_id": -77}', { from: stranger });
  fake.say("x", { chat: elsewhere, from: stranger, extra: { migrate_from_chat_id: -78 } });
  fake.say("x", { chat: elsewhere, from: stranger, extra: { migrate_to_chat_id: -79 } });
  await fake.idle();
  await chat(stage, "after");
  await fake.sees("after");
  expect(fake.calls.filter(({ payload }) => Number(payload.chat_id ?? fake.chat) !== fake.chat)).toEqual([]);
});
