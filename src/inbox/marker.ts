// `pending/<agent pid>`: tells the hook's shell guard that an agent has unread mail. Created before the mail and
// removed after it, so it can only be present in vain. Says nothing else; whoever asks is checked by the daemon.
import { closeSync, constants, openSync, readdirSync, readFileSync } from "node:fs";
import { privateDirectory, unlinkIfPresent, writeAll } from "../system/files.ts";
import type { ProcessIdentity } from "../system/process.ts";

type Content = { session_id: string; start: string };

export class Marker {
  readonly #directory: string;
  readonly #sessionId: string;
  #agent: ProcessIdentity | undefined;

  constructor(inboxDirectory: string, sessionId: string) {
    this.#directory = pendingDirectory(inboxDirectory);
    this.#sessionId = sessionId;
    privateDirectory(this.#directory);
  }

  /** From now on for this agent process; the one before no longer has a marker of this session. */
  attach(agent: ProcessIdentity | undefined, unread: boolean): void {
    const before = this.#agent;
    this.#agent = agent;
    if (unread) this.show();
    else this.hide();
    if (before && before.pid !== agent?.pid) this.#remove(before.pid);
  }

  show(): void {
    if (!this.#agent) return;
    const { pid, start } = this.#agent;
    const content: Content = { session_id: this.#sessionId, start };
    const { O_CREAT, O_TRUNC, O_WRONLY, O_NOFOLLOW } = constants;
    const fd = openSync(`${this.#directory}/${pid}`, O_CREAT | O_TRUNC | O_WRONLY | O_NOFOLLOW, 0o600);
    try {
      writeAll(fd, Buffer.from(JSON.stringify(content)));
    } finally {
      closeSync(fd);
    }
  }

  hide(): void {
    if (this.#agent) this.#remove(this.#agent.pid);
  }

  /** The pid may belong to another session's agent by now; its marker stays. */
  #remove(pid: number): void {
    const path = `${this.#directory}/${pid}`;
    const content = readContent(path);
    if (content === "absent" || (content && content.session_id !== this.#sessionId)) return;
    unlinkIfPresent(path);
  }
}

/** The session whose unread mail is marked for exactly this process. */
export function markedSession(inboxDirectory: string, { pid, start }: ProcessIdentity): string | undefined {
  const content = readContent(`${pendingDirectory(inboxDirectory)}/${pid}`);
  return typeof content === "object" && content.start === start ? content.session_id : undefined;
}

/**
 * Removes the markers of processes that are gone, and unreadable ones. For the daemon's start, before sessions are
 * attached: attaching writes the marker of every live session that has unread mail.
 */
export function removeStaleMarkers(
  inboxDirectory: string,
  isLive: (agent: ProcessIdentity, sessionId: string) => boolean,
): void {
  const directory = pendingDirectory(inboxDirectory);
  privateDirectory(directory);
  for (const name of readdirSync(directory)) {
    const path = `${directory}/${name}`;
    const content = readContent(path);
    const live =
      /^[1-9]\d*$/.test(name) &&
      typeof content === "object" &&
      isLive({ pid: Number(name), start: content.start }, content.session_id);
    if (!live) unlinkIfPresent(path);
  }
}

const pendingDirectory = (inboxDirectory: string): string => `${inboxDirectory}/pending`;

/** undefined: there is a file, but not one of ours. */
function readContent(path: string): Content | "absent" | undefined {
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "ENOENT" ? "absent" : undefined;
  }
  try {
    const content: unknown = JSON.parse(readFileSync(fd, "utf8"));
    return isContent(content) ? content : undefined;
  } catch {
    return undefined; // cut short by a crash
  } finally {
    closeSync(fd);
  }
}

function isContent(value: unknown): value is Content {
  return (
    typeof value === "object" &&
    value !== null &&
    "session_id" in value &&
    typeof value.session_id === "string" &&
    "start" in value &&
    typeof value.start === "string"
  );
}
