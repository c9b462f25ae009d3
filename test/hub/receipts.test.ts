// What becomes of a message after the hub has it: sessions that end and resume, receipts, notices, expiry.
import { expect, test } from "bun:test";
import type { DeliveredCopies } from "../../src/protocol/hub-api.ts";
import { waitFor } from "../rig/wait.ts";
import { Peer, session } from "./peer.ts";
import { startHub, type TestHub } from "./rig.ts";

const statusOf = async (hub: TestHub, id: string | undefined) =>
  (await hub.person("GET", `/api/messages/${id}`)).body;
const statesOf = async (hub: TestHub, id: string | undefined) =>
  (await statusOf(hub, id)).states.map(({ state }) => state);

async function pair(hub: TestHub) {
  const mac = await Peer.online(hub, "mac", "web@s-a");
  const limn = await Peer.online(hub, "limn", "api@s-b");
  return { mac, limn };
}

test("delivered, offered, seen, replied: each said once, never backwards", async () => {
  await using hub = await startHub();
  const { mac, limn } = await pair(hub);
  const { message_id, thread_id } = await mac.chat("web@s-a", "limn/api", "hello");
  const id = String(message_id);
  const offeredAt = new Date();
  await limn.receipt("s-b", id, "offered", offeredAt);
  await limn.receipt("s-b", id, "seen");
  expect(await limn.receipt("s-b", id, "offered", offeredAt)).toEqual({ applied: 0 });
  expect(await limn.receipt("s-b", id, "delivered")).toEqual({ applied: 0 });
  expect(await limn.receipt("s-b", id, "queued")).toEqual({ applied: 0 });
  expect(await limn.receipt("s-b", id, "failed")).toEqual({ applied: 0 });
  expect(await statusOf(hub, id)).toMatchObject({ thread_id, status: "seen" });
  await limn.chat("api@s-b", undefined, "hi", { thread_id });
  expect(await statesOf(hub, id)).toEqual(["accepted", "delivered", "offered", "seen", "replied"]);
});

test("a machine can report only on copies in its own sessions", async () => {
  await using hub = await startHub();
  const { mac, limn } = await pair(hub);
  const third = await Peer.online(hub, "third", "x@s-b");
  const { message_id } = await mac.chat("web@s-a", "limn/api", "hello");
  const id = String(message_id);
  expect(await third.receipt("s-b", id, "seen")).toEqual({ applied: 0 });
  expect(await mac.receipt("s-a", id, "seen")).toEqual({ applied: 0 });
  expect(await limn.receipt("s-zz", id, "seen")).toEqual({ applied: 0 });
  expect(await limn.receipt("s-b", "msg-unknown", "seen")).toEqual({ applied: 0 });
  expect((await statusOf(hub, id)).status).toBe("delivered");
});

test("a machine whose clock is off: its times lie between the arrival there and now; what it repeats is still known", async () => {
  await using hub = await startHub();
  const { mac, limn } = await pair(hub);
  const { message_id, thread_id } = await mac.chat("web@s-a", "limn/api", "hello");
  const id = String(message_id);
  const ahead = new Date(Date.now() + 600_000);
  const behind = new Date(Date.now() - 86_400_000);
  await limn.receipt("s-b", id, "offered", ahead);
  await limn.receipt("s-b", id, "seen", behind);
  await limn.chat("api@s-b", undefined, "hi", { thread_id });
  for (const [state, at] of [
    ["offered", ahead],
    ["seen", behind],
  ] as const)
    expect(await limn.receipt("s-b", id, state, at)).toEqual({ applied: 0 });
  const { states } = await statusOf(hub, id);
  expect(states.map(({ state }) => state)).toEqual(["accepted", "delivered", "offered", "seen", "replied"]);
  const [, delivered = "", offered = "", seen] = states.map(({ at }) => at);
  expect(seen).toBe(delivered);
  expect(offered >= delivered && offered <= new Date().toISOString()).toBe(true);
});

