// Damage that took accepted messages: from an inbox, where only the hub can tell which they were, and from the outbox.
import { afterAll, expect, test } from "bun:test";
import { appendFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { Arrivals } from "../../src/daemon/arrivals.ts";
import type { Link } from "../../src/daemon/link.ts";
import { LostMail } from "../../src/daemon/lost-mail.ts";
import { Outbox, type OutboxEntry } from "../../src/daemon/outbox.ts";
import { Projects } from "../../src/daemon/projects.ts";
import { Sessions } from "../../src/daemon/sessions.ts";
import { DaemonState } from "../../src/daemon/state.ts";
import { sessionsWithLoss } from "../../src/inbox/loss.ts";
import { IntercomError } from "../../src/protocol/errors.ts";
import type { DeliveredCopies } from "../../src/protocol/hub-api.ts";
import { log } from "../../src/system/log.ts";
import { homePaths } from "../../src/system/paths.ts";
import { diesAt } from "../rig/dies.ts";
import { waitFor } from "../rig/wait.ts";

const roots: string[] = [];
log.level = 0;
afterAll(() => {
  for (const root of roots) rmSync(root, { recursive: true, force: true });
});

type Ask = { session_id: string; after: number };
const none: DeliveredCopies = { copies: [] };
const copiesOf = (...ids: string[]): DeliveredCopies => ({
  copies: ids.map((message_id, at) => ({ message_id, state_no: 10 + at })),
});

function home() {
  const root = mkdtempSync("/tmp/aii-lost-");
  roots.push(root);
  const paths = homePaths(root);
  /** A daemon's parts on this home; `answer`: what the hub says is delivered. */
  const start = (
    answer: (ask: Ask) => DeliveredCopies | Promise<DeliveredCopies> = () => none,
    unreadLimit = 10,
  ) => {
    const state = DaemonState.open(paths.daemonState);
    const sessions = new Sessions(state, new Projects(state, []), {
      inboxDirectory: paths.inbox,
      unreadLimit,
    });
    sessions.restore();
    const outbox = Outbox.open(paths.outbox);
    const arrivals = new Arrivals(sessions, outbox, 65_536);
    const asked: Ask[] = [];
    const link = {
      linked: true,
      request: async (op: string, ask: Ask) => {
        if (op !== "delivered_copies") throw new Error(op);
        asked.push(ask);
        return answer(ask);
      },
    };
    const parts = { outbox, sessions, arrivals, paths, machine: "limn", language: "en" as const };
    const lostMail = new LostMail({ ...parts, link: link as unknown as Link });
    const register = (session_id = "s-1") =>
      sessions.register({ pid: process.pid, project: "p", session_id });
    const failed = () =>
      outbox
        .head()
        .flatMap((entry) => (entry.kind === "receipt" ? [entry.receipt] : []))
        .map(({ session_id, message_id, state, state_no }) => [session_id, message_id, state, state_no]);
    const looked = () => waitFor("the look", () => sessionsWithLoss(paths.inbox).length === 0);
    const stop = () => {
      lostMail.stop();
      sessions.close();
      outbox.close();
    };
    return { sessions, outbox, arrivals, link, asked, lostMail, register, failed, looked, stop };
  };
  return { root, paths, start };
}

const mail = (id: string, more: { local?: true } = {}) => ({
  thread_id: "t-0123456789ab",
  from_agent: "a/b@s-9",
  timestamp: "2026-11-23T00:00:00.000Z",
  message: `text of ${id}`,
  id,
  ...more,
});

/** Makes these messages' lines unreadable. */
function damage(path: string, ...ids: string[]): void {
  const lines = readFileSync(path, "utf8").split("\n");
  writeFileSync(
    path,
    lines
      .map((line) => (ids.some((id) => line.includes(`"${id}"`)) ? `${line.slice(0, 40)}\0` : line))
      .join("\n"),
  );
}

test("what the hub counts as delivered and nobody here knows is failed, with the number that it had; nothing else", async () => {
  const { paths, start } = home();
  const first = start();
  const { inbox } = first.register();
  inbox.append(["msg-1", "msg-2", "msg-3"].map((id) => mail(id)));
  first.stop();
  damage(inbox.path, "msg-2");
  const { lostMail, looked, failed, outbox, asked, sessions, stop } = start(() =>
    copiesOf("msg-1", "msg-2", "msg-3"),
  );
  expect(sessionsWithLoss(paths.inbox)).toEqual(["s-1"]);
  lostMail.look();
  await looked();
  expect(asked).toEqual([{ session_id: "s-1", after: 0 }]);
  expect(failed()).toEqual([["s-1", "msg-2", "failed", 11]]);
  const [entry] = outbox.head();
  expect(entry?.kind === "receipt" && entry.receipt.reason).toBe(
    "the line that held it was damaged on limn's disk; whether it was read is not known",
  );
  expect(
    sessions
      .get("s-1")
      ?.inbox.records()
      .map(({ id }) => id),
  ).toEqual(["msg-1", "msg-3"]);
  // it is durable, and nothing is asked again
  lostMail.look();
  stop();
  expect(asked).toHaveLength(1);
  expect(Outbox.open(paths.outbox).head()).toEqual(entry ? [entry] : []);
});

test("every page is asked for, and only then it is looked at what is known", async () => {
  const { start } = home();
  const first = start();
  const { inbox } = first.register();
  inbox.append([mail("msg-1")]);
  first.stop();
  damage(inbox.path, "msg-1");
  const pages = [{ ...copiesOf("msg-1"), next: 7 }, { copies: [], next: 9 }, copiesOf("msg-2")];
  const second = start(({ after }) => pages[[0, 7, 9].indexOf(after)] ?? none);
  second.lostMail.look();
  await second.looked();
  expect(second.failed().map(([, id]) => id)).toEqual(["msg-1", "msg-2"]);
  second.stop();
});

test("mail that comes while the list is on its way is known when it is here; damage found meanwhile is asked about again", async () => {
  const { paths, start } = home();
  const first = start();
  const { inbox } = first.register();
  inbox.append([mail("msg-1"), mail("msg-2")]);
  first.stop();
  damage(inbox.path, "msg-1");
  const answers = [Promise.withResolvers<DeliveredCopies>(), Promise.withResolvers<DeliveredCopies>()];
  const { lostMail, asked, failed, register, looked, stop } = start(
    () => answers[asked.length - 1]?.promise ?? none,
  );
  lostMail.look();
  const session = register();
  session.inbox.append([mail("msg-3"), mail("msg-4")]);
  damage(session.inbox.path, "msg-4");
  answers[0]?.resolve(copiesOf("msg-1", "msg-2", "msg-3"));
  await waitFor("the first answer to be taken", () => failed().length === 1);
  expect(failed().map(([, id]) => id)).toEqual(["msg-1"]);
  expect(sessionsWithLoss(paths.inbox)).toEqual(["s-1"]);
  lostMail.look();
  answers[1]?.resolve(copiesOf("msg-2", "msg-3", "msg-4"));
  await looked();
  expect(failed().map(([, id]) => id)).toEqual(["msg-1", "msg-4"]);
  stop();
});

test("a receipt that waits goes before ours: the hub, which takes them in order, finds another number", async () => {
  const { start } = home();
  const first = start();
  const { inbox } = first.register();
  inbox.append([mail("msg-1"), mail("msg-2")]);
  first.stop();
  damage(inbox.path, "msg-1");
  const { sessions, outbox, failed, lostMail, looked, stop } = start(() => copiesOf("msg-1", "msg-2"));
  const session = sessions.get("s-1");
  const at = new Date().toISOString();
  const back = { message_id: "msg-2", session_id: "s-1", state: "queued" as const, at };
  outbox.add([{ kind: "receipt", receipt: back }], { durable: true });
  session?.inbox.removeReturned(["msg-2"]);
  lostMail.look();
  await looked();
  expect(failed().map(([, id, state]) => [id, state])).toEqual([
    ["msg-2", "queued"],
    ["msg-1", "failed"],
    ["msg-2", "failed"],
  ]);
  stop();
});

test("the session has ended, is forgotten, or lost local mail only: asked about all the same, and its files stay as they are", async () => {
  const { paths, start } = home();
  const first = start();
  const ended = first.register();
  ended.inbox.append([mail("msg-1"), mail("note-1", { local: true })]);
  first.sessions.end(ended);
  first.stop();
  damage(ended.inbox.path, "msg-1", "note-1");
  writeFileSync(`${paths.inbox}/s-gone.jsonl`, '{"thread_id":"t', { mode: 0o600 });
  const second = start(({ session_id }) => (session_id === "s-1" ? copiesOf("msg-1") : none));
  // nobody has opened them yet
  for (const id of ["s-1", "s-gone"]) second.sessions.withInbox(id, ({ unread }) => expect(unread).toBe(0));
  expect(sessionsWithLoss(paths.inbox).sort()).toEqual(["s-1", "s-gone"]);
  second.lostMail.look();
  await second.looked();
  expect(second.failed()).toEqual([["s-1", "msg-1", "failed", 10]]);
  expect(second.sessions.all()).toEqual([]);
  second.stop();
});

test("an older hub is asked once a link, a broken link leaves the question open, and the note stays", async () => {
  const { paths, start } = home();
  const first = start();
  first.register().inbox.append([mail("msg-1")]);
  first.stop();
  damage(`${paths.inbox}/s-1.jsonl`, "msg-1");
  let says: () => DeliveredCopies = () => {
    throw new IntercomError("not_found", 'the hub has no operation "delivered_copies"');
  };
  const { lostMail, asked, link, looked, failed, stop } = start(() => says());
  const look = async (times: number) => {
    lostMail.look();
    await waitFor(`${times} questions`, () => asked.length === times);
    await Bun.sleep(0); // its answer is taken
  };
  await look(1);
  await look(1);
  expect([sessionsWithLoss(paths.inbox), failed()]).toEqual([["s-1"], []]);
  says = () => {
    throw new IntercomError("hub_unreachable", "the link broke");
  };
  lostMail.linked();
  await waitFor("the next link's question", () => asked.length === 2);
  link.linked = false;
  await look(2);
  expect(sessionsWithLoss(paths.inbox)).toEqual(["s-1"]);
  link.linked = true;
  says = () => copiesOf("msg-1");
  lostMail.look();
  await looked();
  expect(failed()).toHaveLength(1);
  stop();
});

const route = (n: number, to: string | string[] = "limn/api"): OutboxEntry => ({
  kind: "route",
  session_id: "s-1",
  at: "2026-11-23T00:00:00.000Z",
  input: {
    from_agent: "atlas/p@s-1",
    to_agent: to,
    type: "chat",
    payload: {
      message: `text ${n}, "session_id":"s-2" in quotes`,
      message_id: `msg-${n}`,
      new_thread_id: "t-0123456789ab",
      if_no_session: "fail",
      priority: "normal",
    },
  },
});

/** An outbox with these lines, each changed, and nobody there. */
function outboxOf(path: string, ...changed: ((line: string) => string)[]): void {
  const lines = changed.map((change, n) => change(JSON.stringify(route(n + 1))));
  writeFileSync(path, lines.map((line) => `${line}\n`).join(""), { mode: 0o600 });
}
const whole = (line: string) => line;

test("a damaged line of the outbox: its sender finds a notice with what can be made out, once; the rest goes on", () => {
  const { root, paths, start } = home();
  const first = start();
  first.register();
  first.stop();
  outboxOf(
    paths.outbox,
    (line) => line.replace("text", "te\0t"),
    whole,
    (line) => line.slice(0, line.indexOf('"payload"')),
    (line) => line.replace('"session_id":"s-1"', '"session_id":\0\0\0\0\0'),
    (line) => line.replace('"to_agent":"limn/api"', '"to_agent":["a/b","*/c"]').replace("text", "te\0t"),
  );
  // a daemon that is killed before the notices stand there finds what it owes
  start().stop();
  const again = start();
  again.lostMail.look();
  expect(again.outbox.routes).toBe(1);
  const told = again.sessions.get("s-1")?.inbox.records() ?? [];
  const kept = `What is left of it is kept in ${root}/outbox.jsonl.corrupt.`;
  const why =
    "waited on this machine for the hub, and its line was damaged on the disk: it is not sent from here.";
  const unless = "Unless intercom_status says that it arrived, send it again.";
  expect(told.map(({ message }) => message)).toEqual([
    `Your message msg-1 to limn/api ${why} ${kept} ${unless}`,
    `A message of yours to limn/api ${why} ${kept} Send it again if no answer came.`,
    `Your message msg-4 to limn/api ${why} ${kept} ${unless}`,
    `Your message msg-5 to a/b, */c ${why} ${kept} ${unless}`,
  ]);
  expect(told[0]).toMatchObject({
    id: "msg-1-lost",
    thread_id: "t-0123456789ab",
    from_agent: "hub",
    type: "status",
    local: true,
    read: false,
  });
  expect(existsSync(`${paths.outbox}.lost`)).toBe(false);
  // the same lines found again, as after a kill before the outbox was mended
  again.stop();
  outboxOf(paths.outbox, (line) => line.replace("text", "te\0t"));
  const third = start();
  third.lostMail.look();
  expect(third.sessions.get("s-1")?.inbox.records()).toHaveLength(4);
  third.stop();
});

test.each(["outbox.open.noted", "replace-file.after-rename:1", "replace-file.after-rename:2"])(
  "a kill at %s: the sender is told all the same, once",
  async (crash) => {
    const { paths, start } = home();
    const first = start();
    first.register();
    first.stop();
    outboxOf(paths.outbox, (line) => line.replace("text", "te\0t"), whole);
    const source = `import { Outbox } from "${import.meta.dir}/../../src/daemon/outbox.ts";
      Outbox.open(${JSON.stringify(paths.outbox)});`;
    await diesAt(crash, source);
    const second = start();
    second.lostMail.look();
    const told = second.sessions
      .get("s-1")
      ?.inbox.records()
      .map(({ id }) => id);
    expect([second.outbox.routes, told]).toEqual([1, ["msg-1-lost"]]);
    second.stop();
  },
);

test("a line of which no sender, or two, can be made out: nobody is told", () => {
  const { paths, start } = home();
  const first = start();
  first.register();
  first.stop();
  outboxOf(
    paths.outbox,
    (line) => line.slice(120),
    (line) => line.replace('"session_id":"s-1"', '"session_id":"s-2"').replace("text", "te\0t"),
    (line) => line.replaceAll("s-1", "s-\0"),
  );
  appendFileSync(paths.outbox, '{"kind":"receipt","receipt":{"message_id":"msg-9","session_id":"s-1"\n');
  const second = start();
  second.lostMail.look();
  expect([second.outbox.size, second.sessions.get("s-1")?.inbox.unread]).toEqual([0, 0]);
  expect(existsSync(`${paths.outbox}.lost`)).toBe(false);
  second.stop();
});

test("a sender whose inbox is full, or who is not known here yet, is told later; one that has ended finds it there", () => {
  const { paths, start } = home();
  const first = start(undefined, 1);
  const session = first.register();
  session.inbox.append([mail("msg-9")]);
  first.stop();
  outboxOf(
    paths.outbox,
    (line) => line.replace("text", "te\0t"),
    (line) => line.replaceAll("s-1", "s-7").replace("text", "te\0t"),
  );
  const second = start(undefined, 1);
  second.lostMail.look();
  const waiting = () => readFileSync(`${paths.outbox}.lost`, "utf8").trim().split("\n").length;
  expect(waiting()).toBe(2);
  const again = second.sessions.get("s-1");
  again?.inbox.removeReturned(["msg-9"]);
  if (again) second.sessions.end(again);
  second.lostMail.look();
  expect(waiting()).toBe(1);
  second.sessions.withInbox("s-1", (inbox) =>
    expect(inbox.unreadRecords().map(({ id }) => id)).toEqual(["msg-1-lost"]),
  );
  second.register("s-7");
  second.lostMail.look();
  expect(second.sessions.get("s-7")?.inbox.unread).toBe(1);
  expect(existsSync(`${paths.outbox}.lost`)).toBe(false);
  second.stop();
});
