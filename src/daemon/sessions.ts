// The sessions of this machine: one per running agent process, known by pid and start identity. Registers them,
// notices when their process ends, and finds an ended one again when its conversation is resumed.
import { readdirSync } from "node:fs";
import { Inbox } from "../inbox/inbox.ts";
import { markedSession } from "../inbox/marker.ts";
import { integrationOf } from "../integrations/integration.ts";
import { SessionId } from "../protocol/address.ts";
import { IntercomError } from "../protocol/errors.ts";
import { newSessionId } from "../protocol/ids.ts";
import type { RegisterSession } from "../protocol/local-api.ts";
import type { InboxRecord } from "../protocol/message.ts";
import { MissionId } from "../protocol/mission.ts";
import { crashPoint } from "../system/crash-point.ts";
import { log } from "../system/log.ts";
import { ancestry, identify, isAlive, type ProcessIdentity } from "../system/process.ts";
import type { MissionProcess } from "./launcher.ts";
import type { Projects } from "./projects.ts";
import { isPassing, settleEnded } from "./session-end.ts";
import { type DaemonState, type StoredSession, withReply } from "./state.ts";

/** An open session: what is stored, its inbox, and its process. */
export type Session = {
  stored: StoredSession;
  inbox: Inbox;
  process: ProcessIdentity;
  /** it may still turn out to be a resumed conversation with an address of its own; nobody is told of it yet */
  provisional: boolean;
  /** the hook that asked last for its mail was a subagent's: the main agent may be waiting for that */
  inSubagent?: boolean;
};

export type Binding = Partial<
  Pick<StoredSession, "native_session_id" | "transcript_path" | "cwd" | "agent" | "wake" | "config_directory">
>;

/** ms that a new session waits for the hook that tells which conversation it is; the hook follows within 0.4 s */
const provisionalMs = 1_500;
/** ended sessions without a possible resumption are forgotten after so long, ms (30 days) */
const forgetEndedMs = 30 * 24 * 3600 * 1000;

export class Sessions {
  readonly #state: DaemonState;
  readonly #projects: Projects;
  readonly #inboxDirectory: string;
  readonly #unreadLimit: number;
  readonly #open = new Map<string, Session>();
  /** something the hub should know changed: a session opened, ended, was described */
  onChange: () => void = () => {};
  /** a session ended; its inbox is still open and is closed after this */
  onEnd: (session: Session) => void = () => {};
  /** whether a mission started this process; known from the operating system, never from what the process says */
  missionOf: (pid: number) => MissionProcess | undefined = () => undefined;

  constructor(
    state: DaemonState,
    projects: Projects,
    options: { inboxDirectory: string; unreadLimit: number },
  ) {
    this.#state = state;
    this.#projects = projects;
    this.#inboxDirectory = options.inboxDirectory;
    this.#unreadLimit = options.unreadLimit;
  }

  /** After a start: sessions whose process still runs are open again, the others have ended. */
  restore(): void {
    const old = Date.now() - forgetEndedMs;
    for (const stored of [...this.#state.sessions]) {
      if (stored.ended_at === undefined || isPassing(stored)) this.#restoreOne(stored);
      else if (Date.parse(stored.ended_at) < old) this.#state.removeSession(stored.session_id);
    }
    this.sweep();
  }

  /** One inbox that cannot be opened must not keep the others closed. */
  #restoreOne(stored: StoredSession): void {
    try {
      this.#openSession(stored);
    } catch (error) {
      log.error("a session's inbox cannot be opened; its mail stays at the hub", {
        session: stored.session_id,
        error,
      });
    }
  }

