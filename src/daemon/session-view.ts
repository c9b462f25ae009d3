// How a session looks from outside: to scripts, to the hub, and to the proof of its deliveries.
import type { TranscriptReader } from "../inbox/transcript.ts";
import { type Activity, integrationNamed, integrationOf, integrations } from "../integrations/integration.ts";
import type { LocalSession } from "../protocol/local-api.ts";
import type { SessionReport, SessionStatus } from "../protocol/session.ts";
import type { Session } from "./sessions.ts";
import type { StoredSession } from "./state.ts";

/** The public view of a session (contract.md). */
export function localSession(session: Session): LocalSession {
  const { session_id, project, pid, agent, registered_at, summary } = session.stored;
  const { path, unread } = session.inbox;
  return {
    session_id,
    project,
    pid,
    agent,
    inbox_path: path,
    registered_at,
    status: statusOf(session),
    summary,
    recent_activity: [],
    inbox_pending: unread,
  };
}

/** What the hub is told about an open session. */
export function sessionReport(session: Session): SessionReport {
  return { ...reportOf(session.stored), status: statusOf(session), inbox_pending: session.inbox.unread };
}

/** An ended session as the hub must know it, to take what it wrote while the hub was away. */
export function reportOf(stored: StoredSession): SessionReport {
  const { session_id, project, agent, pid, start, summary, registered_at, mission_id, wake } = stored;
  return {
    session_id,
    project_id: project,
    agent,
    pid,
    start,
    status: "active",
    summary,
    registered_at,
    inbox_pending: 0,
    mission_id,
    wake: wake ?? "none",
  };
}

/** What the agent tells about itself; `active` where it does not. */
function statusOf(session: Session): SessionStatus {
  const { status } = activityOf(session);
  return status === "unknown" ? "active" : status;
}

export function activityOf({ stored, process }: Session): Activity {
  const hints = { transcriptPath: stored.transcript_path, configDirectory: stored.config_directory };
  return integrationOf(stored.agent).activity(process, hints);
}

/** A hook of this session has told which conversation it is. */
export function hooksSeen({ stored }: Session): boolean {
  return stored.native_session_id !== undefined;
}

/** Of an agent that we do not know (any more), whatever transcript there is. */
export function transcriptReaderOf({ stored }: Session): TranscriptReader {
  const known = integrationNamed(stored.agent);
  if (known) return (line) => known.readTranscriptLine(line);
  return (line) =>
    integrations.map((one) => one.readTranscriptLine(line)).find((record) => record !== undefined);
}

/** A session of which nothing is left but its inbox. */
export function forgottenSession(session_id: string, inbox: Session["inbox"]): Session {
  const process = { pid: 0, start: "forgotten" };
  return {
    stored: {
      session_id,
      ...process,
      project: "forgotten",
      agent: "unknown",
      registered_at: new Date(0).toISOString(),
      summary: "",
      replied: {},
    },
    process,
    inbox,
    provisional: false,
  };
}
