// What stays of a session when its process has ended: address and inbox, for its conversation may be resumed. Of a
// session by which `setup` proved itself nothing stays, unless something in it was not read.
import { selfTestProject } from "../protocol/session.ts";
import type { Projects } from "./projects.ts";
import type { Session } from "./sessions.ts";
import type { DaemonState, StoredSession } from "./state.ts";

/** Closes its inbox. A crash in between leaves it open in `state`: the next start ends it again. */
export function settleEnded(session: Session, state: DaemonState, projects: Projects): void {
  const { stored, inbox } = session;
  if (!isPassing(stored) || inbox.unread > 0) {
    inbox.close();
    state.putSession({ ...stored, ended_at: new Date().toISOString() });
    return;
  }
  inbox.remove();
  state.removeSession(stored.session_id);
  if (!state.sessions.some(({ project }) => project === stored.project)) projects.forget(stored.project);
}

/** Nobody can come back to it: it is of the self-test, and no conversation of an agent's. */
export function isPassing({ project, agent, native_session_id }: StoredSession): boolean {
  return project === selfTestProject && agent === "unknown" && native_session_id === undefined;
}