test("a machine whose clock is ahead gives mail back: what it repeats from before does not undo that", async () => {
  await using hub = await startHub();
  const { mac, limn } = await pair(hub);
  const id = String((await mac.chat("web@s-a", "limn/api", "unread")).message_id);
  const [before, after] = [600_000, 601_000].map((ms) => new Date(Date.now() + ms));
  await limn.receipt("s-b", id, "offered", before);
  await limn.presence();
  await limn.receipt("s-b", id, "queued", after);
  expect(await limn.receipt("s-b", id, "delivered", before)).toEqual({ applied: 0 });
  expect((await statusOf(hub, id)).status).toBe("queued");
});

test("a reply that overtakes the receipts keeps `replied`; the proof still enters the history", async () => {
  await using hub = await startHub();
  const { mac, limn } = await pair(hub);
  const { message_id, thread_id } = await mac.chat("web@s-a", "limn/api", "hello");
  await limn.chat("api@s-b", undefined, "quick", { thread_id });
  await limn.receipt("s-b", String(message_id), "seen");
  expect((await statusOf(hub, message_id)).status).toBe("replied");
  expect(await statesOf(hub, message_id)).toEqual(["accepted", "delivered", "replied", "seen"]);
});

test("mail given back waits for its session; the sender is told once, in the thread", async () => {
  await using hub = await startHub();
  const { mac, limn } = await pair(hub);
  const { message_id, thread_id } = await mac.chat("web@s-a", "limn/api", "unread");
  await limn.presence();
  await limn.receipt("s-b", String(message_id), "queued");
  await limn.receipt("s-b", String(message_id), "queued");
  const [notice] = await mac.arrived(1);
  expect(notice).toMatchObject({
    session_id: "s-a",
    message: { from_agent: "hub", type: "status", thread_id, to_agent: "mac/web@s-a" },
  });
  expect(notice?.message.message).toContain(String(message_id));
  expect(await statusOf(hub, message_id)).toMatchObject({ status: "queued" });
  await limn.presence(session("api@s-new"), session("api@s-b", { pid: 2 }));
  await limn.arrived(2);
  expect(limn.received.map(({ session_id }) => session_id)).toEqual(["s-b", "s-b"]);
  await hub.hub.sweep();
  expect(mac.received).toHaveLength(1);
  await waitFor(
    "the answer to the second delivery",
    async () => (await statesOf(hub, message_id)).length === 4,
  );
  expect(await statesOf(hub, message_id)).toEqual(["accepted", "delivered", "queued", "delivered"]);
});

test("mail given back by a session that is open again is sent again, before what came after it", async () => {
  await using hub = await startHub();
  const { mac, limn } = await pair(hub);
  const { message_id } = await mac.chat("web@s-a", "limn/api", "first");
  // as a daemon does while what was given back has not reached the hub
  limn.verdict = () => "session_ended";
  expect(await mac.chat("web@s-a", "limn/api", "second")).toMatchObject({ status: "queued" });
  limn.verdict = () => "delivered";
  await limn.receipt("s-b", String(message_id), "queued");
  await limn.arrived(4);
  expect(limn.texts()).toEqual(["first", "second", "first", "second"]);
});

test("mail that the session's end overtakes waits for it too, and for no other session", async () => {
  await using hub = await startHub();
  const { mac, limn } = await pair(hub);
  limn.verdict = () => "session_ended";
  const answer = await mac.chat("web@s-a", "limn/api", "too late");
  expect(answer).toMatchObject({ status: "queued", reason: "session ended" });
  limn.verdict = () => "delivered";
  await limn.presence(session("api@s-other"));
  await mac.arrived(1);
  expect(limn.received).toHaveLength(1);
  await limn.presence(session("api@s-other"), session("api@s-b"));
  await limn.arrived(2);
  expect(limn.received[1]).toMatchObject({ session_id: "s-b", message: { id: answer.message_id } });
});

