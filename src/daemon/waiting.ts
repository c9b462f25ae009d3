// Why mail in an inbox is not read yet, as far as this machine can tell; and telling the sender when that changes.
import { integrationOf } from "../integrations/integration.ts";
import { firstHookMs } from "../protocol/checkup.ts";
import type { Receipt } from "../protocol/hub-api.ts";
import { every } from "../system/wait.ts";
import type { Deliveries } from "./delivery.ts";
import type { Doorbell } from "./doorbell.ts";
import type { Outbox } from "./outbox.ts";
import { activityOf, hooksSeen } from "./session-view.ts";
import type { Session, Sessions } from "./sessions.ts";

/** ms between looks */
const lookMs = 1_000;
/** rings without an answer after which the agent counts as deaf */
const deafAfterRings = 3;

const words = {
  en: {
    noHooks:
      "no hook of ours was seen in that session; without hooks it reads only when its agent calls intercom_check_inbox",
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
    disk: {
      full: "its machine's disk is full and mail cannot be handed out; it reads when there is room again",
      read_only:
        "its machine's disk is read-only and mail cannot be handed out; it reads when that is mended",
      failing:
        "its machine cannot write to its disk, so mail cannot be handed out; it reads when that is mended",
    },
    unproved: "an earlier message of the thread is not proved to be read yet",
  },
  fr: {
    noHooks:
      "aucun hook d'ai-intercom n'a été vu dans cette session ; sans hooks, elle ne lit que si son agent appelle intercom_check_inbox",
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
    disk: {
      full: "le disque de sa machine est plein et le courrier ne peut être remis ; il lira quand il y aura de la place",
      read_only:
        "le disque de sa machine est en lecture seule et le courrier ne peut être remis ; il lira quand ce sera réparé",
      failing:
        "sa machine ne peut pas écrire sur son disque, le courrier ne peut donc être remis ; il lira quand ce sera réparé",
    },
    unproved: "un message antérieur du fil n'est pas encore prouvé lu",
  },
} as const;

export class Waiting {
  readonly #sessions: Sessions;
  readonly #outbox: Outbox;
  readonly #doorbell: Doorbell;
  readonly #deliveries: Pick<Deliveries, "blocked">;
  readonly #language: "en" | "fr";
  /** session id → the reason that its mail's senders were told last */
  readonly #told = new Map<string, string | undefined>();
  #timer: ReturnType<typeof setInterval> | undefined;

  constructor(parts: {
    sessions: Sessions;
    outbox: Outbox;
    doorbell: Doorbell;
    deliveries: Pick<Deliveries, "blocked">;
    language: "en" | "fr";
  }) {
    this.#sessions = parts.sessions;
    this.#outbox = parts.outbox;
    this.#doorbell = parts.doorbell;
    this.#deliveries = parts.deliveries;
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
    const fault = this.#deliveries.blocked(session);
    if (fault) return say.disk[fault];
    if (inbox.unread === inbox.waitingOnClaim) return say.unproved;
    if (lacksHooks(session)) return mayStillHook(session) ? undefined : say.noHooks;
    const { status } = activityOf(session);
    if (status === "waiting") return say.dialog;
    if (status !== "idle" && session.inSubagent) return say.subagent;
    if (status === "unknown" && integrationOf(session.stored.agent).supportsHook("Stop")) return say.untold;
    if (status !== "idle") return this.#isDeaf(session) ? say.deaf(deafAfterRings) : undefined;
    if (!inbox.worthWaking) return say.low;
    const rings = this.#doorbell.rings(session);
    if (!this.#doorbell.canRing(session)) return say.noBell;
    if (rings < deafAfterRings) return undefined;
    // the number at which it was told: a sender learns it once, not at every further ring
    return this.#doorbell.reacted(session) ? say.deaf(deafAfterRings) : say.held(deafAfterRings);
  }

  /** What was answered when mail arrived. Where earlier mail was told otherwise, the next look tells all of it anew. */
  remember(session: Session, reason: string | undefined): void {
    const { session_id } = session.stored;
    if (this.#told.has(session_id) && this.#told.get(session_id) !== reason) this.#told.delete(session_id);
    else this.#told.set(session_id, reason);
  }

  /** Its senders were told so, and it has not read since: the turn of one more ring takes nothing back. */
  #isDeaf(session: Session): boolean {
    const told = this.#told.get(session.stored.session_id);
    return told === words[this.#language].deaf(deafAfterRings) && this.#doorbell.rings(session) > 0;
  }

  #tell(session: Session): void {
    const { session_id } = session.stored;
    if (session.inbox.unread === 0) {
      this.#told.delete(session_id);
      return;
    }
    const reason = this.reason(session);
    // also that there is none any more; and after a start, when nobody knows what was told
    if (this.#told.has(session_id) && this.#told.get(session_id) === reason) return;
    this.#told.set(session_id, reason);
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

/** An agent that has hooks, and none was seen; an agent that we do not know has none by nature. */
function lacksHooks(session: Session): boolean {
  return !hooksSeen(session) && integrationOf(session.stored.agent).supportsHook("SessionStart");
}

function mayStillHook({ stored }: Session): boolean {
  return Date.now() - Date.parse(stored.registered_at) < firstHookMs;
}
