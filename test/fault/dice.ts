// Chance that repeats: the same seed rolls the same numbers (mulberry32).

export class Dice {
  #state: number;

  constructor(readonly seed: number) {
    this.#state = seed | 0;
  }

  /** in [0, 1) */
  roll(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  }

  /** a whole number from `low` up to, not including, `high` */
  between(low: number, high: number): number {
    return low + Math.floor(this.roll() * (high - low));
  }

  chance(probability: number): boolean {
    return this.roll() < probability;
  }

  pick<T>(list: readonly T[]): T {
    const one = list[this.between(0, list.length)];
    if (one === undefined) throw new Error("nothing to pick from");
    return one;
  }

  /** another sequence, of its own, that this seed and the label decide */
  fork(label: string): Dice {
    return new Dice(Bun.hash.crc32(`${this.seed}:${label}`));
  }
}
