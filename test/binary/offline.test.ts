// What happens while something is away: the other machine, the hub, the own daemon; and what was accepted before
// arrives afterwards, once and in order.
import { expect, setSystemTime, test } from "bun:test";
import { rm } from "node:fs/promises";
import { loadOrCreateMachineKey } from "../../src/system/keys.ts";
import { signRequest } from "../../src/system/signature.ts";
import type { ScriptedAgent, ToolResult } from "../rig/agent";
import { Fleet, type Machine } from "../rig/fleet";
import { waitFor } from "../rig/wait";

test("a machine that is offline: queued with the reason, delivered in order when it is back", async () => {
  await using fleet = await Fleet.start(["limn"]);
  const limn = fleet.machine("limn");
  const atlas = fleet.add("atlas");
  await atlas.json("join", (await limn.json("invite")).code);
  const daemon = await atlas.serve("daemon");
  await atlas.linked();
  const website = await atlas.agent("website");
  const mnemos = await limn.agent("mnemos");
  await daemon.kill("SIGKILL");
  await waitFor(
    "limn to notice that atlas is away",
    async () =>
      (await limn.json("machines")).machines.find((one: { id: string }) => one.id === "atlas")?.status ===
      "offline",
  );
  const first = await mnemos.call("intercom_chat", { to: "atlas/website", message: "one" });
  expect(first).toMatchObject({ status: "queued", reason: expect.stringContaining("atlas") });
  for (const message of ["two", "three"])
    await mnemos.call("intercom_reply", { thread_id: first.thread_id, message });
  await atlas.serve("daemon");
  await waitFor("three messages", async () => (await website.session())?.inbox_pending === 3);
  const { messages } = await website.call("intercom_check_inbox");
  expect(messages.map((one: { message: string }) => one.message)).toEqual(["one", "two", "three"]);
  // what a machine tells its hub of a read goes out behind the answer
  const states = await waitFor("offered at the hub", async () => {
    const now = (await mnemos.call("intercom_status", { message_id: first.message_id })).states;
    return now.at(-1).state === "offered" && now;
  });
  expect(states.map((one: { state: string }) => one.state)).toEqual([
    "accepted",
    "queued",
    "delivered",
    "offered",
  ]);
}, 60_000);

test("the hub is away: the sender's machine keeps the message and sends it later, in order, once", async () => {
  await using fleet = await Fleet.start(["limn"]);
  const hubHome = fleet.machine("limn");
  const port = new URL(fleet.hubUrl).port;
  const atlas = await fleet.join("atlas");
  const borea = await fleet.join("borea");
  const sender = await atlas.agent("website");
  const receiver = await borea.agent("mnemos");
  const opened = await sender.call("intercom_chat", { to: "borea/mnemos", message: "zero" });
  expect(opened.status).toBe("delivered");
  await hubHome.close();
  await waitFor("atlas to notice", async () => (await atlas.json("status")).link === "connecting");
  const kept: ToolResult[] = [];
  for (const message of ["one", "two", "three"])
    kept.push(await sender.call("intercom_reply", { thread_id: opened.thread_id, message }));
  expect(kept.map((one) => one.status)).toEqual(["queued", "queued", "queued"]);
  expect((await sender.call("intercom_status", { message_id: kept[0]?.message_id })).status).toBe("queued");
  await knowsWhatWaits(atlas, sender, { ids: kept.map((one) => one.message_id), thread: opened.thread_id });
  await hubHome.serve("standalone", "--listen", `127.0.0.1:${port}`);
  await waitFor("all four", async () => (await receiver.session()).inbox_pending === 4);
  const { messages } = await receiver.call("intercom_check_inbox");
  expect(messages.map((one: { message: string }) => one.message)).toEqual(["zero", "one", "two", "three"]);
  await waitFor("the last one's state at the hub", async () =>
    (await sender.call("intercom_status", { message_id: kept[2]?.message_id })).states.some(
      ({ state }: { state: string }) => state === "delivered",
    ),
  );
}, 60_000);

/** Its own outbox answers, and says that the hub could not be asked; of anything else nothing is known. */
async function knowsWhatWaits(
  machine: Machine,
  writer: ScriptedAgent,
  { ids, thread }: { ids: string[]; thread: string },
): Promise<void> {
  const unasked = /the hub could not be asked \(.*\); this is what this machine knows/;
  const [first = ""] = ids;
  const status = await machine.json("status", first);
  expect(status).toMatchObject({
    message_id: first,
    thread_id: thread,
    status: "queued",
    hub_unreachable: expect.stringMatching(unasked),
  });
  expect(status.states).toEqual([
    {
      state: "queued",
      at: expect.any(String),
      reason: expect.stringMatching(
        /^this machine's outbox: the hub is away since 2\d{3}-\d\d-\d\dT[\d:.]+Z$/,
      ),
    },
  ]);
  const history = await machine.json("history", thread);
  for (const answer of [history, await writer.call("intercom_history", { thread_id: thread })]) {
    expect(answer.hub_unreachable).toMatch(unasked);
    expect(answer.messages.map((one: { id: string }) => one.id)).toEqual(ids);
  }
  expect(history.messages[0]).toMatchObject({ message: "one", status: "queued", thread_id: thread });
  for (const words of [
    ["status", first],
    ["history", thread],
  ]) {
    const { code, out } = await machine.run(words);
    expect([code, out]).toEqual([0, expect.stringMatching(unasked)]);
  }
  for (const words of [["status", "msg-000000000000000000000000"], ["history", "t-ffffffffffff"], ["agents"]])
    expect(await machine.run(words)).toMatchObject({ code: 3, err: expect.stringContaining("no link") });
}

