// What every engine of the store must do. Run by each engine's own test file.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import type { Store } from "../../src/store/store.ts";
import { approvalContract } from "./contract-approvals.ts";
import { deliveryContract } from "./contract-deliveries.ts";
import { missionContract } from "./contract-missions.ts";
import { pruningContract } from "./contract-pruning.ts";
import { telegramContract } from "./contract-telegram.ts";
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
export type Engine = {
  store: Store;
  /** closes the store and opens the same data again */
  reopen(): Promise<void>;
  dispose(): Promise<void>;
};

export function storeContract(name: string, open: () => Promise<Engine>): void {
  describe(`store contract, ${name}`, () => {
    let engine: Engine;
    const store = () => engine.store;
    beforeEach(async () => {
      engine = await open();
      await furnish(engine.store);
    });
    afterEach(() => engine.dispose());

    machineContract(store);
    sessionContract(store);
    messageContract(store);
    deliveryContract(store);
    pruningContract(store);
    missionContract(store);
    approvalContract(store);
    telegramContract(store);

    test("everything is there after a restart", async () => {
      const message = newMessage("hello");
      await store().accept(message, [b], roomy);
      await store().useNonce("mac", "n1", at(600));
      await created(store());
      const before = await everything(store());
      await engine.reopen();
      expect(await everything(store())).toEqual(before);
      expect(await store().useNonce("mac", "n1", at(600))).toBe(false);
      expect(await store().accept(message, [b], roomy)).toEqual({ outcome: "duplicate" });
    });
  });
}

const everything = async (store: Store) => [
  await store.machines(),
  await store.openSessions(),
  await store.projects(),
  await store.undelivered("limn", 0, 100),
  await store.liveMissions(),
];

function machineContract(store: () => Store): void {
  const outcome = async (...args: Parameters<typeof joinRequest>) =>
    (await store().join(joinRequest(...args))).outcome;

  test("join: who comes in, who waits, who is turned away", async () => {
    expect(await store().join(joinRequest("new"))).toMatchObject({
      machine: { status: "pending" },
      fresh: true,
    });
    expect(await store().join(joinRequest("new"))).toMatchObject({
      machine: { status: "pending" },
      fresh: false,
    });
    expect(await outcome("new", { public_key: "another" })).toBe("taken");
    expect(await outcome("mac")).toBe("joined");
    expect(await outcome("mac", { public_key: "another" })).toBe("taken");
    expect(await outcome("n2")).toBe("joined");
    expect(await outcome("n3")).toBe("joined");
    expect(await outcome("n4")).toBe("too_many_pending");
    await store().decideMachine("new", "deny", at(1));
    expect(await outcome("new")).toBe("denied");
    await store().decideMachine("mac", "revoke", at(1));
    expect(await outcome("mac")).toBe("revoked");
  });

  test("an invite admits one machine, before it expires, and brings back who was turned away", async () => {
    await store().createInvite({ hash: "h1", expires_at: at(600) });
    await store().createInvite({ hash: "h2", expires_at: at(600) });
    expect(await outcome("x", { invite_hash: "unknown" })).toBe("invite_invalid");
    expect(await outcome("x", { invite_hash: "h1", at: at(600) })).toBe("invite_invalid");
    expect(await store().join(joinRequest("x", { invite_hash: "h1" }))).toMatchObject({
      machine: { status: "approved" },
    });
    expect(await outcome("y", { invite_hash: "h1" })).toBe("invite_invalid");
    await store().decideMachine("x", "revoke", at(1));
    expect(await store().join(joinRequest("x", { invite_hash: "h2", public_key: "new key" }))).toMatchObject({
      machine: { status: "approved", public_key: "new key" },
    });
  });

  test("of many who show one code at once, one comes in", async () => {
    await store().createInvite({ hash: "h", expires_at: at(600) });
    const all = await Promise.all(
      Array.from({ length: 20 }, (_, n) => store().join(joinRequest(`m${n}`, { invite_hash: "h" }))),
    );
    expect(all.filter((one) => one.outcome === "joined")).toHaveLength(1);
  });

  test("a repeated join clears nothing", async () => {
    await store().createInvite({ hash: "h", expires_at: at(600) });
    const named = { display_name: "Laptop", description: "on the desk", invite_hash: "h" };
    await store().join(joinRequest("x", named));
    await store().join(joinRequest("x"));
    expect(await store().machine("x")).toMatchObject({ display_name: "Laptop", description: "on the desk" });
  });

  test("decisions: only from where they make sense", async () => {
    await store().join(joinRequest("new"));
    expect(await store().decideMachine("nobody", "approve", at(1))).toMatchObject({ machine: undefined });
    const steps = [
      ["approve", true, "approved"],
      ["approve", false, "approved"],
      ["deny", false, "approved"],
      ["revoke", true, "revoked"],
      ["revoke", false, "revoked"],
      ["approve", false, "revoked"],
    ] as const;
    for (const [decision, changed, status] of steps)
      expect(await store().decideMachine("new", decision, at(1))).toMatchObject({
        changed,
        machine: { status },
      });
  });

  test("epochs grow; an older one has no say", async () => {
    const first = await store().acquireEpoch("limn");
    const second = await store().acquireEpoch("limn");
    expect(second).toBeGreaterThan(first);
    await store().accept(newMessage("x"), [b], roomy);
    const [out] = await store().undelivered("limn", 0, 1);
    const settle = (epoch: number) =>
      store().settle("limn", out?.seq ?? 0, { state: "delivered" }, { at: at(1), epoch });
    await expect(settle(first)).rejects.toThrow("newer link");
    const stale = { at: at(1), expires_at: at(2), epoch: first };
    await expect(store().presence("limn", { sessions: [], projects: [] }, stale)).rejects.toThrow(
      "newer link",
    );
    expect(await settle(second)).toMatchObject([{ state: "delivered" }]);
    expect(await store().openSessions({ machine: "limn" })).toHaveLength(1);
  });

  test("a nonce is good once per machine, until it is forgotten", async () => {
    const use = (machine: string, nonce: string) => store().useNonce(machine, nonce, at(600));
    expect(await Promise.all([use("mac", "n"), use("mac", "n"), use("limn", "n")])).toEqual([
      true,
      false,
      true,
    ]);
    await store().maintain(at(599));
    expect(await use("mac", "n")).toBe(false);
    await store().maintain(at(601));
    expect(await use("mac", "n")).toBe(true);
  });
}

