// The seed routes of the local API, as scripts written against the contract use them.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { stat } from "node:fs/promises";
import { Fleet, type Machine } from "../rig/fleet";
import { waitFor, within } from "../rig/wait";

let fleet: Fleet;
let limn: Machine;
beforeAll(async () => {
  fleet = await Fleet.start(["limn"]);
  limn = fleet.machine("limn");
}, 60_000);
afterAll(() => fleet[Symbol.asyncDispose]());

const now = "2026-11-22T12:00:00Z";
const letter = { thread_id: "t-0123456789ab", from_agent: "other/place", message: "hello", timestamp: now };

test("register, list, deliver, status, unregister: the shapes of the contract", async () => {
  const child = Bun.spawn(["sleep", "60"]);
  const registered = await limn.local("POST", "/api/session/register", {
    session_id: "s-20261122-abcdef",
    project: "demo",
    pid: child.pid,
    inbox_path: "/etc/passwd",
  });
  expect(registered).toMatchObject({
    status: 200,
    body: {
      status: "registered",
      session_id: "s-20261122-abcdef",
      inbox_path: `${limn.home}/inbox/s-20261122-abcdef.jsonl`,
    },
  });
  const delivered = await limn.local("POST", "/api/session/deliver", {
    session_id: "s-20261122-abcdef",
    ...letter,
  });
  expect(delivered).toEqual({ status: 200, body: { status: "delivered", session_id: "s-20261122-abcdef" } });
  const byProject = await limn.local("POST", "/api/session/deliver", {
    project: "demo",
    ...letter,
    message: "again",
  });
  expect(byProject.status).toBe(200);
  const { body } = await limn.local("GET", "/api/sessions");
  expect(body.sessions).toEqual([
    {
      session_id: "s-20261122-abcdef",
      project: "demo",
      pid: child.pid,
      agent: "unknown",
      inbox_path: `${limn.home}/inbox/s-20261122-abcdef.jsonl`,
      registered_at: expect.any(String),
      status: "active",
      summary: "",
      recent_activity: [],
      inbox_pending: 2,
    },
  ]);
  expect((await limn.local("GET", "/api/session/s-20261122-abcdef/status")).body).toMatchObject({
    project: "demo",
    inbox_pending: 2,
  });
  const lines = (await Bun.file(`${limn.home}/inbox/s-20261122-abcdef.jsonl`).text())
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  expect(lines[0]).toMatchObject({ ...letter, read: false, id: expect.any(String) });
  expect(await limn.local("POST", "/api/session/unregister", { session_id: "s-20261122-abcdef" })).toEqual({
    status: 200,
    body: { status: "unregistered", session_id: "s-20261122-abcdef" },
  });
  expect((await limn.local("GET", "/api/sessions")).body.sessions).toEqual([]);
  expect(
    await limn.local("POST", "/api/session/deliver", { session_id: "s-20261122-abcdef", ...letter }),
  ).toEqual({ status: 404, body: { status: "no_active_session" } });
  expect((await limn.local("GET", "/api/session/s-20261122-abcdef/status")).status).toBe(404);
  child.kill();
});

test("the same id twice is delivered once", async () => {
  const child = Bun.spawn(["sleep", "60"]);
  await limn.local("POST", "/api/session/register", {
    session_id: "twice",
    project: "twice",
    pid: child.pid,
  });
  for (let at = 0; at < 2; at++)
    await limn.local("POST", "/api/session/deliver", { session_id: "twice", ...letter, id: "msg-one" });
  expect((await limn.local("GET", "/api/session/twice/status")).body.inbox_pending).toBe(1);
  child.kill();
});

test("the end of the process ends the session within seconds", async () => {
  const child = Bun.spawn(["sleep", "60"]);
  await limn.local("POST", "/api/session/register", {
    session_id: "short",
    project: "short",
    pid: child.pid,
  });
  child.kill("SIGKILL");
  await child.exited;
  await waitFor(
    "the session to end",
    async () => (await limn.local("GET", "/api/session/short/status")).status === 404,
    { timeoutMs: 3_000 },
  );
});

