// Why mail in an inbox is not read yet, as far as this machine can tell; and telling the sender when that changes.
import { integrationOf } from "../integrations/integration.ts";
import type { Receipt } from "../protocol/hub-api.ts";
import { every } from "../system/wait.ts";
import type { Doorbell } from "./doorbell.ts";
import type { Outbox } from "./outbox.ts";
import { activityOf } from "./session-view.ts";
import type { Session, Sessions } from "./sessions.ts";

/** ms between looks */
const lookMs = 1_000;
/** rings without an answer after which the agent counts as deaf */
const deafAfterRings = 3;

const words = {
  en: {
    dialog: "its agent waits for its person: a dialog is open",
    subagent: "its agent waits for a subagent; it reads when that is done",
    untold:
      "its agent does not tell whether it is idle, so it is not rung; it reads at its next prompt or tool call",
    low: "low priority wakes nobody; its idle agent reads it at its next prompt or tool call",
    noBell: "its agent is idle and cannot be woken; it reads at its next prompt or tool call",
    deaf: (rings: number) =>
      `its agent was rung ${rings} times and did not read; its hooks may be missing or switched off`,
    held: (rings: number) =>
      `its agent was rung ${rings} times and did not stir; its settings may hold rings back`,
    unproved: "an earlier message of the thread is not proved to be read yet",
  },
  fr: {
    dialog: "son agent attend sa personne : un dialogue est ouvert",
    subagent: "son agent attend un sous-agent ; il lira quand celui-ci aura fini",
    untold:
      "son agent ne dit pas s'il est inactif et n'est donc pas sonné ; il lira à sa prochaine consigne ou au prochain outil",
    low: "la priorité basse ne réveille personne ; son agent inactif lira à sa prochaine consigne ou au prochain outil",
    noBell:
      "son agent est inactif et ne peut être réveillé ; il lira à sa prochaine consigne ou au prochain outil",
    deaf: (rings: number) =>
      `son agent a été sonné ${rings} fois et n'a pas lu ; ses hooks manquent peut-être`,
    held: (rings: number) =>
      `son agent a été sonné ${rings} fois et n'a pas bougé ; ses réglages retiennent peut-être les sonneries`,
    unproved: "un message antérieur du fil n'est pas encore prouvé lu",
  },
} as const;

export class Waiting {
  readonly #sessions: Sessions;
  readonly #outbox: Outbox;
  readonly #doorbell: Doorbell;
  readonly #language: "en" | "fr";
  /** session id → the reason that its mail's senders were told last */
  readonly #told = new Map<string, string | undefined>();
  #timer: ReturnType<typeof setInterval> | undefined;

  constructor(parts: { sessions: Sessions; outbox: Outbox; doorbell: Doorbell; language: "en" | "fr" }) {
    this.#sessions = parts.sessions;
    this.#outbox = parts.outbox;
    this.#doorbell = parts.doorbell;
    this.#language = parts.language;
  }

  start(): void {
    this.#timer = every(lookMs, "telling why mail waits", () => {
      for (const session of this.#sessions.all()) this.#tell(session);
    });
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** undefined: it is on its way, or nothing waits. */
  reason(session: Session): string | undefined {
    const { inbox } = session;
    if (inbox.unread === 0) return undefined;
    const say = words[this.#language];
    if (inbox.unread === inbox.waitingOnClaim) return say.unproved;
    const { status } = activityOf(session);
    if (status === "waiting") return say.dialog;
    if (status !== "idle" && session.inSubagent) return say.subagent;
    if (status === "unknown" && integrationOf(session.stored.agent).supportsHook("Stop")) return say.untold;
    if (status !== "idle") return undefined;
    if (!inbox.worthWaking) return say.low;
    const rings = this.#doorbell.rings(session);
    if (!this.#doorbell.canRing(session)) return say.noBell;
    if (rings < deafAfterRings) return undefined;
    // the number at which it was told: a sender learns it once, not at every further ring
    return this.#doorbell.reacted(session) ? say.deaf(deafAfterRings) : say.held(deafAfterRings);
  }

  /** What was answered when mail arrived. */
  remember(session: Session, reason: string | undefined): void {
    this.#told.set(session.stored.session_id, reason);
  }

  #tell(session: Session): void {
    const { session_id } = session.stored;
    if (session.inbox.unread === 0) {
      this.#told.delete(session_id);
      return;
    }
    const reason = this.reason(session);
    if (this.#told.get(session_id) === reason) return;
    this.#told.set(session_id, reason);
    if (reason === undefined) return;
    const at = new Date().toISOString();
    const unread = session.inbox.unreadRecords().filter(({ local }) => !local);
    const receipts = unread.map(
      ({ id }): Receipt => ({ message_id: id, session_id, state: "delivered", at, reason }),
    );
    this.#outbox.add(
      receipts.map((receipt) => ({ kind: "receipt", receipt })),
      { durable: false },
    );
  }
}
