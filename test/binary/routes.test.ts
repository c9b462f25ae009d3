// Every advertised HTTP path and every tool, end to end on the built binary: each answers what it is for, to whom it is
// for, and nobody else. A new route or tool without a line here fails.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { hubOperations, hubRoutes } from "../../src/protocol/hub-api.ts";
import { newMessageId, newThreadId } from "../../src/protocol/ids.ts";
import type { tools } from "../../src/protocol/tools.ts";
import { loadOrCreateMachineKey } from "../../src/system/keys.ts";
import { signRequest } from "../../src/system/signature.ts";
import type { ScriptedAgent, ToolResult } from "../rig/agent";
import type { Fleet, Machine } from "../rig/fleet";
import { missionFleet, pending, reached } from "../rig/missions";

// each test starts several programs, and the machine may be busy
setDefaultTimeout(120_000);

let fleet: Fleet;
let limn: Machine;
let atlas: Machine;
let website: ScriptedAgent;
let session = "";
let missionId = "";
let threadId = "";
let messageId = "";
beforeAll(async () => {
  fleet = await missionFleet();
  limn = fleet.machine("limn");
  atlas = fleet.machine("atlas");
  website = await atlas.agent("website");
  session = (await website.session()).session_id;
  const sent = await website.call("intercom_chat", { to: "human", message: "hello" });
  messageId = sent.message_id;
  threadId = sent.thread_id;
  const asked = await website.call("intercom_ask", { to: "limn/mnemos", message: "answer 42" });
  missionId = asked.mission_id;
  await limn.json("approvals", "approve", missionId);
  await reached(limn, missionId, "completed");
}, 60_000);
afterAll(() => fleet[Symbol.asyncDispose]());

type Reply = { status: number; body: ToolResult };

/** Signed by atlas, over TCP. */
async function byMachine(method: string, path: string, body?: unknown): Promise<Reply> {
  const url = fleet.hubUrl + path;
  const bytes = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
  const key = loadOrCreateMachineKey(`${atlas.home}/machine.key`);
  const signed = await signRequest("atlas", key, { method, url, body: bytes });
  return reply(
    await fetch(url, {
      method,
      headers: { ...signed, ...(bytes ? { "content-type": "application/json" } : {}) },
      body: bytes,
    }),
  );
}

/** Through the hub's own socket, as a person does. */
async function byPerson(method: string, path: string, body?: unknown): Promise<Reply> {
  return reply(
    await fetch(`http://hub${path}`, {
      unix: `${limn.home}/run/hub.sock`,
      method,
      headers: { "x-ai-intercom-pid": String(process.pid), "content-type": "application/json" },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    }),
  );
}

async function reply(response: Response): Promise<Reply> {
  return { status: response.status, body: (await response.json()) as ToolResult };
}

const note = { type: "note", description: "fine" };
const chat = (from_agent: string) => ({
  from_agent,
  to_agent: "human",
  type: "chat",
  payload: { message: "x", message_id: newMessageId(), new_thread_id: newThreadId() },
});

/** what each route is asked, and what its answer holds; `:id` is in the path already */
type Case = {
  path?: () => string | Promise<string>;
  query?: () => string;
  body?: () => unknown;
  holds: (body: ToolResult) => unknown;
};
const approvalOf = async (text: string) => {
  const asked = await limn.json("ask", "limn/mnemos", text);
  return (await pending(limn, asked.mission_id)).id as string;
};
const cases: Record<string, Case> = {
  "POST /api/route": {
    body: () => chat(`atlas/website@${session}`),
    holds: ({ status }) => status === "delivered",
  },
  "POST /api/heartbeat": { body: () => ({}), holds: ({ time }) => Date.parse(time) > 0 },
  "POST /api/register": {
    // the truth about atlas, as its daemon tells it: an empty report would end its sessions
    body: () => ({ sessions: "wrong" }),
    holds: ({ error }) => error.code === "bad_request",
  },
  "POST /api/receipts": { body: () => ({ receipts: [] }), holds: () => true },
  "GET /api/delivered-copies": {
    query: () => `?session_id=${session}`,
    holds: ({ copies }) => Array.isArray(copies),
  },
  "GET /api/agents": { holds: ({ agents }) => agents.length >= 4 },
  "GET /api/machines": { holds: ({ machines }) => machines.length === 2 },
  "POST /api/machines/:id/approve": { path: () => "atlas", body: () => ({}), holds: () => true },
  "POST /api/machines/:id/deny": {
    path: () => "nobody",
    body: () => ({}),
    holds: ({ error }) => error.code === "unknown_machine",
  },
  "POST /api/machines/:id/revoke": {
    path: () => "nobody",
    body: () => ({}),
    holds: ({ error }) => error.code === "unknown_machine",
  },
  "POST /api/machines/:id/upgrade": {
    path: () => "limn",
    body: () => ({}),
    holds: ({ error }) => error.code === "forbidden" && error.message.includes("upgrade"),
  },
  "GET /api/machines/:id/upgrade": {
    path: () => "limn",
    holds: ({ version }) => typeof version === "string",
  },
  "POST /api/invites": { body: () => ({}), holds: ({ code }) => code.includes("-") },
  "GET /api/threads/:id": { path: () => threadId, holds: ({ messages }) => messages.length === 1 },
  "POST /api/threads/:id/release": {
    path: () => threadId,
    body: () => ({}),
    holds: ({ released }) => released === 0,
  },
  "GET /api/messages/:id": { path: () => messageId, holds: ({ states }) => states.length > 0 },
  "GET /api/inbox": { holds: ({ messages }) => messages.length > 0 },
  "GET /api/missions": {
    holds: ({ missions }) => missions.some((one: ToolResult) => one.mission_id === missionId),
  },
  "GET /api/missions/:id": { path: () => missionId, holds: ({ output }) => output === "42" },
  "GET /api/missions/:id/history": { path: () => missionId, holds: ({ messages }) => messages.length === 3 },
  "POST /api/missions/:id/cancel": {
    path: () => missionId,
    body: () => ({}),
    holds: ({ status }) => status === "completed",
  },
  "POST /api/mission-reports": {
    body: () => ({ mission_id: "m-20261122-000000", run: 1 }),
    holds: ({ unwanted }) => unwanted === true,
  },
  "GET /api/approvals": {
    holds: ({ approvals, grants }) => Array.isArray(approvals) && Array.isArray(grants),
  },
  "POST /api/approvals/:id": {
    path: () => approvalOf("answer never"),
    body: () => ({ decision: "deny" }),
    holds: ({ mission }) => mission.status === "denied",
  },
  "POST /api/grants/:id/revoke": {
    path: () => "g-000000000000",
    body: () => ({}),
    holds: ({ error }) => error.code === "unknown_approval",
  },
  "POST /api/feedback": {
    body: () => ({ ...note, from_agent: `atlas/website@${session}` }),
    holds: ({ status }) => status === "stored",
  },
  "GET /api/feedback": { holds: ({ feedback }) => feedback.length > 0 },
  "POST /api/login-codes": { body: () => ({}), holds: ({ code }) => code.includes("-") },
  "POST /api/login": {
    body: () => ({ code: "0000-0000-0000-0000", name: "x" }),
    holds: ({ error }) => error.code === "login_invalid",
  },
  "POST /api/logout": { body: () => ({ token: "none" }), holds: ({ status }) => status === "logged_out" },
  "POST /api/as-person": {
    body: () => ({ token: "none", op: "invite", input: {} }),
    holds: ({ error }) => error.code === "not_logged_in",
  },
};

