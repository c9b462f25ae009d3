// Missions from asking to the answer in the asker's context, with the built binary and a scripted agent: approval,
// denial, grants, policy, cancelling, continuing, a hub that is away.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import type { ScriptedAgent } from "../rig/agent";
import type { Fleet, Machine } from "../rig/fleet";
import { missionFleet, pending, reached, response } from "../rig/missions";
import { waitFor } from "../rig/wait";

// each test starts several programs, and the machine may be busy
setDefaultTimeout(120_000);

let fleet: Fleet;
let limn: Machine;
let website: ScriptedAgent;
beforeAll(async () => {
  fleet = await missionFleet();
  limn = fleet.machine("limn");
  website = await fleet.machine("atlas").agent("website");
}, 60_000);
afterAll(() => fleet[Symbol.asyncDispose]());

const ask = (message: string, more: Record<string, unknown> = {}) =>
  website.call("intercom_ask", { to: "limn/mnemos", message, ...more });
const status = (mission_id: string) => website.call("intercom_status", { mission_id });
const approve = async (mission_id: string, ...more: string[]) =>
  limn.json("approvals", "approve", (await pending(limn, mission_id)).id, ...more);
/** Asked and approved. */
async function begun(message: string): Promise<string> {
  const { mission_id } = await ask(message);
  await approve(mission_id);
  return mission_id;
}

test("ask → a person sees the whole of it → approves → the answer is in the asker's inbox, and in status", async () => {
  const text = `answer ${"long ".repeat(500)}8080`;
  const asked = await ask(text);
  expect(asked.status).toBe("pending_approval");
  expect(asked.mission_id).toMatch(/^m-\d{8}-[0-9a-f]{6}$/);
  expect(asked.thread_id).toMatch(/^t-[0-9a-f]{12}$/);
  expect(await status(asked.mission_id)).toMatchObject({ status: "pending_approval", output: "" });
  const card = await pending(limn, asked.mission_id);
  // a copy: Bun's toMatchObject puts its matchers into what it looks at
  expect(structuredClone(card)).toMatchObject({
    id: expect.stringMatching(/^a-/),
    from: expect.stringMatching(/^atlas\/website@/),
    to: "limn/mnemos",
    type: "ask",
    text,
    requested_at: expect.any(String),
    plan: { directory: limn.directory("mnemos") },
  });
  const shown = (await limn.run(["approvals"])).out;
  for (const part of [text, card.plan.directory, "mission-agent.ts", "default", asked.mission_id])
    expect(shown).toContain(part);

  const decided = await limn.json("approvals", "approve", card.id);
  expect(decided).toMatchObject({
    approval: { status: "approved" },
    mission: { mission_id: asked.mission_id },
  });
  const answer = await response(website, asked.mission_id);
  expect(answer.from_agent).toBe(`limn/mnemos@${asked.mission_id}`);
  expect(answer.thread_id).toBe(asked.thread_id);
  expect(answer.message).toContain("completed");
  expect(answer.message).toContain(`${"long ".repeat(500)}8080`);
  expect(await status(asked.mission_id)).toMatchObject({
    mission_id: asked.mission_id,
    status: "completed",
    output: text.slice("answer ".length),
    feedback: [{ kind: "text", summary: "done" }],
    turn_count: 2,
    cost_usd: 0.0125,
    started_at: expect.any(String),
    finished_at: expect.any(String),
  });
  const history = await website.call("intercom_history", { mission_id: asked.mission_id });
  expect(history.messages.map((one: { message: string }) => one.message)).toEqual([
    text,
    "done",
    answer.message,
  ]);
  expect(await website.read()).toEqual([]);
});

test("start_agent does the same, with a command of that machine's choice by name", async () => {
  const given = { machine: "limn", project: "mnemos", mission: "whatever", agent_command: "plain" };
  const { mission_id, status: at } = await website.call("intercom_start_agent", given);
  expect(at).toBe("pending_approval");
  expect((await pending(limn, mission_id)).plan.argv[0]).toBe("/bin/sh");
  await approve(mission_id);
  expect((await response(website, mission_id)).message).toContain("last");
  const unknown = await website.call("intercom_start_agent", { ...given, agent_command: "rm" });
  expect(unknown).toMatchObject({ status: "denied" });
  expect(JSON.stringify(unknown)).toContain("rm");
});

