// A person decides what runs: once, with the whole text before them; what is granted holds, and nothing beside it.
import { afterAll, beforeAll, beforeEach, expect, test } from "bun:test";
import type { ApprovalDecided, ApprovalList, MissionAnswer } from "../../src/protocol/mission.ts";
import { ask, askInput, decide, detail, Launcher, pending, responseOf } from "./launcher.ts";
import { Peer, routeInput } from "./peer.ts";
import { type Reply, startHub, type TestHub } from "./rig.ts";

let hub: TestHub;
let mac: Peer;
let limn: Launcher;
beforeAll(async () => {
  hub = await startHub({ limits: { rate: 1e6, burst: 1e6 }, approvals: { expire_minutes: 30 } });
  mac = await Peer.online(hub, "mac", "web@s-a", "web@s-other", "lib@s-lib");
  limn = await Launcher.online(hub);
});
beforeEach(() => {
  limn.level = "once";
});
afterAll(() => hub.hub.stop());

const decided = ({ body }: Reply) => body as unknown as ApprovalDecided;
const grants = async () =>
  ((await hub.person("GET", "/api/approvals")).body as unknown as ApprovalList).grants;
const revokeAll = async () => {
  for (const { id } of await grants()) await hub.person("POST", `/api/grants/${id}/revoke`, {});
};

test("asked at once, decided later: the whole text, exactly what would run, the id the asker has", async () => {
  const text = `${"long ".repeat(12_000)}end`;
  // the person decides below, so an answer that waited for that would never come
  const answer = await ask(mac, "web@s-a", text);
  expect(answer).toMatchObject({ status: "pending_approval", reason: "a person must allow it" });
  const { mission_id: id = "" } = answer;
  const [approval] = await pending(hub);
  expect(approval).toMatchObject({
    mission_id: id,
    from: "mac/web@s-a",
    to: "limn/api",
    type: "ask",
    text,
    level: "once",
    plan: { directory: "/api", argv: ["agent", "-p"], permission: "default" },
    decided_by: null,
  });
  expect(Date.parse(approval?.expires_at ?? "") - Date.parse(approval?.requested_at ?? "")).toBe(30 * 60_000);
  expect(limn.starts).toEqual([]);
  const reply = decided(await decide(hub, "approve"));
  expect(reply).toMatchObject({
    approval: { status: "approved" },
    mission: { mission_id: id, status: "running" },
  });
  expect(reply.grant).toBeUndefined();
  expect(reply.approval.decided_by).toBeTruthy();
  expect(limn.starts).toMatchObject([{ hash: approval?.plan.hash, approved_by: reply.approval.decided_by }]);
  await limn.end(id);
  // `once` leaves nothing
  expect(await ask(mac, "web@s-a", "again")).toMatchObject({ status: "pending_approval" });
  await decide(hub, "deny");
});

test("the card has everything that the agent is told: messages handed over, files, time, command", async () => {
  const chat = routeInput("mac/web@s-a", "limn/api@s-b", "as we said", {});
  const { thread_id } = await mac.request<{ thread_id: string }>("route", chat);
  const given = { files: ["a b.md"], timeout: 90, agent_command: "claude" };
  await ask(mac, "web@s-a", "do it", { mission: { ...given, context_thread: thread_id } });
  expect(await pending(hub)).toMatchObject([
    { text: "do it", ...given, context: [{ from_agent: "mac/web@s-a", message: "as we said" }] },
  ]);
  await decide(hub, "deny");
});

test("denied: nothing runs, the asker is told by whom", async () => {
  const started = limn.starts.length;
  const { mission_id: id = "" } = await ask(mac, "web@s-a", "x");
  const { approval } = decided(await decide(hub, "deny", "always"));
  expect(await detail(hub, id)).toMatchObject({
    status: "denied",
    reason: `denied by ${approval.decided_by}`,
  });
  const told = await responseOf(mac, id);
  expect(told.message).toBe(`Mission ${id} (limn/api) was denied: denied by ${approval.decided_by}.`);
  expect(limn.starts).toHaveLength(started);
  expect(await grants()).toEqual([]);
});

