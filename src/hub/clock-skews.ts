// Machines that are turned away for their clock alone: how far off it is, so that the hub can say why they are offline.
// In memory: who is turned away tries again within seconds.

/** ms after which a machine that asks no more is offline for another reason */
const freshMs = 60_000;
/** ms two requests may differ in how far off they are: times of signatures are whole seconds, and ways take a moment */
const agreeMs = 5_000;

/** `runs`: a later request was as far off: a clock, and not one old request that somebody sends again */
type Skew = { createdMs: number; aheadMs: number; atMs: number; runs: boolean };

export class ClockSkews {
  readonly #now: () => number;
  readonly #seen = new Map<string, Skew>();

  constructor(now: () => number) {
    this.#now = now;
  }

  /** Only of a request with this machine's valid signature. `createdMs`: what its clock said. */
  note(machine: string, createdMs: number): void {
    const atMs = this.#now();
    const aheadMs = createdMs - atMs;
    const before = this.#seen.get(machine);
    const agrees = before !== undefined && Math.abs(aheadMs - before.aheadMs) <= agreeMs;
    if (agrees && createdMs < before.createdMs) return;
    const runs = agrees && (before.runs || createdMs > before.createdMs);
    this.#seen.set(machine, { createdMs, aheadMs, atMs, runs });
  }

  /** It was let in. */
  forget(machine: string): void {
    this.#seen.delete(machine);
  }

  /** `its clock is 7 min ahead`; undefined: that is not why it is away. */
  reason(machine: string): string | undefined {
    const skew = this.#seen.get(machine);
    if (!skew?.runs || Math.abs(this.#now() - skew.atMs) > freshMs) return undefined;
    const span = spanOf(Math.abs(skew.aheadMs) / 60_000);
    return skew.aheadMs > 0 ? `its clock is ${span} ahead` : `its clock is ${span} behind`;
  }
}

function spanOf(minutes: number): string {
  if (minutes < 120) return `${Math.round(minutes)} min`;
  return minutes < 48 * 60 ? `${Math.round(minutes / 60)} h` : `${Math.round(minutes / (24 * 60))} d`;
}