test("unread mail of an ended session expires after seven days; sender and person are told", async () => {
  await using hub = await startHub({ language: "fr" });
  const { mac, limn } = await pair(hub);
  const { message_id } = await mac.chat("web@s-a", "limn/api", "unread");
  await limn.presence();
  await limn.receipt("s-b", String(message_id), "queued");
  await mac.arrived(1);
  const human = await hub.person("POST", "/api/route", {
    from_agent: "human",
    to_agent: "limn/api",
    type: "chat",
    payload: { message: "for the next one", message_id: "msg-h", if_no_session: "queue" },
  });
  expect(human.body).toMatchObject({ status: "queued" });
  hub.clock.offsetMs = 7 * 24 * 3600 * 1000 - 60_000;
  await mac.request("heartbeat", {});
  await hub.hub.sweep();
  expect((await statusOf(hub, message_id)).status).toBe("queued");
  hub.clock.offsetMs += 120_000;
  await mac.request("heartbeat", {});
  await hub.hub.sweep();
  expect(await statusOf(hub, message_id)).toMatchObject({ status: "expired" });
  await mac.arrived(2);
  expect(mac.texts().at(-1)).toBe(
    `Votre message ${message_id} à limn/api@s-b a expiré sans être remis : session ended, and nobody came for it. Écrivez de nouveau si nécessaire.`,
  );
  const inbox = (await hub.person("GET", "/api/inbox?unread=true")).body.messages;
  expect(inbox).toMatchObject([{ from_agent: "hub", thread_id: human.body.thread_id }]);
  await hub.hub.sweep();
  expect(mac.received).toHaveLength(2);
});

test("what was promised to mail that waits is not said of mail that has expired", async () => {
  await using hub = await startHub();
  const { mac, limn } = await pair(hub);
  await limn.presence();
  const answer = await mac.chat("web@s-a", "limn/api@s-b", "late", { if_no_session: "queue" });
  expect(answer.reason).toBe("session ended; delivered if it resumes");
  hub.clock.offsetMs = 7 * 24 * 3600 * 1000 + 60_000;
  await mac.request("heartbeat", {});
  await hub.hub.sweep();
  await mac.arrived(1);
  expect(mac.texts()).toEqual([
    `Your message ${answer.message_id} to limn/api@s-b expired undelivered: session ended, and nobody came for it. Write again if it still matters.`,
  ]);
});

test("mail for a project's next session goes to the first that opens, and the thread with it", async () => {
  await using hub = await startHub();
  const { mac, limn } = await pair(hub);
  await limn.presence();
  const { thread_id, message_id } = await mac.chat("web@s-a", "limn/api", "first", {
    if_no_session: "queue",
  });
  await mac.chat("web@s-a", undefined, "second", { thread_id });
  await limn.presence(session("api@s-mission", { mission_id: "m-20261122-abcdef" }));
  await limn.presence(
    session("api@s-late", { registered_at: "2026-11-22T10:00:02.000Z" }),
    session("api@s-early", { registered_at: "2026-11-22T10:00:01.000Z" }),
  );
  await limn.arrived(2);
  expect(limn.received).toMatchObject([
    { session_id: "s-early", message: { message: "first", to_agent: "limn/api@s-early" } },
    { session_id: "s-early", message: { message: "second" } },
  ]);
  expect(await limn.chat("api@s-early", undefined, "got it", { thread_id })).toMatchObject({
    status: "delivered",
  });
  expect((await statusOf(hub, message_id)).status).toBe("replied");
});

test("mail for the sender's own project never comes back to the sender", async () => {
  await using hub = await startHub();
  const { mac } = await pair(hub);
  expect(await mac.chat("web@s-a", "mac/web", "for a colleague", { if_no_session: "queue" })).toMatchObject({
    status: "queued",
  });
  await mac.presence(session("web@s-a", { summary: "still alone" }));
  expect(mac.received).toEqual([]);
  await mac.presence(session("web@s-a"), session("web@s-colleague"));
  await mac.arrived(1);
  expect(mac.received[0]?.session_id).toBe("s-colleague");
});