test("two hands at once: one counts, the other sees whose it was; the same hand is answered again", async () => {
  await ask(mac, "web@s-a", "x");
  const [approval] = await pending(hub);
  const path = `/api/approvals/${approval?.id}`;
  const started = limn.starts.length;
  const hands = ["approve", "deny", "approve"] as const;
  const replies = await Promise.all(
    hands.map(async (decision) => ({ decision, ...(await hub.person("POST", path, { decision })) })),
  );
  // three connections: which of them is heard first is nobody's to say
  const { body } = await hub.person("GET", "/api/approvals?all=true&limit=1");
  const [stands] = (body as unknown as ApprovalList).approvals;
  const [winner, by] = [stands?.status === "approved" ? "approve" : "deny", stands?.decided_by ?? ""];
  for (const reply of replies) {
    expect([reply.decision, reply.status]).toEqual([reply.decision, reply.decision === winner ? 200 : 409]);
    if (reply.status === 200) expect(decided(reply).approval.decided_by).toBe(by);
    else
      expect(reply.body.error.message).toStartWith(
        `approval ${approval?.id} was ${stands?.status} by ${by} at `,
      );
  }
  expect(limn.starts).toHaveLength(started + (winner === "approve" ? 1 : 0));
  const unknown = await hub.person("POST", "/api/approvals/a-ffffffffffff", { decision: "deny" });
  expect([unknown.status, unknown.body.error.code]).toEqual([404, "unknown_approval"]);
});

test("nobody decides: expired, told, and too late for a decision", async () => {
  const { mission_id: id = "" } = await ask(mac, "web@s-a", "x");
  const [approval] = await pending(hub);
  hub.clock.offsetMs = 31 * 60_000;
  try {
    const late = await hub.person("POST", `/api/approvals/${approval?.id}`, { decision: "approve" });
    expect([late.status, late.body.error.message]).toEqual([409, expect.stringContaining("was expired")]);
    expect(await detail(hub, id)).toMatchObject({ status: "expired", reason: "nobody decided in time" });
    expect((await responseOf(mac, id)).message).toContain("expired and did not run");
  } finally {
    hub.clock.offsetMs = 0;
  }
});

const asks = {
  "the same session": () => ask(mac, "web@s-a", "more"),
  "another session of the project": () => ask(mac, "web@s-other", "more"),
  "another project": () => ask(mac, "lib@s-lib", "more"),
  "another kind": () => ask(mac, "web@s-a", "more", { type: "start_agent" }),
  always: () => ask(mac, "web@s-a", "more", { mission: { require_approval: "always" } }),
};

test.each([
  ["mission", []],
  ["session", ["the same session"]],
  ["always", ["the same session", "another session of the project"]],
] as const)("a grant of scope %s matches later asks: %j", async (scope, matching) => {
  const { mission_id: id = "" } = await ask(mac, "web@s-a", "first");
  const { grant, approval } = decided(await decide(hub, "approve", scope));
  expect(grant).toMatchObject({ scope, to: "limn/api", type: "ask", created_by: approval.decided_by });
  expect(await grants()).toMatchObject([{ id: grant?.id }]);
  await limn.end(id);
  for (const [who, send] of Object.entries(asks)) {
    const answer = await send();
    const expected = (matching as readonly string[]).includes(who) ? "launched" : "pending_approval";
    expect([who, answer.status]).toEqual([who, expected]);
    if (answer.status === "pending_approval") await decide(hub, "deny");
    // the machine wants to know who approved it
    else expect(limn.starts.at(-1)).toMatchObject({ approved_by: approval.decided_by });
  }
  // the same mission, gone on with: every scope of its own asker matches
  const goOn = () => ask(mac, "web@s-a", "and?", { mission: { continues: id } });
  expect(await goOn()).toMatchObject({ status: "launched", mission_id: id });
  await limn.end(id, "completed", { run: 2 });
  const revoked = await hub.person("POST", `/api/grants/${grant?.id}/revoke`, {});
  expect(revoked.body as unknown).toMatchObject({ id: grant?.id });
  expect((await hub.person("POST", `/api/grants/${grant?.id}/revoke`, {})).status).toBe(404);
  expect(await goOn()).toMatchObject({ status: "pending_approval" });
  await decide(hub, "deny");
});

