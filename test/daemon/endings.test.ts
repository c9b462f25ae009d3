// What comes when a session has just ended or is just back: late answers, mail on its way, retried calls.
import { expect, test } from "bun:test";
import { mkdtempSync } from "node:fs";
import { Arrivals } from "../../src/daemon/arrivals.ts";
import { Outbox } from "../../src/daemon/outbox.ts";
import { Projects } from "../../src/daemon/projects.ts";
import { Sessions } from "../../src/daemon/sessions.ts";
import { DaemonState } from "../../src/daemon/state.ts";
import { threadIdFor } from "../../src/protocol/ids.ts";

function scene() {
  const root = mkdtempSync("/tmp/aii-end-");
  const state = DaemonState.open(`${root}/daemon.json`);
  const sessions = new Sessions(state, new Projects(state, []), {
    inboxDirectory: `${root}/inbox`,
    unreadLimit: 10,
  });
  const outbox = Outbox.open(`${root}/outbox.jsonl`);
  const register = () =>
    sessions.register({ pid: process.pid, project: "p", agent: "claude", native_session_id: "n-1" });
  return { state, sessions, outbox, register, arrivals: new Arrivals(sessions, outbox, 65_536) };
}

const deliver = (session_id: string, n: number) => ({
  session_id,
  seq: n,
  message: {
    id: `msg-${n}`,
    thread_id: "t-0123456789ab",
    type: "chat",
    from_agent: "a/b@s-9",
    to_agent: "x",
    message: `m${n}`,
    timestamp: "2026-11-22T00:00:00.000Z",
  },
});

test("an answer that comes after its agent ended does not bring the session back: it resumes under its address", () => {
  const { sessions, register } = scene();
  const ended = register();
  sessions.end(ended);
  sessions.noteReply(ended, "t-0123456789ab");
  const resumed = register();
  expect(resumed.stored.session_id).toBe(ended.stored.session_id);
  const replied = () => Object.keys(sessions.get(resumed.stored.session_id)?.stored.replied ?? {});
  expect(replied()).toEqual(["t-0123456789ab"]);
  sessions.noteReply(resumed, "t-0123456789ac");
  sessions.noteReply(ended, "t-0123456789ad");
  expect(replied()).toEqual(["t-0123456789ab", "t-0123456789ac", "t-0123456789ad"]);
  sessions.update(ended, { summary: "late" });
  expect(sessions.get(resumed.stored.session_id)?.stored.summary).toBe("late");
  sessions.close();
});

test("a session that writes in ever new threads: the latest replies are remembered, and nobody is told of them", () => {
  const { sessions, register } = scene();
  const session = register();
  let told = 0;
  sessions.onChange = () => (told += 1);
  for (let at = 0; at < 200; at++) sessions.noteReply(session, `t-${at}`);
  sessions.noteReply(session, "t-160");
  const replied = Object.keys(session.stored.replied);
  expect([replied.length, replied.at(0), replied.at(-1)]).toEqual([50, "t-150", "t-160"]);
  expect(told).toBe(0);
  sessions.close();
});

test("a resumed session takes nothing new while mail that it gave back has not reached the hub", async () => {
  const { sessions, outbox, register, arrivals } = scene();
  const { session_id } = register().stored;
  outbox.add(
    [
      {
        kind: "receipt",
        receipt: { message_id: "msg-1", session_id, state: "queued", at: "2026-11-22T00:00:00.000Z" },
      },
    ],
    { durable: true },
  );
  expect(await arrivals.receive(deliver(session_id, 2))).toEqual({ status: "session_ended" });
  outbox.drop(1);
  expect(await arrivals.receive(deliver(session_id, 1))).toEqual({ status: "delivered" });
  expect(await arrivals.receive(deliver(session_id, 2))).toEqual({ status: "delivered" });
  sessions.close();
});

test("a call that is repeated opens the same thread", () => {
  expect(threadIdFor("msg-1")).toMatch(/^t-[0-9a-f]{12}$/);
  expect(threadIdFor("msg-1")).toBe(threadIdFor("msg-1"));
  expect(threadIdFor("msg-2")).not.toBe(threadIdFor("msg-1"));
});

test("nothing passes what was refused and has not come again, and all of it is taken in order when it comes", async () => {
  const { sessions, outbox, register, arrivals } = scene();
  const session = register();
  const { session_id } = session.stored;
  const send = (...seqs: number[]) =>
    Promise.all(seqs.map((seq) => arrivals.receive(deliver(session_id, seq)).then(({ status }) => status)));
  const receipt = {
    message_id: "msg-1",
    session_id,
    state: "queued" as const,
    at: "2026-11-22T00:00:00.000Z",
  };
  outbox.add([{ kind: "receipt", receipt }], { durable: false });
  expect(await send(5, 6)).toEqual(["session_ended", "session_ended"]);
  outbox.drop(1);
  expect(await send(7)).toEqual(["session_ended"]);
  expect(await send(5)).toEqual(["delivered"]);
  expect(await send(8)).toEqual(["session_ended"]);
  expect(await send(6, 7, 8)).toEqual(["delivered", "delivered", "delivered"]);
  expect(session.inbox.records().map(({ id }) => id)).toEqual(["msg-5", "msg-6", "msg-7", "msg-8"]);
  sessions.close();
  outbox.close();
});

test("what was refused long before comes again with more behind it: nothing is left behind for later mail to pass", async () => {
  const { sessions, outbox, register, arrivals } = scene();
  const session = register();
  const { session_id } = session.stored;
  const send = (...seqs: number[]) =>
    Promise.all(seqs.map((seq) => arrivals.receive(deliver(session_id, seq)).then(({ status }) => status)));
  const receipt = {
    message_id: "msg-1",
    session_id,
    state: "queued" as const,
    at: "2026-11-22T00:00:00.000Z",
  };
  outbox.add([{ kind: "receipt", receipt }], { durable: false });
  expect(await send(5)).toEqual(["session_ended"]);
  outbox.drop(1);
  const first = await send(5, 6, 7);
  const arrived = () => session.inbox.records().map(({ id }) => id);
  const after = await send(8);
  expect([first, after, arrived()]).toEqual([
    ["delivered", "delivered", "delivered"],
    ["delivered"],
    ["msg-5", "msg-6", "msg-7", "msg-8"],
  ]);
  sessions.close();
  outbox.close();
});
