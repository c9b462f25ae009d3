// Projects and sessions in SQLite. Every function runs inside a transaction of the caller.
import type { Database } from "bun:sqlite";
import type { Presence } from "../protocol/hub-api.ts";
import type { ProjectReport, SessionReport, WakeRoute } from "../protocol/session.ts";
import { bindProjectMail, releaseMail, returnMail } from "./deliveries.ts";
import type { PresenceChange, Project, Session } from "./store.ts";

type SessionRow = Omit<Session, "mission_id" | "wake"> & {
  mission_id: string | null;
  wake: WakeRoute | null;
};
type ProjectRow = Omit<Project, "capabilities" | "tags"> & { capabilities: string; tags: string };

export function applyPresence(
  db: Database,
  machine: string,
  { sessions, projects }: Presence,
  { at, expires_at }: { at: string; expires_at: string },
): PresenceChange {
  for (const project of projects) saveProject(db, machine, project);
  dropProjects(db, machine, projects);
  const before = new Map(openSessions(db, { machine }).map((session) => [session.session_id, session]));
  const opened: Session[] = [];
  for (const report of new Map(sessions.map((each) => [each.session_id, each])).values()) {
    saveSession(db, machine, report);
    if (before.delete(report.session_id)) continue;
    releaseMail(db, machine, report.session_id);
    opened.push({ ...report, machine_id: machine, ended_at: null });
  }
  const ended = [...before.values()];
  const changes = ended.flatMap((session) => endSession(db, session, at, expires_at));
  bindProjectMail(db, machine, openSessions(db, { machine }));
  return { opened, ended, changes };
}

export function findSession(db: Database, machine: string, session: string): Session | undefined {
  const row = db
    .query<SessionRow, [string, string]>("SELECT * FROM sessions WHERE machine_id = ? AND session_id = ?")
    .get(machine, session);
  return row ? fromRow(row) : undefined;
}

export function sessionOfProcess(db: Database, process: { pid: number; start: string }): Session | undefined {
  const row = db
    .query<SessionRow, [number, string]>(
      "SELECT * FROM sessions WHERE pid = ? AND start = ? AND ended_at IS NULL LIMIT 1",
    )
    .get(process.pid, process.start);
  return row ? fromRow(row) : undefined;
}

/** Oldest first. */
export function openSessions(
  db: Database,
  { machine, project }: { machine?: string; project?: string } = {},
): Session[] {
  return db
    .query<SessionRow, { machine: string | null; project: string | null }>(
      `SELECT * FROM sessions INDEXED BY sessions_open WHERE ended_at IS NULL
         AND ($machine IS NULL OR machine_id = $machine) AND ($project IS NULL OR project_id = $project)
       ORDER BY registered_at, session_id`,
    )
    .all({ machine: machine ?? null, project: project ?? null })
    .map(fromRow);
}

export function allProjects(db: Database, machine?: string): Project[] {
  return db
    .query<ProjectRow, { machine: string | null }>(
      `SELECT * FROM projects WHERE $machine IS NULL OR machine_id = $machine ORDER BY machine_id, project_id`,
    )
    .all({ machine: machine ?? null })
    .map((row) => ({ ...row, capabilities: words(row.capabilities), tags: words(row.tags) }));
}

/** A machine says all it has; what it no longer names goes, unless a session stands in it, of whatever time. */
function dropProjects(db: Database, machine: string, named: Presence["projects"]): void {
  db.query(
    `DELETE FROM projects WHERE machine_id = ? AND project_id NOT IN (SELECT value FROM json_each(?))
       AND NOT EXISTS (SELECT 1 FROM sessions
         WHERE sessions.machine_id = projects.machine_id AND sessions.project_id = projects.project_id)`,
  ).run(machine, JSON.stringify(named.map(({ project_id }) => project_id)));
}

function endSession(db: Database, { machine_id, session_id }: Session, at: string, expiresAt: string) {
  db.query("UPDATE sessions SET ended_at = ? WHERE machine_id = ? AND session_id = ?").run(
    at,
    machine_id,
    session_id,
  );
  return returnMail(db, machine_id, session_id, at, expiresAt);
}

function saveProject(db: Database, machine: string, project: ProjectReport): void {
  db.query(
    `INSERT INTO projects (machine_id, project_id, path, description, capabilities, tags)
     VALUES ($machine, $project_id, $path, $description, $capabilities, $tags)
     ON CONFLICT (machine_id, project_id) DO UPDATE SET path = excluded.path,
       description = excluded.description, capabilities = excluded.capabilities, tags = excluded.tags`,
  ).run({
    machine,
    project_id: project.project_id,
    path: project.path,
    description: project.description,
    capabilities: JSON.stringify(project.capabilities),
    tags: JSON.stringify(project.tags),
  });
}

function saveSession(db: Database, machine: string, report: SessionReport): void {
  // A session in a project that was not reported still makes the project known.
  db.query(
    `INSERT INTO projects (machine_id, project_id, path, description, capabilities, tags)
     VALUES (?, ?, '', '', '[]', '[]') ON CONFLICT DO NOTHING`,
  ).run(machine, report.project_id);
  db.query(
    `INSERT INTO sessions (machine_id, session_id, project_id, agent, pid, start, status, summary,
       inbox_pending, mission_id, wake, registered_at)
     VALUES ($machine, $session_id, $project_id, $agent, $pid, $start, $status, $summary,
       $inbox_pending, $mission_id, $wake, $registered_at)
     ON CONFLICT (machine_id, session_id) DO UPDATE SET project_id = excluded.project_id,
       agent = excluded.agent, pid = excluded.pid, start = excluded.start, status = excluded.status,
       summary = excluded.summary, inbox_pending = excluded.inbox_pending,
       mission_id = excluded.mission_id, wake = excluded.wake, registered_at = excluded.registered_at, ended_at = NULL`,
  ).run({
    machine,
    session_id: report.session_id,
    project_id: report.project_id,
    agent: report.agent,
    pid: report.pid,
    start: report.start,
    status: report.status,
    summary: report.summary,
    inbox_pending: report.inbox_pending,
    mission_id: report.mission_id ?? null,
    wake: report.wake ?? null,
    registered_at: report.registered_at,
  });
}

function fromRow({ mission_id, wake, ...rest }: SessionRow): Session {
  return {
    ...rest,
    ...(mission_id === null ? {} : { mission_id }),
    ...(wake === null ? {} : { wake }),
  };
}

function words(json: string): string[] {
  const value: unknown = JSON.parse(json);
  return Array.isArray(value) ? value.map(String) : [];
}