test("what the hub refuses after it was queued comes back to the sender as a notice", async () => {
  await using fleet = await Fleet.start(["limn"]);
  const atlas = await fleet.join("atlas");
  const sender = await atlas.agent("website");
  const port = new URL(fleet.hubUrl).port;
  await fleet.machine("limn").close();
  await waitFor("atlas to notice", async () => (await atlas.json("status")).link === "connecting");
  expect((await sender.call("intercom_chat", { to: "nowhere/nothing", message: "x" })).status).toBe("queued");
  await fleet.machine("limn").serve("standalone", "--listen", `127.0.0.1:${port}`);
  await waitFor("the notice", async () => (await sender.session()).inbox_pending === 1);
  const context = await sender.context();
  expect(context).toContain("notice of the hub");
  expect(context).toContain("nowhere");
}, 60_000);

test("a daemon killed and started again: the session, its address and its unread mail are the same", async () => {
  await using fleet = await Fleet.start(["limn"]);
  const atlas = fleet.add("atlas");
  await atlas.json("join", (await fleet.machine("limn").json("invite")).code);
  const daemon = await atlas.serve("daemon");
  await atlas.linked();
  const website = await atlas.agent("website");
  const mnemos = await fleet.machine("limn").agent("mnemos");
  const before = await website.registered();
  await mnemos.call("intercom_chat", { to: "atlas/website", message: "kept" });
  await daemon.kill("SIGKILL");
  // the hook of an agent whose daemon is away says nothing and does not fail
  expect(await website.hook("PostToolBatch")).toBe("");
  await atlas.serve("daemon");
  expect(await website.registered()).toBe(before);
  await atlas.linked();
  expect(await website.context()).toContain("| kept");
  // a tool call made while the daemon restarts waits for it and is sent once
  expect((await website.call("intercom_chat", { to: "limn/mnemos", message: "after" })).status).toBe(
    "delivered",
  );
  expect(
    (await mnemos.call("intercom_check_inbox")).messages.map((one: { message: string }) => one.message),
  ).toEqual(["after"]);
}, 60_000);

test("a daemon that lost its memory altogether: who runs keeps address and mail, what nobody takes goes back", async () => {
  await using fleet = await Fleet.start(["limn"]);
  const atlas = fleet.add("atlas");
  await atlas.json("join", (await fleet.machine("limn").json("invite")).code);
  const daemon = await atlas.serve("daemon");
  await atlas.linked();
  const website = await atlas.agent("website");
  const mortal = await atlas.agent("mortal");
  const mnemos = await fleet.machine("limn").agent("mnemos");
  const before = await website.registered();
  await mnemos.call("intercom_chat", { to: "atlas/website", message: "kept" });
  const lost = await mnemos.call("intercom_chat", { to: "atlas/mortal", message: "lost?" });
  await daemon.kill("SIGKILL");
  await mortal.kill();
  await Bun.write(`${atlas.home}/daemon.json`, "\0\0\0");
  await rm(`${atlas.home}/daemon.json.copy`);
  await atlas.serve("daemon");
  await atlas.linked();
  expect(await website.registered()).toBe(before);
  expect(await website.context()).toContain("| kept");
  await waitFor(
    "the mail of the dead session at the hub",
    async () =>
      (await mnemos.call("intercom_status", { message_id: lost.message_id })).states.at(-1)?.reason ===
      "session ended",
    { timeoutMs: 20_000 },
  );
}, 60_000);

test("a long history is cut to what one answer may hold, says so, and leaves the link alone", async () => {
  await using fleet = await Fleet.start(["limn", "atlas"], { AI_INTERCOM_LIMITS_LOOP: "1000" });
  const writer = await fleet.machine("atlas").agent("writer");
  await fleet.machine("limn").agent("reader");
  const { thread_id } = await writer.call("intercom_chat", { to: "limn/reader", message: "m0" });
  for (let at = 1; at <= 20; at++)
    await writer.call("intercom_reply", { thread_id, message: `m${at} ${"x".repeat(60_000)}` });
  const history = await writer.call("intercom_history", { thread_id });
  expect(history.more).toBe(true);
  expect(history.messages.at(-1).message).toStartWith("m20 ");
  expect(history.messages.length).toBeGreaterThan(5);
  expect((await fleet.machine("atlas").json("status")).link).toBe("linked");
  expect((await writer.call("intercom_reply", { thread_id, message: "still here" })).status).toBe(
    "delivered",
  );
}, 60_000);

