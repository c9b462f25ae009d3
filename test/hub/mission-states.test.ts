// Missions and time: machines that are away, silent or forgetful, cancels in every state, what expires, restarts.
import { expect, test } from "bun:test";
import { mkdtempSync } from "node:fs";
import type { HubEvent } from "../../src/protocol/hub-api.ts";
import { homePaths } from "../../src/system/paths.ts";
import { waitFor } from "../rig/wait.ts";
import { ask, decide, detail, Launcher, pending, reaches, responded, responses } from "./launcher.ts";
import { Peer, session } from "./peer.ts";
import { startHub, type TestHub } from "./rig.ts";

const week = 7 * 24 * 3600 * 1000;

async function pair(hub: TestHub) {
  const mac = await Peer.online(hub, "mac", "web@s-a");
  const limn = await Launcher.online(hub);
  return { mac, limn };
}

async function gone(hub: TestHub, { peer }: Launcher): Promise<void> {
  peer.cut();
  await waitFor(`${peer.id} is offline`, async () => {
    const { machines } = (await hub.person("GET", "/api/machines")).body;
    return machines.some(({ id, status }) => id === peer.id && status === "offline");
  });
}

const cancel = (peer: Peer, id: string) =>
  peer.request<{ status: string; reason?: string }>("mission_cancel", { id, session_id: "s-a" });

test("a machine that is away: queued, started when it is there, expired after seven days", async () => {
  await using hub = await startHub();
  const { mac, limn } = await pair(hub);
  await gone(hub, limn);
  const first = await ask(mac, "web@s-a", "later");
  expect(first).toMatchObject({ status: "queued", reason: "machine limn is offline" });
  await limn.connect();
  await reaches(hub, first.mission_id, "running");
  await gone(hub, limn);
  const second = await ask(mac, "web@s-a", "never");
  hub.clock.offsetMs = week - 60_000;
  await hub.hub.sweep();
  expect(await detail(hub, second.mission_id)).toMatchObject({ status: "queued" });
  hub.clock.offsetMs = week + 60_000;
  await hub.hub.sweep();
  expect(await detail(hub, second.mission_id)).toMatchObject({
    status: "expired",
    reason: "it waited for 7 days: machine limn is offline",
  });
  // what runs there runs on: only its machine knows
  expect(await detail(hub, first.mission_id)).toMatchObject({ status: "running" });
  // for the hub's clock it was silent for a week
  hub.clock.offsetMs = 0;
  await mac.connect();
  await mac.presence(session("web@s-a"));
  expect((await responded(mac, 1))[0]?.message).toContain("expired and did not run");
});

test.each(["mission_plan", "mission_start"])(
  "a machine that does not answer %s: queued, one run in the end",
  async (silent) => {
    await using hub = await startHub();
    const { mac, limn } = await pair(hub);
    const answered = Promise.withResolvers<void>();
    const late = async <T>(answer: () => T): Promise<T> => {
      await answered.promise;
      return answer();
    };
    if (silent === "mission_plan") limn.plan = (order) => late(() => limn.ready(order));
    else limn.begin = (start) => late(() => limn.take(start));
    const began = performance.now();
    const answer = await ask(mac, "web@s-a", "slow");
    expect(performance.now() - began).toBeWithin(4_500, 9_000);
    expect(answer).toMatchObject({
      status: "queued",
      reason: "machine limn: limn did not answer within 5 s; it is tried again",
    });
    answered.resolve();
    await hub.hub.sweep();
    const { mission_id: id = "" } = answer;
    await reaches(hub, id, "running");
    expect(limn.runs).toEqual([{ mission_id: id, run: 1 }]);
    await limn.end(id);
    expect(await responded(mac, 1)).toHaveLength(1);
  },
);

test("an answer that cannot be read, and an error: queued, tried again", async () => {
  await using hub = await startHub();
  const { mac, limn } = await pair(hub);
  limn.plan = () => ({ verdict: "perhaps" }) as never;
  const answer = await ask(mac, "web@s-a", "x");
  expect(answer).toMatchObject({ status: "queued", reason: expect.stringContaining("cannot be read") });
  limn.plan = () => {
    throw new Error("no disk");
  };
  await hub.hub.sweep();
  await waitFor("the new reason", async () =>
    (await detail(hub, answer.mission_id)).reason?.includes("no disk"),
  );
  limn.plan = (order) => limn.ready(order);
  await hub.hub.sweep();
  await reaches(hub, answer.mission_id, "running");
});

