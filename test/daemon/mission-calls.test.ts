// What an agent's calls about missions ask of the hub, and what they answer while the hub is away.
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { Arrivals } from "../../src/daemon/arrivals.ts";
import type { Link, LinkState } from "../../src/daemon/link.ts";
import { lostNoticeId } from "../../src/daemon/lost-routes.ts";
import { MissionCalls } from "../../src/daemon/mission-calls.ts";
import { Outbox } from "../../src/daemon/outbox.ts";
import { Projects } from "../../src/daemon/projects.ts";
import { Sender } from "../../src/daemon/sender.ts";
import { Sessions } from "../../src/daemon/sessions.ts";
import { DaemonState } from "../../src/daemon/state.ts";
import { IntercomError } from "../../src/protocol/errors.ts";
import type { RouteInput } from "../../src/protocol/hub-api.ts";
import { MissionId } from "../../src/protocol/mission.ts";
import { parseToolInput } from "../../src/protocol/tools.ts";
import { log } from "../../src/system/log.ts";
import { waitFor } from "../rig/wait.ts";

const roots: string[] = [];
log.level = 0;
afterAll(() => {
  for (const root of roots) rmSync(root, { recursive: true, force: true });
});

/** A daemon's parts with a link that a test answers. */
function scene(answer: (op: string, input: never) => unknown = () => ({})) {
  const root = mkdtempSync("/tmp/aii-mc-");
  roots.push(root);
  const state = DaemonState.open(`${root}/daemon.json`);
  const sessions = new Sessions(state, new Projects(state, []), {
    inboxDirectory: `${root}/inbox`,
    unreadLimit: 10,
  });
  const outbox = Outbox.open(`${root}/outbox.jsonl`);
  const asked: { op: string; input: RouteInput & Record<string, unknown> }[] = [];
  const link = {
    linked: true,
    state: "linked" as LinkState,
    reason: undefined as string | undefined,
    unlinkedSince: "2026-11-23T04:00:00.000Z",
    request: async (op: string, input: never) => {
      if (!link.linked) throw new IntercomError("hub_unreachable", "no link");
      asked.push({ op, input });
      return answer(op, input);
    },
    ask: (op: string, input: never) => link.request(op, input),
  };
  const parts = { link: link as unknown as Link, outbox, sessions };
  const sender = new Sender({
    ...parts,
    arrivals: new Arrivals(sessions, outbox, 65_536),
    machine: "atlas",
    messageBytes: 65_536,
    beforeRoute: async () => {},
  });
  const session = sessions.register({ pid: process.pid, project: "website", session_id: "s-1" });
  const calls = new MissionCalls({ ...parts, sender, addressOf: () => "atlas/website@s-1" });
  const away = () =>
    Object.assign(link, { linked: false, state: "connecting", reason: "no hub answers at http://limn" });
  const back = () => {
    Object.assign(link, { linked: true, state: "linked", reason: undefined });
    sender.flush();
  };
  return { asked, calls, session, outbox, away, back };
}

const call = (session: ReturnType<typeof scene>["session"], messageId: string) => ({ session, messageId });
const ask = (given: Record<string, unknown>) => parseToolInput("intercom_ask", given);
const news = (given: Record<string, unknown>) => parseToolInput("intercom_send", given);

test("an ask carries all that the hub needs; its retry proposes the same ids", async () => {
  const { asked, calls, session } = scene(() => ({ status: "launched", mission_id: "m-20261122-aaaaaa" }));
  const input = ask({ to: "limn/mnemos", message: "go", files: ["a.md"], context_thread: "t-0123456789ab" });
  const answer = await calls.ask(input, call(session, "msg-1"));
  expect(answer).toEqual({ status: "launched", mission_id: "m-20261122-aaaaaa" });
  await calls.ask(input, call(session, "msg-1"));
  expect(asked[0]?.input).toEqual({
    from_agent: "atlas/website@s-1",
    to_agent: "limn/mnemos",
    type: "ask",
    payload: {
      message: "go",
      message_id: "msg-1",
      new_thread_id: expect.stringMatching(/^t-/),
      if_no_session: "fail",
      priority: "normal",
      mission: {
        id: expect.stringMatching(/^m-\d{8}-[0-9a-f]{6}$/),
        continues: undefined,
        timeout: 300,
        require_approval: "auto",
        agent_command: "",
        files: ["a.md"],
        context_thread: "t-0123456789ab",
      },
    },
  });
  expect(asked[1]?.input.payload.new_thread_id).toBe(asked[0]?.input.payload.new_thread_id);
  expect(asked[1]?.input.payload.mission?.id).toBe(asked[0]?.input.payload.mission?.id);
});

