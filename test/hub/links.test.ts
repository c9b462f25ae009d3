// The link: one per machine, mail in order, nothing lost when it breaks.

import { describe, expect, test } from "bun:test";
import { hubPatienceMs } from "../../src/daemon/link.ts";
import { RateLimit } from "../../src/hub/rate.ts";
import { closeCodes, maxFrameBytes } from "../../src/protocol/link.ts";
import { waitFor } from "../rig/wait.ts";
import { Peer, refusal, session } from "./peer.ts";
import { startHub } from "./rig.ts";

test("a newer link replaces the older one, and mail goes to the newer", async () => {
  await using hub = await startHub();
  const mac = await Peer.online(hub, "mac", "web@s-a");
  const old = await Peer.online(hub, "limn", "api@s-b");
  const fresh = old.twin();
  await fresh.connect();
  await waitFor("the older link's close", () => old.closeCode === closeCodes.replaced);
  await fresh.presence(session("api@s-b"));
  expect(await mac.chat("web@s-a", "limn/api", "to the newer")).toMatchObject({ status: "delivered" });
  expect([old.texts(), fresh.texts()]).toEqual([[], ["to the newer"]]);
  expect((await hub.person("GET", "/api/machines")).body.machines).toMatchObject([
    { id: "limn", status: "online" },
    { id: "mac", status: "online" },
  ]);
});

test("mail waits while the machine is away and arrives in order, once", async () => {
  await using hub = await startHub();
  const mac = await Peer.online(hub, "mac", "web@s-a");
  const limn = await Peer.online(hub, "limn", "api@s-b", "lib@s-c");
  limn.cut();
  await waitFor(
    "limn offline",
    async () => (await hub.person("GET", "/api/machines")).body.machines[0]?.status === "offline",
  );
  const sent: string[] = [];
  for (let n = 0; n < 70; n++) {
    sent.push(`m${n}`);
    const answer = await mac.chat("web@s-a", n % 2 ? "limn/api" : "limn/lib", `m${n}`);
    expect(answer).toMatchObject({ status: "queued", reason: "machine limn is offline" });
  }
  await hub.restart();
  await limn.connect();
  await limn.presence(session("api@s-b"), session("lib@s-c"));
  await limn.arrived(70);
  expect(limn.texts()).toEqual(sent);
});

test("no mail flows before the machine has said which sessions it has", async () => {
  await using hub = await startHub();
  const mac = await Peer.online(hub, "mac", "web@s-a");
  const limn = await Peer.online(hub, "limn", "api@s-b");
  limn.close();
  await waitFor("limn offline", async () =>
    (await mac.chat("web@s-a", "limn/api", "x")).reason?.includes("offline"),
  );
  await limn.connect();
  await limn.request("heartbeat", {});
  expect(limn.received).toEqual([]);
  await limn.presence(session("api@s-b"));
  await limn.arrived(1);
});

test("what was not confirmed when the link broke is sent again, from the oldest", async () => {
  await using hub = await startHub();
  const mac = await Peer.online(hub, "mac", "web@s-a");
  const limn = await Peer.online(hub, "limn", "api@s-b");
  limn.verdict = ({ message }) => (message.message === "m0" ? "delivered" : "silent");
  const answers = ["m0", "m1", "m2"].map((text) => mac.chat("web@s-a", "limn/api", text));
  expect(await answers[0]).toMatchObject({ status: "delivered" });
  await limn.arrived(3);
  limn.cut();
  expect(await Promise.all(answers.slice(1))).toMatchObject([
    { status: "queued", reason: "machine limn is offline" },
    { status: "queued", reason: "machine limn is offline" },
  ]);
  limn.verdict = () => "delivered";
  await limn.connect();
  await limn.presence(session("api@s-b"));
  await limn.arrived(5);
  expect(limn.texts()).toEqual(["m0", "m1", "m2", "m1", "m2"]);
});

test("a sender that is not told in two seconds hears `queued`, and why", async () => {
  await using hub = await startHub();
  const mac = await Peer.online(hub, "mac", "web@s-a");
  const limn = await Peer.online(hub, "limn", "api@s-b");
  limn.verdict = () => "silent";
  const before = performance.now();
  const answer = await mac.chat("web@s-a", "limn/api", "slow");
  expect(answer).toMatchObject({ status: "queued", reason: "not confirmed by machine limn yet" });
  // in time for the daemon, which waits for its hub so long
  expect(performance.now() - before).toBeWithin(1_900, hubPatienceMs);
});

