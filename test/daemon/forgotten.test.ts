// A daemon whose memory was damaged: sessions keep their addresses, and no inbox is left without an owner.
import { expect, test } from "bun:test";
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { Deliveries } from "../../src/daemon/delivery.ts";
import { Outbox } from "../../src/daemon/outbox.ts";
import { Projects } from "../../src/daemon/projects.ts";
import { type Session, Sessions } from "../../src/daemon/sessions.ts";
import { DaemonState } from "../../src/daemon/state.ts";

function home() {
  const root = mkdtempSync("/tmp/aii-fgt-");
  const path = `${root}/daemon.json`;
  const start = () => {
    const state = DaemonState.open(path);
    const sessions = new Sessions(state, new Projects(state, []), {
      inboxDirectory: `${root}/inbox`,
      unreadLimit: 10,
    });
    sessions.restore();
    const outbox = Outbox.open(`${root}/outbox.jsonl`);
    const stop = () => {
      sessions.close();
      outbox.close();
    };
    return { state, sessions, outbox, deliveries: new Deliveries(sessions, outbox, "en"), stop };
  };
  return { root, path, start };
}

const body = { pid: process.pid, project: "p", agent: "claude" };
const mail = (n: number) => ({
  thread_id: `t-00000000000${n}`,
  from_agent: "a/b@s-9",
  timestamp: "2026-11-22T00:00:00.000Z",
  message: `m${n}`,
  id: `msg-${n}`,
  type: "chat" as const,
});
const me = { pid: process.pid, start: "x" };
const receiptsOf = (outbox: Outbox) =>
  outbox.head().map((entry) => (entry.kind === "receipt" ? entry.receipt : undefined));

for (const [what, damage] of [
  ["damaged", (path: string) => writeFileSync(path, "{ cut off")],
  ["emptied", (path: string) => writeFileSync(path, "")],
  ["gone", (path: string) => rmSync(path)],
] as const)
  test(`the daemon's memory is ${what}: its copy knows the sessions, ended ones too`, () => {
    const { path, start } = home();
    const first = start();
    const ended = first.sessions.register({ ...body, native_session_id: "n-1" });
    first.sessions.end(ended);
    const open = first.sessions.register({ ...body, project: "q" });
    first.stop();
    damage(path);
    const second = start();
    expect(second.sessions.byProcess(process.pid)?.stored).toEqual(open.stored);
    expect(second.state.sessions.map((one) => one.session_id)).toContain(ended.stored.session_id);
    second.stop();
    expect(DaemonState.open(path).sessions).toHaveLength(2);
  });

test("memory and copy are lost: a process gets the address that its MCP server remembers, and its mail", () => {
  const { path, start } = home();
  const first = start();
  const before = first.sessions.register(body).stored.session_id;
  first.sessions.get(before)?.inbox.append([mail(1)]);
  first.stop();
  forget(path);
  const second = start();
  const again = second.sessions.register({ ...body, last_session_id: before });
  expect([again.stored.session_id, again.inbox.unread, again.provisional]).toEqual([before, 1, false]);
  second.deliveries.giveBackForgotten();
  expect([again.inbox.unread, second.outbox.size]).toEqual([1, 0]);
  second.stop();
});

test("memory and copy are lost, and a hook comes before the MCP server: the marker names the session", () => {
  const { path, start } = home();
  const first = start();
  const before = first.sessions.register(body).stored.session_id;
  first.sessions.get(before)?.inbox.append([mail(1)]);
  first.stop();
  forget(path);
  const second = start();
  expect(second.sessions.register({ ...body, native_session_id: "n-1" }).stored.session_id).toBe(before);
  second.stop();
});

test("a remembered id is not taken from another process, nor from an open session", async () => {
  const { start } = home();
  const { sessions, stop } = start();
  const own = sessions.register(body).stored.session_id;
  await using child = Bun.spawn(["sleep", "60"]);
  await using third = Bun.spawn(["sleep", "60"]);
  const other = sessions.register({ ...body, pid: child.pid, last_session_id: own });
  expect(other.stored.session_id).not.toBe(own);
  sessions.end(other);
  const last = sessions.register({ ...body, pid: third.pid, last_session_id: other.stored.session_id });
  expect(last.stored.session_id).not.toBe(other.stored.session_id);
  stop();
});

test("an inbox that nobody takes up: unread mail goes back to the hub, what its transcript proves does not", () => {
  const { root, path, start } = home();
  const first = start();
  const session = first.sessions.register({ ...body, native_session_id: "n-1" });
  const transcript = `${root}/n-1.jsonl`;
  writeFileSync(transcript, "");
  first.sessions.bind(session, { transcript_path: transcript });
  session.inbox.append([mail(1), mail(2)]);
  const proved = claim(first.deliveries, session);
  appendFileSync(transcript, context(proved));
  session.inbox.append([mail(3)]);
  first.outbox.drop(first.outbox.size);
  first.stop();
  forget(path);
  const second = start();
  second.deliveries.giveBackForgotten();
  const { session_id } = session.stored;
  expect(receiptsOf(second.outbox)).toMatchObject([{ message_id: "msg-3", session_id, state: "queued" }]);
  const left = readFileSync(`${root}/inbox/${session_id}.jsonl`, "utf8");
  expect([left.includes("msg-1"), left.includes("msg-3")]).toEqual([true, false]);
  second.outbox.drop(second.outbox.size);
  second.deliveries.giveBackForgotten();
  expect(second.outbox.size).toBe(0);
  second.stop();
});

function claim(deliveries: Deliveries, session: Session): string {
  const delivery = deliveries.claim(session, { asker: me, carrier: "hook", event: "PostToolBatch" });
  if (!delivery) throw new Error("there was nothing to claim");
  return delivery.nonce;
}

function context(text: string): string {
  return `${JSON.stringify({
    type: "attachment",
    isSidechain: false,
    timestamp: new Date().toISOString(),
    attachment: { type: "hook_additional_context", content: [text], hookEvent: "PostToolBatch" },
  })}\n`;
}

function forget(path: string): void {
  writeFileSync(path, "{ cut off");
  rmSync(`${path}.copy`);
}
