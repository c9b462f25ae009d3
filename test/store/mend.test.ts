// What is done about rows that were lost: nothing is promised that cannot be kept, and who sent it is told.
import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { copyFileSync, mkdtempSync } from "node:fs";
import { join } from "node:path";
import { mend } from "../../src/store/mend.ts";
import { openStore } from "../../src/store/open.ts";
import type { Store } from "../../src/store/store.ts";
import {
  a,
  at,
  b,
  created,
  furnish,
  human,
  joinRequest,
  newMessage,
  present,
  report,
  roomy,
} from "./fixtures.ts";

type Scene = {
  store: Store;
  /** closes the store, takes rows away, mends, and opens it again; `places`: lost rows still stand in indexes */
  lose: (tables: string[], statements: string[], options?: { places?: boolean }) => Promise<Mended>;
};
type Mended = { store: Store; mended: Record<string, number>; [Symbol.asyncDispose](): Promise<void> };

async function scene(): Promise<Scene> {
  const path = join(mkdtempSync("/tmp/aii-mend-"), "hub.db");
  const store = openStore(path);
  await furnish(store);
  return {
    store,
    lose: async (tables, statements, { places = true } = {}) => {
      await store.close();
      copyFileSync(path, `${path}.from`);
      const db = new Database(path, { strict: true });
      db.run("PRAGMA foreign_keys = OFF");
      for (const statement of statements) db.run(statement);
      using from = places ? new Database(`${path}.from`, { strict: true }) : new Database(":memory:");
      const { mended } = mend(db, from, { at: at(1000), lost: new Set(tables) });
      expect(db.query("PRAGMA foreign_key_check").all()).toEqual([]);
      db.close();
      const again = openStore(path);
      return { store: again, mended, [Symbol.asyncDispose]: () => again.close() };
    },
  };
}

const receipt = (store: Store, id: string, state: "delivered" | "seen" | "queued", seconds = 5) =>
  store.applyReceipts("limn", [{ message_id: id, session_id: "s-b", state, at: at(seconds) }], {
    at: at(seconds),
    expires_at: at(9_999_999),
  });
const noticesOf = async (store: Store) =>
  (await store.dueNotices(100)).map(({ about, message_id }) => `${about} ${message_id}`);
const reason = "the hub's database was damaged";

test("a lost message that had arrived stays arrived; given back it fails, and its sender is told", async () => {
  const { store, lose } = await scene();
  const sent = newMessage("read me", { reply_by: { nudge_at: at(1), due_at: at(2) } });
  await store.accept(sent, [b], roomy);
  await receipt(store, sent.id, "delivered");
  await using after = await lose(["messages"], ["DELETE FROM messages"]);
  const found = await after.store.message(sent.id);
  expect(found).toMatchObject({ thread_id: sent.thread_id, deliveries: [{ state: "delivered" }] });
  expect(found?.message).toContain(reason);
  expect(await noticesOf(after.store)).toEqual([]);
  expect(await after.store.dueDeadlines(at(10), 10)).toEqual([]);
  expect(await after.store.accept(sent, [b], roomy)).toEqual({ outcome: "duplicate" });
  // what its machine says of it goes on being heard
  expect(await receipt(after.store, sent.id, "delivered", 5)).toEqual([]);
  const [back] = await receipt(after.store, sent.id, "queued", 9);
  expect(back).toMatchObject({ state: "failed", reason });
  expect(await noticesOf(after.store)).toEqual([`failed ${sent.id}`]);
});

test("of a message of which only the history is left the id is kept, and its receipts are ignored", async () => {
  const { store, lose } = await scene();
  const sent = newMessage("read me");
  await store.accept(sent, [b], roomy);
  await using after = await lose(
    ["messages", "deliveries"],
    ["DELETE FROM messages", "DELETE FROM deliveries"],
  );
  expect(await after.store.message(sent.id)).toBeUndefined();
  expect(await after.store.accept(sent, [b], roomy)).toEqual({ outcome: "duplicate", pruned: "accepted" });
  expect(await receipt(after.store, sent.id, "seen")).toEqual([]);
  expect(await receipt(after.store, sent.id, "queued")).toEqual([]);
});

test("who sent a lost message is not guessed in a thread of three", async () => {
  const { store, lose } = await scene();
  const sent = newMessage("to two");
  await store.accept(sent, [b], roomy);
  const word = newMessage("mine", { thread_id: sent.thread_id, opens_thread: false, from: human });
  await store.accept(word, [b], roomy);
  await using after = await lose(["messages"], [`DELETE FROM messages WHERE id = '${sent.id}'`]);
  expect(await after.store.message(sent.id)).toMatchObject({
    from_agent: "hub",
    deliveries: [{ state: "failed" }],
  });
  expect(await noticesOf(after.store)).toEqual([]);
});

