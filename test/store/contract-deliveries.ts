// The store's contract, second half: copies on their way, receipts, waiting, expiry, owed notices.
import { expect, test } from "bun:test";
import type { Receipt } from "../../src/protocol/hub-api.ts";
import type { Recipient, Store } from "../../src/store/store.ts";
import { a, at, b, human, newMessage, present, report, roomy } from "./fixtures.ts";

export function deliveryContract(store: () => Store): void {
  const waiting = async (machine = "limn") =>
    (await store().undelivered(machine, 0, 100)).map(
      ({ session_id, message }) => `${session_id} ${message.message}`,
    );
  const accept = async (text: string, to: Recipient = b) => {
    const message = newMessage(text);
    await store().accept(message, [to], roomy);
    return message;
  };
  const apply = (message_id: string, state: Receipt["state"], seconds = 5) =>
    store().applyReceipts("limn", [{ message_id, session_id: "s-b", state, at: at(seconds) }], {
      at: at(seconds),
      expires_at: at(seconds + 100),
    });
  const stateOf = async (id: string) => (await store().message(id))?.deliveries[0]?.state;
  const project: Recipient = {
    kind: "project",
    machine: "limn",
    project: "api",
    wait: { reason: "none", expires_at: at(50) },
  };

  test("undelivered mail comes in the order of acceptance, page by page, for open sessions only", async () => {
    await present(store(), "limn", [report("api", "s-b"), report("lib", "s-c")]);
    const c: Recipient = { ...b, project: "lib", session: "s-c" };
    for (let n = 0; n < 6; n++) await accept(`m${n}`, n % 2 ? c : b);
    const page = await store().undelivered("limn", 0, 4);
    expect(page.map(({ message }) => message.message)).toEqual(["m0", "m1", "m2", "m3"]);
    const next = await store().undelivered("limn", page.at(-1)?.seq ?? 0, 4);
    expect(next.map(({ message }) => message.message)).toEqual(["m4", "m5"]);
    await present(store(), "limn", [report("lib", "s-c")]);
    expect(await waiting()).toEqual(["s-c m1", "s-c m3", "s-c m5"]);
    expect(await waiting("mac")).toEqual([]);
  });

  test("a settled copy is settled once, and only by its own machine", async () => {
    const message = await accept("x");
    const [out] = await store().undelivered("limn", 0, 1);
    const epochs = { mac: await store().acquireEpoch("mac"), limn: await store().acquireEpoch("limn") };
    const settle = (machine: "mac" | "limn") =>
      store().settle(machine, out?.seq ?? 0, { state: "delivered" }, { at: at(1), epoch: epochs[machine] });
    expect(await settle("mac")).toEqual([]);
    expect(await settle("limn")).toEqual([
      {
        message_id: message.id,
        thread_id: message.thread_id,
        to: "limn/api@s-b",
        state: "delivered",
        at: at(1),
      },
    ]);
    expect(await settle("limn")).toEqual([]);
    expect(await waiting()).toEqual([]);
  });

  test("receipts raise the state, once each", async () => {
    const { id } = await accept("x");
    expect(await apply(id, "offered")).toMatchObject([{ state: "offered" }]);
    expect(await apply(id, "offered")).toEqual([]);
    expect(await apply(id, "delivered", 6)).toEqual([]);
    expect(await apply(id, "seen", 7)).toMatchObject([{ state: "seen" }]);
    for (const state of ["delivered", "offered", "queued", "failed"] as const)
      expect(await apply(id, state, 8)).toEqual([]);
    expect((await store().states(id)).map(({ state }) => state)).toEqual(["accepted", "offered", "seen"]);
  });

  test("given back from any state but seen; a repeated report of it is the same report", async () => {
    for (const before of [[], ["delivered"], ["delivered", "offered"]] as const) {
      const { id } = await accept("x");
      for (const [n, state] of before.entries()) await apply(id, state, n);
      expect(await apply(id, "queued")).toMatchObject([{ state: "queued", reason: "session ended" }]);
      expect(await apply(id, "queued")).toEqual([]);
      // an older report, repeated after it, does not undo it
      for (const [n, state] of before.entries()) expect(await apply(id, state, n)).toEqual([]);
      expect(await stateOf(id)).toBe("queued");
    }
  });

  test("what changed nothing when it was said undoes no return either, when it is repeated behind it", async () => {
    for (const said of [
      [
        ["delivered", 1],
        ["delivered", 2],
      ],
      [
        ["offered", 1],
        ["offered", 2],
      ],
      [
        ["offered", 1],
        ["delivered", 2],
      ],
    ] as const) {
      const { id } = await accept("x");
      for (const [state, seconds] of said) await apply(id, state, seconds);
      await apply(id, "queued", 5);
      // a daemon that was killed sends what stood in its outbox once more, from the oldest
      for (const [state, seconds] of said) expect(await apply(id, state, seconds)).toEqual([]);
      expect(await apply(id, "queued", 5)).toEqual([]);
      expect(await stateOf(id)).toBe("queued");
      expect(await apply(id, "offered", 9)).toMatchObject([{ state: "offered" }]);
    }
  });

  test("a machine whose clock is behind is believed: the hub's own word of a waiting copy is no return", async () => {
    const { id } = await accept("x");
    const [out] = await store().undelivered("limn", 0, 1);
    const offline = { state: "queued", reason: "machine offline" } as const;
    const epoch = await store().acquireEpoch("limn");
    await store().settle("limn", out?.seq ?? 0, offline, { at: at(50), epoch });
    expect(await apply(id, "delivered", 1)).toMatchObject([{ state: "delivered" }]);
    expect(await apply(id, "offered", 2)).toMatchObject([{ state: "offered" }]);
  });

  test("a report of failure is final, and owed to the sender", async () => {
    const { id } = await accept("x");
    expect(await apply(id, "failed")).toMatchObject([{ state: "failed" }]);
    expect(await apply(id, "seen", 9)).toEqual([]);
    expect(await store().dueNotices(10)).toMatchObject([{ about: "failed", message_id: id }]);
  });

  const lost = (id: string, state_no: number | undefined) =>
    store().applyReceipts(
      "limn",
      [{ message_id: id, session_id: "s-b", state: "failed", at: at(20), reason: "damaged", state_no }],
      { at: at(20), expires_at: at(100) },
    );
  const numbered = async (session = "s-b", machine = "limn") =>
    new Map(
      (await store().deliveredCopies(machine, session, 0)).copies.map(({ message_id, state_no }) => [
        message_id,
        state_no,
      ]),
    );

  test("a copy that its machine lost is failed while nothing has become of it since it was asked about", async () => {
    const one = await accept("x");
    await apply(one.id, "delivered");
    const number = (await numbered()).get(one.id);
    expect(await lost(one.id, number)).toMatchObject([{ state: "failed", reason: "damaged" }]);
    expect(await lost(one.id, number)).toEqual([]);
    expect(await store().dueNotices(10)).toMatchObject([{ about: "failed", message_id: one.id }]);
    for (const since of [["offered"], ["seen"], ["queued"], ["queued", "delivered"], ["failed"]] as const) {
      const { id } = await accept("y");
      await apply(id, "delivered");
      const before = (await numbered()).get(id);
      for (const [n, state] of since.entries()) await apply(id, state, 6 + n);
      expect([since, await lost(id, before)]).toEqual([since, []]);
      expect(await stateOf(id)).toBe(since.at(-1));
    }
  });

  test("which copies are delivered and no more: this session's own, page by page", async () => {
    await present(store(), "limn", [report("api", "s-b"), report("lib", "s-c")]);
    const c: Recipient = { ...b, project: "lib", session: "s-c" };
    const states = ["delivered", "offered", "seen", "queued"] as const;
    const each = await Promise.all([...states, "accepted"].map((text) => accept(text)));
    for (const [n, state] of states.entries()) await apply(each[n]?.id ?? "", state);
    const other = await accept("z", c);
    await store().applyReceipts(
      "limn",
      [{ message_id: other.id, session_id: "s-c", state: "delivered", at: at(5) }],
      { at: at(5), expires_at: at(100) },
    );
    expect([...(await numbered()).keys()]).toEqual([each[0]?.id ?? ""]);
    expect([...(await numbered("s-c")).keys()]).toEqual([other.id]);
    expect(await numbered("s-b", "mac")).toEqual(new Map());
    // a page names 1,000
    const many = await Promise.all(Array.from({ length: 1_001 }, () => accept("z")));
    await Promise.all(many.map(({ id }) => apply(id, "delivered")));
    const found: string[] = [];
    const sizes: number[] = [];
    for (let after: number | undefined = 0; after !== undefined; ) {
      const page = await store().deliveredCopies("limn", "s-b", after);
      found.push(...page.copies.map(({ message_id }) => message_id));
      sizes.push(page.copies.length);
      after = page.next;
    }
    expect(sizes).toEqual([1_000, 2]);
    expect(found).toEqual([each[0]?.id ?? "", ...many.map(({ id }) => id)]);
  });

  test("a session's end keeps its mail for it and owes its senders a notice; its return sends it", async () => {
    const { id } = await accept("x");
    const { changes } = await present(store(), "limn", [], 3);
    expect(changes).toMatchObject([{ message_id: id, state: "queued", reason: "session ended" }]);
    expect(await waiting()).toEqual([]);
    const [notice] = await store().dueNotices(10);
    expect(notice).toMatchObject({
      about: "queued",
      message_id: id,
      from_agent: "mac/web@s-a",
      to: "limn/api@s-b",
    });
    await store().noticeDone({ seq: notice?.seq ?? 0, about: "queued" });
    expect(await store().dueNotices(10)).toEqual([]);
    await present(store(), "limn", [report("api", "s-b")], 4);
    expect(await waiting()).toEqual(["s-b x"]);
    expect(await store().expire(at(10 * 24 * 3600))).toEqual([]);
  });

  test("a session that ended while a message was on its way into the store does not get it", async () => {
    await present(store(), "limn", []);
    const message = newMessage("x");
    expect(await store().accept(message, [b], roomy)).toMatchObject({
      changes: [{ state: "accepted" }, { state: "queued", reason: "session ended" }],
    });
    expect(await store().expire(roomy.expires_at)).toMatchObject([
      { message_id: message.id, state: "expired" },
    ]);
  });

  test("mail for a project's next session: the oldest one, no mission, not the sender", async () => {
    await present(store(), "limn", []);
    const message = await accept("x", project);
    await accept("own", { ...project, machine: "mac", project: "web" });
    await present(store(), "limn", [
      report("api", "s-m", { mission_id: "m-20261122-abcdef" }),
      report("lib", "s-l"),
    ]);
    await present(store(), "mac", [report("web", "s-a")]);
    expect([await waiting(), await waiting("mac")]).toEqual([[], []]);
    await present(store(), "limn", [
      report("api", "s-2", { registered_at: at(2) }),
      report("api", "s-1", { registered_at: at(1) }),
    ]);
    expect(await waiting()).toEqual(["s-1 x"]);
    expect(await store().members(message.thread_id)).toEqual([
      { kind: "session", machine: "limn", project: "api", session: "s-1" },
      a,
    ]);
    expect(await store().states(message.id)).toMatchObject([{ to: "limn/api@s-1" }, { to: "limn/api@s-1" }]);
    expect(await store().expire(at(51))).toMatchObject([{ to: "mac/web" }]);
  });

  test("a project's next session that opened in the meantime gets the mail at once", async () => {
    await accept("x", project);
    expect(await waiting()).toEqual(["s-b x"]);
  });

  test("expiry: when its time has come, what waits and nothing else", async () => {
    await present(store(), "limn", []);
    const { id } = await accept("x", project);
    await accept("for the person", human);
    expect(await store().expire(at(49))).toEqual([]);
    expect(await store().expire(at(50))).toMatchObject([{ message_id: id, state: "expired" }]);
    expect(await store().expire(at(50))).toEqual([]);
    expect(await store().dueNotices(10)).toMatchObject([{ about: "expired", message_id: id }]);
    await present(store(), "limn", [report("api", "s-b")]);
    expect(await waiting()).toEqual([]);
  });

  test("a notice of the hub itself owes no notice", async () => {
    const { thread_id } = await accept("x");
    const notice = newMessage("told", {
      thread_id,
      opens_thread: false,
      from: { kind: "hub" },
      to_agent: "mac/web@s-a",
    });
    await store().accept(notice, [a], roomy);
    expect(await store().message(notice.id)).toMatchObject({ from_agent: "hub" });
    await present(store(), "mac", []);
    expect(await store().dueNotices(10)).toEqual([]);
  });

  test("a machine that is gone keeps its mail waiting, with the reason; a revoked one loses it", async () => {
    const { id } = await accept("x");
    expect(await store().queueAccepted("limn", "machine limn is offline", at(1))).toMatchObject([
      { message_id: id, state: "queued", reason: "machine limn is offline" },
    ]);
    expect(await store().queueAccepted("limn", "machine limn is offline", at(2))).toEqual([]);
    expect(await waiting()).toEqual(["s-b x"]);
    expect((await store().decideMachine("limn", "revoke", at(3))).changes).toMatchObject([
      { state: "failed" },
    ]);
    expect(await waiting()).toEqual([]);
    expect(await store().dueNotices(10)).toMatchObject([{ about: "failed" }]);
  });
}