test("a reply to an ended session waits for it", async () => {
  await using hub = await startHub();
  const { mac, limn } = await pair(hub);
  const { thread_id } = await mac.chat("web@s-a", "limn/api", "question");
  await mac.presence();
  expect(await limn.chat("api@s-b", undefined, "answer", { thread_id })).toMatchObject({
    status: "queued",
    reason: "session ended; delivered if it resumes",
    to: "mac/web@s-a",
  });
  await mac.presence(session("web@s-a"));
  await mac.arrived(1);
});

test("an ended session's last words, sent from an outbox, still go out", async () => {
  await using hub = await startHub();
  const { mac, limn } = await pair(hub);
  await mac.presence();
  expect(await mac.chat("web@s-a", "limn/api", "goodbye")).toMatchObject({ status: "delivered" });
  expect(limn.texts()).toEqual(["goodbye"]);
});

test("mail that a damaged inbox lost: its sender is told, whatever has become of other mail by then is not undone", async () => {
  await using hub = await startHub();
  const { mac, limn } = await pair(hub);
  const texts = ["lost", "offered", "replied", "back"];
  const sent = await Promise.all(texts.map((text) => mac.chat("web@s-a", "limn/api", text)));
  const { copies, next } = await limn.request<DeliveredCopies>("delivered_copies", { session_id: "s-b" });
  expect(next).toBeUndefined();
  expect(copies.map(({ message_id }) => message_id)).toEqual(sent.map((one) => one.message_id ?? ""));
  const [lost, offered, replied, back] = sent.map((one) => String(one.message_id));
  await limn.receipt("s-b", String(offered), "offered");
  await limn.chat("api@s-b", undefined, "hi", { thread_id: sent[2]?.thread_id });
  await limn.receipt("s-b", String(back), "queued");
  await limn.arrived(5);
  await waitFor("its second delivery", async () => (await statusOf(hub, back)).status === "delivered");
  const at = new Date().toISOString();
  const receipts = copies.map((copy) => ({
    ...copy,
    session_id: "s-b",
    state: "failed",
    at,
    reason: "damaged",
  }));
  expect(await limn.request("receipts", { receipts })).toEqual({ applied: 1 });
  expect(await limn.request("receipts", { receipts })).toEqual({ applied: 0 });
  const states = await Promise.all([lost, offered, replied, back].map((id) => statusOf(hub, id)));
  expect(states.map(({ status }) => status)).toEqual(["failed", "offered", "replied", "delivered"]);
  const notice = `Your message ${lost} to limn/api@s-b could not be delivered: damaged.`;
  await waitFor("the notice", () => mac.texts().includes(notice), { detail: () => mac.texts().join("\n") });
  expect(mac.texts().filter((text) => text.includes("could not be delivered"))).toEqual([notice]);
  const page = await limn.http("GET", "/api/delivered-copies?session_id=s-b&after=0");
  expect(page).toMatchObject({ status: 200, body: { copies: [{ message_id: back }] } });
  // a machine learns of its own sessions only
  expect(await mac.request("delivered_copies", { session_id: "s-b" })).toEqual({ copies: [] });
});

test("the person's inbox: delivered at once, offered when shown", async () => {
  await using hub = await startHub();
  const { mac } = await pair(hub);
  const { message_id } = await mac.chat("web@s-a", "human", "one");
  await mac.chat("web@s-a", "human", "two");
  expect((await statusOf(hub, message_id)).status).toBe("delivered");
  const unread = (await hub.person("GET", "/api/inbox?unread=true&limit=1")).body;
  expect(unread).toMatchObject({ messages: [{ message: "one" }], waiting: 1 });
  expect((await statusOf(hub, message_id)).status).toBe("offered");
  const all = (await hub.person("GET", "/api/inbox?unread=false")).body;
  expect(all.messages.map(({ message }) => message)).toEqual(["one", "two"]);
  expect((await hub.person("GET", "/api/inbox?unread=true")).body.messages).toEqual([]);
  await waitFor("status", async () => (await statusOf(hub, message_id)).status === "offered");
});