test("a lost copy that waited waits on in its place; where that is not known it fails and is told", async () => {
  for (const places of [true, false]) {
    const { store, lose } = await scene();
    const [first, second, read] = [newMessage("one"), newMessage("two"), newMessage("read")];
    for (const message of [first, second, read]) await store.accept(message, [b, human], roomy);
    await receipt(store, read.id, "seen");
    const states = await store.states(read.id);
    const gone = `('${first.id}', '${read.id}')`;
    const sql = `DELETE FROM deliveries WHERE kind = 'session' AND message_id IN ${gone}`;
    await using after = await lose(["deliveries"], [sql], { places });
    const waiting = (await after.store.undelivered("limn", 0, 10)).map(({ message }) => message.id);
    expect(waiting).toEqual(places ? [first.id, second.id] : [second.id]);
    expect(await noticesOf(after.store)).toEqual(places ? [] : [`failed ${first.id}`]);
    expect((await after.store.message(read.id))?.deliveries.map(({ state }) => state).sort()).toEqual([
      "delivered",
      "seen",
    ]);
    expect(await after.store.states(read.id)).toEqual(states);
    // seen stays proved: it cannot be given back
    expect(await receipt(after.store, read.id, "queued", 9)).toEqual([]);
  }
});

test("a message whose copy and history are lost may have arrived: its sender is told so, unless it is old", async () => {
  const { store, lose } = await scene();
  const [fresh, old] = [
    newMessage("fresh", { to_agent: "limn/api@s-b" }),
    newMessage("old", { at: at(-8 * 24 * 3600) }),
  ];
  for (const message of [fresh, old]) await store.accept(message, [b], roomy);
  await using after = await lose(
    ["deliveries", "message_states"],
    ["DELETE FROM deliveries", "DELETE FROM message_states"],
  );
  for (const { id } of [fresh, old])
    expect((await after.store.message(id))?.deliveries).toMatchObject([
      { state: "failed", reason: `${reason}; it may have arrived` },
    ]);
  expect(await noticesOf(after.store)).toEqual([`failed ${fresh.id}`]);
});

test("sequences go on behind the last number, and far behind where that is not known", async () => {
  for (const places of [true, false]) {
    const { store, lose } = await scene();
    const sent = Array.from({ length: 3 }, (_, n) => newMessage(`${n}`));
    for (const message of sent) await store.accept(message, [b], roomy);
    await using after = await lose(
      ["messages", "deliveries", "message_states"],
      ["messages", "deliveries", "message_states", "sqlite_sequence"].map((table) => `DELETE FROM ${table}`),
      { places },
    );
    await after.store.accept(newMessage("next"), [b], roomy);
    const [next] = await after.store.undelivered("limn", 0, 10);
    expect(next?.seq).toBe(places ? 4 : 1_000_001);
  }
});

test("a lost machine joins again as a new one: nothing waits for it, nothing is granted to it, its epoch begins anew", async () => {
  const { store, lose } = await scene();
  const sent = newMessage("wait for me");
  await store.accept(sent, [b], roomy);
  const mission = await created(store);
  await using after = await lose(["machines"], ["DELETE FROM machines WHERE id = 'limn'"]);
  expect(await after.store.machine("limn")).toBeUndefined();
  expect((await after.store.message(sent.id))?.deliveries).toMatchObject([{ state: "failed", reason }]);
  expect(await noticesOf(after.store)).toEqual([`failed ${sent.id}`]);
  expect(await after.store.members(sent.thread_id)).toEqual([a]);
  expect(await after.store.mission(mission.mission_id)).toMatchObject({ status: "failed", reason });
  expect(await after.store.openSessions({ machine: "limn" })).toEqual([]);
  expect(await after.store.join(joinRequest("limn"))).toMatchObject({
    outcome: "joined",
    machine: { status: "pending" },
  });
  expect((await after.store.machine("mac"))?.status).toBe("approved");
});

test("mail for a session that is lost waits for it as for one that ended; its presence brings it back", async () => {
  const { store, lose } = await scene();
  const sent = newMessage("wait for me");
  await store.accept(sent, [b], roomy);
  await using after = await lose(["sessions"], ["DELETE FROM sessions"]);
  expect((await after.store.message(sent.id))?.deliveries).toMatchObject([
    { state: "queued", reason: "session ended" },
  ]);
  expect((await after.store.expire(at(1001 + 7 * 24 * 3600))).length).toBe(1);
  const more = newMessage("and for me");
  await after.store.accept(more, [b], roomy);
  await present(after.store, "limn", [report("api", "s-b", { pid: 200 })], 2000);
  expect((await after.store.undelivered("limn", 0, 10)).map(({ message }) => message.id)).toEqual([more.id]);
});

test("projects come back empty, with the sessions in them", async () => {
  const { store, lose } = await scene();
  await store.check();
  await using after = await lose(["projects"], ["DELETE FROM projects"]);
  expect((await after.store.openSessions()).length).toBe(2);
  expect((await after.store.projects()).map(({ project_id }) => project_id).sort()).toEqual(["api", "web"]);
});

