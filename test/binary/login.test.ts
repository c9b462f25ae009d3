// A person at a joined machine: what works without a login, with one, and that no agent can use it.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { readdir, stat, writeFile } from "node:fs/promises";
import type { ScriptedAgent } from "../rig/agent";
import { Fleet, type Machine } from "../rig/fleet";
import { missionFleet, pending, reached } from "../rig/missions";
import { waitFor } from "../rig/wait";

// each test starts several programs, and the machine may be busy
setDefaultTimeout(120_000);

let fleet: Fleet;
let limn: Machine;
let atlas: Machine;
let mnemos: ScriptedAgent;
beforeAll(async () => {
  fleet = await missionFleet();
  limn = fleet.machine("limn");
  atlas = fleet.machine("atlas");
  mnemos = await limn.agent("mnemos");
}, 60_000);
afterAll(() => fleet[Symbol.asyncDispose]());

const personal = [
  ["invite"],
  ["chat", "limn/mnemos", "hi"],
  ["reply", "t-000000000000", "hi"],
  ["release", "t-000000000000"],
  ["inbox"],
  ["machines", "revoke", "limn"],
  ["ask", "limn/mnemos", "answer x"],
  ["approvals"],
  ["approvals", "approve", "a-000000000000"],
  ["missions", "cancel", "m-20261122-000000"],
  ["feedback"],
];

async function loggedIn(machine: Machine): Promise<void> {
  const { code } = await limn.json("login");
  await machine.json("login", code);
}

test("without a login every act of a person is refused with the two steps; facts are shown", async () => {
  for (const words of personal) {
    const { code, err } = await atlas.run(words);
    expect({ words, code }).toEqual({ words, code: 1 });
    expect(err).toMatch(/^error: .*login/);
    expect(err).toContain("try: at the hub: ai-intercom login; then here: ai-intercom login CODE");
  }
  for (const words of [["agents"], ["machines"], ["missions"]]) expect((await atlas.run(words)).code).toBe(0);
  const bare = await atlas.run(["login"]);
  expect(bare.code).toBe(2);
  expect(bare.err).toContain("ai-intercom login CODE");
  const watching = await atlas.run(["watch"]);
  expect(watching.code).toBe(1);
  expect(watching.err).toContain("on the hub's own host only");
});

test("a code works once; wrong ones name the reason; the token is private and shown to nobody", async () => {
  const { code, expires_at } = await limn.json("login");
  expect(Date.parse(expires_at) - Date.now()).toBeGreaterThan(9 * 60_000);
  for (const wrong of ["0000-0000-0000-0000", "hello"]) {
    const { code: exit, err } = await atlas.run(["login", wrong]);
    expect(exit).toBe(1);
    expect(err).toMatch(/code is wrong, used up or expired/);
  }
  const shown = await atlas.json("login", code);
  expect(Object.keys(shown).sort()).toEqual(["expires_at", "name"]);
  expect(shown.name).toEndWith("@atlas");
  expect(((await stat(`${atlas.home}/login.json`)).mode & 0o777).toString(8)).toBe("600");
  expect((await atlas.run(["login", code])).code).toBe(1);
  const atHub = await limn.run(["login", code]);
  expect(atHub.code).toBe(2);
  expect(atHub.err).toContain("the hub's own host");
});

test("with it, a person's commands work there and are recorded under their name", async () => {
  await loggedIn(atlas);
  const sent = await atlas.json("chat", "limn/mnemos", "hello from atlas");
  expect(sent.status).toBe("delivered");
  expect(await mnemos.take()).toContain("| hello from atlas");
  await mnemos.call("intercom_reply", { thread_id: sent.thread_id, message: "hello back" });
  const { messages } = await atlas.json("inbox", "--unread");
  expect(messages.map(({ message }: { message: string }) => message)).toEqual(["hello back"]);
  expect((await atlas.json("reply", sent.thread_id, "thanks")).status).toBe("delivered");
  expect((await atlas.json("history", sent.thread_id)).messages).toHaveLength(3);
  expect((await atlas.json("release", sent.thread_id)).released).toBe(0);
  expect(Object.keys(await atlas.json("invite")).sort()).toEqual(["code", "expires_at"]);

  const asked = await atlas.json("ask", "limn/mnemos", "answer as asked");
  expect(asked.status).toBe("pending_approval");
  const { approvals } = await atlas.json("approvals");
  expect(approvals).toMatchObject([{ mission_id: asked.mission_id, from: "human", text: "answer as asked" }]);
  const { approval } = await atlas.json("approvals", "approve", approvals[0].id);
  expect(approval.decided_by).toEndWith("@atlas");
  expect(await reached(atlas, asked.mission_id, "completed")).toMatchObject({ output: "as asked" });
  expect((await atlas.json("missions")).missions[0].mission_id).toBe(asked.mission_id);

  const other = await atlas.json("ask", "limn/mnemos", "answer never");
  expect((await atlas.json("missions", "cancel", other.mission_id)).status).toBe("cancelled");
  const quick = await atlas.run(["ask", "limn/mnemos", "answer at once", "--approve", "--wait"]);
  expect(quick).toMatchObject({ code: 0, out: expect.stringContaining("at once") });
  await mnemos.call("intercom_report_feedback", { type: "improvement", description: "more colours" });
  expect((await atlas.json("feedback")).feedback).toMatchObject([{ description: "more colours" }]);
});

