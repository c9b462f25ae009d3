// Chat in view: each message once, in its thread's topic, with its state edited in place; and a person's word in it.
import { afterEach, expect, test } from "bun:test";
import { session } from "../hub/peer.ts";
import { owner } from "../rig/telegram.ts";
import { waitFor } from "../rig/wait.ts";
import { chat, type Stage, seesEnding, setStage } from "./stage.ts";

let stage: Stage;
afterEach(() => stage[Symbol.asyncDispose]());

const textOf = (part: string) => stage.fake.shown().find(({ text }) => text.includes(part))?.text ?? "";

test("a message with its state, edited in place, and the reply to it", async () => {
  stage = await setStage();
  const { thread, id } = await chat(stage, "is <b>it</b> done & tested?");
  const posted = await seesEnding(stage, "is <b>it</b> done & tested?", "Session: ✅ delivered");
  expect(posted.text).toStartWith(`📨 Chat [${thread}]\nmac/web@s-a → limn/api@s-b\nis <b>it</b>`);
  expect(stage.fake.topics.get(posted.topic ?? 0)?.name).toBe(`💬 mac/web → limn/api · ${thread}`);
  expect(posted.quiet).toBe(true);
  await stage.limn.peer.receipt("s-b", id, "seen");
  await waitFor("seen to be shown", () => textOf("tested?").endsWith("Session: 👁 seen"));
  await stage.limn.peer.chat("api@s-b", undefined, "yes, all of it", { thread_id: thread });
  const reply = await stage.fake.sees("yes, all of it");
  expect(reply.text).toStartWith(`↩️ Reply [${thread}]\nlimn/api@s-b → mac/web@s-a`);
  expect(reply.topic).toBe(posted.topic);
  await waitFor("replied to be shown", () => textOf("tested?").endsWith("Session: ↩️ replied"));
  expect(stage.fake.shown()).toHaveLength(2);
  expect(stage.fake.topics.size).toBe(1);
});

test("no active session is said", async () => {
  stage = await setStage();
  await stage.limn.peer.request("presence", {
    sessions: [],
    projects: [{ project_id: "api", path: "/api", description: "", capabilities: [], tags: [] }],
  });
  await stage.mac.chat("web@s-a", "limn/api", "anyone there?", { if_no_session: "queue" });
  await seesEnding(stage, "anyone there?", "Session: ⚠️ no active session");
});

test("a chat that found no session is shown, once; a retry that finds one becomes the same post", async () => {
  stage = await setStage();
  const { peer } = stage.limn;
  const project = { project_id: "api", path: "/api", description: "", capabilities: [], tags: [] };
  await peer.request("presence", { sessions: [], projects: [project] });
  const said = { message_id: "msg-refused", new_thread_id: "t-0123456789ab" };
  const refused = () => stage.mac.chat("web@s-a", "limn/api", "anyone there?", said);
  expect((await refused()).status).toBe("no_active_session");
  const posted = await stage.fake.sees("anyone there?");
  expect(posted.text).toBe(
    "📨 Chat [t-0123456789ab]\nmac/web@s-a → limn/api\nanyone there?\nSession: ⚠️ no active session",
  );
  expect(stage.fake.topics.get(posted.topic ?? 0)?.name).toBe("💬 mac/web → limn/api · t-0123456789ab");
  expect((await refused()).status).toBe("no_active_session");
  await stage.restart();
  const word = stage.fake.say("can I help?", { topic: posted.topic });
  expect((await stage.fake.sees("Nobody reads this thread")).replyTo).toBe(word);
  expect(stage.mac.received).toEqual([]);
  expect((await stage.hub.hub.view.store.message("msg-refused"))?.id).toBeUndefined();
  // what the hub gives out, it gives to nobody before the retry
  await peer.presence(session("api@s-late"));
  expect(peer.received).toEqual([]);
  expect((await refused()).status).toBe("delivered");
  await waitFor("it to be delivered", () => textOf("anyone there?").endsWith("Session: ✅ delivered"));
  expect(peer.texts()).toEqual(["anyone there?"]);
  expect(stage.fake.shown().filter(({ text }) => text.includes("anyone there?"))).toHaveLength(1);
});

test("watch off: what found no session is not shown either", async () => {
  stage = await setStage();
  stage.fake.say("/watch off");
  await stage.fake.sees("is not shown");
  const project = { project_id: "api", path: "/api", description: "", capabilities: [], tags: [] };
  await stage.limn.peer.request("presence", { sessions: [], projects: [project] });
  expect((await stage.mac.chat("web@s-a", "limn/api", "unwatched")).status).toBe("no_active_session");
  stage.fake.say("/watch on");
  await stage.fake.sees("is shown.");
  await stage.mac.chat("web@s-a", "limn/api", "in sight");
  await stage.fake.sees("in sight");
  expect(textOf("unwatched")).toBe("");
});

test("a person writes in a topic: the agents get it as human, and its state is shown below it", async () => {
  stage = await setStage();
  const { thread } = await chat(stage, "hello");
  const posted = await stage.fake.sees("hello");
  const said = stage.fake.say("stop that, please", { topic: posted.topic });
  const state = await stage.fake.sees("Session mac/web@s-a: ✅ delivered");
  expect(state.replyTo).toBe(said);
  expect(state.topic).toBe(posted.topic);
  await waitFor("it at the other end", () => stage.limn.peer.texts().length === 2);
  expect(stage.mac.texts()).toEqual(["stop that, please"]);
  expect(stage.limn.peer.texts()).toEqual(["hello", "stop that, please"]);
  expect(stage.mac.received[0]?.message).toMatchObject({ from_agent: "human", thread_id: thread });
  // their own words are not repeated to them
  expect(stage.fake.shown().filter(({ text }) => text.includes("stop that"))).toEqual([]);
});