const bad: [string, string, unknown][] = [
  ["no JSON", "/api/session/register", "hello"],
  ["no project or cwd", "/api/session/register", { session_id: "x", pid: process.pid }],
  [
    "a session id that is a path",
    "/api/session/register",
    { session_id: "../../etc/x", project: "p", pid: process.pid },
  ],
  [
    "a project name with a slash",
    "/api/session/register",
    { session_id: "x", project: "a/b", pid: process.pid },
  ],
  ["a relative cwd", "/api/session/register", { session_id: "x", cwd: "a/b", pid: process.pid }],
  ["no pid", "/api/session/register", { session_id: "x", project: "p" }],
  ["deliver to nobody", "/api/session/deliver", letter],
  ["deliver as the person", "/api/session/deliver", { project: "p", ...letter, from_agent: "human" }],
  ["deliver as the hub", "/api/session/deliver", { project: "p", ...letter, from_agent: "hub" }],
  ...["Human", " human", "human@s-x", "human/x", "hu\u{200b}man", "HUB"].map(
    (from_agent): (typeof bad)[number] => [
      `deliver as ${JSON.stringify(from_agent)}`,
      "/api/session/deliver",
      { project: "p", ...letter, from_agent },
    ],
  ),
  ["deliver with a bad time", "/api/session/deliver", { project: "p", ...letter, timestamp: "yesterday" }],
  [
    "deliver without a message",
    "/api/session/deliver",
    { project: "p", thread_id: "t-0123456789ab", from_agent: "a/b", timestamp: now },
  ],
  ["unregister without an id", "/api/session/unregister", {}],
];
for (const [what, path, body] of bad)
  test(`bad input: ${what} → 400 with code, message and hint, nothing changed`, async () => {
    const before = (await limn.local("GET", "/api/sessions")).body;
    const answer = await limn.local("POST", path, body);
    expect(answer.status).toBe(400);
    expect(answer.body.error).toMatchObject({
      code: "bad_request",
      message: expect.any(String),
      hint: expect.any(String),
    });
    expect((await limn.local("GET", "/api/sessions")).body).toEqual(before);
  });

test("what a local script delivers: the limit of every message, a time of any zone, and the agent learns who wrote it", async () => {
  const agent = await limn.agent("scripts");
  const deliver = (more: object) =>
    limn.local("POST", "/api/session/deliver", { project: "scripts", ...letter, ...more });
  for (const message of ["x".repeat(65_537), "é".repeat(32_769)])
    expect(await deliver({ message })).toMatchObject({
      status: 413,
      body: { error: { code: "message_too_large", message: expect.stringContaining("at most 65536") } },
    });
  expect((await deliver({ message: "é".repeat(32_768) })).status).toBe(200);
  const { messages } = await agent.call("intercom_check_inbox");
  expect(messages).toMatchObject([{ from_agent: "other/place", local: true }]);
  expect(
    (await deliver({ timestamp: "2026-12-01T01:30:00+01:30", thread_id: "t-0123456789ac" })).status,
  ).toBe(200);
  expect((await agent.call("intercom_check_inbox")).messages.at(-1)?.timestamp).toBe(
    "2026-12-01T00:00:00.000Z",
  );
});

test("only this user can reach the socket, and nothing listens on TCP but the hub", async () => {
  expect(((await stat(`${limn.home}/run`)).mode & 0o777).toString(8)).toBe("700");
  const atlas = fleet.add("atlas");
  await atlas.json("join", (await limn.json("invite")).code);
  const { pid } = await atlas.serve("daemon");
  const links = await Array.fromAsync(new Bun.Glob("*").scan({ cwd: `/proc/${pid}/fd`, onlyFiles: false }));
  const { readlink } = await import("node:fs/promises");
  const inodes = (
    await Promise.all(links.map((fd) => readlink(`/proc/${pid}/fd/${fd}`).catch(() => "")))
  ).flatMap((target) => /^socket:\[(\d+)\]$/.exec(target)?.[1] ?? []);
  const listening = (await Promise.all(["tcp", "tcp6"].map((kind) => Bun.file(`/proc/net/${kind}`).text())))
    .join("\n")
    .split("\n")
    .filter((line) => line.split(/\s+/)[4] === "0A");
  const ofDaemon = listening.filter((line) => inodes.includes(line.trim().split(/\s+/)[9] ?? ""));
  expect(inodes.length).toBeGreaterThan(0);
  expect(ofDaemon).toEqual([]);
});

test("a session's event stream stays open through silence", async () => {
  const child = Bun.spawn(["sleep", "60"]);
  await limn.local("POST", "/api/session/register", {
    session_id: "quiet",
    project: "quiet",
    pid: child.pid,
  });
  const response = await fetch("http://daemon/api/session/quiet/events", {
    unix: `${limn.home}/run/daemon.sock`,
  });
  const reader = response.body?.getReader();
  const next = async () =>
    new TextDecoder().decode(
      (await within("a line of the stream", reader?.read() ?? Promise.reject(), { timeoutMs: 20_000 })).value,
    );
  expect(await next()).toBe("\n");
  // the keep-alive comes after 15 s; a server that cuts silent requests would have ended the stream before
  expect(await next()).toBe("\n");
  await reader?.cancel();
  child.kill();
});
