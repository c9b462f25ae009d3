// What waits for a person, what was decided, what is granted for later, in SQLite. A decision, its grant and the
// mission's next state are one write. Every function runs inside a transaction of the caller.
import type { Database } from "bun:sqlite";
import { formatAddress } from "../protocol/address.ts";
import type { Approval, Grant, LaunchPlan } from "../protocol/mission.ts";
import type { ApprovalOutcome, Mission, MissionStore, NewApproval } from "./mission-store.ts";
import { applyChange, findMission } from "./missions.ts";

type Given = "files" | "context" | "timeout" | "agent_command";
type Row = Omit<Approval, "from" | "to" | "plan" | "label" | Given> & {
  run: number;
  request: string;
  context: string;
  from_agent: string;
  to_agent: string;
  plan: string;
  label: string | null;
};
const columns = `id, mission_id, run, status, from_agent, to_agent, type, text, level, label, plan, requested_at,
  expires_at, decided_at, decided_by, request, context`;
const table = `(SELECT a.*, r.request, r.context FROM approvals a
  JOIN mission_runs r ON r.mission_id = a.mission_id AND r.run = a.run)`;

export function requestApproval(
  db: Database,
  approval: NewApproval,
  version: number,
): { approval: Approval; mission: Mission } | undefined {
  const mission = findMission(db, approval.mission_id);
  if (mission?.version !== version || mission.status !== "queued") return undefined;
  db.query(
    `INSERT INTO approvals (id, mission_id, run, status, from_agent, to_agent, type, text, level, label, plan,
       requested_at, expires_at)
     VALUES ($id, $mission_id, $run, 'pending', $from, $to, $type, $text, $level, $label, $plan, $requested_at,
       $expires_at)`,
  ).run({ ...approval, label: approval.label ?? null, plan: JSON.stringify(approval.plan) });
  const stored = findApproval(db, approval.id);
  const moved = applyChange(db, mission, { status: "pending_approval", reason: null }, approval.requested_at);
  return stored ? { approval: stored, mission: moved } : undefined;
}

export function findApproval(db: Database, id: string): Approval | undefined {
  const row = findRow(db, id);
  return row ? fromRow(row) : undefined;
}

export function listApprovals(
  db: Database,
  { all, mission_id, limit }: Parameters<MissionStore["approvals"]>[0],
): Approval[] {
  return db
    .query<Row, { all: number; mission: string | null; limit: number }>(
      `SELECT ${columns} FROM ${table} WHERE ($all = 1 OR status = 'pending')
         AND ($mission IS NULL OR mission_id = $mission) ORDER BY seq DESC LIMIT $limit`,
    )
    .all({ all: all ? 1 : 0, mission: mission_id ?? null, limit })
    .map(fromRow);
}

export function decideApproval(
  db: Database,
  id: string,
  decision: "approve" | "deny",
  how: Parameters<MissionStore["decideApproval"]>[2],
): ApprovalOutcome {
  const row = findRow(db, id);
  if (!row) return { outcome: "unknown" };
  const { by, at } = how;
  const mission = findMission(db, row.mission_id);
  const waits = mission?.status === "pending_approval" && mission.run === row.run;
  if (row.status !== "pending" || !waits || row.expires_at <= at)
    return { outcome: "was_decided", approval: fromRow(row) };
  close(db, row, decision === "approve" ? "approved" : "denied", at, by);
  const approval = fromRow({ ...row, ...findRow(db, id) });
  if (decision === "deny") {
    const denied = { status: "denied", reason: `denied by ${by}` } as const;
    return { outcome: "decided", approval, mission: applyChange(db, mission, denied, at) };
  }
  const cleared = {
    status: "queued",
    reason: null,
    plan_hash: approval.plan.hash,
    approved_by: by,
  } as const;
  const { scope } = how;
  const grant = scope === "once" ? undefined : addGrant(db, mission, approval.plan, { ...how, scope });
  return {
    outcome: "decided",
    approval,
    mission: applyChange(db, mission, cleared, at),
    ...(grant ? { grant } : {}),
  };
}

export function expireApprovals(db: Database, at: string): { approval: Approval; mission: Mission }[] {
  return db
    .query<Row, [string]>(
      `SELECT ${columns} FROM ${table} WHERE status = 'pending' AND expires_at <= ? ORDER BY seq`,
    )
    .all(at)
    .flatMap((row) => {
      const mission = findMission(db, row.mission_id);
      if (mission?.status !== "pending_approval" || mission.run !== row.run) return [];
      close(db, row, "expired", at, null);
      const change = { status: "expired", reason: "nobody decided in time" } as const;
      const expired = applyChange(db, mission, change, at);
      const approval = findApproval(db, row.id);
      return approval ? [{ approval, mission: expired }] : [];
    });
}

