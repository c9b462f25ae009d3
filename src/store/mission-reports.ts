// What machines report of runs, in SQLite: entries without a gap, output in pieces, how a run stands; and the reading
// of those. Every function runs inside a transaction of the caller.
import type { Database } from "bun:sqlite";
import type { MissionChange, MissionEntry } from "../protocol/mission.ts";
import { findMessage } from "./messages.ts";
import type { Mission, MissionStep, MissionStore, OwedResponse } from "./mission-store.ts";
import { applyChange, findMission, owedRuns, type RunChange } from "./missions.ts";

type Report = Parameters<MissionStore["reportMission"]>[1];
type Taken = Awaited<ReturnType<MissionStore["reportMission"]>>;

export function reportMission(db: Database, machine: string, report: Report, at: string): Taken {
  const mission = findMission(db, report.mission_id);
  if (mission?.machine !== machine || mission.run !== report.run)
    return { outcome: "unwanted", mission: undefined };
  if (mission.status !== "queued" && mission.status !== "running") {
    if (report.change?.status !== mission.status) return { outcome: "unwanted", mission };
    return { outcome: "taken", mission, fresh: [], changed: false, ...lengths(db, mission) };
  }
  const fresh = addEntries(db, mission, report.entries);
  if (report.output) addOutput(db, mission, report.output);
  db.query("UPDATE mission_runs SET taken_at = coalesce(taken_at, ?) WHERE mission_id = ? AND run = ?").run(
    at,
    mission.mission_id,
    mission.run,
  );
  const have = lengths(db, mission);
  const whole =
    (report.entries.at(-1)?.seq ?? 0) <= have.entries && (report.output?.offset ?? 0) <= have.output;
  const now = findMission(db, mission.mission_id) ?? mission;
  const change = whole && report.change ? asChange(now, report.change) : undefined;
  return {
    outcome: "taken",
    mission: change ? applyChange(db, now, change, at) : now,
    fresh,
    changed: change !== undefined,
    ...have,
  };
}

/** undefined: it says nothing new. */
function asChange(mission: Mission, change: MissionChange): RunChange | undefined {
  const { status, at, reason, exit_code, turn_count, cost_usd } = change;
  const numbers = {
    exit_code: exit_code ?? mission.exit_code,
    turn_count: turn_count ?? mission.turn_count,
    cost_usd: cost_usd ?? mission.cost_usd,
  };
  if (status !== "running") return { status, reason: reason ?? null, finished_at: at, ...numbers };
  if (mission.status === "running") return undefined;
  // a wish to cancel keeps its author until the end
  const kept = mission.cancel_requested ? mission.reason : null;
  return { status, reason: reason ?? kept, started_at: at, ...numbers };
}

/** Those that come next, in order; what is known or leaves a gap is left out. */
function addEntries(db: Database, mission: Mission, entries: readonly MissionEntry[]): MissionEntry[] {
  const { mission_id, run, thread_id } = mission;
  const known = lengths(db, mission).entries;
  const fresh: MissionEntry[] = [];
  for (const entry of entries) if (entry.seq === known + fresh.length + 1) fresh.push(entry);
  if (fresh.length === 0) return fresh;
  const insert = db.query(
    `INSERT INTO mission_entries (mission_id, run, seq, place, timestamp, kind, summary)
     VALUES (?1, ?2, ?3, (SELECT max(seq) FROM messages WHERE thread_id = ?4), ?5, ?6, ?7)`,
  );
  for (const { seq, timestamp, kind, summary } of fresh)
    insert.run(mission_id, run, seq, thread_id, timestamp, kind, summary);
  db.query("UPDATE mission_runs SET entries = ? WHERE mission_id = ? AND run = ?").run(
    known + fresh.length,
    mission_id,
    run,
  );
  return fresh;
}

