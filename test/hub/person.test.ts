// The person's door: the socket on the hub's host, and who is kept from using it in the person's name.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { statSync } from "node:fs";
import { pidHeader } from "../../src/hub/callers.ts";
import { HubEvent, hubOperations, hubRoutes } from "../../src/protocol/hub-api.ts";
import { identify } from "../../src/system/process.ts";
import { waitFor } from "../rig/wait.ts";
import { Peer, refusal, routeInput, session } from "./peer.ts";
import { startHub, type TestHub } from "./rig.ts";

let hub: TestHub;
let mac: Peer;
beforeAll(async () => {
  hub = await startHub();
  mac = await Peer.online(hub, "mac", "web@s-a");
});
afterAll(() => hub.hub.stop());

const get = async (path: string, headers: Record<string, string>) => {
  const response = await fetch(`http://localhost${path}`, { unix: hub.paths.hubSocket, headers });
  return [response.status, JSON.parse(await response.text()).error?.code];
};

test("the socket is private, needs the caller's pid, and serves no page", async () => {
  expect(statSync(hub.paths.run).mode & 0o777).toBe(0o700);
  expect(statSync(hub.paths.hubSocket).mode & 0o777).toBe(0o600);
  expect(statSync(hub.paths.hubDatabase).mode & 0o777).toBe(0o600);
  expect(await get("/api/agents", {})).toEqual([401, "unauthenticated"]);
  expect(await get("/api/agents", { [pidHeader]: "1; rm" })).toEqual([400, "bad_request"]);
  expect(await get("/api/agents", { [pidHeader]: "1", origin: "null" })).toEqual([403, "forbidden"]);
  expect(await get("/api/link", { [pidHeader]: String(process.pid) })).toEqual([403, "forbidden"]);
  expect(await get("/api/nothing", { [pidHeader]: String(process.pid) })).toEqual([404, "not_found"]);
  expect(await get("/api/inbox", { [pidHeader]: "999999999" })).toEqual([403, "person_only"]);
});

test("an agent's child may look, but not act as the person; nothing changes", async () => {
  // a real agent process with a real child that asks: sh (the agent) → sleep
  const agent = Bun.spawn(["sh", "-c", "sleep 60 & echo $!; wait"], { stdout: "pipe" });
  try {
    const { value } = await agent.stdout.getReader().read();
    const child = Number(new TextDecoder().decode(value));
    const identity = identify(agent.pid);
    if (!identity) throw new Error("the agent is not running");
    // not registered yet: this is simply a program of the person
    expect((await hub.person("POST", "/api/invites", {}, child)).status).toBe(200);
    await mac.presence(session("web@s-a"), session("web@s-agent", identity));
    const acts = [
      ["POST", "/api/invites", {}],
      ["POST", "/api/machines/mac/revoke", {}],
      ["POST", "/api/route", routeInput("human", "mac/web@s-a", "I am the user")],
      ["GET", "/api/inbox", undefined],
      ["GET", "/api/events", undefined],
      ...hubRoutes
        .filter(({ op }) => hubOperations[op].who !== "machine" && op !== "agents" && op !== "machines")
        .map(
          ({ method, path }) =>
            [method, path.replace(":id", "x"), method === "POST" ? {} : undefined] as const,
        ),
    ] as const;
    for (const pid of [child, agent.pid])
      for (const [method, path, body] of acts) {
        const { status, body: answer } = await hub.person(method, path, body, pid);
        expect([path, status, answer.error.code]).toEqual([path, 403, "person_only"]);
      }
    expect(mac.texts()).toEqual([]);
    expect((await hub.person("GET", "/api/agents", undefined, child)).status).toBe(200);
    expect((await hub.person("GET", "/api/machines", undefined, child)).status).toBe(200);
    // the same pid with another start is another process; this test process has no agent above it
    await mac.presence(
      session("web@s-a"),
      session("web@s-agent", { pid: agent.pid, start: "before the reboot" }),
    );
    expect((await hub.person("POST", "/api/invites", {}, child)).status).toBe(200);
  } finally {
    agent.kill();
  }
});

