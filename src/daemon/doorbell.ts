// Wakes an idle session for mail that waits. A ring is no mail: it starts a turn, and the hook of that turn brings
// the mail. So a ring that is lost, doubled or ignored costs time only. A working session needs none: its next hook
// comes by itself.
import { headerName } from "../inbox/framing.ts";
import { randomHex } from "../protocol/ids.ts";
import { every } from "../system/wait.ts";
import type { SessionEvents } from "./session-events.ts";
import { activityOf } from "./session-view.ts";
import type { Session, Sessions } from "./sessions.ts";

/** ms between looks at idle sessions with mail */
const sweepMs = 1_000;
/** ms until the same idle period is rung again, doubling from the first to the last */
const firstPauseMs = 5_000;
const longestPauseMs = 300_000;
/** senders named in a ring */
const sendersNamed = 3;

/** idleSince: which idle period was rung; a new one starts anew */
type Rung = { idleSince: number; at: number; pauseMs: number; rings: number };

export class Doorbell {
  readonly #sessions: Sessions;
  readonly #events: SessionEvents;
  readonly #language: "en" | "fr";
  readonly #rung = new Map<string, Rung>();
  #timer: ReturnType<typeof setInterval> | undefined;

  constructor(sessions: Sessions, events: SessionEvents, language: "en" | "fr") {
    this.#sessions = sessions;
    this.#events = events;
    this.#language = language;
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
  }

  /** How often its present idle period was rung. */
  rings(session: Session): number {
    return this.#rung.get(session.stored.session_id)?.rings ?? 0;
  }

  /** Rings if mail can be taken, the agent is idle, and this idle period was not rung a moment ago. */
  consider(session: Session): void {
    const { inbox, stored } = session;
    if (stored.wake !== "socket" || !inbox.worthWaking) return;
    const { status, since: idleSince = 0 } = activityOf(session);
    if (status !== "idle") return;
    const last = this.#rung.get(stored.session_id);
    const again = last?.idleSince === idleSince;
    if (again && Date.now() - last.at < last.pauseMs) return;
    const pauseMs = again ? Math.min(longestPauseMs, last.pauseMs * 2) : firstPauseMs;
    const rings = again ? last.rings + 1 : 1;
    this.#rung.set(stored.session_id, { idleSince, at: Date.now(), pauseMs, rings });
    this.#events.ring(session, ringText(session, this.#language));
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