test("deny: nothing runs and the asker is told; a second hand sees who decided", async () => {
  const proof = `${fleet.root}/must-not-exist`;
  const { mission_id } = await ask(`run touch ${proof}`);
  const { id } = await pending(limn, mission_id);
  expect((await limn.json("approvals", "deny", id)).mission.status).toBe("denied");
  expect((await response(website, mission_id)).message).toContain("denied");
  expect((await status(mission_id)).status).toBe("denied");
  const late = await limn.run(["approvals", "approve", id]);
  expect(late.code).toBe(1);
  expect(late.out + late.err).toContain("denied");
  expect(existsSync(proof)).toBe(false);
});

test("always: asked once, then never again, over a restart too, until it is revoked", async () => {
  const { mission_id } = await ask("answer one");
  const { grant } = await approve(mission_id, "--scope", "always");
  expect(grant).toMatchObject({ scope: "always", from: "atlas/website", to: "limn/mnemos", type: "ask" });
  await response(website, mission_id);
  const second = await ask("answer two");
  expect(second.status).toBe("launched");
  expect((await response(website, second.mission_id)).message).toContain("two");
  // an asker may always want a person to look
  const careful = await ask("answer three", { require_approval: "always" });
  expect(careful.status).toBe("pending_approval");
  await limn.json("approvals", "deny", careful.mission_id);
  await response(website, careful.mission_id);

  await limn.crash();
  const port = new URL(fleet.hubUrl).host;
  await limn.serve("standalone", "--listen", port);
  await limn.linked();
  await fleet.machine("atlas").linked();
  const third = await waitFor("the grant to hold", async () => {
    const answer = await ask("answer four");
    if (answer.status === "queued") await response(website, answer.mission_id);
    return answer.status === "launched" ? answer : undefined;
  });
  await response(website, third.mission_id);
  const { grants } = await limn.json("approvals");
  expect(grants.map(({ id }: { id: string }) => id)).toEqual([grant.id]);
  await limn.json("approvals", "revoke", grant.id);
  const fourth = await ask("answer five");
  expect(fourth.status).toBe("pending_approval");
  await limn.json("approvals", "deny", fourth.mission_id);
  await response(website, fourth.mission_id);
});

test("the receiving machine's policy decides, by the whole text; a broken file denies", async () => {
  const file = `${limn.home}/policies.yml`;
  await writeFile(
    file,
    [
      "rules:",
      "  - { to: limn/mnemos, type: ask, message_pattern: '^answer fast', approval: never, label: quick ones }",
      "  - { to: limn/mnemos, message_pattern: 'forever', approval: mission }",
    ].join("\n"),
  );
  const quick = await waitFor("the policy to be read", async () => {
    const answer = await ask("answer fast 1");
    return answer.status === "launched" ? answer : undefined;
  });
  expect((await response(website, quick.mission_id)).message).toContain("fast 1");
  const other = await ask("run echo answer fast");
  expect(other.status).toBe("pending_approval");
  await limn.json("approvals", "deny", other.mission_id);
  await response(website, other.mission_id);
  await writeFile(file, "rules: [ {");
  const closed = await waitFor("the broken file to be met", async () => {
    const answer = await ask("answer fast 2");
    return answer.status === "denied" ? answer : undefined;
  });
  expect(JSON.stringify(closed)).toContain("policies.yml");
  await writeFile(file, "");
  await waitFor("the empty file to be read", async () => {
    const answer = await ask("answer 3");
    if (answer.status === "pending_approval") await limn.json("approvals", "deny", answer.mission_id);
    return answer.status === "pending_approval";
  });
  await website.read();
});

test("what it does can be seen while it runs; cancelling ends it with all that it started", async () => {
  const pidFile = `${fleet.root}/child.pid`;
  const mission = await begun(`run sleep 300 & echo $! | tee ${pidFile}; wait`);
  const running = await waitFor("an entry", async () => {
    const look = await status(mission);
    return look.status === "running" && look.feedback.length > 0 ? look : undefined;
  });
  expect(running.feedback[0]).toMatchObject({
    kind: "command",
    summary: expect.stringContaining("sleep 300"),
  });
  expect(running.address).toBe(`limn/mnemos@${mission}`);
  const pid = Number(
    await waitFor("the child", async () => (await Bun.file(pidFile).text()).trim() || undefined),
  );
  const further = await ask("answer more", { mission_id: mission });
  expect(further).toMatchObject({ status: "error", hint: expect.stringContaining("intercom_chat") });
  expect(["running", "cancelled"]).toContain(
    (await website.call("intercom_cancel", { mission_id: mission })).status,
  );
  expect((await response(website, mission)).message).toContain("cancelled");
  expect((await status(mission)).status).toBe("cancelled");
  await waitFor("its child to be gone", () => !existsSync(`/proc/${pid}`));
});

