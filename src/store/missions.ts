// Missions and their runs in SQLite. A mission's row says which run is its current one; the run holds everything
// that a further run begins anew. Every function runs inside a transaction of the caller.
import type { Database } from "bun:sqlite";
import { type Address, formatAddress, parseAddress } from "../protocol/address.ts";
import { IntercomError } from "../protocol/errors.ts";
import type { MissionStatus } from "../protocol/mission.ts";
import { recordState } from "./deliveries.ts";
import { addMember, insertMessage, openThread } from "./messages.ts";
import type {
  Mission,
  MissionOutcome,
  MissionStore,
  MissionTransition,
  NewMission,
} from "./mission-store.ts";
import { prunedMessage } from "./prune.ts";

/** What may change in a run. */
export type RunChange = MissionTransition & Partial<Pick<Mission, "exit_code" | "turn_count" | "cost_usd">>;

type Row = Omit<Mission, "from" | "request" | "context" | "cancel_requested"> & {
  from_agent: string;
  request: string;
  context: string;
  cancel_requested: number;
};

const columns = `m.id AS mission_id, r.run, m.version, m.thread_id, m.type, r.from_agent, m.machine_id AS machine,
  m.project_id AS project, r.text, r.message_id, r.hash, r.request, r.context, r.status, r.reason, r.plan_hash,
  r.approved_by, r.cancel_requested, r.taken_at, r.requested_at, r.started_at, r.finished_at, r.exit_code,
  r.turn_count, r.cost_usd, r.output_length`;
const current = "missions m JOIN mission_runs r ON r.mission_id = m.id AND r.run = m.run";

/** Where a message reaches the mission's own session while it runs. */
function missionAddress({ mission_id, machine, project }: MissionPlace): MissionAddress {
  return { kind: "session", machine, project, session: mission_id };
}
type MissionPlace = Pick<Mission, "mission_id" | "machine" | "project">;
type MissionAddress = Extract<Address, { kind: "session" }>;

export function createMission(db: Database, mission: NewMission): MissionOutcome {
  const known = knownRequest(db, mission);
  if (known) return known;
  if (findMission(db, mission.mission_id)) return { outcome: "conflict", over: "mission" };
  if (!openThread(db, mission)) return { outcome: "conflict", over: "thread" };
  addMember(db, mission.thread_id, missionAddress(mission));
  writeRequest(db, mission);
  db.query(
    `INSERT INTO missions (id, run, version, thread_id, type, machine_id, project_id)
     VALUES ($mission_id, 1, 1, $thread_id, $type, $machine, $project)`,
  ).run({
    mission_id: mission.mission_id,
    thread_id: mission.thread_id,
    type: mission.type,
    machine: mission.machine,
    project: mission.project,
  });
  insertRun(db, mission, 1);
  return { outcome: "created", mission: mustFind(db, mission.mission_id) };
}

export function continueMission(
  db: Database,
  id: string,
  version: number,
  next: Parameters<MissionStore["continueMission"]>[2],
): MissionOutcome | { outcome: "stale" } {
  const known = knownRequest(db, next);
  if (known) return known;
  const mission = findMission(db, id);
  if (mission?.version !== version || !isOver(mission.status)) return { outcome: "stale" };
  const run = mission.run + 1;
  const { thread_id, type, machine, project } = mission;
  const request: NewMission = { ...next, mission_id: id, thread_id, type, machine, project };
  writeRequest(db, request);
  insertRun(db, request, run);
  db.query("UPDATE missions SET run = ?, version = version + 1 WHERE id = ?").run(run, id);
  return { outcome: "created", mission: mustFind(db, id) };
}

export function findMission(db: Database, id: string): Mission | undefined {
  const row = db.query<Row, [string]>(`SELECT ${columns} FROM ${current} WHERE m.id = ?`).get(id);
  return row ? fromRow(row) : undefined;
}

export function missionOfMessage(db: Database, messageId: string): Mission | undefined {
  const row = db
    .query<Row, [string]>(
      `SELECT ${columns} FROM mission_runs asked JOIN missions m ON m.id = asked.mission_id
       JOIN mission_runs r ON r.mission_id = m.id AND r.run = m.run WHERE asked.message_id = ?`,
    )
    .get(messageId);
  return row ? fromRow(row) : undefined;
}

