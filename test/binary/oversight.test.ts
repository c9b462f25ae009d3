// What keeps a conversation in a person's hands: the loop guard and its release, and answers that are due.
import { afterAll, beforeAll, expect, test } from "bun:test";
import type { ScriptedAgent } from "../rig/agent";
import { Fleet } from "../rig/fleet";
import { waitFor } from "../rig/wait";

let fleet: Fleet;
let a: ScriptedAgent;
let b: ScriptedAgent;
beforeAll(async () => {
  fleet = await Fleet.start(["limn", "atlas"], { AI_INTERCOM_LIMITS_LOOP: "4" });
  a = await fleet.machine("limn").agent("a");
  b = await fleet.machine("atlas").agent("b");
}, 60_000);
afterAll(() => fleet[Symbol.asyncDispose]());

const texts = (answer: { messages?: { message: string }[] }) =>
  (answer.messages ?? []).map(({ message }) => message);

test("a loop of agents is held at the limit, both are told, and release lets it go in order", async () => {
  const { thread_id } = await a.call("intercom_chat", { to: "atlas/b", message: "m1" });
  for (const [agent, message] of [
    [b, "m2"],
    [a, "m3"],
    [b, "m4"],
  ] as const)
    expect((await agent.call("intercom_reply", { thread_id, message })).status).toBe("delivered");
  const held = await a.call("intercom_reply", { thread_id, message: "m5" });
  expect(held.status).toBe("held");
  expect(held.reason).toContain("4 agent messages");
  expect(held.hint).toContain(`ai-intercom release ${thread_id}`);
  expect((await b.call("intercom_reply", { thread_id, message: "m6" })).status).toBe("held");
  expect((await a.call("intercom_status", { message_id: held.message_id })).status).toBe("held");
  await waitFor("what b is told of it", async () => (await b.session()).inbox_pending === 3);
  expect(await b.read()).toEqual(["m1", "m3", expect.stringContaining("ai-intercom release")]);
  const { messages } = await fleet.machine("limn").json("inbox", "--unread");
  expect(texts({ messages })).toEqual([expect.stringContaining(thread_id)]);
  // another thread is not affected
  expect((await a.call("intercom_chat", { to: "atlas/b", message: "elsewhere" })).status).toBe("delivered");

  expect(await fleet.machine("limn").json("release", thread_id)).toEqual({ thread_id, released: 2 });
  await waitFor(
    "both held messages",
    async () => (await b.session()).inbox_pending === 2 && (await a.session()).inbox_pending === 3,
  );
  expect(await b.read()).toEqual(["elsewhere", "m5"]);
  expect(await a.read()).toEqual(["m2", "m4", "m6"]);
  expect((await a.call("intercom_reply", { thread_id, message: "m7" })).status).toBe("delivered");
  expect((await fleet.machine("limn").run(["release", "t-000000000000"])).err).toContain(
    "there is no thread",
  );
});

test("a person's word in the thread lets held messages go before it, and counts anew", async () => {
  const { thread_id } = await a.call("intercom_chat", { to: "atlas/b", message: "n1" });
  await b.read();
  for (let at = 2; at <= 4; at++) await a.call("intercom_reply", { thread_id, message: `n${at}` });
  expect((await a.call("intercom_reply", { thread_id, message: "n5" })).status).toBe("held");
  await fleet.machine("limn").json("reply", thread_id, "go on");
  await waitFor("all of it", async () => (await b.session()).inbox_pending === 6);
  expect((await b.read()).filter((text) => !text.includes("release"))).toEqual([
    "n2",
    "n3",
    "n4",
    "n5",
    "go on",
  ]);
  expect((await a.call("intercom_reply", { thread_id, message: "n6" })).status).toBe("delivered");
});

test("an agent cannot release what is held", async () => {
  const { thread_id } = await a.call("intercom_chat", { to: "atlas/b", message: "o1" });
  expect(await a.shell(`"$BINARY" release ${thread_id} 2>&1; true`)).toContain("was started by the agent of");
});

test("an answer that is due: the recipient is reminded once, then the sender and the person are told", async () => {
  await a.read();
  await b.read();
  const sent = await a.call("intercom_chat", { to: "atlas/b", message: "answer me", expect_reply_within: 5 });
  expect(sent.status).toBe("delivered");
  const reminded = await waitFor("the reminder", async () =>
    (await b.read()).find((text) => text.includes("expects an answer")),
  );
  expect(reminded).toContain(sent.message_id);
  const overdue = await waitFor("the sender to be told", async () => (await a.read())[0]);
  expect(overdue).toContain(`No answer to message ${sent.message_id}`);
  const { messages } = await fleet.machine("limn").json("inbox", "--unread");
  expect(texts({ messages }).filter((text) => text.includes(sent.message_id))).toEqual([overdue]);
  expect(await b.read()).toEqual([]);
});

test("an answer in time: nobody is reminded", async () => {
  const sent = await a.call("intercom_chat", { to: "atlas/b", message: "quick", expect_reply_within: 5 });
  await b.call("intercom_reply", { thread_id: sent.thread_id, message: "here" });
  const other = await a.call("intercom_chat", { to: "atlas/b", message: "slow", expect_reply_within: 5 });
  await waitFor("the later deadline to pass", async () =>
    (await a.read()).some((text) => text.includes(other.message_id)),
  );
  const { messages } = await a.call("intercom_history", { thread_id: sent.thread_id });
  expect(texts({ messages })).toEqual(["quick", "here"]);
  const refused = await a.call("intercom_chat", { to: "atlas/b", message: "x", expect_reply_within: 1 });
  expect(refused).toMatchObject({ status: "error", error: expect.stringContaining("expect_reply_within") });
  expect((await a.call("intercom_chat", { message: 7 })).error).toMatch(/to: .*; message: /);
});

test("an agent's child reads by the command line what its agent may read, and nothing else", async () => {
  const { thread_id, message_id } = await a.call("intercom_chat", {
    to: "atlas/b",
    message: "between a and b",
  });
  const third = await fleet.machine("limn").agent("third");
  const far = await fleet.machine("atlas").agent("far");
  const own = (await b.session()).session_id;
  for (const stranger of [third, far]) {
    for (const words of [
      `history ${thread_id}`,
      `status ${message_id}`,
      `inbox --session ${own}`,
      `inbox --session ${(await a.session()).session_id}`,
    ]) {
      const printed = await stranger.shell(`"$BINARY" ${words} 2>&1; true`);
      expect(printed).toContain("error: ");
      expect(printed).not.toContain("between a and b");
    }
  }
  expect(await a.shell(`"$BINARY" history ${thread_id} 2>&1`)).toContain("between a and b");
  expect(await b.shell(`"$BINARY" inbox --session ${own} 2>&1`)).toContain("between a and b");
});