function sessionContract(store: () => Store): void {
  test("presence is the whole picture: opened, ended, back again", async () => {
    const first = await present(store(), "limn", [report("api", "s-b"), report("api", "s-c")]);
    expect([first.opened.map(({ session_id }) => session_id), first.ended]).toEqual([["s-c"], []]);
    const second = await present(store(), "limn", [report("api", "s-c", { summary: "busy" })], 5);
    expect(second.ended.map(({ session_id }) => session_id)).toEqual(["s-b"]);
    expect(await store().session("limn", "s-b")).toMatchObject({ ended_at: at(5) });
    expect(await store().session("limn", "s-c")).toMatchObject({ summary: "busy", ended_at: null });
    const third = await present(store(), "limn", [report("api", "s-b", { pid: 999 })], 6);
    expect([third.opened[0]?.session_id, third.ended[0]?.session_id]).toEqual(["s-b", "s-c"]);
    expect(await store().openSessions({ machine: "mac" })).toHaveLength(1);
  });

  test("a process is found by pid and start together, while its session is open", async () => {
    expect(await store().sessionOfProcess({ pid: 200, start: "start of s-b" })).toMatchObject({
      machine_id: "limn",
    });
    expect(await store().sessionOfProcess({ pid: 200, start: "another" })).toBeUndefined();
    expect(await store().sessionOfProcess({ pid: 201, start: "start of s-b" })).toBeUndefined();
    await present(store(), "limn", []);
    expect(await store().sessionOfProcess({ pid: 200, start: "start of s-b" })).toBeUndefined();
  });

  test("a project outlives its sessions and keeps what was said of it", async () => {
    const project = { project_id: "api", path: "/api", description: "d", capabilities: ["x"], tags: ["t"] };
    await store().presence("limn", { sessions: [], projects: [project] }, { at: at(1), expires_at: at(2) });
    await present(store(), "limn", []);
    expect(await store().projects("limn")).toEqual([{ ...project, machine_id: "limn" }]);
  });

  test("the same session id on two machines is two sessions", async () => {
    await present(store(), "mac", [report("web", "s-a"), report("web", "s-b", { pid: 7 })]);
    expect(await store().session("mac", "s-b")).toMatchObject({ pid: 7, project_id: "web" });
    expect(await store().session("limn", "s-b")).toMatchObject({ pid: 200, project_id: "api" });
  });
}