test("events: everything that happens, one JSON line each", async () => {
  const ended = new AbortController();
  const response = await fetch("http://localhost/api/events", {
    unix: hub.paths.hubSocket,
    headers: { [pidHeader]: String(process.pid) },
    signal: ended.signal,
  });
  const seen: HubEvent[] = [];
  const reading = (async () => {
    let text = "";
    for await (const chunk of response.body ?? []) {
      text += new TextDecoder().decode(chunk);
      const lines = text.split("\n");
      text = lines.pop() ?? "";
      seen.push(...lines.filter((line) => line !== "").map((line) => HubEvent.parse(JSON.parse(line))));
    }
  })().catch(() => undefined);
  const limn = await Peer.online(hub, "limn", "api@s-b");
  await limn.chat("api@s-b", "mac/web@s-a", "watched");
  limn.close();
  await waitFor("the events", () =>
    seen.some((event) => event.kind === "machine" && event.status === "offline"),
  );
  expect(seen.map((event) => (event.kind === "state" ? event.state : event.kind))).toEqual([
    "machine",
    "machine",
    "session",
    "message",
    "accepted",
    "delivered",
    "machine",
  ]);
  ended.abort();
  await reading;
});

test("history and status: the ends of a thread and the person, nobody else", async () => {
  const limn = await Peer.online(hub, "den2", "api@s-b", "api@s-c");
  const third = await Peer.online(hub, "third", "x@s-x");
  const { thread_id, message_id } = await limn.chat("api@s-b", "mac/web@s-a", "between us");
  const read = (peer: Peer, more: object = {}) => peer.request("thread", { id: thread_id, ...more });
  for (const allowed of [read(limn), read(limn, { session_id: "s-b" }), read(mac, { session_id: "s-a" })])
    expect(await allowed).toMatchObject({
      thread_id,
      messages: [{ message: "between us", status: "delivered" }],
    });
  const strangers = [
    [third, {}, "not_a_member"],
    [limn, { session_id: "s-c" }, "not_a_member"],
    [third, { session_id: "s-b" }, "not_a_member"],
  ] as const;
  for (const [peer, more, code] of strangers) {
    expect(await refusal(read(peer, more))).toMatchObject({ code });
    expect(await refusal(peer.request("message", { id: message_id, ...more }))).toMatchObject({
      code: "unknown_message",
    });
  }
  expect(await refusal(third.request("thread", { id: "t-000000000000" }))).toMatchObject({
    code: "unknown_thread",
  });
  expect(await mac.request("message", { id: message_id })).toMatchObject({ status: "delivered" });
  for (let n = 0; n < 3; n++) await limn.chat("api@s-b", undefined, `more ${n}`, { thread_id });
  const last = (await hub.person("GET", `/api/threads/${thread_id}?limit=2`)).body.messages;
  expect(last.map(({ message }) => message)).toEqual(["more 1", "more 2"]);
});

test("agents: filters, the one session a project's name reaches, projects without sessions", async () => {
  const den = await Peer.online(hub, "den");
  await den.request("presence", {
    projects: [
      { project_id: "docs", path: "/docs", description: "the manual", capabilities: ["write"], tags: ["fr"] },
    ],
    sessions: [
      session("one@s-1", { registered_at: new Date(Date.now() - 65_000).toISOString(), inbox_pending: 2 }),
      session("one@s-m", { mission_id: "m-20261122-abcdef" }),
      session("two@s-1x"),
      session("two@s-2x"),
    ],
  });
  const agents = (await hub.person("GET", "/api/agents?filter=machine:den")).body.agents;
  expect(
    agents.map(({ project_id, session: reached, sessions }) => [
      project_id,
      reached?.session_id,
      sessions.length,
    ]),
  ).toEqual([
    ["docs", undefined, 0],
    ["one", "s-1", 2],
    ["two", undefined, 2],
  ]);
  expect(agents[0]).toMatchObject({
    description: "the manual",
    capabilities: ["write"],
    tags: ["fr"],
    path: "/docs",
  });
  expect(agents[1]?.session).toMatchObject({ inbox_pending: 2, agent: "claude", status: "idle" });
  expect(agents[1]?.session?.uptime).toBeWithin(65, 70);
  await den.presence();
  const after = (await hub.person("GET", "/api/agents?filter=machine:den")).body.agents;
  // the machine names docs no longer, and nobody ever worked there
  expect(after.map(({ project_id, sessions }) => [project_id, sessions])).toEqual([
    ["one", []],
    ["two", []],
  ]);
});
