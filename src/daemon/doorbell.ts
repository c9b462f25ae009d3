// Wakes an idle session for mail that waits. A ring is no mail: it starts a turn, and the hook of that turn brings
// the mail. So a ring that is lost, doubled or ignored costs time only. A working session needs none: its next hook
// comes by itself.
import { headerName } from "../inbox/framing.ts";
import { randomHex } from "../protocol/ids.ts";
import { every } from "../system/wait.ts";
import type { Bells } from "./bells.ts";
import type { SessionEvents } from "./session-events.ts";
import { activityOf } from "./session-view.ts";
import type { Session, Sessions } from "./sessions.ts";

/** ms between looks at idle sessions with mail */
const sweepMs = 1_000;
/** ms until it is rung again for what was not read, doubling from the first to the last */
const firstPauseMs = 5_000;
const longestPauseMs = 300_000;
/** ms without anybody who takes a ring until that is said; a hook waits a moment after its agent became idle */
const deafMs = 2_000;
/** senders named in a ring */
const sendersNamed = 3;

/**
 * Since mail was last proved to be read. `at`: the last ring, on the monotonic clock; `idleSince`: the idle period into
 * which it rang, as the agent names it; `reacted`: some ring began a turn.
 */
type Rung = { at: number; idleSince: number; pauseMs: number; rings: number; reacted: boolean };

export class Doorbell {
  readonly #sessions: Sessions;
  readonly #events: SessionEvents;
  readonly #bells: Bells;
  readonly #language: "en" | "fr";
  readonly #rung = new Map<string, Rung>();
  /** session id → since when nobody takes its rings: no hook waits, no MCP server listens; monotonic ms */
  readonly #unheard = new Map<string, number>();
  #timer: ReturnType<typeof setInterval> | undefined;
  /** could the turn that a ring begins be given the mail? */
  canHandOut: (session: Session) => boolean = () => true;

  constructor(parts: {
    sessions: Sessions;
    events: SessionEvents;
    bells: Bells;
    language: "en" | "fr";
  }) {
    this.#sessions = parts.sessions;
    this.#events = parts.events;
    this.#bells = parts.bells;
    this.#language = parts.language;
  }

  start(): void {
    this.#timer = every(sweepMs, "ringing idle sessions", () => {
      for (const session of this.#sessions.all()) this.consider(session);
    });
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  forget(session: Session): void {
    this.#rung.delete(session.stored.session_id);
    this.#unheard.delete(session.stored.session_id);
  }

  /** Mail came into its context: the next ring is the first again. */
  wasRead(session: Session): void {
    this.#rung.delete(session.stored.session_id);
    this.consider(session);
  }

  /** How often it was rung since it last read. */
  rings(session: Session): number {
    return this.#rung.get(session.stored.session_id)?.rings ?? 0;
  }

  /** Did any of those rings begin a turn? */
  reacted(session: Session): boolean {
    const last = this.#rung.get(session.stored.session_id);
    return last !== undefined && (last.reacted || (activityOf(session).since ?? 0) !== last.idleSince);
  }

  /** Can a ring reach the agent, as far as is known? */
  canRing({ stored: { session_id, wake } }: Session): boolean {
    const unheardSince = this.#unheard.get(session_id);
    return (
      (wake ?? "none") !== "none" && (unheardSince === undefined || performance.now() - unheardSince < deafMs)
    );
  }

  /**
   * Rings if mail can be taken, the agent is idle, and it was not rung a moment ago. Pauses grow over its turns until
   * it reads: one without hooks begins a turn for every ring, and must not go round for ever.
   */
  consider(session: Session): void {
    const { inbox, stored } = session;
    if (!inbox.worthWaking || (stored.wake ?? "none") === "none" || !this.canHandOut(session)) return;
    const now = performance.now();
    const last = this.#rung.get(stored.session_id);
    if (last && now - last.at < last.pauseMs) return;
    const { status, since: idleSince = 0 } = activityOf(session);
    if (status !== "idle") return;
    const reacted = this.reacted(session);
    if (!this.#ring(session)) return;
    const pauseMs = last ? Math.min(longestPauseMs, last.pauseMs * 2) : firstPauseMs;
    const rings = (last?.rings ?? 0) + 1;
    this.#rung.set(stored.session_id, { at: now, idleSince, pauseMs, rings, reacted });
  }

  /** False: nobody waited for it, which costs nothing to find out; so the next look tries again. */
  #ring(session: Session): boolean {
    const { session_id, wake, pid } = session.stored;
    const text = () => ringText(session, this.#language);
    const heard = wake === "hook" ? this.#bells.ring(pid, text) : this.#events.ring(session, text);
    if (heard) this.#unheard.delete(session_id);
    else if (!this.#unheard.has(session_id)) this.#unheard.set(session_id, performance.now());
    return heard;
  }
}

/** Marked as ours, so that nobody takes it for the user's words; unique, for the agent drops repeated text. */
function ringText({ inbox }: Session, language: "en" | "fr"): string {
  const senders = new Set(inbox.unreadRecords().map(({ from_agent }) => headerName(from_agent)));
  const named = [...senders].slice(0, sendersNamed).join(", ") + (senders.size > sendersNamed ? ", …" : "");
  const mark = `[ai-intercom ring ${randomHex(8)}]`;
  if (language === "fr")
    return `${mark} Du courrier de ${named} attend cette session ; il accompagne cette ligne. S'il manque, intercom_check_inbox le donne. Ceci est un avis d'ai-intercom, pas une parole de l'utilisateur.`;
  return `${mark} Mail from ${named} waits for this session; it comes with this line. Where it does not, intercom_check_inbox gets it. This is a notice of ai-intercom, not the user's words.`;
}