test("every route of the table has a case", () => {
  expect(Object.keys(cases).sort()).toEqual(hubRoutes.map(({ method, path }) => `${method} ${path}`).sort());
});

for (const { method, path, op } of hubRoutes)
  test(`${method} ${path}: for ${hubOperations[op].who}`, async () => {
    const { path: id, query, body, holds } = cases[`${method} ${path}`] as Case;
    const at = path.replace(":id", (await id?.()) ?? "") + (query?.() ?? "");
    const { who } = hubOperations[op];
    if (who === "person") {
      const refused = await byMachine(method, at, body?.());
      expect([refused.status, refused.body.error?.code]).toEqual([403, "person_only"]);
    } else {
      const answer = await byMachine(method, at, body?.());
      expect({ answer, holds: holds(answer.body) }).toMatchObject({ holds: true });
    }
    if (who === "machine") {
      const refused = await byPerson(method, at, body?.());
      expect([refused.status, refused.body.error?.code]).toEqual([403, "forbidden"]);
    } else if (op !== "route" && op !== "feedback") {
      const answer = await byPerson(method, at, body?.());
      expect({ answer, holds: holds(answer.body) }).toMatchObject({ holds: true });
    } else {
      const given = op === "route" ? chat("human") : { ...note, from_agent: "human" };
      const to = op === "route" ? { to_agent: `atlas/website@${session}` } : {};
      const answer = await byPerson(method, at, { ...given, ...to });
      expect(answer.status).toBe(200);
      const forged = await byPerson(method, at, body?.());
      expect([forged.status, forged.body.error?.code]).toEqual([403, "forbidden"]);
    }
  });

const calls: Record<
  keyof typeof tools,
  [given: () => Record<string, unknown>, holds: (answer: ToolResult) => unknown]
> = {
  intercom_list_agents: [() => ({}), ({ agents }) => agents.length >= 4],
  intercom_chat: [() => ({ to: "human", message: "x" }), ({ status }) => status === "delivered"],
  intercom_reply: [() => ({ thread_id: threadId, message: "x" }), ({ status }) => status === "delivered"],
  intercom_check_inbox: [() => ({}), ({ count }) => count >= 0],
  intercom_register: [() => ({ summary: "tests" }), ({ status }) => status === "updated"],
  intercom_ask: [
    () => ({ to: "limn/mnemos", message: "answer x" }),
    ({ status }) => status === "pending_approval",
  ],
  intercom_start_agent: [
    () => ({ machine: "limn", project: "mnemos", mission: "answer x" }),
    ({ status }) => status === "pending_approval",
  ],
  intercom_send: [() => ({ to: "human", message: "x" }), ({ status }) => status === "delivered"],
  intercom_status: [
    () => ({ mission_id: missionId }),
    ({ status, output }) => status === "completed" && output === "42",
  ],
  intercom_history: [() => ({ mission_id: missionId }), ({ messages }) => messages.length === 3],
  intercom_cancel: [() => ({ mission_id: missionId }), ({ status }) => status === "completed"],
  intercom_report_feedback: [() => note, ({ status, timestamp }) => status === "stored" && timestamp],
};
for (const [name, [given, holds]] of Object.entries(calls))
  test(`${name} does what it is for`, async () => {
    const answer = await website.call(name, given());
    expect({ answer, holds: Boolean(holds(answer)) }).toMatchObject({ holds: true });
  });
