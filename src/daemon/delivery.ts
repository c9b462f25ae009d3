// From a session's inbox to whoever reads for the session, and the proof of what became of it. Every state it
// reports is one it can prove.
import { dirname } from "node:path";
import { framedLength } from "../inbox/framing.ts";
import type { Claim, Delivery } from "../inbox/inbox.ts";
import { Settlement } from "../inbox/settle.ts";
import { IntercomError } from "../protocol/errors.ts";
import type { Receipt } from "../protocol/hub-api.ts";
import { crashPoint } from "../system/crash-point.ts";
import { type DiskFault, diskFault, fileSize } from "../system/files.ts";
import { log } from "../system/log.ts";
import { identify, isAlive, type ProcessIdentity } from "../system/process.ts";
import { every } from "../system/wait.ts";
import type { Outbox } from "./outbox.ts";
import { activityOf, forgottenSession, transcriptReaderOf } from "./session-view.ts";
import type { Session, Sessions } from "./sessions.ts";

/** ms between looks at the transcripts while a delivery waits for its proof */
const settleEveryMs = 150;
/** ms between looks while deliveries are proved and only their answer is awaited */
const seenEveryMs = 1_000;
/** characters one hook output may carry; Claude Code cuts at 10,000 (facts/claude-code.md §6) */
const hookChars = 9_000;
/** characters of one `intercom_check_inbox` answer; above, clients warn or cut */
const toolChars = 30_000;

const faults: Record<DiskFault, string> = {
  full: "this machine's disk is full",
  read_only: "this machine's disk is read-only",
  failing: "this machine cannot write to its disk",
};

export type Reader = {
  asker: ProcessIdentity;
  carrier: "hook" | "tool";
  /** hook event or tool name */
  event: string;
  /** the reader is a script, not the agent: its own report proves the delivery, no transcript does */
  reports?: boolean;
};

export class Deliveries {
  readonly #sessions: Sessions;
  readonly #outbox: Outbox;
  readonly #language: "en" | "fr";
  readonly #settlements = new Map<string, Settlement>();
  /** nonce → when it was claimed; both by the steady clock, for a wall clock that is set would mix up their order */
  readonly #claimed = new Map<string, number>();
  /** session id → when the main agent last showed a hook event that follows an answer */
  readonly #laterEvents = new Map<string, number>();
  readonly #askerEnds = new Map<string, number>();
  /** session id → why nothing can be handed out there: a claim that is not noted down would be given out again */
  readonly #blocked = new Map<string, DiskFault>();
  /** claims whose `seen` was told, and that could not be put away since */
  readonly #seenTold = new Set<string>();
  #timer: ReturnType<typeof setInterval> | undefined;
  #lastFullSettle = 0;
  /** mail of a session became unread again */
  onMail: (session: Session) => void = () => {};
  /** mail of a session is proved to be in its context */
  onRead: (session: Session) => void = () => {};
  /** the disk takes claims again, after a time in which it did not */
  onUnblocked: (session: Session) => void = () => {};

  constructor(sessions: Sessions, outbox: Outbox, language: "en" | "fr") {
    this.#sessions = sessions;
    this.#outbox = outbox;
    this.#language = language;
  }

