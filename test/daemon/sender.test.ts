// A hub that takes what it is sent and answers when the test lets it: what a sender is told, and what waits where.
import { afterEach, expect, test } from "bun:test";
import { mkdtempSync } from "node:fs";
import { Arrivals } from "../../src/daemon/arrivals.ts";
import { hubPatienceMs, Link } from "../../src/daemon/link.ts";
import { Outbox } from "../../src/daemon/outbox.ts";
import { Projects } from "../../src/daemon/projects.ts";
import { Sender } from "../../src/daemon/sender.ts";
import { Sessions } from "../../src/daemon/sessions.ts";
import { DaemonState } from "../../src/daemon/state.ts";
import { loadOrCreateMachineKey } from "../../src/system/keys.ts";
import { Relay } from "../fault/relay";
import { waitFor, within } from "../rig/wait";

type Answer = Record<string, unknown>;
type Route = { id: number; message_id: string; from: string };

const owned: (() => Promise<unknown> | unknown)[] = [];
afterEach(async () => {
  for (const end of owned.splice(0).reverse()) await end();
});

/** `answer` gives what the hub says to a route; undefined: nothing. */
async function scene(answer: (route: Route) => Answer | undefined) {
  const routes: Route[] = [];
  const hub = Bun.serve({
    port: 0,
    fetch: (request, server) => (server.upgrade(request) ? undefined : new Response("no")),
    websocket: {
      message(socket, text) {
        const { id, op, payload } = JSON.parse(String(text));
        if (op !== "route") return void socket.send(JSON.stringify({ re: id, ok: true, result: {} }));
        const route = { id, message_id: payload.payload.message_id, from: payload.from_agent };
        routes.push(route);
        const given = answer(route);
        if (given) socket.send(JSON.stringify({ re: id, ...given }));
      },
    },
  });
  owned.push(() => hub.stop(true));
  const relay = new Relay(hub.port ?? 0, () => 0);
  owned.push(() => relay[Symbol.asyncDispose]());
  const root = mkdtempSync("/tmp/aii-snd-");
  const state = DaemonState.open(`${root}/daemon.json`);
  const sessions = new Sessions(state, new Projects(state, []), {
    inboxDirectory: `${root}/inbox`,
    unreadLimit: 10,
  });
  owned.push(() => sessions.close());
  const outbox = Outbox.open(`${root}/outbox.jsonl`);
  const key = loadOrCreateMachineKey(`${root}/machine.key`);
  const presence = { taken: async () => {} };
  const link: Link = new Link({
    access: () => ({ url: `http://127.0.0.1:${relay.port}`, machine: "atlas", key }),
    describe: () => ({ display_name: "", description: "" }),
    answer: async () => ({}),
    onLinked: async () => {},
    onState: () => sender.flush(),
    answerTimeoutMs: 5_000,
  });
  const sender: Sender = new Sender({
    link,
    outbox,
    sessions,
    arrivals: new Arrivals(sessions, outbox, 65_536),
    machine: "atlas",
    messageBytes: 1000,
    beforeRoute: () => presence.taken(),
  });
  link.start();
  owned.push(() => link.stop());
  await waitFor("the link", () => link.linked);
  const register = () =>
    sessions.register({ pid: process.pid, project: "p", agent: "claude", native_session_id: "n-1" });
  const send = (message_id: string) =>
    sender.chat(register(), { message_id, message: message_id, to: "limn/api" });
  return { routes, relay, sessions, outbox, link, presence, register, send };
}

const delivered = ({ message_id }: Route) => ({
  ok: true,
  result: { status: "delivered", message_id, thread_id: "t-0123456789ab" },
});

