// Sends a machine's undelivered mail down its link, in delivery order, several at a time. What is not confirmed
// when the link ends stays in the store and is sent again on the next one: message ids make that harmless.
import { toIntercomError } from "../protocol/errors.ts";
import { Delivered } from "../protocol/link.ts";
import type { Finding, Outgoing } from "../store/store.ts";
import { crashPoint } from "../system/crash-point.ts";
import { log } from "../system/log.ts";
import { background } from "../system/wait.ts";
import type { Link } from "./link.ts";
import { isoAt, type Parts } from "./parts.ts";

/** messages on their way to one machine at a time */
const windowSize = 64;
/** ms a daemon may take to put one message on its disk; then the link counts as lost */
const answerDeadlineMs = 60_000;

const refusals = {
  inbox_full: "the inbox is full",
  session_ended: "session ended",
  not_stored: "the machine could not store it; it is tried again",
} as const;

export class Pump {
  readonly #link: Link;
  readonly #parts: Pick<Parts, "store" | "events" | "now">;
  readonly #onFailed: () => void;
  /** seq → session, of what was sent and is not settled */
  readonly #inFlight = new Map<number, string>();
  /** session → why its daemon refused mail: nothing more goes to it until `restart` */
  readonly #stalled = new Map<string, string>();
  /** stalled sessions that go on once nothing of theirs is in flight */
  readonly #resuming = new Set<string>();
  /** sessions that were stalled: one message first, the rest when it was taken */
  readonly #probing = new Set<string>();
  #started = false;
  #running = false;
  #again = false;
  #cursor = 0;
  /** counts restarts, so that a read begun before one is not believed after it */
  #round = 0;

  constructor(link: Link, parts: Pick<Parts, "store" | "events" | "now">, onFailed: () => void) {
    this.#link = link;
    this.#parts = parts;
    this.#onFailed = onFailed;
  }

  /** From the oldest message on: at the link's first presence, and when sessions may take mail again. */
  restart(): void {
    this.#started = true;
    for (const session of this.#stalled.keys()) this.#resuming.add(session);
    this.#resume();
  }

  /** There is new mail. */
  more(): void {
    if (!this.#started || !this.#link.open) return;
    this.#again = true;
    if (!this.#running) background("delivery pump", () => this.#run());
  }

  get stalled(): boolean {
    return this.#stalled.size > 0;
  }

  /** Why this session takes no mail now; undefined when it does. */
  refusal(session: string): string | undefined {
    return this.#stalled.get(session);
  }

  async #run(): Promise<void> {
    this.#running = true;
    try {
      while (this.#again && this.#link.open) {
        this.#again = false;
        while (this.#link.open && (await this.#sendSome()));
      }
    } finally {
      this.#running = false;
    }
  }

  /** False when there is nothing to send, or no room in the window. */
  async #sendSome(): Promise<boolean> {
    const room = windowSize - this.#inFlight.size;
    if (room <= 0) return false;
    await this.#link.writable();
    const round = this.#round;
    const batch = await this.#parts.store.undelivered(this.#link.machine, this.#cursor, room);
    if (!this.#link.open) return false;
    if (round !== this.#round) return true;
    for (const outgoing of batch) {
      this.#cursor = outgoing.seq;
      if (this.#inFlight.has(outgoing.seq) || !this.#takes(outgoing.session_id)) continue;
      this.#inFlight.set(outgoing.seq, outgoing.session_id);
      background("delivery", () => this.#deliver(outgoing));
    }
    // fewer than asked for: there are no more now, and new mail says so itself
    return batch.length === room;
  }

  async #deliver({ seq, session_id, message }: Outgoing): Promise<void> {
    const finding = await this.#ask({ seq, session_id, message });
    try {
      crashPoint("pump.answered");
      if (finding) await this.#settle(seq, finding);
    } finally {
      this.#inFlight.delete(seq);
      const probed = finding?.state === "delivered" && this.#probing.delete(session_id);
      if (probed || this.#resuming.has(session_id)) this.#resume();
      else this.more();
    }
  }

  /** undefined: nothing was learned; the message stays as it is. */
  async #ask(outgoing: Outgoing): Promise<Finding | undefined> {
    const { session_id: session, message } = outgoing;
    try {
      const answer = await this.#link.request("deliver", outgoing, answerDeadlineMs);
      const { status, reason } = Delivered.parse(answer);
      if (status === "delivered") return { state: "delivered", reason };
      return this.#stall(session, refusals[status]);
    } catch (thrown) {
      if (!this.#link.open) return undefined;
      const error = toIntercomError(thrown);
      log.warn("a daemon did not take a message", {
        machine: this.#link.machine,
        message: message.id,
        error,
      });
      // A message it can never read must not block those behind it; anything else is tried again.
      if (error.code === "bad_request") return { state: "failed", reason: `refused: ${error.message}` };
      return this.#stall(session, "the machine could not store it; it is tried again");
    }
  }

  #stall(session: string, reason: string): Finding {
    this.#stalled.set(session, reason);
    return { state: "queued", reason };
  }

  #takes(session: string): boolean {
    if (this.#stalled.has(session)) return false;
    return !this.#probing.has(session) || !this.#isInFlight(session);
  }

  async #settle(seq: number, finding: Finding): Promise<void> {
    const { store, events, now } = this.#parts;
    const { machine, epoch } = this.#link;
    events.states(await store.settle(machine, seq, finding, { at: isoAt(now()), epoch }));
    if (finding.state === "failed") this.#onFailed();
  }

  /** A session with refused mail still in flight stays stalled: what was refused would overtake the rest. */
  #resume(): void {
    for (const session of this.#resuming) {
      if (this.#isInFlight(session)) continue;
      this.#resuming.delete(session);
      this.#stalled.delete(session);
      this.#probing.add(session);
    }
    this.#cursor = 0;
    this.#round += 1;
    this.more();
  }

  #isInFlight(session: string): boolean {
    return [...this.#inFlight.values()].includes(session);
  }
}
