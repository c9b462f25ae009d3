// One agent process, one session: through restarts of its MCP server, pid reuse, its end, and its resumption.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdir } from "node:fs/promises";
import { ScriptedAgent } from "../rig/agent";
import { Fleet } from "../rig/fleet";
import { waitFor } from "../rig/wait";

let fleet: Fleet;
let sender: ScriptedAgent;

beforeAll(async () => {
  fleet = await Fleet.start(["limn", "atlas"]);
  sender = await fleet.machine("atlas").agent("sender");
}, 60_000);
afterAll(() => fleet[Symbol.asyncDispose]());

const statesOf = async (message_id: string) =>
  (await sender.call("intercom_status", { message_id })).states as { state: string; reason?: string }[];

test("a second MCP server, and one that was killed and started again, change nothing", async () => {
  const agent = await fleet.machine("limn").agent("steady");
  const id = await agent.registered();
  const second = await agent.startServer();
  expect((await agent.call("intercom_register", { summary: "from the second server" }, second)).status).toBe(
    "updated",
  );
  await agent.killServer(0);
  await agent.killServer(second);
  const third = await agent.startServer();
  expect(await agent.registered()).toBe(id);
  expect((await agent.session()).summary).toBe("from the second server");
  await sender.call("intercom_chat", { to: "limn/steady", message: "still you?" });
  expect(
    (await agent.call("intercom_check_inbox", {}, third)).messages.map(
      (one: { message: string }) => one.message,
    ),
  ).toEqual(["still you?"]);
});

test("an ended session: its unread mail goes back and its sender is told; nothing is delivered to the dead pid", async () => {
  const agent = await fleet.machine("limn").agent("mortal");
  const sent = await sender.call("intercom_chat", { to: "limn/mortal", message: "too late" });
  expect(sent.status).toBe("delivered");
  await agent.kill();
  await waitFor(
    "the sender's state",
    async () => (await statesOf(sent.message_id)).at(-1)?.state === "queued",
  );
  expect((await statesOf(sent.message_id)).at(-1)?.reason).toContain("session ended");
  const notice = await waitFor(
    "the notice in the sender's inbox",
    async () => (await sender.context()) || undefined,
  );
  expect(notice).toContain("notice of the hub");
  expect(notice).toContain(sent.message_id);
  expect((await sender.call("intercom_chat", { to: "limn/mortal", message: "anyone?" })).status).toBe(
    "no_active_session",
  );
  // a reply waits for exactly that session
  const reply = await sender.call("intercom_reply", {
    thread_id: sent.thread_id,
    message: "for when you are back",
  });
  expect(reply).toMatchObject({ status: "queued", reason: expect.stringContaining("session ended") });
});

test("a resumed conversation in a new process keeps its address and gets the mail that waited", async () => {
  const machine = fleet.machine("limn");
  const native = crypto.randomUUID();
  const cwd = machine.directory("resumed");
  await mkdir(cwd, { recursive: true });
  const options = { cwd, env: machine.env, nativeSessionId: native };
  const before = await ScriptedAgent.start(options);
  await before.listed();
  const id = await before.registered();
  const sent = await sender.call("intercom_chat", { to: "limn/resumed", message: "first" });
  expect(await before.context()).toContain("| first");
  await before.proveContext("nothing");
  await before.kill();
  await waitFor("the end of the session", async () => (await before.session()) === undefined);
  await sender.call("intercom_reply", { thread_id: sent.thread_id, message: "second" });
  await using after = {
    agent: await ScriptedAgent.start(options),
    [Symbol.asyncDispose]: () => after.agent.close(),
  };
  expect(await after.agent.registered()).toBe(id);
  await waitFor("both messages", async () => (await after.agent.session()).inbox_pending === 2);
  const context = await after.agent.context("UserPromptSubmit");
  // the first was handed over but never proved: it comes again, before the second
  expect(context.indexOf("| first")).toBeGreaterThan(-1);
  expect(context.indexOf("| second")).toBeGreaterThan(context.indexOf("| first"));
  const intro = await after.agent.hook("SessionStart", { source: "compact" });
  expect(intro).toContain(`limn/resumed@${id}`);
  expect(intro).toContain(sent.thread_id);
});

test("a reused pid is another process: the marker of the old one gives it nothing", async () => {
  const machine = fleet.machine("limn");
  const agent = await machine.agent("original");
  await sender.call("intercom_chat", { to: "limn/original", message: "for the original" });
  const { pid } = agent;
  await agent.kill();
  await waitFor(
    "the session to end",
    async () =>
      !(await machine.local("GET", "/api/sessions")).body.sessions?.toString().includes(String(pid)) &&
      (await agent.session()) === undefined,
  );
  expect(await Bun.file(`${machine.home}/inbox/pending/${pid}`).exists()).toBe(false);
  // a stranger that claims the dead pid gets nothing
  const response = await fetch("http://daemon/api/hook", {
    unix: `${machine.home}/run/daemon.sock`,
    method: "POST",
    headers: { "x-ai-intercom-agent-pid": String(pid), "x-ai-intercom-pid": String(process.pid) },
    body: JSON.stringify({
      hook_event_name: "PostToolBatch",
      session_id: "x",
      transcript_path: "/tmp/x.jsonl",
      cwd: "/tmp",
      tool_calls: [],
    }),
  });
  expect(await response.text()).not.toContain("for the original");
});

test("registering a dead pid, or a pid that is no number, is refused and changes nothing", async () => {
  const machine = fleet.machine("limn");
  const before = (await machine.local("GET", "/api/sessions")).body;
  const child = Bun.spawn(["true"]);
  await child.exited;
  for (const pid of [child.pid, -1, 0, "7", 1e12]) {
    const { status, body } = await machine.local("POST", "/api/session/register", {
      session_id: "s-x",
      project: "p",
      pid,
    });
    expect(status).toBe(400);
    expect(body.error).toMatchObject({ code: "bad_request", message: expect.stringContaining("pid") });
  }
  expect((await machine.local("GET", "/api/sessions")).body).toEqual(before);
});
