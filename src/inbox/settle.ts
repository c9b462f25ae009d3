// What became of a claim, judged from the agent's transcript and from what the agent does. Pure but for reading
// the transcript; it changes nothing. The proof is the claim's nonce in text that reached the model; without it a
// claim dies only on evidence, for a dead claim is delivered again.
import type { Claim } from "./ledger.ts";
import { type PlacedRecord, type TranscriptReader, TranscriptTail } from "./transcript.ts";

/** `dead`: it did not get there. `in_context`: proved. `seen`: proved, and a later answer followed. */
export type Verdict = "wait" | "in_context" | "seen" | "dead";

/** What the daemon knows about the agent. Times in unix ms. */
export type Activity = {
  status: "working" | "idle" | "waiting" | "unknown";
  idleSince?: number;
  /** since the claim the main agent showed a PostToolBatch, Stop or SessionStart hook. UserPromptSubmit is none: it can overlap */
  laterEvent?: boolean;
  askerEndedAt?: number;
  agentDead: boolean;
};

/** When, on the clock of `now`, each thing was first observed. */
export type Evidence = {
  proved: boolean;
  answered: boolean;
  /** the proof hangs on a prompt that the person can still take back: until it is answered, or another one follows it */
  revocable?: boolean;
  /** the person took the prompt back, and the proved text with it */
  takenBack?: boolean;
  laterAnswerSince?: number;
  laterEventSince?: number;
  idleSince?: number;
  askerEndedSince?: number;
  /** when this claim was first looked at; after a restart of the daemon, anew */
  watchedSince?: number;
};

/** ms from evidence against a claim to its death: the proof is written up to 220 ms after the hook ended */
export const graceMs = 2_000;
/** ms after the asker's end when nothing else tells */
export const askerEndedMs = 20_000;
/**
 * new answers after which a held prompt must have been taken up: the request of the first may be older than it, that
 * of the second goes out behind a tool batch; one to spare
 */
const answersPastHeld = 3;
/** ms a reader has to report that it printed, where the agent keeps no transcript; a restarting daemon is waited for */
const reportMs = 20_000;
/** bytes before the claim that are read to know which answers are older than it */
const lookBackBytes = 64 * 1024;

/** `now`: any steady clock in ms; only spans of it count, so a clock step kills no claim. */
export function judge(claim: Claim, evidence: Evidence, activity: Activity, now: number): Verdict {
  if (evidence.takenBack) return "dead";
  if (evidence.proved || claim.inContext) {
    if (evidence.answered) return "seen";
    return evidence.revocable && !activity.agentDead ? "wait" : "in_context";
  }
  if (activity.agentDead) return "dead";
  const past = (since: number | undefined, ms: number) => since !== undefined && now - since >= ms;
  const askerGone = claim.carrier === "tool" || activity.askerEndedAt !== undefined;
  if (past(evidence.laterAnswerSince, graceMs)) return "dead";
  if (past(evidence.laterEventSince, graceMs) && !mayBeHeld(claim)) return "dead";
  if (past(evidence.idleSince, graceMs) && askerGone) return "dead";
  const stands = activity.status === "unknown" || (activity.status !== "working" && !mayBeHeld(claim));
  if (past(evidence.askerEndedSince, askerEndedMs) && stands) return "dead";
  // nothing but the asker's own report can prove it, and that comes at once or never
  if (!claim.transcript && past(evidence.watchedSince, reportMs)) return "dead";
  return "wait";
}

/**
 * A prompt or a ring that meets an agent which has just begun to work is held, with its hook's text, until a tool
 * batch or the end of the turn; nobody can tell it from the prompt that began the turn.
 */
function mayBeHeld(claim: Claim): boolean {
  return claim.event === "UserPromptSubmit";
}

/** One open claim and what was found out about it so far. */
export class Settlement {
  readonly #claim: Claim;
  readonly #tail: TranscriptTail | undefined;
  readonly #answers = new Set<string>();
  /** answers that began after the claim */
  #laterAnswers = 0;
  /** what the prompt stands behind whose hook made the claim */
  #promptFollows: string | undefined;
  #evidence: Evidence = { proved: false, answered: false };
  /** unix ms; no later than now: after a clock was set back, what follows is later than the claim all the same */
  #claimedAt: number;

  constructor(claim: Claim, reader: TranscriptReader) {
    this.#claim = claim;
    this.#claimedAt = claim.claimedAt;
    if (!claim.transcript) return;
    const { path, size } = claim.transcript;
    this.#tail = new TranscriptTail(path, Math.max(0, size - lookBackBytes), reader);
  }

  /** `now`: a steady clock, for spans; `wallNow`: unix ms, as transcripts and agents have it. */
  poll(activity: Activity, now: number = performance.now(), wallNow: number = Date.now()): Verdict {
    this.#claimedAt = Math.min(this.#claimedAt, wallNow);
    for (const record of this.#tail?.poll() ?? []) this.#weigh(record, now);
    this.#observe(activity, now);
    return judge(this.#claim, this.#evidence, activity, now);
  }

  #weigh(record: PlacedRecord, now: number): void {
    if (record.kind !== "answer") {
      if (record.follows !== undefined) this.#weighPrompt(record.follows, record.offset);
      if (record.kind === "context" && record.texts.some((text) => text.includes(this.#claim.nonce)))
        this.#evidence.proved = true;
      this.#evidence.revocable ??= this.#evidence.proved ? this.#promptFollows !== undefined : undefined;
      return;
    }
    // only an answer's first line counts: its later blocks may stream in while the claim is on its way
    if (this.#answers.has(record.id)) return;
    this.#answers.add(record.id);
    if (this.#evidence.proved && !this.#evidence.takenBack) this.#evidence.answered = true;
    const { transcript } = this.#claim;
    const after =
      record.offset >= (transcript?.size ?? 0) && record.at !== undefined && record.at > this.#claimedAt;
    if (after) this.#laterAnswers += 1;
    if (after && this.#laterAnswers >= (mayBeHeld(this.#claim) ? answersPastHeld : 1))
      this.#evidence.laterAnswerSince ??= now;
  }

  /**
   * Esc before the first word of an answer takes a prompt back, and what its hooks said with it. The lines stay where
   * they are; only the next prompt tells, for it stands behind the same line.
   */
  #weighPrompt(follows: string, offset: number): void {
    const { proved, answered, revocable } = this.#evidence;
    if (!proved) this.#promptFollows = offset >= (this.#claim.transcript?.size ?? 0) ? follows : undefined;
    else if (revocable && !answered) {
      this.#evidence.takenBack = follows === this.#promptFollows;
      this.#evidence.revocable = false;
    }
  }

  #observe({ status, idleSince, laterEvent, askerEndedAt }: Activity, now: number): void {
    this.#evidence.watchedSince ??= now;
    const idle = status === "idle" && idleSince !== undefined && idleSince > this.#claimedAt;
    this.#evidence.idleSince = idle ? (this.#evidence.idleSince ?? now) : undefined;
    if (laterEvent) this.#evidence.laterEventSince ??= now;
    if (askerEndedAt !== undefined) this.#evidence.askerEndedSince ??= now;
  }
}