test("a lost thread is written again, and who was in it still is", async () => {
  const { store, lose } = await scene();
  const sent = newMessage("hello");
  await store.accept(sent, [b], roomy);
  await using after = await lose(["threads"], ["DELETE FROM threads"]);
  expect(await after.store.members(sent.thread_id)).toHaveLength(2);
  expect(await after.store.thread(sent.thread_id, 10)).toHaveLength(1);
});

test("missions: place and request are told by the run, a lost run ends and is answered once, a lost approval is asked again", async () => {
  const { store, lose } = await scene();
  const whole = await created(store, { text: "the whole task" });
  const gone = await created(store, { text: "its run is lost" });
  const told = await created(store, { text: "answered before" });
  await store.accept(
    newMessage("done", {
      id: `response-${told.mission_id}-1`,
      thread_id: told.thread_id,
      opens_thread: false,
      from: b,
    }),
    [a],
    roomy,
  );
  await using after = await lose(
    ["missions", "messages", "mission_runs"],
    [
      `DELETE FROM missions WHERE id = '${whole.mission_id}'`,
      `DELETE FROM mission_runs WHERE mission_id IN ('${gone.mission_id}', '${told.mission_id}')`,
    ],
  );
  const { version: _, ...rest } = whole;
  expect(await after.store.mission(whole.mission_id)).toMatchObject(rest);
  expect(await after.store.mission(gone.mission_id)).toMatchObject({
    status: "lost",
    reason,
    text: "its run is lost",
  });
  const owed = await after.store.owedResponses(10, 100);
  expect(owed.map(({ mission }) => mission.mission_id)).toEqual([gone.mission_id]);
});

test("missions: the asking message is told by the run", async () => {
  const { store, lose } = await scene();
  const asked = await created(store, { text: "the whole task" });
  await using after = await lose(["messages"], ["DELETE FROM messages"]);
  expect(await after.store.mission(asked.mission_id)).toEqual(asked);
  expect(await after.store.thread(asked.thread_id, 10)).toMatchObject([
    { id: asked.message_id, hash: asked.hash, message: "the whole task", type: "ask", to_agent: "limn/api" },
  ]);
});

test("missions: one that waits for a lost approval is planned again", async () => {
  const { store, lose } = await scene();
  const { mission_id, version } = await created(store);
  const plan = { hash: "p", argv: [], cwd: "/", permission: "default" };
  const approval = {
    id: "a-1",
    mission_id,
    run: 1,
    from: "mac/web@s-a",
    to: "limn/api",
    type: "ask",
    text: "t",
    level: "once",
  };
  await store.requestApproval(
    { ...approval, plan, requested_at: at(0), expires_at: at(9) } as unknown as Parameters<
      Store["requestApproval"]
    >[0], // its plan plays no part
    version,
  );
  await using after = await lose(["approvals"], ["DELETE FROM approvals"]);
  expect(await after.store.mission(mission_id)).toMatchObject({
    status: "queued",
    taken_at: null,
    plan_hash: null,
  });
});

test("missions: a hole in an output keeps what follows in its place", async () => {
  const { store, lose } = await scene();
  const { mission_id, version } = await created(store);
  await store.moveMission(mission_id, version, { status: "running", taken_at: at(1) }, at(1));
  for (const [n, text] of ["aaaa", "bbbb", "cccc", "dddd"].entries())
    await store.reportMission(
      "limn",
      { mission_id, run: 1, entries: [], output: { offset: n * 4, text } },
      at(2),
    );
  await using after = await lose(["mission_output"], ["DELETE FROM mission_output WHERE place IN (4, 12)"]);
  expect(await after.store.missionOutput(mission_id, 0, 100)).toBe(
    "aaaa\uFFFD\uFFFD\uFFFD\uFFFDcccc\uFFFD\uFFFD\uFFFD\uFFFD",
  );
  const { mission } = (await after.store.reportMission(
    "limn",
    { mission_id, run: 1, entries: [], output: { offset: 16, text: "eeee" } },
    at(3),
  )) as { mission: unknown };
  expect(mission).toMatchObject({ output_length: 20 });
  expect(await after.store.missionOutput(mission_id, 8, 12)).toBe("cccc\uFFFD\uFFFD\uFFFD\uFFFDeeee");
});

test("Telegram's memory begins anew where its cursor is lost", async () => {
  const { store, lose } = await scene();
  await store.telegram.open(-100);
  await using after = await lose(
    ["telegram_settings"],
    ["DELETE FROM telegram_settings WHERE key = 'messages'"],
  );
  expect(await after.store.telegram.open(-100)).toBe(true);
  await after.store.accept(newMessage("shown"), [b], roomy);
  expect((await after.store.telegram.news(10)).messages).toHaveLength(1);
});
