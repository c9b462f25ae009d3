// Forgets threads and sessions that were over `hub.keep_days` ago, in small steps between the hub's other work.
import { isoAt, type Parts } from "./parts.ts";

/** messages of one step: about 3 ms of work (0.17 ms each, measured), so that no sender notices */
const messagesPerStep = 20;
/** ms of rest after everything was looked at */
const restMs = 10 * 60 * 1000;
/**
 * ms that the clock must have gone steadily before anything is forgotten: one that is years ahead after a start would
 * make all history old
 */
const trustMs = 60 * 60 * 1000;
/** ms between the two clocks that count as a step */
const stepMs = 60_000;
const dayMs = 24 * 3600 * 1000;

export class Pruning {
  readonly #parts: Pick<Parts, "store" | "config" | "now">;
  /** a clock that only goes forward, ms */
  readonly #steady: () => number;
  #since: { wallMs: number; steadyMs: number };
  #after = 0;
  #restUntilMs = 0;
  #running = false;

  constructor(
    parts: Pick<Parts, "store" | "config" | "now">,
    steady: () => number = () => performance.now(),
  ) {
    this.#parts = parts;
    this.#steady = steady;
    this.#since = { wallMs: parts.now(), steadyMs: steady() };
  }

  /** One small step, if it is time for one. */
  async step(): Promise<void> {
    const { store, config, now } = this.#parts;
    const { keep_days } = config.hub;
    if (keep_days === 0 || this.#running || !this.#clockIsTrusted() || this.#steady() < this.#restUntilMs)
      return;
    this.#running = true;
    try {
      const before = isoAt(now() - keep_days * dayMs);
      const { next } = await store.prune({ before, after: this.#after, limit: messagesPerStep });
      this.#after = next ?? 0;
      if (next === undefined) this.#restUntilMs = this.#steady() + restMs;
    } finally {
      this.#running = false;
    }
  }

  #clockIsTrusted(): boolean {
    const [wallMs, steadyMs] = [this.#parts.now(), this.#steady()];
    const apart = wallMs - this.#since.wallMs - (steadyMs - this.#since.steadyMs);
    if (Math.abs(apart) > stepMs) this.#since = { wallMs, steadyMs };
    return steadyMs - this.#since.steadyMs >= trustMs;
  }
}