test("without a scope the machine's policy says what an approval is good for", async () => {
  for (const [level, scope] of [
    ["never", undefined],
    ["once", undefined],
    ["mission", "mission"],
    ["session", "session"],
    ["always_allow", "always"],
  ] as const) {
    limn.level = level;
    // the policy would ask nobody at `never`: the asker wants it
    await ask(mac, "web@s-a", "x", { mission: { require_approval: "always" } });
    expect([level, decided(await decide(hub, "approve")).grant?.scope]).toEqual([level, scope]);
    await revokeAll();
  }
});

test("a session's grant to a person is for that mission: there is no session that would end", async () => {
  const asks = async (mission: object = {}) =>
    (await hub.person("POST", "/api/route", askInput("human", "by hand", { mission, to: "limn/api" })))
      .body as unknown as MissionAnswer;
  for (const scope of [undefined, "session"] as const) {
    limn.level = "session";
    const { mission_id: id = "" } = await asks();
    const { grant } = decided(await decide(hub, "approve", scope));
    expect(grant).toMatchObject({ scope: "mission", from: "human", mission_id: id });
    await limn.end(id);
    expect(await asks()).toMatchObject({ status: "pending_approval" });
    await decide(hub, "deny");
    const goOn = askInput("human", "and?", { mission: { continues: id }, to: undefined });
    expect((await hub.person("POST", "/api/route", goOn)).body).toMatchObject({ status: "launched" });
    await limn.end(id, "completed", { run: 2 });
    await revokeAll();
  }
  limn.level = "once";
});

test("an asker can tighten, never loosen", async () => {
  limn.level = "never";
  const wish = (require_approval: string) => ask(mac, "web@s-a", "x", { mission: { require_approval } });
  expect(await wish("never")).toMatchObject({ status: "launched" });
  expect(await wish("always")).toMatchObject({ status: "pending_approval" });
  await decide(hub, "deny");
  limn.level = "once";
  expect(await wish("never")).toMatchObject({ status: "pending_approval" });
  await decide(hub, "deny");
});

test("a grant holds for what was shown: another command is put to the person", async () => {
  await ask(mac, "web@s-a", "x");
  const { grant } = decided(await decide(hub, "approve", "always"));
  expect(grant).toMatchObject({ command: ["agent", "-p"], permission: "default" });
  limn.argv = ["other-agent", "--yolo"];
  expect(await ask(mac, "web@s-a", "y")).toMatchObject({ status: "pending_approval" });
  await decide(hub, "deny");
  limn.argv = ["agent", "-p"];
  expect(await ask(mac, "web@s-a", "z")).toMatchObject({ status: "launched" });
  await revokeAll();
});

test("always_allow survives a restart", async () => {
  await ask(mac, "web@s-a", "x");
  await decide(hub, "approve", "always");
  await hub.restart();
  await mac.connect();
  await limn.connect();
  expect(await ask(mac, "web@s-a", "y")).toMatchObject({ status: "launched" });
  await revokeAll();
});

test("what was approved is what runs: another plan is refused, and nobody is asked again", async () => {
  const { mission_id: id = "" } = await ask(mac, "web@s-a", "x");
  limn.argv = ["agent", "-p", "--dangerous"];
  const reply = decided(await decide(hub, "approve"));
  limn.argv = ["agent", "-p"];
  expect(reply.mission).toMatchObject({ status: "denied", reason: "what would run has changed" });
  expect(limn.runs.some(({ mission_id }) => mission_id === id)).toBe(false);
  expect(await pending(hub)).toEqual([]);
});

test("an approval says what the card needs to be sorted: newest first, decided ones with `all`", async () => {
  await ask(mac, "web@s-a", "older");
  await ask(mac, "web@s-other", "newer");
  expect((await pending(hub)).map(({ text }) => text)).toEqual(["newer", "older"]);
  for (const { id } of await pending(hub))
    await hub.person("POST", `/api/approvals/${id}`, { decision: "deny" });
  const all = (await hub.person("GET", "/api/approvals?all=true&limit=2")).body as unknown as ApprovalList;
  expect(all.approvals).toMatchObject([{ text: "newer", status: "denied" }, { text: "older" }]);
});