/** `mission`: a session asked for it when it asked for any of its runs. */
export function listMissions(
  db: Database,
  { status, machine, session, limit }: Parameters<MissionStore["missions"]>[0],
): Mission[] {
  type Where = { status: string | null; machine: string | null; session: string | null; limit: number };
  return db
    .query<Row, Where>(
      `SELECT ${columns} FROM ${current}
       WHERE ($status IS NULL OR r.status = $status)
         AND ($machine IS NULL OR EXISTS (SELECT 1 FROM thread_members t
           WHERE t.thread_id = m.thread_id AND t.kind = 'session' AND t.machine_id = $machine))
         AND ($machine IS NULL
           OR (m.machine_id = $machine AND ($session IS NULL OR m.id = $session))
           OR m.id IN (SELECT mission_id FROM mission_runs
                       WHERE from_machine = $machine AND ($session IS NULL OR from_session = $session)))
       ORDER BY m.seq DESC LIMIT $limit`,
    )
    .all({ status: status ?? null, machine: machine ?? null, session: session ?? null, limit })
    .map(fromRow);
}

export function liveMissions(db: Database, machine?: string): Mission[] {
  return db
    .query<Row, { machine: string | null }>(
      `SELECT ${columns} FROM mission_runs r INDEXED BY mission_runs_live
       JOIN missions m ON m.id = r.mission_id AND m.run = r.run
       WHERE r.status IN ('pending_approval', 'queued', 'running')
         AND ($machine IS NULL OR m.machine_id = $machine) ORDER BY r.requested_at, m.seq`,
    )
    .all({ machine: machine ?? null })
    .map(fromRow);
}

export function moveMission(
  db: Database,
  id: string,
  version: number,
  change: MissionTransition,
  at: string,
): Mission | undefined {
  const mission = findMission(db, id);
  if (mission?.version !== version || isOver(mission.status)) return undefined;
  const leaves = change.status !== undefined && change.status !== mission.status;
  if (mission.status === "pending_approval" && leaves)
    db.query(
      "UPDATE approvals SET status = 'withdrawn', decided_at = ? WHERE mission_id = ? AND run = ? AND status = 'pending'",
    ).run(at, id, mission.run);
  return applyChange(db, mission, change, at);
}

/**
 * A machine was turned away: its own runs end, and what it asked for neither begins nor goes on. What another machine
 * has taken for it is to be cancelled there: nobody is left whose work that is.
 */
export function endMissionsOf(db: Database, machine: string, reason: string, at: string): Mission[] {
  return liveMissions(db).flatMap((mission) => {
    const change = turnedAway(mission, machine, reason);
    return change ? (moveMission(db, mission.mission_id, mission.version, change, at) ?? []) : [];
  });
}

function turnedAway(mission: Mission, machine: string, reason: string): MissionTransition | undefined {
  const isHere = mission.machine === machine;
  const isAsker = mission.from.kind === "session" && mission.from.machine === machine;
  if (!isHere && !isAsker) return undefined;
  if (mission.taken_at === null && mission.status !== "running") return { status: "failed", reason };
  return isHere ? { status: "lost", reason } : { cancel_requested: true, reason };
}

/** Writes the change of a run that is not over. Whether it may follow is the caller's business. */
export function applyChange(db: Database, mission: Mission, change: RunChange, at: string): Mission {
  const next = { ...mission, ...change };
  const over = isOver(next.status);
  db.query(
    `UPDATE mission_runs SET status = $status, reason = $reason, plan_hash = $plan_hash, approved_by = $approved_by,
       cancel_requested = $cancel_requested, taken_at = $taken_at, started_at = $started_at,
       finished_at = $finished_at, exit_code = $exit_code, turn_count = $turn_count, cost_usd = $cost_usd,
       response_owed = $owed
     WHERE mission_id = $id AND run = $run`,
  ).run({
    id: mission.mission_id,
    run: mission.run,
    status: next.status,
    reason: next.reason,
    plan_hash: next.plan_hash,
    approved_by: next.approved_by,
    cancel_requested: next.cancel_requested ? 1 : 0,
    taken_at: next.taken_at,
    started_at: next.started_at,
    finished_at: over ? (next.finished_at ?? at) : null,
    exit_code: next.exit_code,
    turn_count: next.turn_count,
    cost_usd: next.cost_usd,
    owed: over ? 1 : 0,
  });
  db.query("UPDATE missions SET version = version + 1 WHERE id = ?").run(mission.mission_id);
  return mustFind(db, mission.mission_id);
}

