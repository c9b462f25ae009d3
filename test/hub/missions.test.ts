// Missions at the hub with scripted machines: what is asked for, planned, started, reported, answered; every end.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { newMessageId } from "../../src/protocol/ids.ts";
import type {
  MissionAnswer,
  MissionDetail,
  MissionHistory,
  MissionList,
} from "../../src/protocol/mission.ts";
import { waitFor } from "../rig/wait.ts";
import { ask, askInput, detail, Launcher, responded, responses } from "./launcher.ts";
import { Peer, refusal } from "./peer.ts";
import { startHub, type TestHub } from "./rig.ts";

let hub: TestHub;
let mac: Peer;
let limn: Launcher;
beforeAll(async () => {
  hub = await startHub({ limits: { rate: 1e6, burst: 1e6 }, metrics: { token: "secret" } });
  mac = await Peer.online(hub, "mac", "web@s-a", "web@s-other");
  limn = await Launcher.online(hub);
});
afterAll(() => hub.hub.stop());

test("asked, launched, followed, answered: in status, in history and in the asker's inbox", async () => {
  const answer = await ask(mac, "web@s-a", "count the tests", { mission: { timeout: 60 } });
  expect(answer).toMatchObject({ status: "launched" });
  const id = String(answer.mission_id);
  expect(limn.starts.at(-1)).toMatchObject({
    order: { mission_id: id, run: 1, type: "ask", from_agent: "mac/web@s-a", project: "api", timeout: 60 },
  });
  expect(limn.starts.at(-1)?.approved_by).toBeUndefined();
  const entry = (seq: number, kind: string, summary: string) => ({
    seq,
    timestamp: new Date().toISOString(),
    kind,
    summary,
  });
  expect(await limn.report(id, { entries: [entry(1, "tool", "Read"), entry(2, "text", "so far")] })).toEqual({
    entries: 2,
    output: 0,
    unwanted: false,
  });
  await limn.report(id, { output: { offset: 0, text: "There are " } });
  await limn.report(id, {
    output: { offset: 10, text: "41." },
    change: { status: "completed", at: new Date().toISOString(), exit_code: 0, turn_count: 2, cost_usd: 0.1 },
  });
  expect(await detail(hub, id)).toMatchObject({
    status: "completed",
    output: "There are 41.",
    output_length: 13,
    feedback: [
      { kind: "tool", summary: "Read" },
      { kind: "text", summary: "so far" },
    ],
    turn_count: 2,
    cost_usd: 0.1,
    exit_code: 0,
    address: `limn/api@${id}`,
  });
  const [response] = await responded(mac, 1);
  expect(response).toMatchObject({
    id: `response-${id}-1`,
    thread_id: String(answer.thread_id),
    from_agent: `limn/api@${id}`,
    to_agent: "mac/web@s-a",
    message: `Mission ${id} (limn/api) completed.\n\nThere are 41.`,
  });
  const history = (await hub.person("GET", `/api/missions/${id}/history`)).body;
  expect(history.messages.map(({ message }) => message)).toEqual([
    "count the tests",
    "Read",
    "so far",
    response?.message ?? "",
  ]);
});

test("the daemon's answer is the asker's answer: queued behind others, launched at once", async () => {
  limn.begin = (start) => limn.take(start, "queued");
  const answer = await ask(mac, "web@s-a", "later");
  expect(answer).toMatchObject({ status: "queued", reason: "waits for its turn on limn" });
  limn.begin = (start) => limn.take(start);
  const id = String(answer.mission_id);
  await limn.report(id, { change: { status: "running", at: new Date().toISOString() } });
  expect(await detail(hub, id)).toMatchObject({ status: "running" });
  expect((await detail(hub, id)).reason).toBeUndefined();
  await limn.end(id);
});

test.each([
  ["denied", "denied", "denied"],
  ["launch_failed", "launch_failed", "failed"],
  ["error", "error", "failed"],
] as const)(
  "what a machine refuses: %s, at the plan and at the start",
  async (status, answered, standing) => {
    const refusal = { verdict: "refused", status, reason: "not here", hint: "elsewhere" } as const;
    for (const at of ["plan", "begin"] as const) {
      const before = responses(mac).length;
      limn[at] = () => refusal;
      const answer = await ask(mac, "web@s-a", "please");
      limn.plan = (order) => limn.ready(order);
      limn.begin = (start) => limn.take(start);
      expect(answer).toMatchObject({ status: answered, error: "not here", hint: "elsewhere" });
      expect(await detail(hub, answer.mission_id)).toMatchObject({
        status: standing,
        reason: "not here (elsewhere)",
      });
      const told = (await responded(mac, before + 1)).at(-1);
      expect(told).toMatchObject({ id: `response-${answer.mission_id}-1` });
      expect(told?.message).toContain("not here");
    }
  },
);

