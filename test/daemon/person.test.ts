// A person's acts on a joined machine: by the login that is kept here, never for an agent or what it started.
import { afterAll, expect, test } from "bun:test";
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { Outbox, type OutboxEntry } from "../../src/daemon/outbox.ts";
import { Person } from "../../src/daemon/person.ts";
import type { Session } from "../../src/daemon/sessions.ts";
import { IntercomError } from "../../src/protocol/errors.ts";
import { History } from "../../src/protocol/message.ts";

const root = mkdtempSync("/tmp/aii-person-");
afterAll(() => rmSync(root, { recursive: true, force: true }));

const login = { token: "secret-token", name: "ada", expires_at: "2026-12-22T00:00:00.000Z" };

function scene(options: { agent?: boolean; mission?: boolean; ended?: boolean; away?: boolean } = {}) {
  const loginFile = `${root}/${crypto.randomUUID()}.json`;
  const outbox = Outbox.open(`${loginFile}l`);
  const asked: [string, unknown][] = [];
  const hub = async (op: string, input: unknown) => {
    asked.push([op, input]);
    if (options.away) throw new IntercomError("hub_unreachable", "no link to the hub");
    if (op === "as_person" && options.ended) throw new IntercomError("not_logged_in", "this login has ended");
    return op === "login" ? login : { ok: op };
  };
  const person = new Person({
    link: {
      request: hub,
      ask: hub,
      linked: !options.away,
      state: options.away ? "connecting" : "linked",
      reason: undefined,
      unlinkedSince: "2026-11-23T04:00:00.000Z",
    },
    outbox,
    sessions: {
      amongAncestors: () =>
        options.agent ? ({ stored: { project: "p", session_id: "s-1" } } as Session) : undefined,
    },
    machine: "atlas",
    loginFile,
    missionOf: () => (options.mission ? "m-20261122-aaaaaa" : undefined),
  });
  return { person, asked, loginFile, outbox };
}
const refusal = (work: Promise<unknown>) =>
  work.then(
    () => "nothing thrown",
    (error: IntercomError) => `${error.code}: ${error.message} (${error.hint})`,
  );

test("without a login the two steps are named", async () => {
  const { person, asked } = scene();
  const text = await refusal(person.act("invite", {}, process.pid));
  expect(text).toStartWith("person_only: ");
  expect(text).toContain("at the hub: ai-intercom login; then here: ai-intercom login CODE");
  expect(asked).toEqual([]);
});

test("a login is kept 0600 and its token shown to nobody; logout ends it here and there", async () => {
  const { person, asked, loginFile } = scene();
  expect(await person.login({ code: "ABCD", name: "ada" }, process.pid)).toEqual({
    name: "ada",
    expires_at: login.expires_at,
  });
  expect((statSync(loginFile).mode & 0o777).toString(8)).toBe("600");
  expect(JSON.parse(readFileSync(loginFile, "utf8"))).toEqual(login);
  await person.act("invite", { a: 1 }, process.pid);
  expect(asked.at(-1)).toEqual(["as_person", { token: "secret-token", op: "invite", input: { a: 1 } }]);
  expect(await person.logout(process.pid)).toEqual({ status: "logged_out" });
  const token_hash = new Bun.CryptoHasher("sha256").update("secret-token").digest("hex");
  expect(asked.at(-1)).toEqual(["logout", { token_hash }]);
  expect(existsSync(loginFile)).toBe(false);
  expect(await person.logout(process.pid)).toEqual({ status: "not_logged_in" });
  expect(asked).toHaveLength(3);
});

test("an agent, a mission's process and a process that is gone are refused, whatever they ask", async () => {
  for (const [options, pid, why] of [
    [{ agent: true }, process.pid, "started by the agent of atlas/p@s-1"],
    [{ mission: true }, process.pid, "started by mission m-20261122-aaaaaa"],
    [{}, 2 ** 22 + 1, "no process"],
  ] as const) {
    const { person, asked, loginFile } = scene(options);
    writeFileSync(loginFile, JSON.stringify(login), { mode: 0o600 });
    for (const work of [
      person.act("approval_decide", {}, pid),
      person.login({ code: "ABCD", name: "ada" }, pid),
      person.logout(pid),
    ])
      expect(await refusal(work)).toContain(why);
    expect(asked).toEqual([]);
    expect(existsSync(loginFile)).toBe(true);
  }
});

test("a login that others can read, or that is no login, is not used", async () => {
  const { person, asked, loginFile } = scene();
  writeFileSync(loginFile, JSON.stringify(login));
  chmodSync(loginFile, 0o644);
  expect(await refusal(person.act("invite", {}, process.pid))).toMatch(/unsafe_file: .*\(chmod 600/);
  chmodSync(loginFile, 0o600);
  writeFileSync(loginFile, '{"token":');
  expect(await refusal(person.act("invite", {}, process.pid))).toStartWith("unparsable_file: ");
  expect(asked).toEqual([]);
});

test("facts: as the agent, as the person who logged in, else as the machine", async () => {
  const agent = scene({ agent: true });
  await agent.person.fact("mission", { id: "m-20261122-aaaaaa" }, process.pid);
  expect(agent.asked).toEqual([["mission", { id: "m-20261122-aaaaaa", session_id: "s-1" }]]);
  const machine = scene();
  await machine.person.fact("missions", {}, process.pid);
  expect(machine.asked).toEqual([["missions", {}]]);
  const person = scene();
  await person.person.login({ code: "ABCD", name: "ada" }, process.pid);
  await person.person.fact("missions", {}, process.pid);
  expect(person.asked.at(-1)?.[0]).toBe("as_person");
  const ended = scene({ ended: true });
  await ended.person.login({ code: "ABCD", name: "ada" }, process.pid);
  expect(await ended.person.fact("missions", {}, process.pid)).toEqual({ ok: "missions" });
});

test("facts with the hub away: what waits in this machine's outbox; of another session's, an agent learns nothing", async () => {
  const thread_id = "t-0123456789ab";
  const waiting = (message_id: string, session_id: string): OutboxEntry => ({
    kind: "route",
    session_id,
    at: "2026-11-23T04:00:01.000Z",
    input: {
      from_agent: `atlas/p@${session_id}`,
      to_agent: "limn/api",
      type: "chat",
      payload: {
        message: "hello",
        message_id,
        new_thread_id: thread_id,
        if_no_session: "fail",
        priority: "normal",
      },
    },
  });
  for (const [agent, ids] of [
    [false, ["msg-1", "msg-2"]],
    [true, ["msg-1"]],
  ] as const) {
    const { person, outbox } = scene({ agent, away: true });
    outbox.add([waiting("msg-1", "s-1"), waiting("msg-2", "s-2")], { durable: true });
    const known = History.parse(await person.fact("thread", { id: thread_id }, process.pid));
    expect(known.messages.map(({ id }) => id)).toEqual([...ids]);
    expect(known).toMatchObject({ thread_id, hub_unreachable: expect.stringContaining("no link") });
    expect(await person.fact("message", { id: "msg-1" }, process.pid)).toMatchObject({
      status: "queued",
      thread_id,
      states: [{ reason: expect.stringContaining("the hub is away since 2026-11-23T04:00:00.000Z") }],
      hub_unreachable: expect.stringContaining("could not be asked"),
    });
    for (const work of [
      person.fact("message", { id: agent ? "msg-2" : "msg-3" }, process.pid),
      person.fact("thread", { id: "t-ffffffffffff" }, process.pid),
      person.fact("missions", {}, process.pid),
    ])
      expect(await refusal(work)).toStartWith("hub_unreachable: no link to the hub");
  }
});
