// The store's contract, fourth part: what a person decides and grants, logins, sends to many, feedback.
import { expect, test } from "bun:test";
import type { Mission, NewApproval } from "../../src/store/mission-store.ts";
import type { Store } from "../../src/store/store.ts";
import { a, at, created, human, type newMission } from "./fixtures.ts";

const plan = { directory: "/api", argv: ["agent"], permission: "default", hash: "0".repeat(64) };
const resumedPlan = { ...plan, argv: ["agent", "--resume", "c"], fresh_argv: ["agent"] };
const otherPlan = { ...plan, argv: ["agent", "--yolo"] };
let made = 0;
const newApproval = ({ mission_id, run }: Mission, more: Partial<NewApproval> = {}): NewApproval => ({
  id: `a-${String(made++).padStart(12, "0")}`,
  mission_id,
  run,
  from: "mac/web@s-a",
  to: "limn/api",
  type: "ask",
  text: "the task",
  level: "once",
  plan,
  requested_at: at(1),
  expires_at: at(3600),
  ...more,
});

export function approvalContract(store: () => Store): void {
  const asked = async (mission?: Parameters<typeof newMission>[0], more?: Partial<NewApproval>) => {
    const queued = await created(store(), mission);
    const outcome = await store().requestApproval(newApproval(queued, more), queued.version);
    if (!outcome) throw new Error("not asked");
    return outcome;
  };
  const how = (more: Partial<Parameters<Store["decideApproval"]>[2]> = {}) => ({
    scope: "once" as const,
    grant_id: `g-${String(made++).padStart(12, "0")}`,
    by: "ann",
    at: at(10),
    ...more,
  });

  test("an approval and the mission that waits for it are one write", async () => {
    const queued = await created(store());
    const approval = newApproval(queued, { label: "careful" });
    const both = await store().requestApproval(approval, queued.version);
    expect(both).toMatchObject({
      approval: { id: approval.id, status: "pending", plan, label: "careful", decided_by: null },
      mission: { status: "pending_approval" },
    });
    expect(await store().requestApproval(newApproval(queued), queued.version)).toBeUndefined();
    expect(await store().approvals({ all: false, limit: 10 })).toMatchObject([{ id: approval.id }]);
  });

  test("of many decisions at once one counts, and the others learn whose it was", async () => {
    const { approval, mission } = await asked();
    const all = await Promise.all([
      store().decideApproval(approval.id, "approve", how({ by: "ann" })),
      store().decideApproval(approval.id, "deny", how({ by: "bob" })),
      store().decideApproval(approval.id, "approve", how({ by: "cyd", scope: "always" })),
    ]);
    expect(all.map(({ outcome }) => outcome)).toEqual(["decided", "was_decided", "was_decided"]);
    expect(all[2]).toMatchObject({ approval: { status: "approved", decided_by: "ann", decided_at: at(10) } });
    expect(await store().mission(mission.mission_id)).toMatchObject({
      status: "queued",
      plan_hash: plan.hash,
      approved_by: "ann",
    });
    expect(await store().grants()).toEqual([]);
    expect(await store().approvals({ all: false, limit: 10 })).toEqual([]);
    expect(await store().approvals({ all: true, limit: 10 })).toHaveLength(1);
    expect(await store().decideApproval("a-ffffffffffff", "approve", how())).toEqual({ outcome: "unknown" });
  });

  test("a denial ends the mission, owes its answer and grants nothing", async () => {
    const { approval } = await asked();
    expect(await store().decideApproval(approval.id, "deny", how({ scope: "always" }))).toMatchObject({
      outcome: "decided",
      mission: { status: "denied", reason: "denied by ann", finished_at: at(10) },
    });
    expect(await store().owedResponses(10, 10)).toHaveLength(1);
    expect(await store().grants()).toEqual([]);
  });

  test("a mission that moves on withdraws its approval", async () => {
    const { approval, mission } = await asked();
    await store().moveMission(mission.mission_id, mission.version, { status: "cancelled" }, at(5));
    expect(await store().approval(approval.id)).toMatchObject({ status: "withdrawn", decided_at: at(5) });
    expect(await store().decideApproval(approval.id, "approve", how())).toMatchObject({
      outcome: "was_decided",
    });
    expect(await store().mission(mission.mission_id)).toMatchObject({ status: "cancelled" });
  });

  test("nobody decides in time: both expire, once; a late decision is too late", async () => {
    const { approval, mission } = await asked();
    const late = await store().decideApproval(approval.id, "approve", how({ at: at(3600) }));
    expect(late).toMatchObject({ outcome: "was_decided", approval: { status: "pending" } });
    expect(await store().expireApprovals(at(3599))).toEqual([]);
    expect(await store().expireApprovals(at(3600))).toMatchObject([
      { approval: { status: "expired" }, mission: { status: "expired" } },
    ]);
    expect(await store().expireApprovals(at(3601))).toEqual([]);
    expect(await store().owedResponses(10, 10)).toMatchObject([
      { mission: { mission_id: mission.mission_id } },
    ]);
  });

  test("what each scope matches, and nothing beside it", async () => {
    const { approval, mission } = await asked();
    const base = {
      from: a,
      machine: "limn",
      project: "api",
      type: "ask",
      mission_id: mission.mission_id,
      plan,
    } as const;
    const cases = [
      [base, ["mission", "session", "always"]],
      [{ ...base, mission_id: "m-20261122-000000" }, ["session", "always"]],
      [{ ...base, from: { ...a, session: "s-x" } }, ["mission", "always"]],
      [{ ...base, from: { ...a, session: "s-x" }, mission_id: "m-20261122-000000" }, ["always"]],
      [{ ...base, from: { ...a, project: "lib" } }, []],
      [{ ...base, from: { ...a, machine: "limn" } }, []],
      [{ ...base, from: human }, []],
      [{ ...base, project: "lib" }, []],
      [{ ...base, machine: "mac" }, []],
      // a mission that goes on is the same mission, however its next task is put
      [{ ...base, type: "start_agent" as const }, ["mission"]],
      // the conversation that is gone on with is no part of what was allowed
      [{ ...base, plan: resumedPlan }, ["mission", "session", "always"]],
      [{ ...base, plan: { ...plan, hash: "1".repeat(64) } }, ["mission", "session", "always"]],
      [{ ...base, plan: otherPlan }, []],
      [{ ...base, plan: { ...plan, permission: "bypassPermissions" } }, []],
    ] as const;
    for (const scope of ["mission", "session", "always"] as const) {
      const next = scope === "mission" ? { approval, mission } : await asked();
      const decided = await store().decideApproval(next.approval.id, "approve", how({ scope }));
      const grant = decided.outcome === "decided" ? decided.grant : undefined;
      expect(grant).toMatchObject({
        scope,
        created_by: "ann",
        to: "limn/api",
        type: "ask",
        command: ["agent"],
        permission: "default",
      });
      for (const [ask, scopes] of cases) {
        const expected = (scopes as readonly string[]).includes(scope) ? grant?.id : undefined;
        expect([scope, ask, (await store().matchingGrant(ask))?.id]).toEqual([scope, ask, expected]);
      }
      expect(await store().revokeGrant(grant?.id ?? "", at(20))).toMatchObject({ id: grant?.id });
      expect(await store().revokeGrant(grant?.id ?? "", at(21))).toBeUndefined();
      expect(await store().matchingGrant(base)).toBeUndefined();
    }
  });

  test("the person's own grants are the person's", async () => {
    for (const scope of ["session", "always"] as const) {
      const { approval } = await asked({ from: human });
      const decided = await store().decideApproval(approval.id, "approve", how({ scope }));
      if (decided.outcome !== "decided") throw new Error(decided.outcome);
      expect(decided.grant).toMatchObject({ from: "human" });
      const ask = {
        machine: "limn",
        project: "api",
        type: "ask",
        mission_id: "m-20261122-000000",
        plan,
      } as const;
      expect(await store().matchingGrant({ ...ask, from: human })).toMatchObject({ scope });
      expect(await store().matchingGrant({ ...ask, from: a })).toBeUndefined();
      await store().revokeGrant(decided.grant?.id ?? "", at(20));
    }
  });

  test("a login code works once, in its time, for the machine that shows it", async () => {
    await store().createLoginCode({ hash: "code", expires_at: at(600) });
    await store().createLoginCode({ hash: "old", expires_at: at(5) });
    const use = (code: string, token: string, machine = "limn") =>
      store().useLoginCode(code, {
        token_hash: token,
        machine,
        name: "ann@limn",
        expires_at: at(9000),
        at: at(6),
      });
    expect(await use("wrong", "t0")).toBe(false);
    expect(await use("old", "t0")).toBe(false);
    const all = await Promise.all([use("code", "t1"), use("code", "t2", "mac"), use("code", "t3")]);
    expect(all).toEqual([true, false, false]);
    expect(await store().login("t1", "limn", at(8999))).toBe("ann@limn");
    expect(await store().login("t1", "mac", at(10))).toBeUndefined();
    expect(await store().login("t1", "limn", at(9000))).toBeUndefined();
    expect(await store().login("t2", "mac", at(10))).toBeUndefined();
    await store().endLogin("t1", "mac");
    expect(await store().login("t1", "limn", at(10))).toBe("ann@limn");
    await store().endLogin("t1", "limn");
    expect(await store().login("t1", "limn", at(10))).toBeUndefined();
  });

  test("a revoked machine's logins have ended, and stay so when it comes back", async () => {
    await store().createLoginCode({ hash: "code", expires_at: at(600) });
    const login = { token_hash: "t", machine: "limn", name: "ann@limn", expires_at: at(9000), at: at(6) };
    await store().useLoginCode("code", login);
    await store().decideMachine("limn", "revoke", at(7));
    expect(await store().login("t", "limn", at(8))).toBeUndefined();
  });

  test.each(["mac", "limn"])("revoking %s takes its grants back and ends what waits", async (machine) => {
    const granted = await asked();
    await store().decideApproval(granted.approval.id, "approve", how({ scope: "always" }));
    const waits = await asked();
    const other = await asked({ from: human, machine: "hubhost" });
    const { missions } = await store().decideMachine(machine, "revoke", at(20));
    expect(missions.map(({ mission_id }) => mission_id).sort()).toEqual(
      [granted, waits].map(({ mission }) => mission.mission_id).sort(),
    );
    expect(await store().grants()).toEqual([]);
    expect(await store().approval(waits.approval.id)).toMatchObject({ status: "withdrawn" });
    expect(await store().mission(waits.mission.mission_id)).toMatchObject({
      status: "failed",
      reason: `machine ${machine} was revoked`,
    });
    expect(await store().decideApproval(waits.approval.id, "approve", how())).toMatchObject({
      outcome: "was_decided",
    });
    expect(await store().mission(other.mission.mission_id)).toMatchObject({ status: "pending_approval" });
  });

  test("whom a send meant first is kept", async () => {
    const send = { message_id: "msg-1", hash: "h", at: at(0) };
    expect(await store().targets("msg-1")).toBeUndefined();
    await store().keepTargets(send, [{ to: "limn/api" }, { to: "x", reason: "unknown" }]);
    await store().keepTargets({ ...send, hash: "other" }, [{ to: "limn/api@s-b" }]);
    expect(await store().targets("msg-1")).toEqual({
      hash: "h",
      targets: [{ to: "limn/api" }, { to: "x", reason: "unknown" }],
    });
  });

  test("feedback is kept, newest first", async () => {
    const said = { type: "bug", description: "it hangs", context: "", from_agent: "mac/web@s-a" } as const;
    const first = await store().addFeedback({ ...said, timestamp: at(1) });
    const second = await store().addFeedback({ ...said, type: "note", timestamp: at(2) });
    expect(await store().feedback(10)).toEqual([second, first]);
    expect(await store().feedback(1)).toEqual([second]);
  });
}
