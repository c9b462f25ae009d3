// One message to many: whom names and patterns mean, a result for each, and retries that reach nobody twice.
import { afterAll, beforeAll, beforeEach, expect, test } from "bun:test";
import { newMessageId, threadIdFor } from "../../src/protocol/ids.ts";
import { copiesAhead, type SendAnswer } from "../../src/protocol/send.ts";
import { selfTestProject } from "../../src/protocol/session.ts";
import { Peer, refusal, routeInput, session } from "./peer.ts";
import { startHub, type TestHub } from "./rig.ts";

let hub: TestHub;
let mac: Peer;
let limn: Peer;
let away: Peer;
beforeAll(async () => {
  hub = await startHub({ limits: { rate: 1e6, burst: 1e6 } });
  mac = await Peer.online(hub, "mac", "web@s-a", "web@s-other", "docs@s-d");
  limn = await Peer.online(hub, "limn", "api@s-b", "web@s-w");
  const mission = session("api@m-20261122-abcdef", { mission_id: "m-20261122-abcdef" });
  await limn.request("presence", {
    sessions: [session("api@s-b"), session("web@s-w"), mission, session(`${selfTestProject}@s-t`)],
    projects: [{ project_id: "empty", path: "/empty", description: "", capabilities: [], tags: [] }],
  });
  away = await Peer.online(hub, "away", "web@s-z");
  away.close();
});
beforeEach(() => {
  for (const peer of [mac, limn]) peer.received.length = 0;
});
afterAll(() => hub.hub.stop());

const send = (to: string | string[] | undefined, message = "news", more: Record<string, unknown> = {}) =>
  mac.request<SendAnswer>("route", {
    ...routeInput("mac/web@s-a", undefined, message, { type: "send", ...more }),
    to_agent: to,
  });
const told = ({ recipients }: SendAnswer) =>
  Object.fromEntries(recipients.map(({ to, status }) => [to, status]));

test.each([
  ["a project: every session of it", "limn/api", { "limn/api@s-b": "delivered" }, "delivered"],
  ["a session", "limn/web@s-w", { "limn/web@s-w": "delivered" }, "delivered"],
  [
    "a mission's session, by its address",
    "limn/api@m-20261122-abcdef",
    { "limn/api@m-20261122-abcdef": "delivered" },
    "delivered",
  ],
  ["a project without a session: its next one", "limn/empty", { "limn/empty": "queued" }, "queued"],
  ["the person", "human", { human: "delivered" }, "delivered"],
  ["the sender's project: the others in it", "mac/web", { "mac/web@s-other": "delivered" }, "delivered"],
  [
    "a machine",
    "limn/*",
    { "limn/api@s-b": "delivered", "limn/web@s-w": "delivered", "limn/empty": "queued" },
    "queued",
  ],
  [
    "a project everywhere",
    "*/web",
    { "mac/web@s-other": "delivered", "limn/web@s-w": "delivered", "away/web@s-z": "queued" },
    "queued",
  ],
  [
    "everyone",
    "*",
    {
      "mac/web@s-other": "delivered",
      "mac/docs@s-d": "delivered",
      "limn/api@s-b": "delivered",
      "limn/web@s-w": "delivered",
      "limn/empty": "queued",
      "away/web@s-z": "queued",
    },
    "queued",
  ],
] as const)("%s", async (_, to, expected, status) => {
  const answer = await send(to);
  expect(told(answer)).toEqual({ ...expected });
  expect(answer.status).toBe(status);
});

test("a list: each once, with an id and a thread of its own; what is unknown takes nothing from the others", async () => {
  const answer = await send([
    "limn/api",
    "limn/*",
    "limn/ap",
    "limx/api",
    "mac/web@s-a",
    "nonsense",
    "lim*/api",
    "*/ap",
  ]);
  // nobody is to be told twice because another one could not be told
  expect(answer.status).toBe("queued");
  expect(answer.error).toBeUndefined();
  expect(answer.hint).toMatch(/^failed: .*limn\/ap, .*nonsense.*; if you send again, then to these only/);
  expect(answer.hint).not.toContain("limn/empty");
  expect(told(answer)).toEqual({
    "limn/api@s-b": "delivered",
    "limn/web@s-w": "delivered",
    "limn/empty": "queued",
    "limn/ap": "error",
    "limx/api": "error",
    "mac/web@s-a": "error",
    nonsense: "error",
    "lim*/api": "error",
    "*/ap": "error",
  });
  const reasons = Object.fromEntries(answer.recipients.map(({ to, reason }) => [to, reason]));
  expect(reasons["limn/ap"]).toMatch(/no project named "ap".*did you mean limn\/api/);
  expect(reasons["limx/api"]).toMatch(/no machine named "limx".*did you mean limn/);
  expect(reasons["*/ap"]).toMatch(/no machine has a project named "ap".*did you mean api/);
  expect(reasons["lim*/api"]).toMatch(/patterns are/);
  expect(reasons["mac/web@s-a"]).toMatch(/sender itself/);
  for (const { status, error, reason } of answer.recipients)
    if (status === "error") expect(error).toBe(reason as string);
  const sent = answer.recipients.filter(({ message_id }) => message_id !== undefined);
  expect(new Set(sent.map(({ message_id }) => message_id)).size).toBe(3);
  expect(new Set(sent.map(({ thread_id }) => thread_id)).size).toBe(3);
  expect(limn.received.map(({ message }) => message.type)).toEqual(["send", "send"]);
  // who answers, answers the sender alone
  const [first] = limn.received;
  await limn.chat("api@s-b", undefined, "thanks", { thread_id: first?.message.thread_id });
  expect(mac.texts()).toEqual(["thanks"]);
});