export function allGrants(db: Database): Grant[] {
  return db
    .query<GrantRow, []>(`SELECT ${grantColumns} FROM grants WHERE revoked_at IS NULL ORDER BY seq DESC`)
    .all()
    .map(grantFromRow);
}

/** The narrowest that matches. */
export function matchingGrant(
  db: Database,
  { from, machine, project, type, mission_id, plan }: Parameters<MissionStore["matchingGrant"]>[0],
): Grant | undefined {
  type Where = Record<"from" | "place" | "to" | "type" | "mission_id" | "command" | "permission", string>;
  const to = `${machine}/${project}`;
  const { permission } = plan;
  const row = db
    .query<GrantRow, Where>(
      `SELECT ${grantColumns} FROM grants WHERE revoked_at IS NULL AND to_agent = $to
         AND command = $command AND permission = $permission AND (
         (scope = 'mission' AND from_agent = $place AND mission_id = $mission_id)
         OR (scope = 'session' AND from_agent = $from AND type = $type)
         OR (scope = 'always' AND from_agent = $place AND type = $type))
       ORDER BY scope = 'always', scope = 'session', seq DESC LIMIT 1`,
    )
    .get({
      from: formatAddress(from),
      place: placeOf(from),
      to,
      type,
      mission_id,
      command: commandOf(plan),
      permission,
    });
  return row ? grantFromRow(row) : undefined;
}

export function revokeGrant(db: Database, id: string, at: string): Grant | undefined {
  const row = db
    .query<GrantRow, [string, string]>(
      `UPDATE grants SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL RETURNING ${grantColumns}`,
    )
    .get(at, id);
  return row ? grantFromRow(row) : undefined;
}

/** All that name this machine, on either side. */
export function revokeGrantsOf(db: Database, machine: string, at: string): void {
  db.query(
    `UPDATE grants SET revoked_at = $at WHERE revoked_at IS NULL
       AND $place IN (substr(from_agent, 1, length($place)), substr(to_agent, 1, length($place)))`,
  ).run({ at, place: `${machine}/` });
}

function addGrant(
  db: Database,
  mission: Mission,
  plan: LaunchPlan,
  { scope, grant_id, at, by }: { scope: Grant["scope"]; grant_id: string; at: string; by: string },
): Grant {
  const { from, machine, project, type } = mission;
  const grant: Grant = {
    id: grant_id,
    scope,
    from: scope === "session" ? formatAddress(from) : placeOf(from),
    to: `${machine}/${project}`,
    type,
    mission_id: scope === "mission" ? mission.mission_id : null,
    command: plan.fresh_argv ?? plan.argv,
    permission: plan.permission,
    created_at: at,
    created_by: by,
  };
  db.query(
    `INSERT INTO grants (id, scope, from_agent, to_agent, type, mission_id, command, permission, created_at, created_by)
     VALUES ($id, $scope, $from, $to, $type, $mission_id, $command, $permission, $created_at, $created_by)`,
  ).run({ ...grant, command: commandOf(plan) });
  return grant;
}

/** As a grant keeps it: what runs, whichever conversation it goes on with. */
const commandOf = ({ argv, fresh_argv }: LaunchPlan): string => JSON.stringify(fresh_argv ?? argv);

/** An agent's machine and project, whichever session of it asks; the person is the person. */
function placeOf(from: Mission["from"]): string {
  return from.kind === "human" ? "human" : `${from.machine}/${from.project}`;
}

function close(db: Database, { id }: Row, status: Approval["status"], at: string, by: string | null): void {
  db.query("UPDATE approvals SET status = ?, decided_at = ?, decided_by = ? WHERE id = ?").run(
    status,
    at,
    by,
    id,
  );
}

function findRow(db: Database, id: string): Row | undefined {
  return db.query<Row, [string]>(`SELECT ${columns} FROM ${table} WHERE id = ?`).get(id) ?? undefined;
}

function fromRow({ run: _, from_agent, to_agent, plan, label, request, context, ...row }: Row): Approval {
  const { files, timeout, agent_command }: Mission["request"] = JSON.parse(request);
  return {
    ...row,
    from: from_agent,
    to: to_agent,
    plan: JSON.parse(plan),
    ...(label === null ? {} : { label }),
    files,
    context: JSON.parse(context),
    ...(timeout === undefined ? {} : { timeout }),
    agent_command,
  };
}

type GrantRow = Omit<Grant, "from" | "to" | "command"> & {
  from_agent: string;
  to_agent: string;
  command: string;
};
const grantColumns =
  "id, scope, from_agent, to_agent, type, mission_id, command, permission, created_at, created_by";

function grantFromRow({ from_agent, to_agent, command, ...row }: GrantRow): Grant {
  return { ...row, from: from_agent, to: to_agent, command: JSON.parse(command) };
}