test("a full inbox stops its session's stream only, in order, and goes on when somebody reads", async () => {
  await using hub = await startHub();
  const mac = await Peer.online(hub, "mac", "web@s-a");
  const limn = await Peer.online(hub, "limn", "api@s-b", "lib@s-c");
  limn.verdict = ({ session_id }) => (session_id === "s-b" ? "inbox_full" : "delivered");
  expect(await mac.chat("web@s-a", "limn/api", "b0")).toMatchObject({
    status: "queued",
    reason: "the inbox is full",
  });
  expect(await mac.chat("web@s-a", "limn/api", "b1")).toMatchObject({
    status: "queued",
    reason: "the inbox is full",
  });
  expect(await mac.chat("web@s-a", "limn/lib", "c0")).toMatchObject({ status: "delivered" });
  expect(limn.texts()).toEqual(["b0", "c0"]);
  limn.verdict = () => "delivered";
  await limn.receipt("s-b", "msg-read-before", "offered");
  await limn.arrived(4);
  expect(limn.texts("s-b")).toEqual(["b0", "b0", "b1"]);
});

test("a session that refused mail is tried with one message before the rest", async () => {
  await using hub = await startHub();
  const mac = await Peer.online(hub, "mac", "web@s-a");
  const limn = await Peer.online(hub, "limn", "api@s-b");
  limn.verdict = () => "inbox_full";
  for (let n = 0; n < 10; n++) await mac.chat("web@s-a", "limn/api", `m${n}`);
  const refused = limn.received.length;
  await limn.presence(session("api@s-b"));
  await limn.arrived(refused + 1);
  await limn.presence(session("api@s-b"));
  await limn.arrived(refused + 2);
  expect(limn.texts().slice(refused)).toEqual(["m0", "m0"]);
  limn.verdict = () => "delivered";
  await waitFor("the rest", async () => {
    await hub.hub.sweep();
    return limn.received.length >= refused + 12;
  });
  expect(limn.texts().slice(refused + 2)).toEqual(Array.from({ length: 10 }, (_, n) => `m${n}`));
});

test("a large backlog passes a slow socket in order, nothing dropped", async () => {
  await using hub = await startHub({ limits: { rate: 1e6, burst: 1e6 } });
  const mac = await Peer.online(hub, "mac", "web@s-a");
  const limn = await Peer.online(hub, "limn", "api@s-b");
  limn.close();
  await waitFor(
    "limn offline",
    async () => (await hub.person("GET", "/api/machines")).body.machines[0]?.status === "offline",
  );
  const text = "x".repeat(60_000);
  await Promise.all(Array.from({ length: 150 }, (_, n) => mac.chat("web@s-a", "limn/api", `${n} ${text}`)));
  await limn.connect();
  await limn.presence(session("api@s-b"));
  await limn.arrived(150);
  expect(limn.texts().map((line) => Number(line.split(" ")[0]))).toEqual(
    Array.from({ length: 150 }, (_, n) => n),
  );
});

test("asking for the link without an upgrade leaves the live link alone", async () => {
  await using hub = await startHub();
  const mac = await Peer.online(hub, "mac", "web@s-a");
  const limn = await Peer.online(hub, "limn", "api@s-b");
  expect((await limn.http("GET", "/api/link")).status).toBe(400);
  expect(await mac.chat("web@s-a", "limn/api", "still there")).toMatchObject({ status: "delivered" });
});

test("a sender that writes too fast is told how long to wait", async () => {
  await using hub = await startHub({ limits: { rate: 2, burst: 3 } });
  const mac = await Peer.online(hub, "mac", "web@s-a", "web@s-other");
  await Peer.online(hub, "limn", "api@s-b");
  // nothing comes back while they are written, however long that takes
  hub.clock.stoppedMs = Date.now();
  for (let n = 0; n < 3; n++) await mac.chat("web@s-a", "limn/api", `m${n}`);
  const error = await refusal(mac.chat("web@s-a", "limn/api", "m3"));
  expect(error.code).toBe("rate_limited");
  expect(error.message).toMatch(/wait \d+ ms/);
  expect(await mac.chat("web@s-other", "limn/api", "mine")).toMatchObject({ status: "delivered" });
});

test("a recipient's backlog has an end", async () => {
  await using hub = await startHub({ limits: { unread: 3 } });
  const mac = await Peer.online(hub, "mac", "web@s-a");
  const limn = await Peer.online(hub, "limn", "api@s-b");
  limn.close();
  await waitFor(
    "limn offline",
    async () => (await hub.person("GET", "/api/machines")).body.machines[0]?.status === "offline",
  );
  for (let n = 0; n < 3; n++) await mac.chat("web@s-a", "limn/api", `m${n}`);
  expect(await refusal(mac.chat("web@s-a", "limn/api", "m3"))).toMatchObject({ code: "inbox_full" });
});