function addOutput(db: Database, mission: Mission, { offset, text }: { offset: number; text: string }): void {
  const { mission_id, run } = mission;
  const have = lengths(db, mission).output;
  const fresh = text.slice(have - offset);
  if (offset > have || offset + text.length <= have) return;
  db.query("INSERT INTO mission_output (mission_id, run, place, text) VALUES (?, ?, ?, ?)").run(
    mission_id,
    run,
    have,
    Buffer.from(fresh, "utf16le"),
  );
  db.query("UPDATE mission_runs SET output_length = ? WHERE mission_id = ? AND run = ?").run(
    have + fresh.length,
    mission_id,
    run,
  );
}

function lengths(db: Database, { mission_id, run }: Mission): { entries: number; output: number } {
  const none = { entries: 0, output: 0 };
  const row = db
    .query<typeof none, [string, number]>(
      "SELECT entries, output_length AS output FROM mission_runs WHERE mission_id = ? AND run = ?",
    )
    .get(mission_id, run);
  return row ?? none;
}

export function missionOutput(db: Database, id: string, from: number, length: number): string {
  const mission = findMission(db, id);
  return mission ? outputOf(db, mission, from, length) : "";
}

function outputOf(db: Database, { mission_id, run }: Mission, from: number, length: number): string {
  type Where = { id: string; run: number; from: number; to: number };
  const pieces = db
    .query<{ place: number; text: Uint8Array }, Where>(
      `SELECT place, text FROM mission_output
       WHERE mission_id = $id AND run = $run AND place < $to AND place >= coalesce(
         (SELECT max(place) FROM mission_output WHERE mission_id = $id AND run = $run AND place <= $from), 0)
       ORDER BY place`,
    )
    .all({ id: mission_id, run, from, to: from + length });
  const begin = from - (pieces[0]?.place ?? 0);
  const text = Buffer.concat(pieces.map((piece) => piece.text)).toString("utf16le");
  return text.slice(begin, begin + length);
}

export function missionEntries(db: Database, id: string, limit: number): MissionEntry[] {
  return db
    .query<MissionEntry, [string, number]>(
      `SELECT e.seq, e.timestamp, e.kind, e.summary FROM mission_entries e
       JOIN missions m ON m.id = e.mission_id AND m.run = e.run
       WHERE e.mission_id = ? ORDER BY e.seq DESC LIMIT ?`,
    )
    .all(id, limit)
    .reverse();
}

/** A place is `message seq.kind.entry pos`: entries stand behind the newest message there was when they came. */
export function missionSteps(
  db: Database,
  id: string,
  after: string | undefined,
  limit: number,
): MissionStep[] {
  const thread = findMission(db, id)?.thread_id;
  if (thread === undefined) return [];
  const [message = 0, kind = 0, pos = 0] = (after ?? "").split(".").map(Number);
  type Row = { message: number; kind: number; pos: number; ref: string };
  return db
    .query<Row, { id: string; thread: string; message: number; kind: number; pos: number; limit: number }>(
      `SELECT * FROM (
         SELECT seq AS message, 0 AS kind, 0 AS pos, id AS ref FROM messages WHERE thread_id = $thread
         UNION ALL SELECT place, 1, pos, '' FROM mission_entries WHERE mission_id = $id)
       WHERE (message, kind, pos) > ($message, $kind, $pos) ORDER BY message, kind, pos LIMIT $limit`,
    )
    .all({ id, thread, message, kind, pos, limit })
    .flatMap((row): MissionStep[] => {
      const place = `${row.message}.${row.kind}.${row.pos}`;
      if (row.kind === 1) return entryAt(db, row.pos).map((entry) => ({ place, kind: "entry", ...entry }));
      const found = findMessage(db, row.ref);
      return found ? [{ place, kind: "message", message: found }] : [];
    });
}

function entryAt(db: Database, pos: number): { run: number; entry: MissionEntry }[] {
  return db
    .query<MissionEntry & { run: number }, [number]>(
      "SELECT run, seq, timestamp, kind, summary FROM mission_entries WHERE pos = ?",
    )
    .all(pos)
    .map(({ run, ...entry }) => ({ run, entry }));
}

export function owedResponses(db: Database, limit: number, length: number): OwedResponse[] {
  return owedRuns(db, limit).map((mission) => ({ mission, output: outputOf(db, mission, 0, length) }));
}
