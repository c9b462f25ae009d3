// What the hub knows of this machine: its sessions, projects and missions. The whole picture each time, so that there is
// nothing to keep in step and a lost one is repaired by the next.
import type { Presence as Picture } from "../protocol/hub-api.ts";
import { maxFrameBytes } from "../protocol/link.ts";
import type { SessionReport } from "../protocol/session.ts";
import { log } from "../system/log.ts";
import { background } from "../system/wait.ts";
import type { Launcher } from "./launcher.ts";
import type { Link } from "./link.ts";
import type { Outbox } from "./outbox.ts";
import type { Projects } from "./projects.ts";
import { reportOf, sessionReport } from "./session-view.ts";
import type { Sessions } from "./sessions.ts";
import type { DaemonState } from "./state.ts";

/** ms that changes are collected before the hub hears of them */
const collectMs = 20;

export type PresenceParts = {
  link: Link;
  sessions: Sessions;
  projects: Projects;
  outbox: Outbox;
  state: DaemonState;
  launcher: () => Launcher;
};

export class Presence {
  readonly #parts: PresenceParts;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #reported = "";
  /** the latest picture, on its way or taken */
  #latest: Promise<void> = Promise.resolve();

  constructor(parts: PresenceParts) {
    this.#parts = parts;
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  /** Something changed: the hub hears of it with whatever else changes now. */
  soon(): void {
    this.#timer ??= setTimeout(
      () =>
        background("presence", () =>
          this.settled().catch((error) => log.warn("presence was not taken", { error })),
        ),
      collectMs,
    );
  }

  /** Sends a change that still waits: the hub must know a session before that session writes. */
  async settled(): Promise<void> {
    if (this.#timer === undefined) return this.#latest;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#parts.link.linked) this.#latest = this.#send();
    await this.#latest;
  }

  /** Greets the hub with it on a new link. */
  greet(): Promise<void> {
    this.#latest = this.#send();
    return this.#latest;
  }

  /** What agents do changes without telling us. */
  look(): void {
    if (this.#parts.link.linked && JSON.stringify(this.#sessions()) !== this.#reported) this.soon();
  }

  async #send(): Promise<void> {
    const { link, projects, launcher } = this.#parts;
    const sessions = this.#sessions();
    this.#reported = JSON.stringify(sessions);
    try {
      const missions = launcher().unfinished();
      await link.request("presence", fitting({ sessions, projects: projects.report(), missions }));
    } catch (error) {
      this.#reported = ""; // sent again with the next look; until then nothing is routed
      throw error;
    }
  }

  /** Open sessions, and those that ended while the hub was away and whose last words still wait here. */
  #sessions(): SessionReport[] {
    const { sessions, outbox, state } = this.#parts;
    const open = sessions.all().filter((session) => !session.provisional);
    const senders = outbox.senders();
    const gone = state.sessions.filter((one) => one.ended_at !== undefined && senders.has(one.session_id));
    return [...open.map(sessionReport), ...gone.map(reportOf)];
  }
}

/** What does not fit into one frame is left out: first the descriptions, then the projects without a session. */
function fitting(picture: Picture): Picture {
  const fits = (one: Picture) => Buffer.byteLength(JSON.stringify(one)) < maxFrameBytes / 2;
  if (fits(picture)) return picture;
  log.warn("more projects than one report can carry; descriptions are left out", {
    projects: picture.projects.length,
  });
  const brief = picture.projects.map((one) => ({ ...one, description: "", capabilities: [], tags: [] }));
  const named = { ...picture, projects: brief };
  if (fits(named)) return named;
  const used = new Set(picture.sessions.map(({ project_id }) => project_id));
  return { ...picture, projects: brief.filter(({ project_id }) => used.has(project_id)) };
}
