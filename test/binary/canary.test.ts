// `doctor --canary`: a session's path from end to end, and that it takes no mail and says no word to the agent.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import type { ScriptedAgent } from "../rig/agent";
import { doctor } from "../rig/doctor";
import { Fleet } from "../rig/fleet";
import { waitFor } from "../rig/wait";

let fleet: Fleet;
let sockets: string;
let bell: Server;
let heard = 0;
beforeAll(async () => {
  sockets = await mkdtemp("/tmp/aii-bell-");
  bell = createServer(() => heard++).listen(`${sockets}/bell`);
  fleet = await Fleet.start(["limn", "atlas"], { AGENT_SOCKET: `${sockets}/bell` });
}, 60_000);
afterAll(async () => {
  await fleet[Symbol.asyncDispose]();
  bell.close();
  await rm(sockets, { recursive: true, force: true });
});

const atlas = () => fleet.machine("atlas");
const whole = ["canary_link", "canary_marker", "canary_hook", "canary_server", "canary_wake"];
const records = async (id: string) => (await atlas().local("GET", `/api/inbox?session=${id}`)).body.messages;
const marker = (agent: ScriptedAgent) => Bun.file(`${atlas().home}/inbox/pending/${agent.pid}`);

test("a healthy session: every step ok and timed; by id, by address, by project", async () => {
  const agent = await atlas().agent("app");
  const id = await agent.registered();
  for (const name of [id, `atlas/app@${id}`, "atlas/app"]) {
    const report = await doctor(atlas(), "--canary", name);
    expect(report.notOk).toEqual([]);
    expect({ code: report.code, state: report.state, codes: report.codes }).toEqual({
      code: 0,
      state: "ok",
      codes: whole,
    });
    for (const { code, ms } of report.checks.slice(0, 4))
      expect({ code, timed: typeof ms === "number" && ms >= 0 && ms < 5_000 }).toEqual({ code, timed: true });
  }
  const { out } = await atlas().run(["doctor", "--canary", id]);
  expect(out).toMatch(/^ok {4} +\d+\.\d ms {2}canary_link +daemon → hub → link → daemon/);
  expect(heard).toBe(0);
});

test("mail that waits is neither taken nor shown, and still comes once", async () => {
  const agent = await atlas().agent("full");
  const id = await agent.registered();
  await fleet.machine("limn").json("chat", "atlas/full", "the secret plan");
  await waitFor("the mail", () => marker(agent).exists());
  const before = await records(id);
  const { code, out } = await atlas().run(["doctor", "--canary", id, "--json"]);
  expect(code).toBe(0);
  expect(out).not.toContain("secret plan");
  expect(await records(id)).toEqual(before);
  expect(await marker(agent).exists()).toBe(true);
  expect(await Bun.file(`${atlas().home}/inbox/${id}.ledger`).exists()).toBe(false);
  expect(await agent.context()).toContain("| the secret plan");
  expect(await agent.context()).toBe("");
});

test("the hook's route with a canary claims nothing, whatever else it is given", async () => {
  const agent = await atlas().agent("strict");
  const id = await agent.registered();
  await fleet.machine("limn").json("chat", "atlas/strict", "keep me");
  await waitFor("the mail", () => marker(agent).exists());
  const ask = async (nonce: string, pid: number) => {
    const response = await fetch(`http://daemon/api/hook?canary=${nonce}&session=${id}`, {
      unix: `${atlas().home}/run/daemon.sock`,
      method: "POST",
      headers: { "x-ai-intercom-pid": String(process.pid), "x-ai-intercom-agent-pid": String(pid) },
      body: JSON.stringify({
        session_id: agent.nativeSessionId,
        hook_event_name: "PostToolBatch",
        cwd: "/tmp",
        tool_calls: [],
      }),
    });
    return [response.status, await response.text()];
  };
  const nonce = "0123456789abcdef".repeat(2);
  expect(await ask(nonce, agent.pid)).toEqual([200, `ai-intercom canary ${nonce}`]);
  for (const bad of ["", "x", "<b>", `${nonce}0`])
    expect([bad, (await ask(encodeURIComponent(bad), agent.pid))[0]]).toEqual([bad, 400]);
  expect((await ask(nonce, process.pid))[0]).toBe(404);
  expect(await records(id)).toMatchObject([{ message: "keep me", read: false }]);
});