test.each([
  ["failed", "failed: exit 3", { reason: "exit 3", exit_code: 3 }],
  ["timed_out", "ran out of time and was stopped: after 60 s", { reason: "after 60 s" }],
  ["cancelled", "was cancelled", {}],
  ["lost", "is lost: what became of it is not known: no process", { reason: "no process" }],
] as const)("an end that a machine reports is told: %s", async (status, words, more) => {
  const before = responses(mac).length;
  const { mission_id: id = "" } = await ask(mac, "web@s-a", "try");
  await limn.end(id, status, { ...more, text: "half" });
  expect(await detail(hub, id)).toMatchObject({ status, output: "half", ...more });
  const told = (await responded(mac, before + 1)).at(-1);
  expect(told?.message).toBe(`Mission ${id} (limn/api) ${words}.\n\nhalf`);
});

test("a retry is answered from what stands, whatever it proposes; other words under its id are refused", async () => {
  const message_id = newMessageId();
  const first = await ask(mac, "web@s-a", "once", { message_id });
  const started = limn.starts.length;
  const again = await Promise.all([
    ask(mac, "web@s-a", "once", { message_id }),
    ask(mac, "web@s-a", "once", { message_id, to: "limn/api" }),
  ]);
  for (const answer of again) expect(answer).toEqual(first);
  expect(limn.starts).toHaveLength(started);
  expect(await refusal(ask(mac, "web@s-a", "twice", { message_id }))).toMatchObject({ code: "conflict" });
  expect(await refusal(mac.chat("web@s-a", "limn/api", "once", { message_id }))).toMatchObject({
    code: "conflict",
  });
  const taken = { id: first.mission_id };
  expect(await refusal(ask(mac, "web@s-a", "other", { mission: taken }))).toMatchObject({
    code: "conflict",
    message: `mission id ${first.mission_id} is taken`,
  });
  await limn.end(String(first.mission_id));
  expect(await ask(mac, "web@s-a", "once", { message_id })).toMatchObject({ status: "launched" });
});

test("retries that race the first call start one run", async () => {
  const message_id = newMessageId();
  const asks = Array.from({ length: 10 }, () => ask(mac, "web@s-a", "race", { message_id }));
  const ids = new Set((await Promise.all(asks)).map(({ mission_id, status }) => `${mission_id} ${status}`));
  expect(ids.size).toBe(1);
  const runs = limn.starts.filter(({ order }) => order.message === "race");
  expect(new Set(runs.map(({ order }) => order.mission_id)).size).toBe(1);
  await limn.end(String(runs[0]?.order.mission_id));
});

test.each([
  ["nobody", undefined, {}, "bad_request", /machine\/project/],
  ["the person", "human", {}, "bad_request", /machine\/project/],
  ["a session", "limn/api@s-b", {}, "bad_request", /machine\/project/],
  ["several", ["limn/api", "mac/web"], {}, "bad_request", /to_agent: a message of type ask has one/],
  ["an unknown machine", "lim/api", {}, "unknown_machine", /did you mean limn/],
  ["an unknown project", "limn/ap", {}, "unknown_project", /did you mean limn\/api/],
  ["a thread", "limn/api", { thread_id: "t-000000000000" }, "bad_request", /thread of its own/],
  [
    "a foreign thread",
    "limn/api",
    { mission: { context_thread: "t-000000000000" } },
    "unknown_thread",
    /no thread/,
  ],
  ["too long a time", "limn/api", { mission: { timeout: 1e9 } }, "bad_request", /timeout/],
  [
    "a mission of nobody",
    "limn/api",
    { mission: { continues: "m-20200101-000000" } },
    "unknown_mission",
    /of yours/,
  ],
] as const)("refused before anything is stored: %s", async (_, to, more, code, words) => {
  const before = (await hub.person("GET", "/api/missions?limit=1000")).body;
  const error = await refusal(ask(mac, "web@s-a", "x", { to: to as string, ...more }));
  expect(error.code).toBe(code);
  expect(`${error.message} ${error.hint}`).toMatch(words);
  expect((await hub.person("GET", "/api/missions?limit=1000")).body).toEqual(before);
});

test("a thread of the asker goes along, as it was when it was asked", async () => {
  const chat = await mac.chat("web@s-a", "limn/api", "the flag is --fast");
  const { mission_id: id = "" } = await ask(mac, "web@s-a", "use it", {
    mission: { context_thread: chat.thread_id },
  });
  const context = [{ from_agent: "mac/web@s-a", message: "the flag is --fast" }];
  expect(limn.plans.at(-1)).toMatchObject({ mission_id: id, context });
  expect(limn.starts.at(-1)?.order).toEqual(limn.plans.at(-1) as never);
  await limn.end(id);
  const foreign = { context_thread: chat.thread_id };
  expect(await refusal(ask(mac, "web@s-other", "x", { mission: foreign }))).toMatchObject({
    code: "not_a_member",
  });
});

