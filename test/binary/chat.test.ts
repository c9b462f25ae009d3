// What a sender is told, through the built executable: every status of the contract, and that replies reach the
// asking session and nobody else.
import { afterAll, beforeAll, expect, test } from "bun:test";
import type { ScriptedAgent } from "../rig/agent";
import { Fleet } from "../rig/fleet";
import { waitFor } from "../rig/wait";

let fleet: Fleet;
let mnemos: ScriptedAgent;
let website: ScriptedAgent;

beforeAll(async () => {
  fleet = await Fleet.start(["limn", "atlas"]);
  mnemos = await fleet.machine("limn").agent("mnemos");
  website = await fleet.machine("atlas").agent("website");
}, 60_000);
afterAll(() => fleet[Symbol.asyncDispose]());

test("delivered: the text stands in the other agent's context at its next hook, once, and the reply comes back", async () => {
  const sent = await website.call("intercom_chat", { to: "limn/mnemos", message: "which port?" });
  expect(sent).toMatchObject({
    status: "delivered",
    to: expect.stringMatching(/^limn\/mnemos@s-\d{8}-[0-9a-f]{6}$/),
  });
  expect(sent.thread_id).toMatch(/^t-[0-9a-f]{12}$/);
  const context = await mnemos.take();
  expect(context).toContain("| which port?");
  expect(context).toContain(`intercom_reply("${sent.thread_id}", "…")`);
  expect(await mnemos.take()).toBe("");

  const reply = await mnemos.call("intercom_reply", { thread_id: sent.thread_id, message: "8080" });
  expect(reply).toMatchObject({ status: "delivered", thread_id: sent.thread_id });
  expect(reply.to).toBe(`atlas/website@${(await website.session()).session_id}`);
  expect(await website.take("UserPromptSubmit")).toContain("| 8080");
});

test("status: accepted, delivered, offered, seen from the transcript, replied, in this order and never earlier", async () => {
  const sent = await website.call("intercom_chat", { to: "limn/mnemos", message: "seen?" });
  const reached = async () =>
    (
      (await website.call("intercom_status", { message_id: sent.message_id })).states as { state: string }[]
    ).map(({ state }) => state);
  expect(await reached()).toEqual(["accepted", "delivered"]);
  const context = await mnemos.context();
  await waitFor("offered", async () => (await reached()).includes("offered"));
  await mnemos.proveContext(context, { answered: false });
  // in context is not yet seen: the model has not answered
  expect(await reached()).not.toContain("seen");
  await mnemos.answerWithoutProof();
  await waitFor("seen", async () => (await reached()).includes("seen"));
  await mnemos.call("intercom_reply", { thread_id: sent.thread_id, message: "yes" });
  expect(await reached()).toEqual(["accepted", "delivered", "offered", "seen", "replied"]);
  await website.call("intercom_check_inbox");
});

test("no_active_session, and queue keeps the message for the project's next session", async () => {
  const { directory } = fleet.machine("limn");
  expect(directory).toBeDefined();
  const gone = await fleet.machine("limn").agent("later");
  await gone.kill();
  await waitFor(
    "the session to end",
    async () =>
      (await fleet.machine("limn").json("agents")).agents.find(
        (one: { project_id: string }) => one.project_id === "later",
      )?.sessions.length === 0,
  );
  expect(await website.call("intercom_chat", { to: "limn/later", message: "anyone?" })).toMatchObject({
    status: "no_active_session",
  });
  const queued = await website.call("intercom_chat", {
    to: "limn/later",
    message: "for the next one",
    if_no_session: "queue",
  });
  expect(queued.status).toBe("queued");
  const next = await fleet.machine("limn").agent("later");
  await waitFor("the queued message", async () => (await next.session()).inbox_pending === 1);
  expect(await next.take()).toContain("| for the next one");
  const reply = await next.call("intercom_reply", { thread_id: queued.thread_id, message: "here I am" });
  expect(reply.status).toBe("delivered");
  expect(await website.take()).toContain("| here I am");
});