test("start_agent names machine, project and command; continuing names the mission and proposes no ids", async () => {
  const { asked, calls, session } = scene(() => ({
    status: "pending_approval",
    mission_id: "m-20261122-aaaaaa",
  }));
  const given = { machine: "limn", project: "mnemos", mission: "build it", agent_command: "codex" };
  await calls.startAgent(parseToolInput("intercom_start_agent", given), call(session, "msg-1"));
  expect(asked[0]?.input).toMatchObject({
    to_agent: "limn/mnemos",
    type: "start_agent",
    payload: { message: "build it", mission: { agent_command: "codex" } },
  });
  const further = ask({ to: "limn/mnemos", message: "more", mission_id: "m-20261122-aaaaaa" });
  await calls.ask(further, call(session, "msg-2"));
  expect(asked[1]?.input.payload).toMatchObject({ mission: { continues: "m-20261122-aaaaaa" } });
  expect(asked[1]?.input.payload.new_thread_id).toBeUndefined();
  expect(asked[1]?.input.payload.mission?.id).toBeUndefined();
});

test("with the hub away: ask, start_agent and send wait on disk with their ids, and go out in order", async () => {
  const { asked, calls, session, outbox, away, back } = scene((op, { type }: RouteInput) => {
    if (op !== "route") throw new IntercomError("internal", op);
    return type === "send" ? { status: "queued", recipients: [] } : { status: "launched" };
  });
  away();
  const queued = await calls.ask(ask({ to: "limn/mnemos", message: "one" }), call(session, "msg-1"));
  expect(queued).toMatchObject({ status: "queued", reason: "no hub answers at http://limn" });
  expect(MissionId.safeParse(queued.mission_id).success).toBe(true);
  expect(queued.thread_id).toMatch(/^t-/);
  const again = await calls.ask(ask({ to: "limn/mnemos", message: "one" }), call(session, "msg-1"));
  expect(again.mission_id).toBe(queued.mission_id as string);
  const told = await calls.send(news({ to: ["limn/*", "human"], message: "two" }), call(session, "msg-2"));
  expect(told).toMatchObject({ status: "queued", recipients: [{ to: "limn/*" }, { to: "human" }] });
  const started = { machine: "limn", project: "mnemos", mission: "three" };
  await calls.startAgent(parseToolInput("intercom_start_agent", started), call(session, "msg-3"));
  expect(outbox.routes).toBe(3);
  const look = await calls.status(
    parseToolInput("intercom_status", { mission_id: queued.mission_id }),
    call(session, "msg-4"),
  );
  expect(look).toMatchObject({ status: "queued", output: "", text: "one", reason: waitsHere });
  back();
  await waitFor("the outbox to empty", () => outbox.size === 0);
  expect(asked.map(({ input }) => input.payload.message)).toEqual(["one", "two", "three"]);
  expect(asked[0]?.input.payload.mission?.id).toBe(queued.mission_id);
});

const waitsHere = "this machine's outbox: the hub is away since 2026-11-23T04:00:00.000Z";
const unasked = "the hub could not be asked (no hub answers at http://limn); this is what this machine knows";