test("a finished mission goes on: same id, same thread, next run; a running one is written to instead", async () => {
  const first = await ask(mac, "web@s-a", "begin");
  const id = String(first.mission_id);
  const go = (from: string, text: string, peer = mac) =>
    ask(peer, from, text, { mission: { continues: id }, to: undefined });
  const running = await refusal(go("web@s-a", "too early"));
  expect(running).toMatchObject({ code: "conflict", message: `mission ${id} is running` });
  expect(running.hint).toContain(`limn/api@${id}`);
  await limn.end(id, "completed", { text: "first answer" });
  const before = responses(mac).length;
  // another session of the asker's project: the answer is for it
  const second = await go("web@s-other", "and then?");
  expect(second).toMatchObject({ status: "launched", mission_id: id, thread_id: String(first.thread_id) });
  expect(limn.starts.at(-1)?.order).toMatchObject({
    run: 2,
    message: "and then?",
    from_agent: "mac/web@s-other",
  });
  expect(await limn.end(id, "completed", { text: "late", run: 1 })).toMatchObject({ unwanted: true });
  await limn.end(id, "completed", { text: "second answer", run: 2 });
  expect(await detail(hub, id)).toMatchObject({ run: 2, output: "second answer" });
  const told = (await responded(mac, before + 1)).at(-1);
  expect(told).toMatchObject({ id: `response-${id}-2`, to_agent: "mac/web@s-other" });
  expect(mac.received.at(-1)?.session_id).toBe("s-other");
  const { messages } = (await hub.person("GET", `/api/missions/${id}/history`)).body;
  expect(messages.map(({ message }) => message.split("\n\n").at(-1))).toEqual([
    "begin",
    "first answer",
    "and then?",
    "second answer",
  ]);
  const third = await Peer.online(hub, "third", "web@s-a");
  expect(await refusal(go("web@s-a", "mine?", third))).toMatchObject({ code: "unknown_mission" });
  third.close();
});

test("a continuation is for the agent that ran before, unless another is named", async () => {
  const { mission_id: id = "" } = await ask(mac, "web@s-a", "begin", { mission: { agent_command: "other" } });
  await limn.end(id);
  for (const [run, named, expected] of [
    [2, undefined, "other"],
    [3, "claude", "claude"],
    [4, undefined, "claude"],
  ] as const) {
    const mission = { continues: id, ...(named ? { agent_command: named } : {}) };
    expect(await ask(mac, "web@s-a", "more", { mission, to: undefined })).toMatchObject({
      status: "launched",
    });
    expect(limn.starts.at(-1)?.order).toMatchObject({ run, agent_command: expected });
    await limn.end(id, "completed", { run });
  }
});

test("who may see it: both ends, the machine that runs it, the person; to others there is none", async () => {
  const other = await Peer.online(hub, "other", "web@s-a");
  const { mission_id: id = "" } = await ask(mac, "web@s-a", "secret");
  for (const op of ["mission", "mission_history"]) {
    for (const [peer, session_id] of [
      [mac, "s-a"],
      [mac, undefined],
      [limn.peer, undefined],
      [limn.peer, id],
    ] as const)
      expect(await peer.request(op, { id, session_id })).toMatchObject({ mission_id: id });
    for (const [peer, session_id] of [
      [mac, "s-other"],
      [limn.peer, "s-b"],
      [other, undefined],
      [other, "s-a"],
      [other, id],
    ] as const)
      expect(await refusal(peer.request(op, { id, session_id }))).toMatchObject({ code: "unknown_mission" });
  }
  const listed = async (peer: Peer, session_id?: string) =>
    (await peer.request<MissionList>("missions", { session_id })).missions.some(
      ({ mission_id }) => mission_id === id,
    );
  expect(
    await Promise.all([listed(mac), listed(mac, "s-a"), listed(limn.peer), listed(limn.peer, id)]),
  ).toEqual([true, true, true, true]);
  expect(await Promise.all([listed(mac, "s-other"), listed(limn.peer, "s-b"), listed(other)])).toEqual([
    false,
    false,
    false,
  ]);
  const cancel = (peer: Peer, session_id: string) => peer.request("mission_cancel", { id, session_id });
  expect(await refusal(cancel(other, "s-a"))).toMatchObject({ code: "unknown_mission" });
  expect(await refusal(cancel(mac, "s-other"))).toMatchObject({ code: "unknown_mission" });
  expect(await refusal(cancel(limn.peer, id))).toMatchObject({ code: "forbidden" });
  expect(await other.request("mission_report", { mission_id: id, run: 1 })).toMatchObject({ unwanted: true });
  other.close();
  await limn.end(id);
});