/** Runs whose end has not been told, each as it was left, oldest end first. */
export function owedRuns(db: Database, limit: number): Mission[] {
  return db
    .query<Row, [number]>(
      `SELECT ${columns} FROM mission_runs r JOIN missions m ON m.id = r.mission_id
       WHERE r.response_owed = 1 ORDER BY r.finished_at LIMIT ?`,
    )
    .all(limit)
    .map(fromRow);
}

export function responseSent(db: Database, id: string, run: number): void {
  db.query("UPDATE mission_runs SET response_owed = 0 WHERE mission_id = ? AND run = ?").run(id, run);
}

function isOver(status: MissionStatus): boolean {
  return status !== "pending_approval" && status !== "queued" && status !== "running";
}

/** The request's message id is known already: as this very request, or as something else. */
function knownRequest(
  db: Database,
  { message_id, hash }: Pick<NewMission, "message_id" | "hash">,
): MissionOutcome | undefined {
  const known = db
    .query<{ hash: string }, [string]>("SELECT hash FROM messages WHERE id = ?")
    .get(message_id);
  if (!known) return prunedMessage(db, message_id) ? { outcome: "conflict", over: "message" } : undefined;
  const mission = known.hash === hash ? missionOfMessage(db, message_id) : undefined;
  return mission ? { outcome: "duplicate", mission } : { outcome: "conflict", over: "message" };
}

/** The asking message stands in the thread; no session gets it as mail. */
function writeRequest(db: Database, mission: NewMission): void {
  const { message_id, thread_id, at } = mission;
  addMember(db, thread_id, mission.from);
  insertMessage(db, {
    id: message_id,
    hash: mission.hash,
    thread_id,
    opens_thread: false,
    type: mission.type,
    from: mission.from,
    to_agent: mission.to_agent,
    text: mission.text,
    at,
  });
  const address = formatAddress(missionAddress(mission));
  recordState(db, { message_id, thread_id, address }, { state: "accepted", at });
}

function insertRun(db: Database, mission: NewMission, run: number): void {
  const { from } = mission;
  db.query(
    `INSERT INTO mission_runs (mission_id, run, from_agent, from_machine, from_session, text, message_id, hash,
       request, context, status, requested_at)
     VALUES ($mission_id, $run, $from_agent, $from_machine, $from_session, $text, $message_id, $hash, $request,
       $context, 'queued', $at)`,
  ).run({
    mission_id: mission.mission_id,
    run,
    from_agent: formatAddress(from),
    from_machine: from.kind === "session" ? from.machine : null,
    from_session: from.kind === "session" ? from.session : null,
    text: mission.text,
    message_id: mission.message_id,
    hash: mission.hash,
    request: JSON.stringify(mission.request),
    context: JSON.stringify(mission.context),
    at: mission.at,
  });
}

function mustFind(db: Database, id: string): Mission {
  const mission = findMission(db, id);
  if (mission) return mission;
  throw new IntercomError("internal", `mission ${id} is not in the store`);
}

function fromRow({ from_agent, request, context, cancel_requested, ...row }: Row): Mission {
  return {
    ...row,
    from: asker(from_agent),
    request: JSON.parse(request),
    context: JSON.parse(context),
    cancel_requested: cancel_requested === 1,
  };
}

function asker(text: string): Mission["from"] {
  const address = parseAddress(text);
  if (address.kind !== "project") return address;
  throw new IntercomError("internal", `${text} asked for a mission and is no session`);
}
