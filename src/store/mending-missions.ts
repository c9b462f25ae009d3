// Missions of which only a part could be read. A run holds its task and who asked, the asking message names the place:
// either tells the other. What cannot be told ends as lost, and its asker hears of it.
import type { Database } from "bun:sqlite";
import { parseAddress } from "../protocol/address.ts";
import { damagedReason, type Mending, note, placeIn, readOrUndefined } from "./mending.ts";

/** above any that was ever given: transitions name the version they saw */
const newVersion = 1_000_000;

export function mendMissions(mending: Mending): void {
  if (mending.lost.has("missions")) mendPlaces(mending);
  if (mending.lost.has("messages")) mendRequests(mending);
  if (mending.lost.has("mission_runs")) mendRuns(mending);
  if (mending.lost.has("approvals")) askAgain(mending);
}

/** The mission itself, from its runs and what was asked. */
function mendPlaces(mending: Mending): void {
  const { db } = mending;
  type Known = { id: string; run: number; thread_id: string; type: string; to_agent: string };
  const known = db
    .query<Known, []>(
      `SELECT r.mission_id AS id, max(r.run) AS run, g.thread_id, g.type, g.to_agent
       FROM mission_runs r JOIN messages g ON g.id = r.message_id
       WHERE r.mission_id NOT IN (SELECT id FROM missions) GROUP BY r.mission_id`,
    )
    .all();
  for (const { to_agent, ...mission } of known) {
    const address = readOrUndefined(() => parseAddress(to_agent));
    if (!address || address.kind === "human") continue;
    const { changes } = db
      .query(
        `INSERT INTO missions (seq, id, run, version, thread_id, type, machine_id, project_id)
         VALUES ($seq, $id, $run, $version, $thread_id, $type, $machine, $project) ON CONFLICT DO NOTHING`,
      )
      .run({
        ...mission,
        seq: placeIn(mending, "missions", "id = ?", mission.id),
        version: newVersion,
        machine: address.machine,
        project: address.project,
      });
    note(mending, "missions, written again", changes);
  }
}

/** What was asked, whole: the run has it too. */
function mendRequests(mending: Mending): void {
  const { db } = mending;
  const lost = db
    .query<{ id: string }, []>(
      `SELECT message_id AS id FROM mission_runs r JOIN missions m ON m.id = r.mission_id
       WHERE NOT EXISTS (SELECT 1 FROM messages WHERE id = r.message_id)`,
    )
    .all();
  for (const { id } of lost)
    db.query(
      `INSERT INTO messages (seq, id, hash, thread_id, type, from_agent, from_machine, from_session, to_agent, message,
         timestamp)
       SELECT ?2, r.message_id, r.hash, m.thread_id, m.type, r.from_agent, r.from_machine, r.from_session,
         m.machine_id || '/' || m.project_id, r.text, r.requested_at
       FROM mission_runs r JOIN missions m ON m.id = r.mission_id WHERE r.message_id = ?1`,
    ).run(id, placeIn(mending, "messages", "id = ?", id));
  note(mending, "asking messages, written again", lost.length);
}

/** A current run that is gone ends as lost; its asker is told unless an answer stands there already. */
function mendRuns(mending: Mending): void {
  const { db, at } = mending;
  const missions = db
    .query<{ id: string; run: number; thread_id: string }, []>(
      `SELECT id, run, thread_id FROM missions m WHERE NOT EXISTS (
         SELECT 1 FROM mission_runs r WHERE r.mission_id = m.id AND r.run = m.run)`,
    )
    .all();
  for (const { id, run, thread_id } of missions) {
    const { changes } = db
      .query(
        `INSERT INTO mission_runs (mission_id, run, from_agent, from_machine, from_session, text, message_id, hash,
           request, context, status, reason, requested_at, finished_at, response_owed)
         SELECT $id, $run, g.from_agent, g.from_machine, g.from_session, g.message, g.id, g.hash,
           '{"require_approval":"auto","agent_command":"","files":[]}', '[]', 'lost', $reason, g.timestamp, $at,
           NOT EXISTS (SELECT 1 FROM messages WHERE id = 'response-' || $id || '-' || $run)
         FROM messages g WHERE g.thread_id = $thread AND g.type IN ('ask', 'start_agent')
           AND NOT EXISTS (SELECT 1 FROM mission_runs WHERE message_id = g.id)
         ORDER BY g.seq DESC LIMIT 1`,
      )
      .run({ id, run, thread: thread_id, reason: damagedReason, at });
    note(mending, "runs of missions, ended as lost", changes);
  }
}

/** Nobody can decide what is not there: the mission is planned again, and its person asked again. */
function askAgain(mending: Mending): void {
  const { db } = mending;
  const waiting = `status = 'pending_approval' AND NOT EXISTS (SELECT 1 FROM approvals a
    WHERE a.mission_id = mission_runs.mission_id AND a.run = mission_runs.run AND a.status = 'pending')`;
  const { changes } = db
    .query(`UPDATE mission_runs SET status = 'queued', reason = NULL, plan_hash = NULL, approved_by = NULL
      WHERE ${waiting}`)
    .run();
  note(mending, "missions whose person is asked again", changes);
}

/** Places in an output are counted: what is missing is filled, so that the rest stays where it was. */
export function mendOutput(mending: Mending): void {
  const { db, lost } = mending;
  if (!lost.has("mission_output")) return;
  type Run = { mission_id: string; run: number; output_length: number };
  const runs = db
    .query<Run, []>("SELECT mission_id, run, output_length FROM mission_runs WHERE output_length > 0")
    .all();
  for (const run of runs) note(mending, "holes in missions' outputs, filled", fillHoles(db, run));
}

function fillHoles(
  db: Database,
  { mission_id, run, output_length }: { mission_id: string; run: number; output_length: number },
): number {
  const pieces = db
    .query<{ place: number; length: number }, [string, number]>(
      `SELECT place, length(text) / 2 AS length FROM mission_output
       WHERE mission_id = ? AND run = ? ORDER BY place`,
    )
    .all(mission_id, run);
  let [end, holes] = [0, 0];
  for (const { place, length } of [...pieces, { place: output_length, length: 0 }]) {
    if (place > end) {
      db.query("INSERT INTO mission_output (mission_id, run, place, text) VALUES (?, ?, ?, ?)").run(
        mission_id,
        run,
        end,
        Buffer.from("\uFFFD".repeat(place - end), "utf16le"),
      );
      holes += 1;
    }
    end = Math.max(end, place + length);
  }
  return holes;
}