test("a hub that stays silent: the sender is told `queued` in time, and all goes out once more, in order", async () => {
  let silent = true;
  const { routes, outbox, send } = await scene((route) => (silent ? undefined : delivered(route)));
  const first = send("msg-1");
  await waitFor("the first at the hub", () => routes.length === 1);
  const second = send("msg-2");
  const answer = await within("the first answer", first, { timeoutMs: 2 * hubPatienceMs });
  // the second is still in flight, and must not come behind a third
  expect(answer).toMatchObject({
    status: "queued",
    message_id: "msg-1",
    reason: expect.stringContaining("not answered for 4 s"),
  });
  const third = await within("an answer at once", send("msg-3"), { timeoutMs: hubPatienceMs - 100 });
  expect([(await second).status, third.status]).toEqual(["queued", "queued"]);
  const waiting = ["msg-1", "msg-2", "msg-3"].map((id) => outbox.find(id)?.input.payload.message_id);
  expect([waiting, outbox.routes]).toEqual([["msg-1", "msg-2", "msg-3"], 3]);
  silent = false;
  const before = routes.length;
  await waitFor("the outbox to empty", () => outbox.size === 0);
  expect(routes.slice(before).map(({ message_id }) => message_id)).toEqual(["msg-1", "msg-2", "msg-3"]);
}, 90_000);

test("presence that is not taken is no refusal of the message", async () => {
  const { outbox, presence, send } = await scene(delivered);
  presence.taken = () => Promise.reject(new Error("a newer link has taken over"));
  expect((await send("msg-1")).status).toBe("queued");
  presence.taken = async () => {};
  await waitFor("the outbox to empty", () => outbox.size === 0);
});

test("a link that stands while nothing comes through: told in time, dialled anew, sent once it clears up", async () => {
  const { relay, routes, outbox, link, send } = await scene(delivered);
  relay.weather = { kind: "silent" };
  expect(await within("an answer", send("msg-1"), { timeoutMs: 2 * hubPatienceMs })).toMatchObject({
    status: "queued",
  });
  await waitFor("the link to be given up", () => !link.linked);
  relay.weather = { kind: "clear" };
  await waitFor("the outbox to empty", () => outbox.size === 0);
  expect(routes.map(({ message_id }) => message_id)).toEqual(["msg-1"]);
}, 90_000);

test("what a machine queued before it was renamed goes out under its new name", async () => {
  const { outbox, routes } = await scene(delivered);
  const payload = {
    message: "m",
    message_id: "msg-1",
    if_no_session: "fail" as const,
    priority: "normal" as const,
  };
  const input = {
    from_agent: "before/p@s-20261122-0a0a0a",
    to_agent: "limn/api",
    type: "chat" as const,
    payload,
  };
  const about = { session_id: "s-20261122-0a0a0a", at: "2026-11-22T00:00:00.000Z" };
  outbox.add([{ kind: "route", ...about, input }], { durable: true });
  await waitFor("the outbox to empty", () => outbox.size === 0);
  expect(routes.map(({ from }) => from)).toEqual(["atlas/p@s-20261122-0a0a0a"]);
});

test("stopping a link through which nothing comes takes no longer than a goodbye", async () => {
  const { relay, link } = await scene(delivered);
  relay.weather = { kind: "silent" };
  // Bun's own close waits 36 s for the other end
  await within("the link to stop", link.stop(), { timeoutMs: 20_000 });
});

test("a refusal that comes after its sender ended is in its inbox when the conversation is resumed", async () => {
  let refuse = false;
  const no = { ok: false, error: { code: "unknown_project", message: "machine limn has no project" } };
  const { sessions, outbox, register, send, presence } = await scene(() => (refuse ? no : undefined));
  presence.taken = () => Promise.reject(new Error("not yet"));
  expect((await send("msg-1")).status).toBe("queued");
  const { session_id } = register().stored;
  sessions.end(register());
  refuse = true;
  presence.taken = async () => {};
  await waitFor("the outbox to empty", () => outbox.size === 0);
  const resumed = register();
  expect(resumed.stored.session_id).toBe(session_id);
  expect(resumed.inbox.records()).toMatchObject([
    { from_agent: "hub", message: expect.stringContaining("machine limn has no project"), read: false },
  ]);
});