test("unknown machine and unknown project are errors with near matches; nothing is sent", async () => {
  const machine = await website.call("intercom_chat", { to: "limm/mnemos", message: "x" });
  expect(machine).toMatchObject({ status: "error", hint: expect.stringContaining("limn") });
  expect(machine.error).toContain("limm");
  const project = await website.call("intercom_chat", { to: "limn/mnemo", message: "x" });
  expect(project).toMatchObject({ status: "error", hint: expect.stringContaining("mnemos") });
  const session = await website.call("intercom_chat", { to: "limn/mnemos@s-20200101-000000", message: "x" });
  expect(session.status).toBe("error");
  const address = await website.call("intercom_chat", { to: "no slash", message: "x" });
  expect(address).toMatchObject({ status: "error", error: expect.stringContaining("no slash") });
});

test("ambiguous: two sessions of a project are listed and nothing is sent; the exact address reaches one", async () => {
  const first = await fleet.machine("limn").agent("twins");
  const second = await fleet.machine("limn").agent("twins");
  await waitFor(
    "both sessions at the hub",
    async () =>
      (await fleet.machine("limn").json("agents")).agents.find(
        (one: { project_id: string }) => one.project_id === "twins",
      )?.sessions.length === 2,
  );
  const answer = await website.call("intercom_chat", { to: "limn/twins", message: "who?" });
  expect(answer.status).toBe("ambiguous");
  const ids = [(await first.session()).session_id, (await second.session()).session_id].sort();
  expect(answer.sessions.map((one: { session_id: string }) => one.session_id).sort()).toEqual(ids);
  const exact = await website.call("intercom_chat", {
    to: `limn/twins@${(await second.session()).session_id}`,
    message: "you",
  });
  expect(exact.status).toBe("delivered");
  expect(await first.take()).toBe("");
  expect(await second.take()).toContain("| you");
  // the sender is no candidate: one twin reaches the other by the project's name
  expect(await first.call("intercom_chat", { to: "limn/twins", message: "brother" })).toMatchObject({
    status: "delivered",
  });
  expect(await second.take()).toContain("| brother");
});

test("a third party may not write in a thread, nor read it", async () => {
  const sent = await website.call("intercom_chat", { to: "limn/mnemos", message: "private" });
  const third = await fleet.machine("atlas").agent("third");
  const refused = await third.call("intercom_reply", { thread_id: sent.thread_id, message: "me too" });
  expect(refused.status).toBe("error");
  expect((await third.call("intercom_history", { thread_id: sent.thread_id })).status).toBe("error");
  expect((await third.call("intercom_status", { message_id: sent.message_id })).status).toBe("error");
  const history = await website.call("intercom_history", { thread_id: sent.thread_id });
  expect(history.messages.map((one: { message: string }) => one.message)).toEqual(["private"]);
  expect(await mnemos.read()).toEqual(["private"]);
});

test("the person writes to an agent and reads its answer; an agent can write to the person", async () => {
  const limn = fleet.machine("limn");
  const sent = await limn.json("chat", "limn/mnemos", "hello from the person");
  expect(sent.status).toBe("delivered");
  const context = await mnemos.take();
  expect(context).toContain("| hello from the person");
  await mnemos.call("intercom_reply", { thread_id: sent.thread_id, message: "hello person" });
  await website.call("intercom_chat", { to: "human", message: "may I deploy?" });
  const { messages } = await limn.json("inbox", "--unread");
  expect(messages.map((one: { message: string }) => one.message)).toEqual(["hello person", "may I deploy?"]);
  expect((await limn.json("inbox", "--unread")).messages).toEqual([]);
  const answer = await limn.json("reply", messages[1].thread_id, "yes");
  expect(answer.status).toBe("delivered");
  expect(await website.take()).toContain("| yes");
});
