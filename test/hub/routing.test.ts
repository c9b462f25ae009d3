// Where a message goes, and what its sender is told: one case per outcome.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { deliveredWaitMs } from "../../src/hub/acceptance.ts";
import { newMessageId, newThreadId } from "../../src/protocol/ids.ts";
import { Peer, refusal, routeInput, session } from "./peer.ts";
import { startHub, type TestHub } from "./rig.ts";

let hub: TestHub;
let mac: Peer;
let limn: Peer;

beforeAll(async () => {
  hub = await startHub({ limits: { message_bytes: 100, rate: 1000, burst: 1000 } });
  mac = await Peer.online(hub, "mac", "web@s-a", "web@s-other");
  limn = await Peer.online(hub, "limn", "api@s-b", "two@s-1", "two@s-2", "done@s-x");
  await limn.presence(
    session("api@s-b"),
    session("two@s-1", { summary: "tests" }),
    session("two@s-2"),
    session("missions@s-m", { mission_id: "m-20261122-abcdef" }),
  );
  const away = await Peer.online(hub, "away", "far@s-f");
  away.close();
});
afterAll(() => hub.hub.stop());

test("a chat reaches the only open session; the reply reaches the session that wrote", async () => {
  const answer = await mac.chat("web@s-a", "limn/api", "hello");
  expect(answer).toMatchObject({ status: "delivered", to: "limn/api@s-b" });
  expect(limn.received.at(-1)).toMatchObject({
    session_id: "s-b",
    message: { from_agent: "mac/web@s-a", to_agent: "limn/api@s-b", message: "hello", id: answer.message_id },
  });
  const reply = await limn.chat("api@s-b", undefined, "yes", { thread_id: answer.thread_id });
  expect(reply).toMatchObject({ status: "delivered", to: "mac/web@s-a", thread_id: answer.thread_id });
  expect(mac.received.at(-1)).toMatchObject({ session_id: "s-a", message: { message: "yes" } });
});

test("an exact address reaches that session, a mission's too", async () => {
  expect(await mac.chat("web@s-a", "limn/two@s-2", "you")).toMatchObject({ status: "delivered" });
  expect(await mac.chat("web@s-a", "limn/missions@s-m", "you")).toMatchObject({ status: "delivered" });
});

test("several sessions: ambiguous, with the list, and nothing stored", async () => {
  const message_id = newMessageId();
  const answer = await mac.chat("web@s-a", "limn/two", "who?", { message_id });
  expect(answer).toMatchObject({
    status: "ambiguous",
    sessions: [
      { session_id: "s-1", address: "limn/two@s-1", agent: "claude", status: "idle", summary: "tests" },
      { session_id: "s-2", address: "limn/two@s-2" },
    ],
  });
  expect(answer.message_id).toBeUndefined();
  expect((await hub.person("GET", `/api/messages/${message_id}`)).status).toBe(404);
});

test("a mission's session and the sender itself are no candidates for a project's name", async () => {
  expect(await mac.chat("web@s-a", "limn/missions", "x")).toMatchObject({ status: "no_active_session" });
  expect(await mac.chat("web@s-a", "mac/web", "x")).toMatchObject({
    status: "delivered",
    to: "mac/web@s-other",
  });
  expect(await limn.chat("api@s-b", "limn/api", "x")).toMatchObject({ status: "no_active_session" });
});

test("no session: nothing stored, or kept for the next one", async () => {
  const none = await mac.chat("web@s-a", "limn/done", "x");
  expect(none).toMatchObject({ status: "no_active_session", reason: "no session of limn/done is open" });
  expect(none.thread_id).toBeUndefined();
  const kept = await mac.chat("web@s-a", "limn/done", "x", { if_no_session: "queue" });
  expect(kept).toMatchObject({
    status: "queued",
    to: "limn/done",
    reason: "no session of limn/done is open",
  });
});

test("an ended session: no_active_session, or queued when asked to", async () => {
  expect(await mac.chat("web@s-a", "limn/done@s-x", "x")).toMatchObject({ status: "no_active_session" });
  expect(await mac.chat("web@s-a", "limn/done@s-x", "x", { if_no_session: "queue" })).toMatchObject({
    status: "queued",
    reason: "session ended; delivered if it resumes",
  });
});

test("a machine without a link: accepted and queued, at once", async () => {
  const before = performance.now();
  expect(await mac.chat("web@s-a", "away/far", "x")).toMatchObject({
    status: "queued",
    to: "away/far@s-f",
    reason: "machine away is offline",
  });
  expect(performance.now() - before).toBeLessThan(deliveredWaitMs);
});

test("the person: from human, to human, and an answer to human", async () => {
  const { body } = await hub.person("POST", "/api/route", routeInput("human", "limn/api", "from a person"));
  expect(body).toMatchObject({ status: "delivered", to: "limn/api@s-b" });
  const reply = await limn.chat("api@s-b", undefined, "to you", { thread_id: body.thread_id });
  expect(reply).toMatchObject({ status: "delivered", to: "human" });
  expect(await limn.chat("api@s-b", "human", "news")).toMatchObject({ status: "delivered", to: "human" });
});