test("what a machine does not name any more is lost; what began after it said so is not", async () => {
  await using hub = await startHub();
  const { mac, limn } = await pair(hub);
  const [kept, lost, waiting] = [
    await ask(mac, "web@s-a", "kept"),
    await ask(mac, "web@s-a", "lost"),
    await ask(mac, "web@s-a", "waiting"),
  ].map(({ mission_id }) => String(mission_id));
  await gone(hub, limn);
  limn.runs = limn.runs.filter(({ mission_id }) => mission_id !== lost);
  await limn.connect();
  expect(await detail(hub, lost)).toMatchObject({
    status: "lost",
    reason: "machine limn does not know of it any more",
  });
  expect(await detail(hub, kept)).toMatchObject({ status: "running" });
  expect(await detail(hub, waiting)).toMatchObject({ status: "running" });
  expect((await responded(mac, 1))[0]?.message).toContain("is lost");
  expect(await limn.end(String(lost), "completed", { text: "too late" })).toMatchObject({ unwanted: true });
  // a presence that was said before the start and heard after it
  limn.begin = async (start) => {
    const said = limn.presence();
    const answer = limn.take(start);
    await said;
    return answer;
  };
  const racing = await ask(mac, "web@s-a", "racing");
  expect(await detail(hub, racing.mission_id)).toMatchObject({ status: "running" });
  // a daemon that says nothing of missions has not lost any
  await limn.peer.presence(session("api@s-b"));
  expect(await detail(hub, kept)).toMatchObject({ status: "running" });
});

test("cancelled while it waits for a person: the approval is withdrawn, the machine hears nothing", async () => {
  await using hub = await startHub();
  const { mac, limn } = await pair(hub);
  limn.level = "once";
  const { mission_id: id = "" } = await ask(mac, "web@s-a", "x");
  const [approval] = await pending(hub);
  expect(await cancel(mac, id)).toMatchObject({ status: "cancelled", reason: "cancelled by mac/web@s-a" });
  expect(await pending(hub)).toEqual([]);
  const late = await hub.person("POST", `/api/approvals/${approval?.id}`, { decision: "approve" });
  expect([late.status, late.body.error.message]).toEqual([
    409,
    expect.stringContaining(`approval ${approval?.id} was withdrawn`),
  ]);
  expect(await cancel(mac, id)).toMatchObject({ status: "cancelled", reason: "it had ended already" });
  expect([limn.starts, limn.cancels]).toEqual([[], []]);
  expect(await responded(mac, 1)).toHaveLength(1);
});

test("cancelled while its machine is away, or is about to begin: it does not run", async () => {
  await using hub = await startHub();
  const { mac, limn } = await pair(hub);
  await gone(hub, limn);
  const { mission_id: away = "" } = await ask(mac, "web@s-a", "away");
  expect(await cancel(mac, away)).toMatchObject({ status: "cancelled" });
  await limn.connect();
  expect(limn.plans).toEqual([]);
  const begun = Promise.withResolvers<void>();
  const go = Promise.withResolvers<void>();
  limn.begin = async (start) => {
    begun.resolve();
    await go.promise;
    return limn.take(start);
  };
  const asked = ask(mac, "web@s-a", "about to begin");
  await begun.promise;
  const id = limn.starts[0]?.order.mission_id ?? "";
  expect(await cancel(mac, id)).toMatchObject({ status: "cancelled" });
  go.resolve();
  expect(await asked).toMatchObject({ status: "error", error: "cancelled by mac/web@s-a" });
  await waitFor("the machine is told to stop", () =>
    limn.cancels.some(({ mission_id }) => mission_id === id),
  );
  expect(await limn.end(id, "completed", { text: "ran all the same" })).toMatchObject({ unwanted: true });
  expect(await detail(hub, id)).toMatchObject({ status: "cancelled", output: "" });
});

test.each(["running", "queued"] as const)(
  "cancelled while %s on its machine: ended by the machine's report",
  async (state) => {
    await using hub = await startHub();
    const { mac, limn } = await pair(hub);
    limn.begin = (start) => limn.take(start, state);
    const { mission_id: id = "" } = await ask(mac, "web@s-a", "x");
    limn.stop = ({ reason }) => {
      void limn.end(id, "cancelled", { reason });
      return { status: "stopping" };
    };
    expect(await cancel(mac, id)).toMatchObject({ status: "cancelled", reason: "cancelled by mac/web@s-a" });
    expect(limn.cancels).toEqual([{ mission_id: id, run: 1, reason: "cancelled by mac/web@s-a" }]);
    expect(await responded(mac, 1)).toHaveLength(1);
  },
);

test("a cancel is repeated until the machine has heard it; one that has no such run has lost it", async () => {
  await using hub = await startHub();
  const { mac, limn } = await pair(hub);
  const [one, two] = [await ask(mac, "web@s-a", "1"), await ask(mac, "web@s-a", "2")].map((a) =>
    String(a.mission_id),
  );
  await gone(hub, limn);
  expect(await cancel(mac, String(one))).toMatchObject({
    status: "running",
    reason: expect.stringContaining("offline"),
  });
  await limn.connect();
  await waitFor("the machine is told", () => limn.cancels.length > 0);
  expect(limn.cancels[0]).toMatchObject({ mission_id: one, reason: "cancelled by mac/web@s-a" });
  await limn.end(String(one), "cancelled");
  expect(await detail(hub, one)).toMatchObject({ status: "cancelled" });
  limn.stop = () => ({ status: "unknown" });
  expect(await cancel(mac, String(two))).toMatchObject({ status: "lost" });
});