  start(): void {
    this.#timer = every(settleEveryMs, "settling deliveries", () => this.settle());
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** A hook of the main agent: what an earlier one printed stands in the transcript by now, or was dropped. */
  hookCame(session: Session, event: string): void {
    if (event !== "UserPromptSubmit") this.#laterEvents.set(session.stored.session_id, performance.now());
  }

  /** Why mail of this session cannot be handed out, since it was last tried; undefined: it can. */
  blocked({ stored }: Session): DiskFault | undefined {
    return this.#blocked.get(stored.session_id);
  }

  /**
   * Takes what one delivery may carry; undefined when there is nothing to take. Throws `unsafe_file` where the disk
   * keeps no claim.
   */
  claim(session: Session, reader: Reader): Delivery | undefined {
    try {
      const delivery = this.#claim(session, reader);
      if (delivery) this.#blocked.delete(session.stored.session_id);
      return delivery;
    } catch (error) {
      throw this.#blockedBy(session, error);
    }
  }

  #claim(session: Session, reader: Reader): Delivery | undefined {
    if (reader.carrier === "hook") this.hookCame(session, reader.event);
    this.#settleSession(session);
    const path = reader.reports ? undefined : session.stored.transcript_path;
    const delivery = session.inbox.claim({
      asker: reader.asker,
      carrier: reader.carrier,
      event: reader.event,
      transcript: path === undefined ? undefined : { path, size: fileSize(path) },
      maxChars: reader.carrier === "hook" ? hookChars : toolChars,
      measure: (parts, waiting) =>
        framedLength(parts, { waiting, language: this.#language, carrier: reader.carrier }),
    });
    crashPoint("delivery.claimed");
    if (!delivery) return undefined;
    this.#claimed.set(delivery.nonce, performance.now());
    this.#receipt(
      session,
      delivery.parts.filter(({ part, of }) => part === of).map(({ record }) => record.id),
      "offered",
    );
    return delivery;
  }

  /** Waits until mail that only an unsettled claim holds back can be taken, at most `ms`. */
  async awaitClaimable(session: Session, ms: number): Promise<void> {
    const until = Date.now() + ms;
    while (
      session.inbox.unread > 0 &&
      session.inbox.unread === session.inbox.waitingOnClaim &&
      Date.now() < until
    ) {
      await Bun.sleep(20);
      try {
        this.#settleSession(session);
      } catch (error) {
        throw this.#blockedBy(session, error);
      }
    }
  }

  /** The reader reports that it printed the delivery whole: counts as proof only where no transcript can tell. */
  confirmPrinted(session: Session, nonce: string): void {
    const claim = session.inbox.openClaims().find((one) => one.nonce === nonce);
    if (!claim || claim.transcript) return;
    session.inbox.confirm(nonce);
    session.inbox.forget(nonce);
    this.#forget(nonce);
    this.onRead(session);
  }

  /** The session ended: a last look at its transcript, then what is not proved goes back to the hub. */
  giveBack(session: Session): void {
    const claims = session.inbox.openClaims();
    this.#settleSession(session, true);
    // mail of a local script has no hub to go back to: it stays for the session's return
    const ids = session.inbox.takeBack().filter((id) => !session.inbox.isLocal(id));
    this.#receipt(session, ids, "queued", "session ended");
    crashPoint("delivery.given-back");
    session.inbox.removeReturned(ids);
    // proved once is proved: a resumed conversation must not judge it again
    for (const { nonce, inContext } of session.inbox.openClaims()) if (inContext) session.inbox.forget(nonce);
    for (const { nonce } of claims) this.#forget(nonce);
    this.#laterEvents.delete(session.stored.session_id);
    this.#blocked.delete(session.stored.session_id);
  }

  /** Inboxes whose sessions the daemon has forgotten, and that nobody has taken up: as if those had ended now. */
  giveBackForgotten(): void {
    for (const sessionId of this.#sessions.forgottenInboxes()) {
      try {
        this.#sessions.withInbox(sessionId, (inbox) => {
          if (inbox.unread === 0 && inbox.openClaims().length === 0) return;
          log.warn("mail of a forgotten session goes back to the hub", { session: sessionId });
          this.giveBack(forgottenSession(sessionId, inbox));
        });
      } catch (error) {
        log.error("a forgotten session's inbox cannot be given back", { session: sessionId, error });
      }
    }
  }

  /** Looks for proofs: often while one is missing, seldom while only an answer is awaited. */
  settle(): void {
    const full = performance.now() - this.#lastFullSettle >= seenEveryMs;
    if (full) {
      this.#lastFullSettle = performance.now();
      for (const session of this.#sessions.all()) this.#tryAgain(session);
    }
    for (const session of this.#sessions.all())
      if (session.inbox.openClaims().some(({ inContext }) => full || !inContext))
        this.#settleSession(session);
  }

  #settleSession(session: Session, agentDead = false): void {
    const claims = session.inbox.openClaims();
    if (claims.length === 0) return;
    const activity = activityOf(session);
    for (const claim of claims) {
      const settlement =
        this.#settlements.get(claim.nonce) ?? new Settlement(claim, transcriptReaderOf(session));
      this.#settlements.set(claim.nonce, settlement);
      const verdict = settlement.poll({
        status: activity.status,
        idleSince: activity.status === "idle" ? activity.since : undefined,
        agentDead,
        laterEvent: this.#hadLaterEvent(session, claim),
        askerEndedAt: this.#askerEndedAt(claim),
      });
      this.#carryOut(session, claim, verdict);
    }
  }

  #carryOut(session: Session, claim: Claim, verdict: ReturnType<Settlement["poll"]>): void {
    switch (verdict) {
      case "wait":
        return;
      case "in_context":
        this.#inContext(session, claim);
        return;
      case "seen":
        this.#seen(session, claim);
        return;
      case "dead":
        log.info("a delivery did not reach its agent; its mail is unread again", {
          session: session.stored.session_id,
          event: claim.event,
        });
        session.inbox.drop(claim.nonce);
        this.#forget(claim.nonce);
        this.onMail(session);
        return;
      default:
        verdict satisfies never;
    }
  }

  #inContext(session: Session, claim: Claim): void {
    if (claim.inContext) return;
    session.inbox.confirm(claim.nonce);
    this.onRead(session);
  }

  #seen(session: Session, claim: Claim): void {
    this.#inContext(session, claim);
    const whole = claim.items.filter(({ part, of }) => part === of).map(({ id }) => id);
    // once: the disk may refuse what follows, and then this comes again each time it is looked at
    if (!this.#seenTold.has(claim.nonce)) this.#receipt(session, whole, "seen");
    this.#seenTold.add(claim.nonce);
    crashPoint("delivery.before-seen");
    session.inbox.markSeen(claim.nonce);
    this.#forget(claim.nonce);
  }

  /** The error for whoever asked for the mail: what was thrown, where the disk is not why. */
  #blockedBy(session: Session, error: unknown): unknown {
    const fault = diskFault(error) && faultOf(session);
    if (fault === undefined) return error;
    this.#blocked.set(session.stored.session_id, fault);
    const { unread, path } = session.inbox;
    const waits = unread === 1 ? "1 message waits" : `${unread} messages wait`;
    return new IntercomError("unsafe_file", `${waits} and cannot be handed out: ${faults[fault]}`, {
      cause: error,
      hint: `look at the disk: df -h ${dirname(path)}; the mail is kept and comes by itself once it can be written to`,
    });
  }

  #tryAgain(session: Session): void {
    const { session_id } = session.stored;
    if (!this.#blocked.has(session_id)) return;
    const fault = faultOf(session);
    if (fault !== undefined) {
      this.#blocked.set(session_id, fault);
      return;
    }
    this.#blocked.delete(session_id);
    log.info("mail can be handed out again", { session: session_id });
    this.onUnblocked(session);
  }

  /** A claim of an earlier life is older than every event of this one. */
  #hadLaterEvent(session: Session, claim: Claim): boolean {
    const at = this.#laterEvents.get(session.stored.session_id);
    return at !== undefined && at > (this.#claimed.get(claim.nonce) ?? 0);
  }

  #askerEndedAt(claim: Claim): number | undefined {
    if (claim.carrier === "hook" && !this.#askerEnds.has(claim.nonce) && !isAlive(claim.asker))
      this.#askerEnds.set(claim.nonce, Date.now());
    return this.#askerEnds.get(claim.nonce);
  }

  #forget(nonce: string): void {
    this.#settlements.delete(nonce);
    this.#seenTold.delete(nonce);
    this.#claimed.delete(nonce);
    this.#askerEnds.delete(nonce);
  }

  /** Receipts go through the outbox: one lost link must not lose a state. Local messages have none. */
  #receipt(session: Session, ids: string[], state: Receipt["state"], reason?: string): void {
    const at = new Date().toISOString();
    const { session_id } = session.stored;
    const receipts = ids
      .filter((id) => !session.inbox.isLocal(id))
      .map((message_id): Receipt => ({ message_id, session_id, state, at, reason }));
    this.#outbox.add(
      receipts.map((receipt) => ({ kind: "receipt", receipt })),
      { durable: state === "queued" },
    );
  }
}

/** Why a claim could not be noted down now; undefined: it could. */
function faultOf({ inbox }: Session): DiskFault | undefined {
  try {
    inbox.tryClaiming();
    return undefined;
  } catch (error) {
    return diskFault(error);
  }
}

/** The asking process as it is now; one that is already gone gets a start that never matches. */
export function askerOf(pid: number): ProcessIdentity {
  return identify(pid) ?? { pid, start: "gone" };
}