test("a person in a thread of two agents is heard by both, and hears both", async () => {
  const { thread_id } = await mac.chat("web@s-a", "limn/api", "between us");
  const { body } = await hub.person(
    "POST",
    "/api/route",
    routeInput("human", undefined, "stop", { thread_id }),
  );
  expect(body).toMatchObject({ status: "delivered", to: "limn/api@s-b, mac/web@s-a" });
  expect([mac.texts("s-a").at(-1), limn.texts("s-b").at(-1)]).toEqual(["stop", "stop"]);
  const reply = await mac.chat("web@s-a", undefined, "ok", { thread_id });
  expect(reply.to).toBe("human, limn/api@s-b");
  const states = await hub.person("GET", `/api/messages/${body.message_id}`);
  expect(states.body.states.map(({ to, state }) => `${to} ${state}`)).toContain("mac/web@s-a replied");
});

test("a third party is refused, whatever it knows", async () => {
  const { thread_id } = await mac.chat("web@s-a", "limn/api", "private");
  const before = limn.received.length;
  expect(await refusal(limn.chat("two@s-1", undefined, "me too", { thread_id }))).toMatchObject({
    code: "not_a_member",
  });
  expect(await refusal(mac.chat("web@s-other", undefined, "me too", { thread_id }))).toMatchObject({
    code: "not_a_member",
  });
  expect(await refusal(mac.chat("web@s-a", "limn/two@s-1", "redirect", { thread_id }))).toMatchObject({
    code: "not_a_member",
  });
  expect(await refusal(mac.chat("web@s-a", undefined, "?", { thread_id: newThreadId() }))).toMatchObject({
    code: "unknown_thread",
  });
  expect(limn.received).toHaveLength(before);
});

describe("refused with a code, a reason and what to try", () => {
  const long = "é".repeat(51);
  const cases: [
    name: string,
    from: string,
    to: string | undefined,
    more: object,
    code: string,
    words: RegExp,
  ][] = [
    ["unknown machine", "web@s-a", "lim/api", {}, "unknown_machine", /did you mean limn/],
    ["unknown project", "web@s-a", "limn/ap", {}, "unknown_project", /did you mean limn\/api/],
    ["project of another machine", "web@s-a", "mac/api", {}, "unknown_project", /limn\/api/],
    ["unknown session", "web@s-a", "limn/api@s-z", {}, "unknown_session", /limn\/api@s-b/],
    ["session of another project", "web@s-a", "limn/api@s-1", {}, "unknown_session", /limn\/api@s-b/],
    ["not an address", "web@s-a", "limn", {}, "bad_request", /machine\/project/],
    ["nobody", "web@s-a", undefined, {}, "bad_request", /recipient or a thread/],
    ["itself", "web@s-a", "mac/web@s-a", {}, "bad_request", /sender itself/],
    ["empty", "web@s-a", "limn/api", { message: " \n" }, "bad_request", /empty/],
    [
      "too long in bytes",
      "web@s-a",
      "limn/api",
      { message: long },
      "message_too_large",
      /102 bytes; at most 100/,
    ],
    ["a response", "web@s-a", "limn/api", { type: "response" }, "bad_request", /response are the hub's own/],
    ["a status", "web@s-a", "limn/api", { type: "status" }, "bad_request", /status are the hub's own/],
    ["the hub's id", "web@s-a", "limn/api", { message_id: "notice-failed-1" }, "bad_request", /hub's own/],
    ["bad message id", "web@s-a", "limn/api", { message_id: "../x" }, "bad_request", /message_id/],
  ];
  test.each(cases)("%s", async (_, from, to, more, code, words) => {
    const error = await refusal(mac.chat(from, to, "x", { ...more }));
    expect(error.code).toBe(code);
    expect(`${error.message} ${error.hint}`).toMatch(words);
  });

  const senders = [
    "human",
    "hub",
    "limn/api@s-b",
    "mac/api@s-a",
    "mac/web@s-zz",
    "mac/web",
    "nobody/x@s-1",
    "",
  ];
  test.each(senders)("a machine may not write as %p", async (from) => {
    const error = await refusal(mac.request("route", routeInput(from, "limn/api", "forged")));
    expect(["forbidden", "bad_request"]).toContain(error.code);
    expect(limn.texts()).not.toContain("forged");
  });

  test("the person may not write as an agent", async () => {
    const answer = await hub.person("POST", "/api/route", routeInput("mac/web@s-a", "limn/api", "forged"));
    expect([answer.status, answer.body.error.code]).toEqual([403, "forbidden"]);
  });
});

test("a retry is the same message: once delivered, same answer", async () => {
  const message_id = newMessageId();
  const first = await mac.chat("web@s-a", "limn/api", "once", { message_id });
  const again = await mac.chat("web@s-a", "limn/api", "once", { message_id });
  expect(again).toEqual(first);
  expect(limn.texts().filter((text) => text === "once")).toHaveLength(1);
  const other = await refusal(mac.chat("web@s-a", "limn/api", "twice", { message_id }));
  expect(other).toMatchObject({ code: "conflict" });
  expect(other.message).toContain(message_id);
});

test("a thread id that exists is refused by name, so that another is proposed", async () => {
  const { thread_id } = await mac.chat("web@s-a", "limn/api", "first");
  const error = await refusal(mac.chat("web@s-a", "limn/api", "second", { new_thread_id: thread_id }));
  expect(error.code).toBe("conflict");
  expect(error.message).toContain(String(thread_id));
});

test("who does not wait for `delivered` is answered as soon as it is stored", async () => {
  const before = limn.verdict;
  limn.verdict = () => "silent";
  const started = performance.now();
  const answer = await mac.chat("web@s-a", "limn/api", "from an outbox", { await_delivery: false });
  expect(answer).toMatchObject({ status: "queued", to: "limn/api@s-b" });
  expect(performance.now() - started).toBeLessThan(deliveredWaitMs);
  limn.verdict = before;
});
