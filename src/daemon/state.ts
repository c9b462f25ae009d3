// What a daemon must remember across restarts: its sessions, its projects, its standing with the hub. One small
// file, replaced whole on each change; changes are rare (a session opens, ends, or is described). A copy stands
// beside it: with the addresses forgotten, mail would wait for sessions that never come back under theirs.
import { z } from "zod";
import { Name, SessionId } from "../protocol/address.ts";
import { IntercomError } from "../protocol/errors.ts";
import { WakeRoute } from "../protocol/session.ts";
import { readTextIfPresent, replaceFile } from "../system/files.ts";
import { log } from "../system/log.ts";

export const StoredSession = z.object({
  session_id: SessionId,
  project: Name,
  agent: z.string(),
  pid: z.number(),
  start: z.string(),
  registered_at: z.string(),
  /** set when the agent's process is gone; kept so that a resumed conversation finds its address again */
  ended_at: z.string().optional(),
  summary: z.string().default(""),
  cwd: z.string().optional(),
  native_session_id: z.string().optional(),
  transcript_path: z.string().optional(),
  mission_id: z.string().optional(),
  config_directory: z.string().optional(),
  wake: WakeRoute.optional(),
  /** thread → when this session last wrote in it */
  replied: z.record(z.string(), z.string()).default({}),
});
export type StoredSession = z.infer<typeof StoredSession>;

/** threads whose last reply is remembered: the introduction names the newest unanswered ones only */
const repliesNoted = 50;

/** The session wrote in this thread just now. */
export function withReply(replied: StoredSession["replied"], thread: string): StoredSession["replied"] {
  const { [thread]: _, ...others } = replied;
  const latest = [...Object.entries(others), [thread, new Date().toISOString()]].slice(-repliesNoted);
  return Object.fromEntries(latest);
}

export const StoredProject = z.object({
  project_id: Name,
  /** real path; empty where a script named the project without one */
  path: z.string(),
  description: z.string().default(""),
  capabilities: z.array(z.string()).default([]),
  tags: z.array(z.string()).default([]),
  /** found below a scan path, and what its own files say; it is forgotten when it is found no more */
  discovered: z.object({ description: z.string() }).optional(),
});
export type StoredProject = z.infer<typeof StoredProject>;

const StoredState = z.object({
  sessions: z.array(StoredSession).default([]),
  projects: z.array(StoredProject).default([]),
  /** the hub told this machine that it is revoked */
  revoked: z.boolean().default(false),
});
type StoredState = z.infer<typeof StoredState>;

export class DaemonState {
  readonly #path: string;
  readonly #data: StoredState;

  private constructor(path: string, data: StoredState) {
    this.#path = path;
    this.#data = data;
  }

  /** A file that cannot be read is kept beside and its copy taken; without one, sessions register again. */
  static open(path: string): DaemonState {
    const data = read(path);
    if (data) {
      const state = new DaemonState(path, data);
      state.#copy();
      return state;
    }
    const copy = read(copyOf(path));
    const state = new DaemonState(path, copy ?? StoredState.parse({}));
    if (!copy) return state;
    log.warn("the daemon's state is taken from its copy", { file: copyOf(path) });
    state.save();
    return state;
  }

  get sessions(): readonly StoredSession[] {
    return this.#data.sessions;
  }

  get projects(): readonly StoredProject[] {
    return this.#data.projects;
  }

  get revoked(): boolean {
    return this.#data.revoked;
  }

  setRevoked(revoked: boolean): void {
    if (this.#data.revoked === revoked) return;
    this.#data.revoked = revoked;
    this.save();
  }

  putSession(session: StoredSession): void {
    const at = this.#data.sessions.findIndex((one) => one.session_id === session.session_id);
    if (at === -1) this.#data.sessions.push(session);
    else this.#data.sessions[at] = session;
    this.save();
  }

  removeSession(sessionId: string): void {
    this.#data.sessions = this.#data.sessions.filter((one) => one.session_id !== sessionId);
    this.save();
  }

  putProject(project: StoredProject): void {
    const at = this.#data.projects.findIndex((one) => one.project_id === project.project_id);
    if (at === -1) this.#data.projects.push(project);
    else this.#data.projects[at] = project;
    this.save();
  }

  /** All of them at once: a look around may find thousands. */
  replaceProjects(projects: StoredProject[]): void {
    this.#data.projects = projects;
    this.save();
  }

  private save(): void {
    try {
      replaceFile(this.#path, textOf(this.#data));
    } catch (cause) {
      throw new IntercomError("internal", `the daemon cannot write ${this.#path}`, {
        cause,
        hint: "is the disk full or read-only? df -h",
      });
    }
    this.#copy();
  }

  /** Not fsynced: it is for the day on which the file itself is damaged, not for a power cut. */
  #copy(): void {
    try {
      replaceFile(copyOf(this.#path), textOf(this.#data), { durable: false });
    } catch (error) {
      log.warn("the copy of the daemon's state cannot be written", { error });
    }
  }
}

const copyOf = (path: string) => `${path}.copy`;
const textOf = (data: StoredState) => `${JSON.stringify(data, null, 1)}\n`;

/** Undefined when it is not there or cannot be read; then it is kept beside. */
function read(path: string): StoredState | undefined {
  const text = readTextIfPresent(path);
  if (text === undefined) return undefined;
  try {
    return StoredState.parse(JSON.parse(text));
  } catch (error) {
    const aside = `${path}.corrupt`;
    replaceFile(aside, text);
    log.warn("the daemon's state cannot be read and is kept beside", { file: aside, error });
    return undefined;
  }
}