function messageContract(store: () => Store): void {
  test("an id stands for one message for ever", async () => {
    const message = newMessage("one");
    expect((await store().accept(message, [b], roomy)).outcome).toBe("accepted");
    expect(await store().accept(message, [b], roomy)).toEqual({ outcome: "duplicate" });
    expect(await store().accept({ ...message, thread_id: "t-000000000001" }, [b], roomy)).toEqual({
      outcome: "duplicate",
    });
    expect(await store().accept({ ...message, hash: "other" }, [b], roomy)).toEqual({
      outcome: "conflict",
      over: "message",
    });
    expect(await store().undelivered("limn", 0, 10)).toHaveLength(1);
    expect(await store().members("t-000000000001")).toBeUndefined();
  });

  test("the same message many times at once is stored once", async () => {
    const message = newMessage("one");
    const all = await Promise.all(Array.from({ length: 50 }, () => store().accept(message, [b], roomy)));
    expect(all.filter(({ outcome }) => outcome === "accepted")).toHaveLength(1);
    expect(await store().undelivered("limn", 0, 10)).toHaveLength(1);
  });

  test("a thread id that exists opens no second thread, and nothing is left of the attempt", async () => {
    const first = newMessage("one");
    await store().accept(first, [b], roomy);
    const second = newMessage("two", { thread_id: first.thread_id });
    expect(await store().accept(second, [human], roomy)).toEqual({ outcome: "conflict", over: "thread" });
    expect(await store().message(second.id)).toBeUndefined();
    expect(await store().members(first.thread_id)).toEqual([b, a]);
  });

  test("a recipient whose backlog is full takes no more, and the thread is not opened", async () => {
    const tight = { ...roomy, max_waiting: 2 };
    await store().accept(newMessage("1"), [b], tight);
    await store().accept(newMessage("2"), [b], tight);
    const third = newMessage("3");
    expect(await store().accept(third, [human, b], tight)).toEqual({ outcome: "full", to: "limn/api@s-b" });
    expect(await store().members(third.thread_id)).toBeUndefined();
  });

  test("a thread is read newest last, at most so many, each with its copies", async () => {
    const first = newMessage("m0");
    await store().accept(first, [b], roomy);
    for (let n = 1; n < 5; n++)
      await store().accept(
        newMessage(`m${n}`, { thread_id: first.thread_id, opens_thread: false }),
        [b, human],
        roomy,
      );
    const read = await store().thread(first.thread_id, 3);
    expect(read.map(({ message }) => message)).toEqual(["m2", "m3", "m4"]);
    expect(read[0]?.deliveries).toMatchObject([
      { address: "limn/api@s-b", state: "accepted" },
      { address: "human", state: "delivered" },
    ]);
    expect(await store().members(first.thread_id)).toEqual([human, b, a]);
  });

  test("writing answers what the writer had received in the thread, nobody else's", async () => {
    const first = newMessage("question");
    await store().accept(first, [b, human], roomy);
    const epoch = await store().acquireEpoch("limn");
    const [out] = await store().undelivered("limn", 0, 1);
    await store().settle("limn", out?.seq ?? 0, { state: "delivered" }, { at: at(1), epoch });
    const answer = newMessage("answer", { thread_id: first.thread_id, opens_thread: false, from: b });
    expect(await store().accept(answer, [a], roomy)).toMatchObject({
      changes: [
        { message_id: answer.id, state: "accepted" },
        { message_id: first.id, to: "limn/api@s-b", state: "replied" },
      ],
    });
    expect((await store().message(first.id))?.deliveries).toMatchObject([
      { state: "replied" },
      { address: "human", state: "delivered" },
    ]);
  });

  test("the person's inbox: unread oldest first and read once, all as its newest end", async () => {
    for (const text of ["1", "2", "3"]) await store().accept(newMessage(text), [human], roomy);
    const read = (limit: number, unread: boolean) => store().readHumanInbox({ limit, unread, at: at(9) });
    const first = await read(2, true);
    expect([first.messages.map(({ message }) => message), first.waiting]).toEqual([["1", "2"], 1]);
    expect(first.changes).toMatchObject([{ state: "offered" }, { state: "offered" }]);
    expect((await read(10, true)).messages.map(({ message }) => message)).toEqual(["3"]);
    const all = await read(2, false);
    expect([all.messages.map(({ message }) => message), all.changes]).toEqual([["2", "3"], []]);
  });

  test("a priority goes along, and `normal` is none", async () => {
    const sent = (["low", "normal", "high"] as const).map((priority) => newMessage(priority, { priority }));
    for (const message of sent) await store().accept(message, [b], roomy);
    const out = await store().undelivered("limn", 0, 10);
    expect(out.map(({ message }) => message.priority)).toEqual(["low", undefined, "high"]);
    expect(await store().message(sent[2]?.id ?? "")).toMatchObject({ priority: "high" });
    expect(await store().message(sent[1]?.id ?? "")).not.toHaveProperty("priority");
  });

  test("text comes back as it went in", async () => {
    const text = "\u0000 'quotes' \"; DROP TABLE messages; -- \r\n\u202e𝄞 é e\u0301";
    const message = newMessage(text);
    await store().accept(message, [b], roomy);
    expect((await store().message(message.id))?.message).toBe(text);
  });
}