test("below an agent every one of them is refused, and so is logging in and out", async () => {
  await loggedIn(atlas);
  const agent = await atlas.agent("website");
  const { code } = await limn.json("login");
  const { mission_id } = await limn.json("ask", "limn/mnemos", "answer never");
  const { id } = await pending(limn, mission_id);
  for (const words of [
    ...personal.map((one) => one.map((word) => `'${word}'`).join(" ")),
    `approvals approve ${id}`,
    `login ${code}`,
    "logout",
  ]) {
    const printed = await agent.shell(`"$BINARY" ${words} 2>&1; true`);
    expect({ words, printed }).toEqual({
      words,
      printed: expect.stringContaining("was started by the agent of atlas/website@"),
    });
  }
  // the agent reads what it may read, not what the person may
  expect(await agent.shell('"$BINARY" missions --json 2>&1')).toBe('{"missions":[]}');
  expect(await agent.shell(`"$BINARY" missions show ${mission_id} 2>&1; true`)).toContain(
    "there is no mission",
  );
  expect((await limn.json("approvals")).approvals.map((one: { id: string }) => one.id)).toEqual([id]);
  await limn.json("approvals", "deny", id);
});

test("what a mission starts is no person either, with a session of its own or without", async () => {
  await loggedIn(atlas);
  const later = await limn.json("ask", "limn/mnemos", "answer never");
  const { id } = await pending(limn, later.mission_id);
  for (const machine of [atlas, limn]) {
    const command = `unset AI_INTERCOM_MISSION_RUN; ${process.env.AI_INTERCOM_BINARY ?? `${import.meta.dir}/../../dist/ai-intercom`} approvals approve ${id}; true`;
    const asked = await limn.json("ask", `${machine.name}/website`, `run ${command}`, "--approve");
    const { output } = await reached(limn, asked.mission_id, "completed");
    expect(output).toMatch(/^error: process \d+ was started by /);
  }
  expect((await limn.json("approvals")).approvals.map((one: { id: string }) => one.id)).toEqual([id]);
  await limn.json("approvals", "deny", id);
});

test("logout while the hub is away: ended here at once, at the hub as soon as it is back", async () => {
  await using own = await Fleet.start(["hub", "far"]);
  const [hub, far] = [own.machine("hub"), own.machine("far")];
  await far.json("login", (await hub.json("login")).code);
  const copy = await Bun.file(`${far.home}/login.json`).text();
  const address = new URL((await far.json("status")).hub_url).host;
  await hub.crash();
  await waitFor("the link to break", async () => (await far.json("status")).link === "connecting");
  const { code, out } = await far.run(["logout"]);
  expect({ code, out }).toEqual({
    code: 0,
    out: "logged out here; the hub is away and ends the login as soon as it is back\n",
  });
  expect(await Bun.file(`${far.home}/login.json`).exists()).toBe(false);
  expect(await far.json("logout")).toEqual({ status: "not_logged_in" });
  await hub.serve("standalone", "--listen", address);
  await far.linked();
  await writeFile(`${far.home}/login.json`, copy, { mode: 0o600 });
  await waitFor("the login to have ended", async () =>
    /login has ended/.test((await far.run(["inbox"])).err),
  );
  const left = (await readdir(far.home)).filter((name) => name.startsWith("login"));
  expect(left).toEqual(["login.json"]);
}, 60_000);

test("logout ends it, at the hub too: a copy of the token is worth nothing", async () => {
  await loggedIn(atlas);
  const copy = await Bun.file(`${atlas.home}/login.json`).text();
  expect(await atlas.json("logout")).toEqual({ status: "logged_out" });
  expect(await atlas.json("logout")).toEqual({ status: "not_logged_in" });
  expect((await atlas.run(["inbox"])).err).toContain("need a login");
  await writeFile(`${atlas.home}/login.json`, copy, { mode: 0o600 });
  const { code, err } = await atlas.run(["inbox"]);
  expect(code).toBe(1);
  expect(err).toMatch(/login has ended[\s\S]*try: .*login/);
  expect((await atlas.run(["missions"])).code).toBe(0);
  await waitFor("the machine to be linked still", async () => (await atlas.json("status")).link === "linked");
});