test("a megabyte of output: kept whole, paged; the response has its beginning", async () => {
  const before = responses(mac).length;
  const { mission_id: id = "" } = await ask(mac, "web@s-a", "print");
  const text = "0123456789 𝄞 é \u0000\n".repeat(60_000).slice(0, 1_000_001);
  for (let offset = 0; offset < text.length; offset += 99_999)
    await limn.report(id, { output: { offset, text: text.slice(offset, offset + 99_999) } });
  await limn.report(id, { change: { status: "completed", at: new Date().toISOString() } });
  let read = "";
  for (let from: number | undefined = 0; from !== undefined; ) {
    const page: MissionDetail = await mac.request("mission", { id, output_from: from });
    expect(page.output.length).toBeLessThanOrEqual(30_000);
    expect(page.output.isWellFormed()).toBe(true);
    read += page.output;
    from = page.output_next;
  }
  expect(read === text).toBe(true);
  const told = (await responded(mac, before + 1)).at(-1)?.message ?? "";
  expect(Buffer.byteLength(told)).toBeWithin(65_000, 65_537);
  expect(told).toContain(text.slice(0, 40_000));
  expect(told).toEndWith(
    `[the beginning of ${text.length} characters; intercom_status("${id}") gives all of it, page by page]`,
  );
});

test("history and lists are paged", async () => {
  const { mission_id: id = "" } = await ask(mac, "web@s-a", "many steps");
  const entries = Array.from({ length: 250 }, (_, n) => ({
    seq: n + 1,
    timestamp: new Date().toISOString(),
    kind: "command",
    summary: `step ${n + 1} ${"x".repeat(400)}`,
  }));
  await limn.report(id, { entries });
  const read: string[] = [];
  let pages = 0;
  for (let after: string | undefined; ; pages++) {
    const page = await mac.request<MissionHistory>("mission_history", { id, limit: 100, after });
    read.push(...page.messages.map(({ message }) => message.split(" x")[0] ?? ""));
    after = page.next;
    if (after === undefined) break;
  }
  expect(read).toEqual(["many steps", ...entries.map(({ seq }) => `step ${seq}`)]);
  expect(pages).toBe(2);
  expect(await refusal(mac.request("mission_history", { id, after: "1.2" }))).toMatchObject({
    code: "bad_request",
  });
  expect((await detail(hub, id)).feedback).toHaveLength(100);
  expect((await detail(hub, id)).feedback.at(-1)?.summary).toStartWith("step 250 ");
  expect((await mac.request<MissionList>("missions", { limit: 2 })).missions).toHaveLength(2);
  await limn.end(id);
});

test("asks from five machines at once: each gets its own answer", async () => {
  const peers = await Promise.all(Array.from({ length: 5 }, (_, n) => Peer.online(hub, `m${n}`, "p@s-a")));
  const asked = await Promise.all(
    peers.flatMap((peer) => Array.from({ length: 4 }, (_, n) => ask(peer, "p@s-a", `${peer.id} asks ${n}`))),
  );
  expect(new Set(asked.map(({ mission_id }) => mission_id)).size).toBe(20);
  for (const { order } of limn.starts.slice(-20))
    await limn.end(order.mission_id, "completed", { text: `to ${order.message}` });
  for (const peer of peers) {
    const texts = (await responded(peer, 4)).map(({ message }) => message.split("\n\n")[1]);
    expect(texts.sort()).toEqual(Array.from({ length: 4 }, (_, n) => `to ${peer.id} asks ${n}`));
    peer.close();
  }
});

test("the person asks, and reads the answer in the person's inbox", async () => {
  const asked = await hub.person("POST", "/api/route", askInput("human", "what is new?"));
  const id = String((asked.body as unknown as MissionAnswer).mission_id);
  await limn.end(id, "completed", { text: "nothing" });
  await waitFor("the answer in the inbox", async () => {
    const { messages } = (await hub.person("GET", "/api/inbox?limit=50")).body;
    return messages.some(({ type, message }) => type === "response" && message.endsWith("nothing"));
  });
});

test("metrics count missions", async () => {
  const text = await metricsText(hub);
  expect(text).toMatch(/^ai_intercom_missions_total [1-9]\d*$/m);
  expect(text).toMatch(/^ai_intercom_missions_running 0$/m);
  expect(text).toMatch(/^ai_intercom_responses_owed 0$/m);
});

async function metricsText({ hub: { url } }: TestHub): Promise<string> {
  return (await fetch(`${url}/metrics`, { headers: { authorization: "Bearer secret" } })).text();
}