test("an agent without a transcript: a read whose answer was never confirmed comes again after 20 s, a confirmed one never", async () => {
  await using fleet = await Fleet.start(["limn"]);
  const limn = fleet.machine("limn");
  const child = Bun.spawn(["sleep", "60"]);
  await limn.local("POST", "/api/session/register", {
    session_id: "plain",
    project: "plain",
    pid: child.pid,
  });
  const deliver = (id: string, thread_id: string) =>
    limn.local("POST", "/api/session/deliver", {
      session_id: "plain",
      thread_id,
      from_agent: "a/b",
      message: id,
      timestamp: "2026-11-22T12:00:00Z",
      id,
    });
  const read = async () => {
    const { body } = await limn.local("POST", "/api/tool/intercom_check_inbox", {
      pid: child.pid,
      arguments: {},
    });
    const { result, confirm } = body as { result: { messages: { id: string }[] }; confirm?: string };
    return { ids: result.messages.map(({ id }) => id), confirm };
  };
  await deliver("confirmed", "t-00000000000a");
  const first = await read();
  expect(first.ids).toEqual(["confirmed"]);
  expect(
    (await limn.local("POST", "/api/claim/confirm", { session_id: "plain", nonce: first.confirm })).status,
  ).toBe(200);
  await deliver("lost", "t-00000000000b");
  expect((await read()).ids).toEqual(["lost"]);
  expect((await read()).ids).toEqual([]);
  const again = await waitFor(
    "the unconfirmed read to come again",
    async () => {
      const { ids } = await read();
      return ids.length > 0 ? ids : undefined;
    },
    { timeoutMs: 30_000 },
  );
  expect(again).toEqual(["lost"]);
  child.kill();
}, 60_000);

test("a script's read counts as read once it is printed, with and without a transcript", async () => {
  await using fleet = await Fleet.start(["limn"]);
  const limn = fleet.machine("limn");
  const agent = await limn.agent("scripted");
  const child = Bun.spawn(["sleep", "60"]);
  await limn.local("POST", "/api/session/register", {
    session_id: "plain",
    project: "plain",
    pid: child.pid,
  });
  for (const session_id of [await agent.registered(), "plain"]) {
    await limn.local("POST", "/api/session/deliver", {
      session_id,
      thread_id: "t-00000000000a",
      from_agent: "a/b",
      message: "for a script",
      timestamp: "2026-11-22T12:00:00Z",
    });
    const { out } = await limn.run(["check-inbox", "--format", "json", "--session", session_id]);
    expect(JSON.parse(out)).toMatchObject({ count: 1, session_id });
    // settled, not merely claimed: nothing is left that could come again
    expect(await Bun.file(`${limn.home}/inbox/${session_id}.jsonl`).text()).toContain('"read": true');
    expect(JSON.parse(await Bun.file(`${limn.home}/inbox/${session_id}.ledger`).text()).claims).toEqual([]);
  }
  child.kill();
}, 60_000);

test("a machine that is turned away for its clock: the hub says so wherever it is listed, and to who writes to it", async () => {
  await using fleet = await Fleet.start(["limn"]);
  const limn = fleet.machine("limn");
  const atlas = await fleet.join("atlas");
  await atlas.agent("website");
  const mnemos = await limn.agent("mnemos");
  await atlas.crash();
  const key = loadOrCreateMachineKey(`${atlas.home}/machine.key`);
  const standing = async () =>
    (await limn.json("machines")).machines.find((one: { id: string }) => one.id === "atlas");
  // what its daemon would ask again and again
  const knock = async () => {
    const url = `${fleet.hubUrl}/api/heartbeat`;
    setSystemTime(Date.now() + 7 * 60_000);
    const signed = await signRequest("atlas", key, { method: "POST", url, body: Buffer.from("{}") });
    setSystemTime();
    const headers = { ...signed, "content-type": "application/json" };
    expect((await fetch(url, { method: "POST", body: "{}", headers })).status).toBe(401);
  };
  await waitFor("the hub to know why", async () => {
    await knock();
    return (await standing()).reason === "its clock is 7 min ahead";
  });
  expect(await standing()).toMatchObject({ status: "offline" });
  expect((await limn.run(["machines"])).out).toContain("offline: its clock is 7 min ahead");
  expect((await limn.run(["agents"])).out).toContain("its clock is 7 min ahead");
  const listed = await mnemos.call("intercom_list_agents", { filter: "machine:atlas" });
  expect(listed.agents[0]).toMatchObject({
    machine_status: "offline",
    machine_reason: "its clock is 7 min ahead",
  });
  expect(await mnemos.call("intercom_chat", { to: "atlas/website", message: "hello" })).toMatchObject({
    status: "queued",
    reason: "machine atlas is offline: its clock is 7 min ahead",
  });
  await atlas.serve("daemon");
  await atlas.linked();
  expect(await standing()).toEqual(expect.not.objectContaining({ reason: expect.anything() }));
}, 60_000);
