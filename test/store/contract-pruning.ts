// The store's contract, third part: what is over is forgotten in steps, what is not stays, and ids are known for ever.
import { expect, test } from "bun:test";
import type { Receipt } from "../../src/protocol/hub-api.ts";
import type { NewMessage, Recipient, Store } from "../../src/store/store.ts";
import { a, at, b, created, human, newMessage, newMission, present, report, roomy } from "./fixtures.ts";

const dayS = 24 * 3600;
const before = at(90 * dayS);

export function pruningContract(store: () => Store): void {
  const accept = async (to: readonly Recipient[] = [b], more: Partial<NewMessage> = {}) => {
    const message = newMessage("text", more);
    expect(await store().accept(message, to, roomy)).toMatchObject({ outcome: "accepted" });
    return message;
  };
  const apply = (id: string, state: Receipt["state"], seconds = 5) =>
    store().applyReceipts("limn", [{ message_id: id, session_id: "s-b", state, at: at(seconds) }], {
      at: at(seconds),
      expires_at: at(seconds + 100),
    });
  const seen = async (more: Partial<NewMessage> = {}, seconds = 5) => {
    const message = await accept([b], more);
    await apply(message.id, "seen", seconds);
    return message;
  };
  /** All steps of one pass; gives what went. */
  const pass = async (limit = 100, when = before) => {
    const went = { messages: 0, sessions: 0, steps: 0 };
    for (let after: number | undefined = 0; after !== undefined; went.steps++) {
      const step = await store().prune({ before: when, after, limit });
      expect(step.messages).toBeLessThanOrEqual(limit);
      went.messages += step.messages;
      went.sessions += step.sessions;
      after = step.next;
    }
    return went;
  };
  const isThere = async ({ id, thread_id }: NewMessage) => [
    (await store().message(id)) !== undefined,
    (await store().members(thread_id)) !== undefined,
  ];

  test("a finished thread is forgotten, its ids never: a retry is known, another message under the id refused", async () => {
    const message = await seen();
    expect(await pass()).toMatchObject({ messages: 1 });
    expect(await isThere(message)).toEqual([false, false]);
    expect(await store().states(message.id)).toEqual([]);
    expect(await store().pruned(message.id)).toBe("seen");
    expect(await store().accept(message, [b], roomy)).toEqual({ outcome: "duplicate", pruned: "seen" });
    expect(await store().accept({ ...message, hash: "other" }, [b], roomy)).toEqual({
      outcome: "conflict",
      over: "message",
    });
    expect(await store().pruned("msg-000000000000000000000000")).toBeUndefined();
    expect((await store().counts()).messages).toBe(1);
    // late words about it change nothing
    expect(await apply(message.id, "queued", 9)).toEqual([]);
  });

  test("what is young stays: by its last message, by its last state, by one second", async () => {
    const late = await accept();
    await apply(late.id, "seen", 90 * dayS);
    const old = await seen();
    const answer = newMessage("yes", {
      thread_id: old.thread_id,
      opens_thread: false,
      from: b,
      at: at(90 * dayS),
    });
    await store().accept(answer, [a], roomy);
    const justOver = await seen({}, 90 * dayS - 1);
    expect(await pass()).toMatchObject({ messages: 1 });
    expect(await isThere(justOver)).toEqual([false, false]);
    expect([await isThere(late), await isThere(old)]).toEqual([
      [true, true],
      [true, true],
    ]);
  });

  test("what is not over stays, however old", async () => {
    const open = [
      await accept(), // accepted
      await accept([human]), // the person has not looked
      await accept([b], { reply_by: { nudge_at: at(1), due_at: at(2) } }),
    ];
    const offered = await accept();
    await apply(offered.id, "offered");
    const delivered = await accept();
    await apply(delivered.id, "delivered");
    const owed = await accept();
    await apply(owed.id, "failed"); // its sender is not told yet
    for (const held of [1, 2])
      await store().accept(
        newMessage(`held ${held}`, { thread_id: offered.thread_id, opens_thread: false }),
        [b],
        { ...roomy, guard: { limit: 0, reason: "loop", notice: "held" } },
      );
    expect(await pass()).toMatchObject({ messages: 0, sessions: 0 });
    for (const message of [...open, offered, delivered, owed])
      expect(await isThere(message)).toEqual([true, true]);
    const [notice] = await store().dueNotices(10);
    await store().noticeDone({ seq: notice?.seq ?? 0, about: "failed" });
    expect(await pass()).toMatchObject({ messages: 1 });
    expect(await store().pruned(owed.id)).toBe("failed");
  });

  test("what a session was only offered can come back while it runs, or while its machine stays away", async () => {
    const message = await accept();
    await apply(message.id, "offered");
    await present(store(), "limn", [], 10);
    expect(await pass()).toMatchObject({ messages: 0 });
    await store().sawMachine("limn", at(91 * dayS));
    expect(await pass()).toMatchObject({ messages: 1 });
  });

  test("a machine that was turned away gives nothing back", async () => {
    const message = await accept();
    await apply(message.id, "delivered");
    await store().decideMachine("limn", "revoke", at(20));
    expect(await pass()).toMatchObject({ messages: 1 });
    expect(await store().pruned(message.id)).toBe("delivered");
  });

  test("ended sessions are forgotten when no mail waits for them; a return makes them known again", async () => {
    await present(store(), "limn", [report("api", "s-b"), report("api", "s-c")]);
    await accept();
    await present(store(), "limn", [], 10);
    expect(await pass()).toMatchObject({ sessions: 1 });
    expect(await store().session("limn", "s-c")).toBeUndefined();
    expect(await store().session("limn", "s-b")).toMatchObject({ ended_at: at(10) });
    await present(store(), "limn", [report("api", "s-c")], 20);
    expect(await store().session("limn", "s-c")).toMatchObject({ ended_at: null });
  });

  test("a mission is forgotten with its thread when it is over and answered; its request never starts it again", async () => {
    const [over, running] = [newMission(), newMission()];
    for (const asked of [over, running]) {
      const { mission_id, version } = await created(store(), asked);
      await store().moveMission(mission_id, version, { status: "running", taken_at: at(1) }, at(1));
    }
    await store().reportMission(
      "limn",
      {
        mission_id: over.mission_id,
        run: 1,
        entries: [{ seq: 1, timestamp: at(2), kind: "tool", summary: "step" }],
        output: { offset: 0, text: "done" },
      },
      at(2),
    );
    await store().reportMission(
      "limn",
      { mission_id: over.mission_id, run: 1, entries: [], change: { status: "completed", at: at(3) } },
      at(3),
    );
    expect(await pass()).toMatchObject({ messages: 0 });
    await store().responseSent(over.mission_id, 1);
    expect(await pass()).toMatchObject({ messages: 1 });
    expect(await store().mission(over.mission_id)).toBeUndefined();
    expect(await store().mission(running.mission_id)).toMatchObject({ status: "running" });
    expect(await store().createMission(over)).toEqual({ outcome: "conflict", over: "message" });
  });

  test("a long thread goes in small steps, oldest first, and the pass goes on behind what stays", async () => {
    const stays = await accept();
    const first = await seen();
    for (let n = 0; n < 6; n++) await seen({ thread_id: first.thread_id, opens_thread: false });
    const last = await seen();
    const one = await store().prune({ before, after: 0, limit: 3 });
    expect(one.messages).toBe(3);
    expect(await isThere(first)).toEqual([false, true]);
    expect(await pass(3)).toMatchObject({ messages: 5 });
    expect(await isThere(first)).toEqual([false, false]);
    expect(await isThere(last)).toEqual([false, false]);
    expect(await isThere(stays)).toEqual([true, true]);
  });
}
