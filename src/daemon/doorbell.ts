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
/** ms until the same idle period is rung again, doubling from the first to the last */
const firstPauseMs = 5_000;
const longestPauseMs = 300_000;
/** ms without anybody who takes a ring until that is said; a hook waits a moment after its agent became idle */
const deafMs = 2_000;
/** senders named in a ring */
const sendersNamed = 3;

/** idleSince: which idle period was rung; a new one starts anew */
type Rung = { idleSince: number; at: number; pauseMs: number; rings: number };

export class Doorbell {
  readonly #sessions: Sessions;
  readonly #events: SessionEvents;
  readonly #bells: Bells;
  readonly #language: "en" | "fr";
  readonly #rung = new Map<string, Rung>();
  /** session id → since when nobody takes its rings: no hook waits, no MCP server listens; unix ms */
  readonly #unheard = new Map<string, number>();
  #timer: ReturnType<typeof setInterval> | undefined;

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

  /** How often its present idle period was rung. */
  rings(session: Session): number {
    return this.#rung.get(session.stored.session_id)?.rings ?? 0;
  }

  /** Can a ring reach the agent, as far as is known? */
  canRing({ stored: { session_id, wake } }: Session): boolean {
    const unheardSince = this.#unheard.get(session_id);
    return (wake ?? "none") !== "none" && (unheardSince === undefined || Date.now() - unheardSince < deafMs);
  }

  /** Rings if mail can be taken, the agent is idle, and this idle period was not rung a moment ago. */
  consider(session: Session): void {
    const { inbox, stored } = session;
    if (inbox.unread <= inbox.waitingOnClaim || (stored.wake ?? "none") === "none") return;
    const { status, since: idleSince = 0 } = activityOf(session);
    if (status !== "idle") return;
    const last = this.#rung.get(stored.session_id);
    const again = last?.idleSince === idleSince;
    if (again && Date.now() - last.at < last.pauseMs) return;
    const pauseMs = again ? Math.min(longestPauseMs, last.pauseMs * 2) : firstPauseMs;
    const rings = again ? last.rings + 1 : 1;
    if (!this.#ring(session)) return;
    this.#rung.set(stored.session_id, { idleSince, at: Date.now(), pauseMs, rings });
  }

  /** False: nobody waited for it, which costs nothing to find out; so the next look tries again. */
  #ring(session: Session): boolean {
    const { session_id, wake, pid } = session.stored;
    const text = () => ringText(session, this.#language);
    const heard = wake === "hook" ? this.#bells.ring(pid, text) : this.#events.ring(session, text);
    if (heard) this.#unheard.delete(session_id);
    else if (!this.#unheard.has(session_id)) this.#unheard.set(session_id, Date.now());
    return heard;
  }
}

/** Marked as ours, so that nobody takes it for the user's words; unique, for the agent drops repeated text. */
function ringText({ inbox }: Session, language: "en" | "fr"): string {
  const senders = new Set(
    inbox
      .records()
      .filter(({ read }) => !read)
      .map(({ from_agent }) => headerName(from_agent)),
  );
  const named = [...senders].slice(0, sendersNamed).join(", ") + (senders.size > sendersNamed ? ", …" : "");
  const mark = `[ai-intercom ring ${randomHex(8)}]`;
  if (language === "fr")
    return `${mark} Du courrier de ${named} attend cette session ; il accompagne cette ligne. S'il manque, intercom_check_inbox le donne. Ceci est un avis d'ai-intercom, pas une parole de l'utilisateur.`;
  return `${mark} Mail from ${named} waits for this session; it comes with this line. Where it does not, intercom_check_inbox gets it. This is a notice of ai-intercom, not the user's words.`;
}