test("a run that was cancelled while its machine was away is stopped when that is back", async () => {
  await using hub = await startHub();
  const { mac, limn } = await pair(hub);
  // it began, and the answer never came
  limn.begin = (start) => {
    limn.take(start);
    limn.peer.cut();
    return new Promise(() => {});
  };
  const { mission_id: id = "", status } = await ask(mac, "web@s-a", "x");
  expect(status).toBe("queued");
  expect(await cancel(mac, id)).toMatchObject({ status: "cancelled" });
  await limn.connect();
  await waitFor("the machine is told", () => limn.cancels.some(({ mission_id }) => mission_id === id));
  expect(limn.cancels.at(-1)?.reason).toBe("cancelled by mac/web@s-a");
  expect(limn.starts).toHaveLength(1);
});

test("a continuation that its machine refuses changes nothing", async () => {
  await using hub = await startHub();
  const { mac, limn } = await pair(hub);
  const { mission_id: id = "" } = await ask(mac, "web@s-a", "begin");
  await limn.end(id, "completed", { text: "the answer" });
  const before = await detail(hub, id);
  const reason = "this agent cannot continue an earlier conversation";
  limn.plan = () => ({ verdict: "refused", status: "error", reason, hint: "start a new mission" });
  const answer = await ask(mac, "web@s-a", "more", { mission: { continues: id }, to: undefined });
  expect(answer).toMatchObject({ status: "error", error: reason, hint: "start a new mission" });
  expect(await detail(hub, id)).toEqual(before);
  expect(before).toMatchObject({ status: "completed", run: 1, output: "the answer" });
});

test("everything goes on after a restart of the hub", async () => {
  const paths = homePaths(mkdtempSync("/tmp/aii-hub-"));
  await using hub = await startHub({}, paths);
  const { mac, limn } = await pair(hub);
  const running = await ask(mac, "web@s-a", "running");
  limn.level = "once";
  const waiting = await ask(mac, "web@s-a", "waiting");
  await gone(hub, limn);
  limn.level = "never";
  const queued = await ask(mac, "web@s-a", "queued");
  await hub.restart();
  expect(await detail(hub, running.mission_id)).toMatchObject({ status: "running" });
  expect(await detail(hub, queued.mission_id)).toMatchObject({ status: "queued" });
  limn.level = "once";
  // decided while the machine is away: it waits for that
  const decided = await decide(hub, "approve");
  expect(decided.body).toMatchObject({ mission: { status: "queued", reason: "machine limn is offline" } });
  limn.level = "never";
  await Promise.all([mac.connect().then(() => mac.presence(session("web@s-a"))), limn.connect()]);
  for (const { mission_id } of [running, waiting, queued]) {
    await reaches(hub, mission_id, "running");
    await limn.end(String(mission_id), "completed", { text: `of ${mission_id}` });
  }
  expect(new Set((await responded(mac, 3)).map(({ id }) => id)).size).toBe(3);
  expect(responses(mac)).toHaveLength(3);
});

test("an asker that is away gets its answer when it is back, once", async () => {
  await using hub = await startHub();
  const { mac, limn } = await pair(hub);
  const { mission_id: id = "" } = await ask(mac, "web@s-a", "x");
  mac.cut();
  await limn.end(id, "completed", { text: "for later" });
  await hub.restart();
  await mac.connect();
  await mac.presence(session("web@s-a"));
  const [response] = await responded(mac, 1);
  expect(response?.message).toEndWith("for later");
  await hub.hub.sweep();
  expect(responses(mac)).toHaveLength(1);
});

test("whoever watches is told each step, after it is true", async () => {
  await using hub = await startHub();
  const { mac, limn } = await pair(hub);
  limn.level = "once";
  const seen: HubEvent[] = [];
  const ended = new AbortController();
  const stream = await fetch("http://localhost/api/events", {
    unix: hub.paths.hubSocket,
    headers: { "x-ai-intercom-pid": String(process.pid) },
    signal: ended.signal,
  });
  const reading = (async () => {
    let rest = "";
    for await (const chunk of stream.body ?? []) {
      const lines = (rest + new TextDecoder().decode(chunk)).split("\n");
      rest = lines.pop() ?? "";
      seen.push(...lines.filter(Boolean).map((line) => JSON.parse(line)));
    }
  })();
  const { mission_id: id = "" } = await ask(mac, "web@s-a", "x");
  await decide(hub, "approve");
  const entry = { seq: 1, timestamp: new Date().toISOString(), kind: "tool", summary: "Read" };
  await limn.report(id, { entries: [entry] });
  await limn.end(id, "completed", { text: "done" });
  const told = () =>
    seen.flatMap((event) => {
      if (event.kind === "mission") return [`mission ${event.status}`];
      if (event.kind === "approval") return [`approval ${event.status}`];
      if (event.kind === "mission_entry") return [`entry ${event.entry.summary}`];
      return event.kind === "message" ? [`message ${event.type}`] : [];
    });
  await waitFor("all events", () => told().includes("message response"), { detail: () => told().join("\n") });
  expect(told()).toEqual([
    "message ask",
    "mission queued",
    "approval pending",
    "mission pending_approval",
    "approval approved",
    "mission queued",
    "mission running",
    "entry Read",
    "mission completed",
    "message response",
  ]);
  ended.abort();
  await reading.catch(() => undefined);
});
