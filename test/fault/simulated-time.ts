// Time that a test lets go by: the clocks, timers and sleeps of this process run on it. It keeps step with the true
// time until `pass` skips some: as fast as the work that falls due allows, every timer at its moment and in its order.
// Files, sockets and their own time limits stay in the true time.

type Timer = { at: number; every: number | undefined; run: () => void };

/** ms that go by at once while time is skipped; true ms for what they bring about in sockets and files */
const stepMs = 100;
const settleMs = 1;

export class SimulatedTime {
  readonly #true = {
    now: Date.now.bind(Date),
    steady: performance.now.bind(performance),
    setInterval: globalThis.setInterval,
    setTimeout: globalThis.setTimeout,
    clear: globalThis.clearTimeout,
  };
  readonly #timers = new Map<object, Timer>();
  #skipped = 0;

  /** From here on this whole process lives by it. */
  constructor() {
    this.#true.setInterval(() => this.#runDue(), 1);
    const TrueDate = Date;
    const now = () => Math.floor(this.#true.now() + this.#skipped);
    globalThis.Date = new Proxy(TrueDate, {
      construct: (date, given, made) => Reflect.construct(date, given.length === 0 ? [now()] : given, made),
      get: (date, key) => (key === "now" ? now : Reflect.get(date, key)),
    });
    performance.now = () => this.#steady;
    const start =
      (every: boolean) =>
      (work: (...given: unknown[]) => void, ms?: number, ...given: unknown[]) =>
        this.#start(() => work(...given), Math.max(1, ms ?? 0), every);
    const clear = (timer: unknown) => {
      if (typeof timer === "object" && timer !== null && this.#timers.delete(timer)) return;
      this.#true.clear(timer as ForeignTimer); // one that was started before, or none
    };
    Object.assign(globalThis, {
      setTimeout: start(false),
      setInterval: start(true),
      clearTimeout: clear,
      clearInterval: clear,
    });
    Bun.sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms instanceof Date ? 0 : ms));
  }

  /** Lets so many ms go by. */
  async pass(ms: number): Promise<void> {
    const until = this.#steady + ms;
    while (this.#steady < until) {
      this.#skipped += Math.min(stepMs, until - this.#steady);
      this.#runDue();
      await new Promise((resolve) => this.#true.setTimeout(resolve, settleMs));
    }
  }

  get #steady(): number {
    return this.#true.steady() + this.#skipped;
  }

  #start(run: () => void, ms: number, every: boolean): object {
    const handle = { ref: () => handle, unref: () => handle, hasRef: () => true };
    this.#timers.set(handle, { at: this.#steady + ms, every: every ? ms : undefined, run });
    return handle;
  }

  #runDue(): void {
    const now = this.#steady;
    const due = [...this.#timers].filter(([, { at }]) => at <= now).sort(([, a], [, b]) => a.at - b.at);
    for (const [handle, timer] of due) {
      if (this.#timers.get(handle) !== timer) continue; // an earlier one cleared it
      if (timer.every === undefined) this.#timers.delete(handle);
      else timer.at = Math.max(timer.at + timer.every, now - timer.every);
      timer.run();
    }
  }
}

type ForeignTimer = Parameters<typeof clearTimeout>[0];