test("/chat to a machine that is away says that it waits, and why", async () => {
  stage = await setStage();
  stage.limn.peer.close();
  await waitFor("limn to be away", () => !stage.hub.hub.view.isLinked("limn"));
  const said = stage.fake.say("/chat limn/api@s-b hello");
  const answer = await waitFor("its answer", () =>
    stage.fake.shown().find(({ replyTo }) => replyTo === said),
  );
  expect(answer.text).toMatch(
    /^📨 → limn\/api@s-b \[t-\S+\]\n⏳ queued \(machine limn is offline\): it is delivered by itself$/,
  );
});

test("a word of the person lets go what the loop guard holds", async () => {
  stage = await setStage({ settings: { limits: { rate: 1e6, burst: 1e6, loop: 2 } } });
  const { thread } = await chat(stage, "one");
  await stage.limn.peer.chat("api@s-b", undefined, "two", { thread_id: thread });
  await chat(stage, "three", { thread_id: thread });
  const held = await stage.fake.sees("Session: ✋ held");
  await stage.fake.sees("Further ones are held");
  stage.fake.say("go on", { topic: held.topic });
  await waitFor("it to be let go", () => textOf("three").endsWith("Session: ✅ delivered"));
  await waitFor("the word behind it", () => stage.limn.peer.texts().includes("go on"));
  expect(stage.limn.peer.texts().filter((text) => !text.includes("Further"))).toEqual([
    "one",
    "three",
    "go on",
  ]);
});

test("a plain group: the same without topics; a reply to a post speaks in its thread", async () => {
  stage = await setStage({ forum: false });
  await chat(stage, "first thread");
  const { thread } = await chat(stage, "second thread");
  await stage.fake.sees("first thread");
  const second = await stage.fake.sees("second thread");
  expect(second.topic).toBeUndefined();
  stage.fake.say("to the second", { replyTo: second.id });
  await waitFor("it to arrive", () => stage.mac.received.length === 1);
  expect(stage.mac.received[0]?.message).toMatchObject({ thread_id: thread, message: "to the second" });
  expect(stage.fake.calls.filter(({ method }) => method.includes("Topic"))).toEqual([]);
});

test("a plain group: a reply to a post whose call was cut waits until the post is known, and is no order", async () => {
  stage = await setStage({ forum: false, settings: { dispatcher: { enabled: true, target: "limn/api" } } });
  await chat(stage, "known");
  await stage.fake.sees("known");
  stage.fake.fault("sendMessage", "cut after");
  const { thread } = await chat(stage, "cut off");
  const post = await stage.fake.sees("cut off");
  stage.fake.say("to that one", { replyTo: post.id });
  await waitFor("it to arrive", () => stage.mac.received.length === 1);
  expect(stage.mac.received[0]?.message).toMatchObject({ thread_id: thread, message: "to that one" });
  expect(stage.limn.plans).toEqual([]);
  expect(stage.fake.shown().filter(({ text }) => text.includes("cut off"))).toHaveLength(1);
});

test("a long message comes whole, in order, each part within the limit, its state under the last", async () => {
  stage = await setStage();
  const text = Array.from({ length: 900 }, (_, n) => `line ${n} <&> 😀`).join("\n");
  await chat(stage, text);
  const last = await stage.fake.sees("Session: ✅ delivered");
  const parts = stage.fake.shown(last.topic);
  expect(parts.length).toBeGreaterThan(3);
  expect(parts.map((part) => part.text).join("")).toContain(text);
  expect(parts.filter((part) => part.text.includes("Session:"))).toHaveLength(1);
});

test("watch off: agents' chat is not shown, what is for the person is; on again", async () => {
  stage = await setStage();
  stage.fake.say("/watch off");
  await stage.fake.sees("is not shown");
  await chat(stage, "among ourselves");
  await stage.mac.chat("web@s-a", "human", "for you");
  const forPerson = await stage.fake.sees("for you");
  expect(forPerson.quiet).toBe(false);
  stage.fake.say("/watch on");
  await stage.fake.sees("is shown.");
  await chat(stage, "in the open");
  await stage.fake.sees("in the open");
  expect(textOf("among ourselves")).toBe("");
});

test("what was said before the first start is not shown; what is said while the bot is away is", async () => {
  stage = await setStage();
  await chat(stage, "while it runs");
  await stage.fake.sees("while it runs");
  await stage.stop();
  await chat(stage, "while it is away");
  await stage.start();
  await stage.fake.sees("while it is away");
  expect(stage.fake.shown()).toHaveLength(2);
});

test("nothing but text: said so, and no agent is told", async () => {
  stage = await setStage();
  const { thread } = await chat(stage, "hello");
  const { topic } = await stage.fake.sees("hello");
  stage.fake.say("", { topic, extra: { text: undefined, photo: [] } });
  await stage.fake.sees("Only text reaches agents");
  stage.fake.say("copied", { topic, extra: { forward_origin: { type: "user", date: 1 } } });
  await stage.fake.sees("Forwarded messages");
  const id = stage.fake.say("first words", { topic, from: owner });
  await waitFor("the words to arrive", () => stage.mac.received.length === 1);
  stage.fake.edit(id, "other words", { topic });
  await stage.fake.sees("Edits do not reach agents");
  expect(stage.mac.texts()).toEqual(["first words"]);
  expect(thread).toStartWith("t-");
});