test("a retry reaches the same ones and each once, whoever has come since", async () => {
  const message_id = newMessageId();
  const first = await send(["limn/empty", "limn/api"], "once", { message_id });
  const sessions = [session("api@s-b"), session("web@s-w"), session("api@s-new"), session("empty@s-e")];
  await limn.presence(...sessions);
  await limn.arrived(2);
  const again = await Promise.all([1, 2].map(() => send(["limn/empty", "limn/api"], "once", { message_id })));
  for (const answer of again)
    expect(answer.recipients.map(({ to, message_id }) => [to, message_id])).toEqual(
      first.recipients.map(({ to, message_id }) => [to, message_id]),
    );
  expect(again[0]?.status).toBe("delivered");
  await send("limn/web", "last");
  // the project's next session also got what earlier tests had left for it
  expect(
    limn
      .texts()
      .filter((text) => text !== "news")
      .sort(),
  ).toEqual(["last", "once", "once"]);
  expect(await refusal(send("limn/api", "other words", { message_id }))).toMatchObject({ code: "conflict" });
  await limn.presence(session("api@s-b"), session("web@s-w"));
});

test("nobody can be told: an error as a whole, each with its own", async () => {
  expect(await send("limn/ap")).toMatchObject({
    status: "error",
    error: expect.stringContaining('no project named "ap"'),
    recipients: [{ to: "limn/ap", status: "error" }],
  });
  expect(await send(["limn/ap", "zz"])).toMatchObject({
    status: "error",
    error: expect.stringContaining("none of 2 recipients"),
    recipients: [{ status: "error" }, { status: "error" }],
  });
});

test("the id of a name's first copy is known before the hub is asked, whomever the name means", async () => {
  const message_id = newMessageId();
  await limn.presence(session("api@s-b"), session("api@s-c"), session("web@s-w"));
  const wanted = ["*/api", "limn/api", "limn/empty", "limn/web@s-w", "human"];
  const { recipients } = await send(wanted, "ids", { message_id });
  const ids = recipients.map((one) => one.message_id);
  expect(new Set(ids).size).toBe(5);
  for (const { to, id } of copiesAhead(message_id, wanted)) {
    if (to === "*/api") expect(id).toBeUndefined();
    else {
      const { body } = await hub.person("GET", `/api/messages/${id}`);
      expect(body).toMatchObject({ message_id: id, thread_id: threadIdFor(id ?? "") });
    }
  }
  // a session named beside its project goes by its own id, wherever it stands in the list
  for (const wanted of [
    ["limn/api", "limn/api@s-b"],
    ["limn/api@s-b", "limn/api"],
  ]) {
    const again = newMessageId();
    await send(wanted, "beside", { message_id: again });
    const { id } = copiesAhead(again, wanted).find(({ to }) => to === "limn/api@s-b") ?? {};
    const { body } = await hub.person("GET", `/api/messages/${id}`);
    expect(body).toMatchObject({ message_id: id });
  }
  // whether a project means more than a session that is named beside it, the hub alone knows
  expect(copiesAhead(message_id, ["limn/api", "limn/api@s-b"]).map(({ id }) => id !== undefined)).toEqual([
    false,
    true,
  ]);
  await limn.presence(session("api@s-b"), session("web@s-w"));
});

test("tries that race reach each one once", async () => {
  const message_id = newMessageId();
  await Promise.all(Array.from({ length: 8 }, () => send("limn/*", "race", { message_id })));
  await send("limn/web", "last");
  expect(limn.texts().sort()).toEqual(["last", "race", "race"]);
});

test("what is sent before a chat arrives before it", async () => {
  const sending = send("limn/api", "first");
  const chatting = mac.chat("web@s-a", "limn/api@s-b", "second");
  await Promise.all([sending, chatting]);
  expect(limn.texts("s-b")).toEqual(["first", "second"]);
});

test("nobody is meant: an error that says so", async () => {
  await using lonely = await startHub();
  const only = await Peer.online(lonely, "only", "web@s-a");
  const answer = await only.request<SendAnswer>("route", {
    ...routeInput("only/web@s-a", "*", "hello?", { type: "send" }),
  });
  expect(answer).toMatchObject({
    status: "error",
    recipients: [],
    error: "nobody but the sender is meant by *",
  });
});

test.each([
  ["no recipient", undefined, {}, /recipient/],
  ["an empty list", [], {}, /to_agent/],
  ["a thread", "limn/api", { thread_id: "t-000000000000" }, /threads of its own/],
  ["a list for a chat", ["limn/api"], { type: "chat" }, /to_agent: a message of type chat has one/],
  ["a wrong priority", "limn/api", { priority: "urgent" }, /priority/],
] as const)("refused: %s", async (_, to, more, words) => {
  const error = await refusal(send(to as string[] | undefined, "x", more));
  expect(error.code).toBe("bad_request");
  expect(`${error.message} ${error.hint}`).toMatch(words);
});

test("a priority reaches the recipient and the history", async () => {
  for (const priority of ["low", "normal", "high"]) await send("limn/web", priority, { priority });
  expect(limn.received.map(({ message }) => message.priority)).toEqual(["low", undefined, "high"]);
  const thread = limn.received[2]?.message.thread_id;
  const { messages } = (await hub.person("GET", `/api/threads/${thread}`)).body;
  expect(messages).toMatchObject([{ message: "high", priority: "high", type: "send" }]);
});