test("a message to a running mission reaches it, under its own address and no other", async () => {
  const mission = await begun("listen");
  const address = `limn/mnemos@${mission}`;
  const listed = await waitFor("its session to be listed", async () => {
    const { agents } = await website.call("intercom_list_agents", { filter: "machine:limn" });
    const row = agents.find((one: { project_id: string }) => one.project_id === "mnemos");
    return row.sessions.length > 0 ? row : undefined;
  });
  expect(listed.session).toBeNull();
  expect(listed.sessions).toMatchObject([{ session_id: mission, mission_id: mission }]);
  expect((await limn.run(["agents"])).out).toContain(address);
  const wide = await website.call("intercom_chat", { to: "limn/mnemos", message: "anyone?" });
  expect(wide.status).toBe("no_active_session");
  const sent = await website.call("intercom_chat", { to: address, message: "hurry up" });
  expect(sent.status).toBe("delivered");
  const answer = await response(website, mission);
  expect(answer.message).toContain("I heard: hurry up");
});

test("one that waits is withdrawn by cancelling; a stranger can neither look nor cancel", async () => {
  const { mission_id } = await ask("answer never");
  const stranger = await limn.agent("stranger");
  for (const name of ["intercom_status", "intercom_cancel", "intercom_history"])
    expect((await stranger.call(name, { mission_id })).status).toBe("error");
  expect((await website.call("intercom_cancel", { mission_id })).status).toBe("cancelled");
  const { approvals } = await limn.json("approvals");
  expect(approvals.some((one: { mission_id: string }) => one.mission_id === mission_id)).toBe(false);
  await response(website, mission_id);
});

test("a finished one is continued: the same mission, the agent's own conversation", async () => {
  const mission = await begun("answer remember 42");
  const first = await response(website, mission);
  const further = await ask("recall", { mission_id: mission });
  expect(further).toMatchObject({ status: "pending_approval", mission_id: mission });
  await approve(mission);
  const second = await response(website, mission);
  expect(second.thread_id).toBe(first.thread_id);
  expect(second.message).toContain("answer remember 42 | recall");
  expect(await status(mission)).toMatchObject({ status: "completed", run: 2 });
  const stranger = await limn.agent("stranger");
  const foreign = await stranger.call("intercom_ask", {
    to: "limn/mnemos",
    message: "x",
    mission_id: mission,
  });
  expect(foreign.status).toBe("error");
});

test("an agent that fails: the asker is told how", async () => {
  const mission = await begun("fail 3");
  expect((await response(website, mission)).message).toContain("failed");
  expect(await status(mission)).toMatchObject({
    status: "failed",
    exit_code: 3,
    reason: expect.stringContaining("3"),
  });
});

test("its time limit ends it", async () => {
  const { mission_id } = await ask(`wait ${fleet.root}/never x`, { timeout: 1 });
  await approve(mission_id);
  expect((await response(website, mission_id)).message).toContain("ran out of time");
  expect((await status(mission_id)).status).toBe("timed_out");
});

test("an output above 64 KiB is kept whole and comes in pages", async () => {
  const mission = await begun("run head -c 300000 /dev/zero | tr '\\0' x; echo END");
  await response(website, mission);
  let output = "";
  let from: number | undefined = 0;
  for (let pages = 0; from !== undefined && pages < 100; pages++) {
    const page = await website.call("intercom_status", { mission_id: mission, output_from: from });
    output += page.output;
    from = page.output_next;
  }
  expect(output.trimEnd()).toBe(`${"x".repeat(300_000)}END`);
  expect((await reached(limn, mission, "completed")).output).toBe(output);
});

test("the asker's hub is away: queued with the id that it keeps", async () => {
  const port = new URL(fleet.hubUrl).host;
  await limn.crash();
  await waitFor(
    "the link to break",
    async () => (await fleet.machine("atlas").json("status")).link !== "linked",
  );
  const queued = await ask("answer after all");
  expect(queued.status).toBe("queued");
  expect(await status(queued.mission_id)).toMatchObject({ status: "queued" });
  expect((await website.call("intercom_cancel", { mission_id: queued.mission_id })).error).toContain("hub");
  await limn.serve("standalone", "--listen", port);
  await limn.linked();
  await approve(queued.mission_id);
  expect((await response(website, queued.mission_id)).message).toContain("after all");
});