test("with the hub away: status and history of what waits in the outbox, with the words that the hub was not asked", async () => {
  const { calls, session, away, outbox } = scene();
  away();
  const asked = await calls.ask(ask({ to: "limn/mnemos", message: "do it" }), call(session, "msg-1"));
  const about = call(session, "msg-9");
  const status = (given: object) => calls.status(parseToolInput("intercom_status", given), about);
  const history = (given: object) => calls.history(parseToolInput("intercom_history", given), about);
  const [entry] = outbox.routesWhere(() => true);
  expect(await status({ message_id: "msg-1" })).toEqual({
    message_id: "msg-1",
    thread_id: asked.thread_id ?? "",
    status: "queued",
    states: [{ state: "queued", at: entry?.at ?? "", reason: waitsHere }],
    hub_unreachable: unasked,
  });
  expect(await status({ mission_id: asked.mission_id })).toMatchObject({
    status: "queued",
    text: "do it",
    to: "limn/mnemos",
    reason: waitsHere,
    hub_unreachable: unasked,
  });
  const message = {
    id: "msg-1",
    thread_id: asked.thread_id,
    type: "ask",
    from_agent: "atlas/website@s-1",
    to_agent: "limn/mnemos",
    message: "do it",
    timestamp: entry?.at,
    status: "queued",
  };
  for (const given of [{ thread_id: asked.thread_id }, { mission_id: asked.mission_id }])
    expect<unknown>(await history(given)).toMatchObject({
      ...given,
      messages: [message],
      hub_unreachable: expect.stringMatching(/^the hub could not be asked \(no link/),
    });
  // another session's message is not this one's to see
  const other = { ...about, session: { ...session, stored: { ...session.stored, session_id: "s-2" } } };
  for (const work of [
    calls.status(parseToolInput("intercom_status", { message_id: "msg-1" }), other),
    calls.history(parseToolInput("intercom_history", { thread_id: asked.thread_id }), other),
  ])
    expect(await work.catch((error: IntercomError) => error.code)).toBe("hub_unreachable");
});

test("a thread of which the hub has a part: what waits here stands behind it, once", async () => {
  const said = (id: string) => ({
    id,
    thread_id: "t-0123456789ab",
    type: "chat",
    from_agent: "atlas/website@s-1",
    to_agent: "limn/mnemos@s-2",
    message: id,
    timestamp: "2026-11-23T04:00:00.000Z",
    status: "seen",
  });
  const { calls, session, outbox } = scene(() => ({
    thread_id: "t-0123456789ab",
    messages: [said("msg-1"), said("msg-2")],
  }));
  for (const message_id of ["msg-2", "msg-3"])
    outbox.add(
      [
        {
          kind: "route",
          session_id: "s-1",
          at: "2026-11-23T04:01:00.000Z",
          input: {
            from_agent: "atlas/website@s-1",
            type: "chat",
            payload: {
              message: message_id,
              message_id,
              thread_id: "t-0123456789ab",
              if_no_session: "fail",
              priority: "normal",
            },
          },
        },
      ],
      { durable: true },
    );
  const history = async (limit?: number) => {
    const given = parseToolInput("intercom_history", { thread_id: "t-0123456789ab", limit });
    const { messages, hub_unreachable } = await calls.history(given, call(session, "msg-9"));
    expect(hub_unreachable).toBeUndefined();
    return messages.map((one) => ("status" in one ? [one.id, one.status] : []));
  };
  expect(await history()).toEqual([
    ["msg-1", "seen"],
    ["msg-2", "seen"],
    ["msg-3", "queued"],
  ]);
  expect(await history(1)).toEqual([["msg-3", "queued"]]);
});

test("with the hub away: status, history, cancel and feedback say that it is away", async () => {
  const { calls, session, away } = scene();
  away();
  const mission_id = "m-20261122-aaaaaa";
  const about = call(session, "msg-1");
  for (const work of [
    calls.status(parseToolInput("intercom_status", { mission_id }), about),
    calls.status(parseToolInput("intercom_status", { message_id: "msg-9" }), about),
    calls.history(parseToolInput("intercom_history", { mission_id }), about),
    calls.cancel(parseToolInput("intercom_cancel", { mission_id }), about),
    calls.reportFeedback(
      parseToolInput("intercom_report_feedback", { type: "note", description: "fine" }),
      about,
    ),
  ])
    expect(await work.catch((error: IntercomError) => error.code)).toBe("hub_unreachable");
});

test("status of a message that damage took from the outbox: failed, unless the hub knows it after all", async () => {
  let known = false;
  const { calls, session } = scene((_, { id }: { id: string }) => {
    if (!known) throw new IntercomError("unknown_message", `there is no message ${id} in your threads`);
    return { message_id: id, thread_id: "t-0123456789ab", status: "seen", states: [] };
  });
  const look = (message_id: string) =>
    calls
      .status(parseToolInput("intercom_status", { message_id }), call(session, "msg-9"))
      .catch((error: IntercomError) => error.code);
  const timestamp = "2026-11-23T00:00:00.000Z";
  const notice = {
    thread_id: "t-0123456789ab",
    from_agent: "hub",
    timestamp,
    message: "its line was damaged",
  };
  session.inbox.append([{ ...notice, id: lostNoticeId("msg-1"), type: "status", local: true }]);
  expect(await look("msg-1")).toEqual({
    message_id: "msg-1",
    thread_id: "t-0123456789ab",
    status: "failed",
    states: [{ state: "failed", at: timestamp, reason: "its line was damaged" }],
  });
  expect(await look("msg-2")).toBe("unknown_message");
  known = true;
  expect(await look("msg-1")).toMatchObject({ status: "seen" });
});

test("what was queued here and then refused reaches its sender, once and by name", async () => {
  const { calls, session, outbox, away, back } = scene((_, { type, payload }: RouteInput) => {
    if (payload.message === "unknown") throw new IntercomError("unknown_project", "no such project");
    if (type === "send")
      return {
        status: "error",
        recipients: [
          { to: "limn/a@s-2", status: "delivered" },
          { to: "limn/b", status: "error", reason: "its inbox is full" },
        ],
      };
    return { status: "denied", reason: "no agent may be started there" };
  });
  away();
  const { mission_id } = await calls.ask(ask({ to: "limn/mnemos", message: "x" }), call(session, "msg-1"));
  await calls.ask(ask({ to: "limn/mnemo", message: "unknown" }), call(session, "msg-2"));
  await calls.send(news({ to: "limn/*", message: "y" }), call(session, "msg-3"));
  back();
  await waitFor("the outbox to empty", () => outbox.size === 0);
  const [denied, unknown, lost] = session.inbox.records().map(({ message }) => message);
  expect(denied).toBe(
    `Your mission ${mission_id} in limn/mnemos was not started: no agent may be started there`,
  );
  expect(unknown).toEndWith("in limn/mnemo was not started: no such project");
  expect(lost).toBe(
    "Your message msg-3 was not delivered to all: limn/b: its inbox is full. The others have it or will get it: if you send again, then to these only.",
  );
  expect(session.inbox.records()).toHaveLength(3);
});

test("a mission id that is taken: another is proposed; who was told the first one hears of it", async () => {
  let taken = "";
  const { asked, calls, session, outbox, away, back } = scene((_, { payload }: RouteInput) => {
    const id = payload.mission?.id ?? "";
    taken ||= id;
    if (id === taken) throw new IntercomError("conflict", `mission id ${id} is taken`);
    return { status: "launched", mission_id: id };
  });
  const first = await calls.ask(ask({ to: "limn/mnemos", message: "x" }), call(session, "msg-1"));
  expect(first.mission_id).not.toBe(taken);
  expect(asked).toHaveLength(2);
  away();
  const queued = await calls.ask(ask({ to: "limn/mnemos", message: "y" }), call(session, "msg-2"));
  taken = queued.mission_id ?? "";
  back();
  await waitFor("the outbox to empty", () => outbox.size === 0);
  const now = asked.at(-1)?.input.payload.mission?.id;
  expect(session.inbox.records()[0]?.message).toBe(
    `Your mission has the id ${now} now (launched); ${taken} was taken.`,
  );
});

test("what cannot be meant takes nothing from the others: here, at a hub that is away, and where nobody else is meant", async () => {
  let recipients = [{ to: "limn/a@s-2", status: "delivered" }];
  const { asked, calls, session, away } = scene(() => ({
    status: recipients.length > 0 ? "delivered" : "error",
    recipients,
    ...(recipients.length > 0 ? {} : { error: "nobody but the sender is meant by limn/*" }),
  }));
  const send = (id: string) => calls.send(news({ to: ["limn/*", "limn"], message: id }), call(session, id));
  expect(await send("msg-1")).toMatchObject({
    status: "delivered",
    hint: expect.stringMatching(/^failed: limn; if you send again, then to these only/),
    recipients: [{ status: "delivered" }, { to: "limn", status: "error" }],
  });
  expect(asked[0]?.input.to_agent).toEqual(["limn/*"]);
  recipients = [];
  expect(await send("msg-2")).toMatchObject({
    status: "error",
    error: "nobody but the sender is meant by limn/*",
    recipients: [{ to: "limn", status: "error" }],
  });
  away();
  expect(await send("msg-3")).toMatchObject({
    status: "queued",
    recipients: [
      { to: "limn/*", status: "queued" },
      { to: "limn", status: "error" },
    ],
  });
});

test("nothing is sent of what cannot be meant", async () => {
  const { asked, calls, session } = scene();
  const about = call(session, "msg-1");
  for (const [work, message] of [
    [calls.ask(ask({ to: "human", message: "x" }), about), "a mission runs in a project"],
    [calls.ask(ask({ to: "limn/mnemos@s-2", message: "x" }), about), "a mission runs in a project"],
    [calls.ask(ask({ to: "limn", message: "x" }), about), "is not an address"],
    [calls.ask(ask({ to: "limn/mnemos", message: "  " }), about), "the message is empty"],
    [calls.ask(ask({ to: "limn/mnemos", message: "x".repeat(65_537) }), about), "at most 65536"],
  ] as const)
    expect(await work.catch((error: Error) => error.message)).toContain(message);
  const refused = { status: "error", error: expect.stringContaining("is not an address") };
  for (const to of ["limn", "*/*", "li*/a"])
    expect(await calls.send(news({ to, message: "x" }), about)).toMatchObject({
      ...refused,
      recipients: [{ to, ...refused }],
    });
  expect(asked).toEqual([]);
});