  all(): Session[] {
    return [...this.#open.values()];
  }

  get(sessionId: string): Session | undefined {
    return this.#open.get(sessionId);
  }

  /** The open session of exactly this process. */
  byProcess(pid: number): Session | undefined {
    const found = this.all().find((session) => session.process.pid === pid);
    return found && isAlive(found.process) ? found : undefined;
  }

  /** The session whose agent started `pid`, at whatever distance. */
  amongAncestors(pid: number): Session | undefined {
    return ancestry(pid)
      .map((look) => this.byProcess(look.pid))
      .find((session) => session !== undefined);
  }

  /**
   * Whose inbox a script may read: the session whose agent is among its ancestors, or the named one as long as no
   * other registered agent is its ancestor. An agent's child never reads another agent's mail.
   */
  forReader(pid: number, wished: string | undefined): Session {
    const own = this.amongAncestors(pid);
    const session = wished === undefined ? own : this.#open.get(wished);
    if (!session)
      throw new IntercomError(
        "unknown_session",
        wished === undefined
          ? "this command was not started by a registered agent"
          : `there is no open session "${wished}"`,
        {
          hint: "name one with --session ID; `ai-intercom agents --json` lists them",
        },
      );
    if (own && own !== session)
      throw new IntercomError(
        "forbidden",
        `session ${wished} is another agent's; an agent reads only its own inbox`,
      );
    return session;
  }

  byProject(project: string): Session[] {
    return this.all().filter((session) => session.stored.project === project && isAlive(session.process));
  }

  /** Registers the process `body.pid`, or finds the session it already is. Throws `bad_request` for a dead pid. */
  register(body: RegisterSession): Session {
    const process = identify(body.pid);
    if (!process)
      throw new IntercomError("bad_request", `pid ${body.pid} is not a running process`, {
        hint: "give the agent's own pid",
      });
    const known = this.byProcess(body.pid);
    if (known) return this.bind(known, body);
    const mission = this.missionOf(body.pid);
    if (mission) return this.#registerForMission(process, body, mission);
    if (MissionId.safeParse(body.session_id).success)
      throw new IntercomError("bad_request", `${body.session_id} is the address of a mission's own session`, {
        hint: "leave out session_id, or wish another one",
      });
    const before = body.native_session_id
      ? this.#resumable(body.native_session_id)
      : this.#endedAs(body.session_id);
    if (before) return this.#reopen(before, process, body);
    const former = this.#formerId(process, body.last_session_id);
    const stored = this.#stored(former);
    if (stored) return this.#reopen(stored, process, body);
    return this.#create(process, { ...body, session_id: body.session_id ?? former });
  }

  /** What a hook or a later registration tells about a known session. Undefined fields change nothing. */
  bind(session: Session, binding: Binding): Session {
    const { native_session_id, transcript_path, cwd, agent, wake, config_directory } = binding;
    const all = { native_session_id, transcript_path, cwd, agent, wake, config_directory };
    const given = Object.entries(all).filter(([, value]) => value !== undefined);
    const next = { ...session.stored, ...Object.fromEntries(given) };
    if (native_session_id !== undefined) this.settleIdentity(session);
    if (JSON.stringify(next) === JSON.stringify(session.stored)) return session;
    return this.update(session, next);
  }

  /** The session is what it is: it may be told to others. */
  settleIdentity(session: Session): void {
    if (!session.provisional) return;
    session.provisional = false;
    this.onChange();
  }

  /**
   * A hook told the native id of a process that registered before it was known. When that conversation was an
   * ended session of ours, the process takes over its address and mail.
   */
  resume(session: Session, nativeSessionId: string): Session {
    // a mission's session is known by its process, whatever conversation it continues
    const before = session.stored.mission_id === undefined ? this.#resumable(nativeSessionId) : undefined;
    if (!before || before.session_id === session.stored.session_id) return session;
    const wasNeverTold = session.provisional;
    this.end(session);
    if (wasNeverTold) this.#state.removeSession(session.stored.session_id);
    return this.#reopen(before, session.process, {
      agent: session.stored.agent,
      cwd: session.stored.cwd,
      wake: session.stored.wake,
      config_directory: session.stored.config_directory,
    });
  }

  update(session: Session, changes: Partial<StoredSession>): Session {
    if (this.#change(session, changes)) this.onChange();
    return session;
  }

  /** That it wrote in a thread, for its next introduction: nobody else is told. */
  noteReply(session: Session, thread: string): void {
    const replied = this.#stored(session.stored.session_id)?.replied ?? {};
    this.#change(session, { replied: withReply(replied, thread) });
  }

  /** False for a session that is not open: an answer can come after its agent; a resumed one learns it. */
  #change({ stored: { session_id } }: Session, changes: Partial<StoredSession>): boolean {
    const before = this.#stored(session_id);
    if (!before) return false;
    const stored = { ...before, ...changes };
    this.#state.putSession(stored);
    const current = this.#open.get(session_id);
    if (current) current.stored = stored;
    return current !== undefined;
  }

  /** Puts a notice into an ended session's inbox, for its return. False when nobody knows the session any more. */
  leave(sessionId: string, record: Omit<InboxRecord, "read">): boolean {
    if (!this.#stored(sessionId) || this.#open.has(sessionId)) return false;
    this.withInbox(sessionId, (inbox) => inbox.append([record]));
    return true;
  }

  /** With the inbox of any session: open, ended, or forgotten here. */
  withInbox<T>(sessionId: string, work: (inbox: Inbox) => T): T {
    const open = this.#open.get(sessionId);
    if (open) return work(open.inbox);
    const inbox = this.#openInbox(sessionId);
    try {
      return work(inbox);
    } finally {
      inbox.close();
    }
  }

  /** Inboxes that no session known here has: the daemon's memory was lost, or forgot a session after 30 days. */
  forgottenInboxes(): string[] {
    return readdirSync(this.#inboxDirectory).flatMap((name) => {
      const sessionId = name.endsWith(".jsonl") ? name.slice(0, -".jsonl".length) : "";
      return SessionId.safeParse(sessionId).success && !this.#stored(sessionId) ? [sessionId] : [];
    });
  }

  end(session: Session): void {
    if (!this.#open.has(session.stored.session_id)) return;
    this.onEnd(session);
    this.#open.delete(session.stored.session_id);
    session.inbox.attach(undefined);
    crashPoint("sessions.ended");
    settleEnded(session, this.#state, this.#projects);
    this.onChange();
  }

  /** Ends every session whose process is gone. Called each second, and at once when an agent's connection drops. */
  sweep(): void {
    for (const session of this.all()) {
      try {
        if (!isAlive(session.process)) this.end(session);
      } catch (error) {
        // a full disk, or no descriptor to look with: this one is tried again, the others end now
        log.error("a session could not be looked at or closed", {
          session: session.stored.session_id,
          error,
        });
      }
    }
  }

  close(): void {
    for (const session of this.all()) session.inbox.close();
    this.#open.clear();
  }

  /**
   * The id that this process had before the daemon forgot it: what its MCP server says, or the marker of its unread
   * mail. Never one of another process.
   */
  #formerId(process: ProcessIdentity, told: string | undefined): string | undefined {
    const marked = markedSession(this.#inboxDirectory, process);
    return [told, marked].find((id) => {
      if (id === undefined || this.#open.has(id) || !SessionId.safeParse(id).success) return false;
      const stored = this.#stored(id);
      return !stored || (stored.pid === process.pid && stored.start === process.start);
    });
  }

  /**
   * The mission's own agent is reached as its mission, in each run again; agents that it starts have addresses of their
   * own. None of them gets mail that is for whoever works in the project.
   */
  #registerForMission(
    process: ProcessIdentity,
    body: RegisterSession,
    { mission_id, project, own }: MissionProcess,
  ): Session {
    this.sweep();
    if (!own || this.#open.has(mission_id))
      return this.#create(process, { ...body, session_id: undefined }, mission_id);
    const before = this.#endedAs(mission_id);
    const session = before
      ? this.#reopen(before, process, { ...body, project })
      : this.#create(process, { ...body, session_id: mission_id, project }, mission_id);
    this.settleIdentity(session);
    return session;
  }

  #create(process: ProcessIdentity, body: RegisterSession, mission_id?: string): Session {
    const wished = body.session_id;
    const holder = wished === undefined ? undefined : this.#open.get(wished);
    if (holder)
      throw new IntercomError(
        "conflict",
        `session ${wished} belongs to the running process ${holder.process.pid}`,
      );
    const project = body.project ?? this.#projects.nameOf(body.cwd ?? "/");
    this.#projects.ensure(project);
    const session = this.#openSession({
      session_id: wished ?? this.#freshId(),
      project,
      agent: body.agent ?? "unknown",
      pid: process.pid,
      start: process.start,
      registered_at: new Date().toISOString(),
      summary: "",
      cwd: body.cwd,
      native_session_id: body.native_session_id,
      mission_id,
      wake: body.wake,
      config_directory: body.config_directory,
      replied: {},
    });
    const hookWillTell =
      body.native_session_id === undefined &&
      body.last_session_id === undefined &&
      integrationOf(session.stored.agent).supportsHook("SessionStart");
    session.provisional = hookWillTell;
    if (hookWillTell) setTimeout(() => this.settleIdentity(session), provisionalMs).unref();
    return session;
  }

  #reopen(before: StoredSession, process: ProcessIdentity, body: Binding & { project?: string }): Session {
    const { ended_at: _, ...rest } = before;
    const project = body.project ?? rest.project;
    this.#projects.ensure(project);
    return this.bind(this.#openSession({ ...rest, project, pid: process.pid, start: process.start }), body);
  }

  #openSession(stored: StoredSession): Session {
    const session: Session = {
      stored,
      provisional: false,
      process: { pid: stored.pid, start: stored.start },
      inbox: this.#openInbox(stored.session_id),
    };
    session.inbox.attach(isAlive(session.process) ? session.process : undefined);
    this.#open.set(stored.session_id, session);
    this.#state.putSession(stored);
    crashPoint("sessions.opened");
    this.onChange();
    return session;
  }

  #openInbox(sessionId: string): Inbox {
    return Inbox.open({
      directory: this.#inboxDirectory,
      sessionId: SessionId.parse(sessionId),
      unreadLimit: this.#unreadLimit,
    });
  }

  /** The latest ended session with this native id, unless the conversation is also open in a living process (a fork). */
  #resumable(nativeSessionId: string): StoredSession | undefined {
    this.sweep();
    if (this.all().some((session) => session.stored.native_session_id === nativeSessionId)) return undefined;
    return this.#state.sessions
      .filter((one) => one.native_session_id === nativeSessionId && one.ended_at !== undefined)
      .filter((one) => one.mission_id === undefined)
      .at(-1);
  }

  #endedAs(sessionId: string | undefined): StoredSession | undefined {
    return sessionId === undefined || this.#open.has(sessionId) ? undefined : this.#stored(sessionId);
  }

  #stored(sessionId: string | undefined): StoredSession | undefined {
    return this.#state.sessions.find((one) => one.session_id === sessionId);
  }

  #freshId(): string {
    for (;;) {
      const id = newSessionId();
      if (!this.#stored(id)) return id;
    }
  }
}
