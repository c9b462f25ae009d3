// Why delivered mail is not read yet, as its sender sees it, and by what each session can be woken, as the hub lists it.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { identify } from "../../src/system/process.ts";
import type { ScriptedAgent } from "../rig/agent";
import { Fleet, type Machine } from "../rig/fleet";
import { waitFor } from "../rig/wait";

// each test starts several programs, and the machine may be busy
setDefaultTimeout(40_000);

let fleet: Fleet;
let limn: Machine;
let sender: ScriptedAgent;
beforeAll(async () => {
  fleet = await Fleet.start(["limn"]);
  limn = fleet.machine("limn");
  sender = await limn.agent("sender");
}, 60_000);
afterAll(() => fleet[Symbol.asyncDispose]());

/** As Claude Code writes it; 2.1.197 tells no status under `-p`. */
async function registers({ pid, nativeSessionId }: ScriptedAgent, more: object = {}): Promise<void> {
  const procStart = identify(pid)?.start.split("-").at(-1);
  const entry = { pid, sessionId: nativeSessionId, procStart, ...more };
  await Bun.write(`${fleet.root}/.claude/sessions/${pid}.json`, JSON.stringify(entry));
}

const reasonOf = async (id: string) =>
  (await sender.call("intercom_status", { message_id: id })).states.at(-1)?.reason;

test("an agent that tells no status, as 2.1.197 under -p: the sender learns that it is not rung", async () => {
  const agent = await limn.agent("headless");
  await registers(agent);
  const sent = await sender.call("intercom_chat", { to: "limn/headless", message: "hello" });
  expect(sent.status).toBe("delivered");
  expect(await reasonOf(sent.message_id)).toContain("does not tell whether it is idle");
  expect(await agent.take()).toContain("hello");
  await waitFor(
    "seen, without a reason",
    async () => (await sender.call("intercom_status", { message_id: sent.message_id })).status === "seen",
  );
});

test("low priority does not wake an idle agent, and the sender learns it; with other mail it is an ordinary one", async () => {
  const agent = await limn.agent("quiet");
  await registers(agent, { status: "idle", statusUpdatedAt: Date.now() });
  await waitFor("idle", async () => (await agent.session()).status === "idle");
  const answer = await sender.call("intercom_send", {
    to: "limn/quiet",
    message: "by the way",
    priority: "low",
  });
  expect(answer.status).toBe("delivered");
  expect(await reasonOf(answer.recipients[0].message_id)).toContain("low priority");
  const sent = await sender.call("intercom_chat", { to: "limn/quiet", message: "now" });
  expect(await reasonOf(sent.message_id)).toContain("cannot be woken");
});

test("an idle agent that begins to work: the reason why its mail waited is taken back", async () => {
  const agent = await limn.agent("riser");
  await registers(agent, { status: "idle", statusUpdatedAt: Date.now() });
  await waitFor("idle", async () => (await agent.session()).status === "idle");
  const sent = await sender.call("intercom_chat", { to: "limn/riser", message: "hello" });
  expect(await reasonOf(sent.message_id)).toContain("cannot be woken");
  await registers(agent, { status: "busy", statusUpdatedAt: Date.now() });
  await waitFor("no reason any more", async () => (await reasonOf(sent.message_id)) === undefined);
  const status = await sender.call("intercom_status", { message_id: sent.message_id });
  expect(status.states.map(({ state }: { state: string }) => state)).toEqual([
    "accepted",
    "delivered",
    "delivered",
  ]);
});

test("the hook of the prompt that began the turn brings its mail, however late it gets going; that of one typed meanwhile none", async () => {
  const agent = await limn.agent("late");
  await registers(agent, { status: "busy", statusUpdatedAt: Date.now() });
  await sender.call("intercom_chat", { to: "limn/late", message: "with the ring" });
  expect(await agent.context("UserPromptSubmit", {}, { lateSeconds: 1.5 })).toContain("| with the ring");
  await sender.call("intercom_chat", { to: "limn/late", message: "meanwhile" });
  expect(await agent.context("UserPromptSubmit")).toBe("");
  expect(await agent.take()).toContain("| meanwhile");
});

test("mail that came while another reason held learns the new one with the rest", async () => {
  const agent = await limn.agent("mixed");
  await registers(agent, { status: "idle", statusUpdatedAt: Date.now() });
  await waitFor("idle", async () => (await agent.session()).status === "idle");
  const low = await sender.call("intercom_send", { to: "limn/mixed", message: "btw", priority: "low" });
  const id = low.recipients[0].message_id;
  expect(await reasonOf(id)).toContain("low priority");
  await sender.call("intercom_chat", { to: "limn/mixed", message: "now" });
  await waitFor("the first one's reason", async () => (await reasonOf(id))?.includes("cannot be woken"));
});

test("a session without hooks: its sender learns that it reads by the tool alone, whatever its agent does", async () => {
  const agent = await limn.agent("bare", { hooks: false });
  const told = async (id: string) =>
    waitFor("no hook was seen", async () => (await reasonOf(id))?.includes("no hook of ours was seen"));
  for (const status of ["busy", "idle", "waiting", undefined]) {
    await registers(agent, { status, statusUpdatedAt: Date.now() });
    const sent = await sender.call("intercom_chat", { to: "limn/bare", message: `while ${status}` });
    expect(sent.status).toBe("delivered");
    await told(sent.message_id);
    expect(await reasonOf(sent.message_id)).toContain("intercom_check_inbox");
  }
  await agent.hook("SessionStart", { source: "startup" });
  const sent = await sender.call("intercom_chat", { to: "limn/bare", message: "hooks now" });
  expect(await reasonOf(sent.message_id)).not.toContain("no hook");
});

test("agents --json names each session's way to be woken", async () => {
  const machine = await fleet.join("bells", { AGENT_SOCKET: `${fleet.root}/bell.sock` });
  await machine.agent("ringing");
  const { agents } = await limn.json("agents");
  const wakes = agents.flatMap(({ project_id, sessions }: { project_id: string; sessions: object[] }) =>
    sessions.map((one) => [project_id, "wake" in one ? one.wake : undefined]),
  );
  expect(Object.fromEntries(wakes)).toMatchObject({ sender: "none", ringing: "socket" });
});
