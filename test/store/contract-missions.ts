// The store's contract, third part: missions with their runs, reports and answers.
import { expect, test } from "bun:test";
import type { MissionEntry } from "../../src/protocol/mission.ts";
import type { Mission } from "../../src/store/mission-store.ts";
import type { Store } from "../../src/store/store.ts";
import { a, at, b, created, human, newMessage, newMission, roomy } from "./fixtures.ts";

export function missionContract(store: () => Store): void {
  const running = async (mission?: Parameters<typeof newMission>[0]): Promise<Mission> => {
    const { mission_id, version } = await created(store(), mission);
    const moved = await store().moveMission(
      mission_id,
      version,
      { status: "running", taken_at: at(1) },
      at(1),
    );
    if (!moved) throw new Error("not running");
    return moved;
  };
  const report = (id: string, more: Partial<Parameters<Store["reportMission"]>[1]>, machine = "limn") =>
    store().reportMission(machine, { mission_id: id, run: 1, entries: [], ...more }, at(9));
  const entry = (seq: number, summary = `step ${seq}`): MissionEntry => ({
    seq,
    timestamp: at(seq),
    kind: "tool",
    summary,
  });
  const done = { status: "completed", at: at(8), exit_code: 0, turn_count: 3, cost_usd: 0.5 } as const;

  test("a mission opens its thread with both ends in it, and its request stands there unsent", async () => {
    const asked = newMission();
    const mission = await created(store(), asked);
    expect(mission).toMatchObject({
      mission_id: asked.mission_id,
      run: 1,
      status: "queued",
      from: a,
      machine: "limn",
      taken_at: null,
      requested_at: at(0),
      request: asked.request,
      context: asked.context,
    });
    expect(await store().members(asked.thread_id)).toEqual([
      { kind: "session", machine: "limn", project: "api", session: asked.mission_id },
      a,
    ]);
    expect(await store().thread(asked.thread_id, 10)).toMatchObject([
      { id: asked.message_id, type: "ask", message: "the task", deliveries: [] },
    ]);
    expect(await store().states(asked.message_id)).toMatchObject([{ state: "accepted" }]);
    expect(await store().missionOfMessage(asked.message_id)).toEqual(mission);
  });

  test("the same request many times at once is one mission; ids that stand for something else are refused", async () => {
    const asked = newMission();
    const all = await Promise.all(Array.from({ length: 20 }, () => store().createMission(asked)));
    expect(all.map(({ outcome }) => String(outcome)).sort()).toEqual([
      "created",
      ...Array.from({ length: 19 }, () => "duplicate"),
    ]);
    const conflict = async (more: Parameters<typeof newMission>[0]) =>
      store().createMission(newMission(more));
    expect(await conflict({ message_id: asked.message_id, hash: "other" })).toEqual({
      outcome: "conflict",
      over: "message",
    });
    expect(await conflict({ mission_id: asked.mission_id })).toEqual({
      outcome: "conflict",
      over: "mission",
    });
    expect(await conflict({ thread_id: asked.thread_id })).toEqual({ outcome: "conflict", over: "thread" });
    const chat = newMessage("a chat");
    await store().accept(chat, [b], roomy);
    expect(await conflict({ message_id: chat.id, hash: chat.hash })).toEqual({
      outcome: "conflict",
      over: "message",
    });
    expect(await store().liveMissions()).toHaveLength(1);
  });

  test("of several moves that saw the same version one wins; what is final does not move", async () => {
    const { mission_id, version } = await created(store());
    const moves = (["running", "cancelled", "failed"] as const).map((status) =>
      store().moveMission(mission_id, version, { status }, at(1)),
    );
    const won = (await Promise.all(moves)).filter((one) => one !== undefined);
    expect(won).toHaveLength(1);
    expect(won[0]).toMatchObject({ status: "running", finished_at: null });
    const now = won[0]?.version ?? 0;
    const over = await store().moveMission(mission_id, now, { status: "cancelled", reason: "enough" }, at(2));
    expect(over).toMatchObject({ status: "cancelled", reason: "enough", finished_at: at(2) });
    expect(
      await store().moveMission(mission_id, over?.version ?? 0, { status: "queued" }, at(3)),
    ).toBeUndefined();
    expect(await store().moveMission("m-20261122-ffffff", 1, { status: "lost" }, at(3))).toBeUndefined();
  });

  test("entries are taken once and without a gap, output at its place", async () => {
    const { mission_id: id } = await running();
    expect(await report(id, { entries: [entry(1), entry(2)] })).toMatchObject({
      outcome: "taken",
      entries: 2,
      fresh: [entry(1), entry(2)],
    });
    expect(await report(id, { entries: [entry(1), entry(2), entry(3)] })).toMatchObject({
      entries: 3,
      fresh: [entry(3)],
    });
    expect(await report(id, { entries: [entry(5)] })).toMatchObject({ entries: 3, fresh: [] });
    expect(await report(id, { output: { offset: 0, text: "one " } })).toMatchObject({ output: 4 });
    expect(await report(id, { output: { offset: 6, text: "gap" } })).toMatchObject({ output: 4 });
    expect(await report(id, { output: { offset: 2, text: "e two" } })).toMatchObject({ output: 7 });
    expect(await report(id, { output: { offset: 0, text: "one two" } })).toMatchObject({ output: 7 });
    expect(await store().missionOutput(id, 0, 100)).toBe("one two");
    expect(await store().missionEntries(id, 2)).toEqual([entry(2), entry(3)]);
    expect(await store().mission(id)).toMatchObject({ output_length: 7 });
  });

  test("output is counted in UTF-16 units, whatever stands at the seam of two pieces", async () => {
    const { mission_id: id } = await running();
    const text = `a𝄞b\u0000é${"x".repeat(10)}\ud800 end`;
    for (let n = 0; n < text.length; n += 2)
      await report(id, { output: { offset: n, text: text.slice(n, n + 2) } });
    expect(await store().missionOutput(id, 0, 1000)).toBe(text);
    for (const [from, length] of [
      [0, 1],
      [1, 2],
      [2, 1],
      [3, 7],
      [text.length - 1, 5],
      [text.length, 5],
      [text.length + 9, 5],
    ] as const)
      expect(await store().missionOutput(id, from, length)).toBe(text.slice(from, from + length));
  });

  test("an end is taken once, told again it is known; after it nothing is taken", async () => {
    const { mission_id: id } = await running();
    expect(await report(id, { entries: [entry(2)], change: done })).toMatchObject({ changed: false });
    expect(await report(id, { output: { offset: 3, text: "x" }, change: done })).toMatchObject({
      changed: false,
    });
    expect(await store().owedResponses(10, 100)).toEqual([]);
    const end = { entries: [entry(1)], output: { offset: 0, text: "done" }, change: done };
    expect(await report(id, end)).toMatchObject({
      changed: true,
      mission: { status: "completed", finished_at: at(8), exit_code: 0, turn_count: 3, cost_usd: 0.5 },
    });
    expect(await report(id, end)).toMatchObject({
      outcome: "taken",
      changed: false,
      fresh: [],
      entries: 1,
      output: 4,
    });
    expect(await report(id, { change: { status: "failed", at: at(9) } })).toMatchObject({
      outcome: "unwanted",
    });
    expect(await report(id, { output: { offset: 4, text: "more" } })).toMatchObject({ outcome: "unwanted" });
    expect(await store().missionOutput(id, 0, 100)).toBe("done");
  });

  test("only the machine it runs on reports, and only on the current run", async () => {
    const { mission_id: id } = await running();
    const nothing = { outcome: "unwanted", mission: undefined } as const;
    expect(await report(id, { change: done }, "mac")).toEqual(nothing);
    expect(await report(id, { run: 2, change: done })).toEqual(nothing);
    expect(await report("m-20261122-ffffff", { change: done })).toEqual(nothing);
    expect(await store().mission(id)).toMatchObject({ status: "running" });
  });

  test("a report is a machine's word that it has the run", async () => {
    const { mission_id: id } = await created(store());
    await report(id, { change: { status: "running", at: at(4) } });
    expect(await store().mission(id)).toMatchObject({
      status: "running",
      taken_at: at(9),
      started_at: at(4),
    });
    expect(await report(id, { change: { status: "running", at: at(5) } })).toMatchObject({ changed: false });
    expect(await store().mission(id)).toMatchObject({ started_at: at(4) });
  });

  test("an end is owed until it is told, run by run, as that run left it", async () => {
    const first = await running();
    const id = first.mission_id;
    await report(id, { output: { offset: 0, text: "answer one" }, change: done });
    const ended = await store().mission(id);
    const next = newMission({ text: "and now?", from: human });
    const again = await store().continueMission(id, ended?.version ?? 0, next);
    expect(again).toMatchObject({
      outcome: "created",
      mission: {
        run: 2,
        status: "queued",
        text: "and now?",
        from: human,
        output_length: 0,
        exit_code: null,
        turn_count: 0,
        taken_at: null,
        finished_at: null,
      },
    });
    expect(await store().missionOutput(id, 0, 100)).toBe("");
    expect(await store().missionEntries(id, 10)).toEqual([]);
    const owed = await store().owedResponses(10, 6);
    expect(owed).toMatchObject([
      { mission: { mission_id: id, run: 1, status: "completed", from: a }, output: "answer" },
    ]);
    await store().responseSent(id, 1);
    expect(await store().owedResponses(10, 6)).toEqual([]);
    const second = await store().mission(id);
    await store().moveMission(id, second?.version ?? 0, { status: "failed", reason: "no" }, at(11));
    expect(await store().owedResponses(10, 6)).toMatchObject([
      { mission: { run: 2, reason: "no" }, output: "" },
    ]);
  });

  test("only a final mission is continued, once for one request", async () => {
    const mission = await running();
    const next = newMission();
    const go = (version: number) => store().continueMission(mission.mission_id, version, next);
    expect(await go(mission.version)).toEqual({ outcome: "stale" });
    await report(mission.mission_id, { change: done });
    const version = (await store().mission(mission.mission_id))?.version ?? 0;
    const all = await Promise.all([go(version), go(version), go(version - 1)]);
    expect(all.map(({ outcome }) => outcome)).toEqual(["created", "duplicate", "duplicate"]);
    expect(await store().missionOfMessage(next.message_id)).toMatchObject({ run: 2 });
    expect(await store().missionOfMessage(mission.message_id)).toMatchObject({ run: 2 });
    const other = newMission();
    expect(await store().continueMission(mission.mission_id, version, other)).toEqual({ outcome: "stale" });
    expect(await store().message(other.message_id)).toBeUndefined();
  });

  test("lists: newest first, by who asked, where it runs and how it stands", async () => {
    const mine = await running();
    const foreign = await created(store(), {
      from: { ...a, session: "s-x" },
      machine: "mac",
      project: "web",
    });
    const persons = await created(store(), { from: human });
    const ids = async (where: Omit<Parameters<Store["missions"]>[0], "limit">) =>
      (await store().missions({ limit: 10, ...where })).map(({ mission_id }) => mission_id);
    const [one, two, three] = [mine, foreign, persons].map(({ mission_id }) => mission_id);
    expect(await ids({})).toEqual([three, two, one] as string[]);
    expect(await ids({ status: "running" })).toEqual([one] as string[]);
    expect(await ids({ machine: "limn" })).toEqual([three, one] as string[]);
    expect(await ids({ machine: "mac" })).toEqual([two, one] as string[]);
    expect(await ids({ machine: "mac", session: "s-a" })).toEqual([one] as string[]);
    expect(await ids({ machine: "limn", session: three })).toEqual([three] as string[]);
    expect((await store().missions({ limit: 1 })).map(({ mission_id }) => mission_id)).toEqual([
      three,
    ] as string[]);
    await report(mine.mission_id, { change: done });
    expect((await store().liveMissions("limn")).map(({ mission_id }) => mission_id)).toEqual([
      three,
    ] as string[]);
    expect(await store().liveMissions()).toHaveLength(2);
  });

  test("steps: messages and entries in the order of commits, page by page", async () => {
    const mission = await running();
    const { mission_id: id, thread_id } = mission;
    await report(id, { entries: [entry(1), entry(2)] });
    const chat = newMessage("how far?", { thread_id, opens_thread: false });
    await store().accept(chat, [b], roomy);
    await report(id, { entries: [entry(3)], change: done });
    const shown = (steps: Awaited<ReturnType<Store["missionSteps"]>>) =>
      steps.map((step) => (step.kind === "message" ? step.message.message : step.entry.summary));
    const all = await store().missionSteps(id, undefined, 100);
    expect(shown(all)).toEqual(["the task", "step 1", "step 2", "how far?", "step 3"]);
    const paged: string[] = [];
    for (let after: string | undefined; ; ) {
      const page = await store().missionSteps(id, after, 2);
      if (page.length === 0) break;
      paged.push(...shown(page));
      after = page.at(-1)?.place;
    }
    expect(paged).toEqual(shown(all));
  });

  test("what is counted", async () => {
    await running();
    await created(store());
    const ended = await running();
    await report(ended.mission_id, { change: done });
    expect(await store().counts()).toMatchObject({
      missions: 3,
      missions_queued: 1,
      missions_running: 1,
      approvals_pending: 0,
      responses_owed: 1,
    });
  });
}
