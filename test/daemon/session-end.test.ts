// What stays when a session ends: of setup's self-test nothing once its mail is read, of every other one its address.
import { expect, test } from "bun:test";
import { mkdtempSync, readdirSync } from "node:fs";
import { Projects } from "../../src/daemon/projects.ts";
import { Sessions } from "../../src/daemon/sessions.ts";
import { DaemonState } from "../../src/daemon/state.ts";

const project = "ai-intercom-self-test";
const mail = {
  thread_id: "t-000000000001",
  from_agent: "a/b@s-9",
  timestamp: "2026-11-22T00:00:00.000Z",
  message: "are you there?",
  id: "msg-1",
  type: "chat" as const,
};

function home() {
  const root = mkdtempSync("/tmp/aii-end-");
  const start = () => {
    const state = DaemonState.open(`${root}/daemon.json`);
    const sessions = new Sessions(state, new Projects(state, []), {
      inboxDirectory: `${root}/inbox`,
      unreadLimit: 10,
    });
    sessions.restore();
    return { state, sessions };
  };
  const files = () => readdirSync(`${root}/inbox`).filter((name) => name !== "pending");
  return { start, files };
}

/** It has mail, which is handed over when `read`. */
function ended(
  { sessions }: ReturnType<ReturnType<typeof home>["start"]>,
  body: object,
  read = true,
): string {
  const session = sessions.register({ pid: process.pid, project, ...body });
  session.inbox.append([mail]);
  if (read) {
    const me = { pid: process.pid, start: "x" };
    const room = { maxChars: 9000, measure: () => 1 };
    const delivery = session.inbox.claim({ asker: me, carrier: "tool", event: "x", ...room });
    session.inbox.forget(delivery?.nonce ?? "");
  }
  sessions.end(session);
  return session.stored.session_id;
}

test("a session of the self-test leaves neither inbox nor name nor project", () => {
  const { start, files } = home();
  const daemon = start();
  ended(daemon, {});
  expect([files(), daemon.state.sessions, daemon.state.projects]).toEqual([[], [], []]);
});

test("unread mail, a conversation of an agent's, another project: address and inbox stay", () => {
  for (const [body, read] of [
    [{}, false],
    [{ native_session_id: "n-1", agent: "claude" }, true],
    [{ project: "other" }, true],
  ] as const) {
    const { start, files } = home();
    const daemon = start();
    const id = ended(daemon, body, read);
    expect(files()).toContain(`${id}.jsonl`);
    expect(daemon.state.sessions.map((one) => one.session_id)).toEqual([id]);
    expect(daemon.state.projects).toHaveLength(1);
  }
});

test("what an older version left of its self-tests goes with the next start", async () => {
  const { start, files } = home();
  const daemon = start();
  const agent = Bun.spawn(["sleep", "60"]);
  const id = ended(daemon, { project: "other", pid: agent.pid });
  agent.kill();
  await agent.exited;
  const [stored] = daemon.state.sessions;
  if (!stored) throw new Error("it was forgotten");
  daemon.state.putSession({ ...stored, project });
  expect(files()).toContain(`${id}.jsonl`);
  const next = start();
  expect([files(), next.state.sessions]).toEqual([[], []]);
});