describe("frames", () => {
  const bad = [
    "not json",
    "[]",
    "{}",
    '{"id":-1,"op":"agents","payload":{}}',
    '{"id":1,"op":5,"payload":{}}',
    '{"re":1,"ok":"yes"}',
    JSON.stringify({ id: 1, op: "heartbeat", payload: "x".repeat(maxFrameBytes) }),
  ];
  test("one that cannot be read closes the link", async () => {
    await using hub = await startHub();
    const mac = await Peer.online(hub, "mac", "web@s-a");
    for (const text of bad) {
      mac.raw(text);
      await waitFor(`close after ${text.slice(0, 40)}`, () => mac.closeCode === closeCodes.badFrame);
      await mac.connect();
    }
  });

  test("one that asks for the wrong thing gets an error and the link stays", async () => {
    await using hub = await startHub();
    const mac = await Peer.online(hub, "mac", "web@s-a");
    expect(await refusal(mac.request("fly", {}))).toMatchObject({ code: "not_found" });
    expect(await refusal(mac.request("constructor", {}))).toMatchObject({ code: "not_found" });
    expect(await refusal(mac.request("thread", { id: "t-1" }))).toMatchObject({ code: "bad_request" });
    expect(await refusal(mac.request("presence", { sessions: [{}] }))).toMatchObject({ code: "bad_request" });
    expect(await refusal(mac.request("invite", {}))).toMatchObject({ code: "person_only" });
    expect(await mac.request("agents", {})).toMatchObject({ agents: [{ machine_id: "mac" }] });
  });

  test("another protocol version is turned away with its own code", async () => {
    await using hub = await startHub();
    const mac = await Peer.online(hub, "mac");
    await mac.connect("2");
    await waitFor("the close", () => mac.closeCode === closeCodes.protocol);
  });

  test("a dial in another protocol takes nothing from the link that is there", async () => {
    await using hub = await startHub();
    const mac = await Peer.online(hub, "mac", "web@s-a");
    const stranger = mac.twin();
    await stranger.connect("2");
    await waitFor("the close", () => stranger.closeCode === closeCodes.protocol);
    expect(await mac.presence(session("web@s-a"))).toBeDefined();
    expect(mac.closeCode).toBeUndefined();
  });
});

test("a machine that misses three heartbeats is offline, and last seen then", async () => {
  await using hub = await startHub();
  const mac = await Peer.online(hub, "mac", "web@s-a");
  hub.clock.stoppedMs = Date.now();
  await mac.request("heartbeat", {});
  hub.clock.offsetMs = 29_000;
  await hub.hub.sweep();
  await mac.request("heartbeat", {});
  hub.clock.offsetMs = 58_000;
  await hub.hub.sweep();
  expect((await hub.person("GET", "/api/machines")).body.machines[0]?.status).toBe("online");
  hub.clock.offsetMs = 62_000;
  await hub.hub.sweep();
  const [machine] = (await hub.person("GET", "/api/machines")).body.machines;
  expect(machine?.status).toBe("offline");
  expect(Date.parse(machine?.last_seen ?? "")).toBeGreaterThan(Date.now() + 50_000);
  expect((await hub.person("GET", "/api/agents?filter=online")).body.agents).toEqual([]);
  expect((await hub.person("GET", "/api/agents")).body.agents).toMatchObject([
    { machine_id: "mac", machine_status: "offline", session: { session_id: "s-a" } },
  ]);
  await waitFor("the peer's close", () => mac.closeCode !== undefined);
});

test("a clock that is set back keeps no silent machine online, and no sender waiting", async () => {
  await using hub = await startHub();
  await Peer.online(hub, "mac", "web@s-a");
  const rate = new RateLimit({ perSecond: 1, burst: 1, now: () => Date.now() + hub.clock.offsetMs });
  expect(rate.take("s-a")).toBe(0);
  hub.clock.offsetMs = -86_400_000;
  await hub.hub.sweep();
  expect(rate.take("s-a")).toBeLessThanOrEqual(1_000);
  hub.clock.offsetMs += 46_000;
  await hub.hub.sweep();
  expect((await hub.person("GET", "/api/machines")).body.machines[0]?.status).toBe("offline");
  expect(rate.take("s-a")).toBe(0);
});

test("when the hub stops its machines are told, and a second hub in the same home is refused", async () => {
  const hub = await startHub();
  const mac = await Peer.online(hub, "mac", "web@s-a");
  await expect(startHub({}, hub.paths)).rejects.toThrow("another hub already runs in this home");
  const store = hub.paths.hubDatabase;
  await expect(startHub({ hub: { store } })).rejects.toThrow("another hub already uses this database");
  await hub.hub.stop();
  await waitFor("the close", () => mac.closeCode === closeCodes.goingAway);
});