test("its MCP server was killed, or hangs", async () => {
  const agent = await atlas().agent("lost");
  const id = await agent.registered();
  const server = await mcpServerOf(agent);
  process.kill(server, "SIGSTOP");
  const silent = await doctor(atlas(), "--canary", id);
  expect({ code: silent.code, bad: silent.notOk.map(({ code }) => code) }).toEqual({
    code: 1,
    bad: ["canary_server_silent"],
  });
  process.kill(server, "SIGCONT");
  await agent.killServer();
  const gone = await waitFor("the server to be missed", async () => {
    const report = await doctor(atlas(), "--canary", id);
    return report.codes.includes("canary_server_gone") ? report : undefined;
  });
  expect(gone.code).toBe(1);
  expect(gone.codes).toEqual(["canary_link", "canary_marker", "canary_hook", "canary_server_gone"]);
  expect(gone.fix("canary_server_gone")).toContain("/mcp");
  await agent.startServer();
  expect((await waitForWhole(id)).codes).toEqual(whole);
});

test("the marker is gone while mail waits", async () => {
  const agent = await atlas().agent("unmarked");
  const id = await agent.registered();
  await fleet.machine("limn").json("chat", "atlas/unmarked", "hello");
  await waitFor("the mail", () => marker(agent).exists());
  await marker(agent).delete();
  const report = await doctor(atlas(), "--canary", id);
  expect(report.code).toBe(1);
  expect(report.fix("canary_marker_wrong")).toContain("stop the daemon and start it again");
});

test("the agent's messaging socket is gone", async () => {
  await using own = await Fleet.start(["one"], { AGENT_SOCKET: `${sockets}/never` });
  const agent = await own.machine("one").agent("app");
  const report = await doctor(own.machine("one"), "--canary", await agent.registered());
  expect(report.text("canary_wake_missing")).toContain("is gone");
  expect(report.code).toBe(0);
});

test("no hook was ever seen from it: that the program answers proves nothing for it", async () => {
  const agent = await atlas().agent("bare", { hooks: false });
  const id = await agent.registered();
  const early = await doctor(atlas(), "--canary", id);
  expect(early.notOk.map(({ code }) => code)).toEqual(["canary_hook_unseen"]);
  const report = await waitFor("the session to be judged", async () => {
    const late = await doctor(atlas(), "--canary", id);
    return late.code === 1 ? late : undefined;
  });
  expect(report.notOk.map(({ code }) => code)).toEqual(["canary_hook_unseen"]);
  expect(report.fix("canary_hook_unseen")).toContain("ai-intercom install claude");
  await agent.hook("SessionStart", { source: "startup" });
  expect((await doctor(atlas(), "--canary", id)).notOk).toEqual([]);
});

test("the hub is away: the link's step fails, this machine's own steps do not", async () => {
  await using own = await Fleet.start(["hub", "far"]);
  const far = own.machine("far");
  const id = await (await far.agent("app")).registered();
  await own.machine("hub").crash();
  await waitFor("the link to break", async () => (await far.json("status")).link === "connecting");
  const report = await doctor(far, "--canary", id);
  expect(report.code).toBe(1);
  expect(report.fix("canary_link_failed")).toContain("is the hub running?");
  expect(report.codes.slice(1, 4)).toEqual(["canary_marker", "canary_hook", "canary_server"]);
}, 60_000);

test("no such session, several of one project, no daemon", async () => {
  const one = await (await atlas().agent("twins")).registered();
  const two = await (await atlas().agent("twins")).registered();
  const several = await atlas().run(["doctor", "--canary", "atlas/twins"]);
  expect(several.code).toBe(1);
  expect(several.err).toContain('"atlas/twins" has 2 sessions');
  for (const id of [one, two]) expect(several.err).toContain(`atlas/twins@${id}`);
  const none = await atlas().run(["doctor", "--canary", "limn/elsewhere"]);
  expect(none.code).toBe(1);
  expect(none.err).toMatch(/^error: this machine has no open session "limn\/elsewhere"\ntry: one of: /);
  expect((await fleet.add("empty").run(["doctor", "--canary", "a/b"])).code).toBe(3);
});

async function waitForWhole(id: string) {
  return waitFor("the canary to come back", async () => {
    const report = await doctor(atlas(), "--canary", id);
    return report.notOk.length === 0 ? report : undefined;
  });
}

/** The process that the scripted agent started as its MCP server. */
async function mcpServerOf(agent: ScriptedAgent): Promise<number> {
  const children = (await Bun.file(`/proc/${agent.pid}/task/${agent.pid}/children`).text()).trim().split(" ");
  for (const pid of children)
    if ((await Bun.file(`/proc/${pid}/cmdline`).text()).includes("mcp-server")) return Number(pid);
  throw new Error(`no MCP server among ${children}`);
}
