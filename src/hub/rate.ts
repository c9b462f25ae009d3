// Token buckets: so much at once, so much a second, per key. Memory only; a full bucket is forgotten.

export class RateLimit {
  readonly #perSecond: number;
  readonly #burst: number;
  readonly #now: () => number;
  readonly #buckets = new Map<string, { tokens: number; atMs: number }>();

  constructor(options: { perSecond: number; burst: number; now: () => number }) {
    this.#perSecond = options.perSecond;
    this.#burst = options.burst;
    this.#now = options.now;
  }

  /** Takes one token; returns 0, or the ms to wait until there is one. */
  take(key: string): number {
    const waitMs = this.peek(key);
    if (waitMs > 0) return waitMs;
    const nowMs = this.#now();
    const tokens = this.#level(key, nowMs);
    if (!this.#buckets.has(key) && this.#buckets.size >= 10_000) this.#forgetFull(nowMs);
    this.#buckets.set(key, { tokens: tokens - 1, atMs: nowMs });
    return 0;
  }

  /** What `take` would answer, without taking. */
  peek(key: string): number {
    const tokens = this.#level(key, this.#now());
    return tokens >= 1 ? 0 : Math.ceil(((1 - tokens) / this.#perSecond) * 1000);
  }

  #level(key: string, nowMs: number): number {
    const bucket = this.#buckets.get(key);
    if (!bucket) return this.#burst;
    // the clock was set back: it refills from here on, not from when the clock is there again
    bucket.atMs = Math.min(bucket.atMs, nowMs);
    const refilled = ((nowMs - bucket.atMs) / 1000) * this.#perSecond;
    return Math.min(this.#burst, bucket.tokens + refilled);
  }

  #forgetFull(nowMs: number): void {
    for (const key of [...this.#buckets.keys()])
      if (this.#level(key, nowMs) >= this.#burst) this.#buckets.delete(key);
  }
}
