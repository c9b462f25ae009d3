// Waiting, always with an end: delays that a signal cuts short, backoff, and work nobody awaits.
import { log } from "./log.ts";

/** Resolves after `ms`, or at once when the signal fires; never rejects. */
export function delay(ms: number, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const timer = setTimeout(done, ms);
    signal?.addEventListener("abort", done, { once: true });
    function done() {
      clearTimeout(timer);
      signal?.removeEventListener("abort", done);
      resolve();
    }
  });
}

/** Pauses between tries: doubling from `firstMs` to `maxMs`, each with ±50 % jitter so that many do not march in step. */
export function* backoff(firstMs: number, maxMs: number): Generator<number, never> {
  for (let pause = firstMs; ; pause = Math.min(maxMs, pause * 2)) yield pause * (0.5 + Math.random());
}

/** Runs `work` every `ms` until the timer is cleared. A failure is logged under `name` and ends nothing. */
export function every(ms: number, name: string, work: () => void): ReturnType<typeof setInterval> {
  return setInterval(() => {
    try {
      work();
    } catch (error) {
      log.error(`${name} failed`, { error });
    }
  }, ms);
}

/** Runs work that nobody awaits; its failure is logged under `name`, never lost. */
export function background(name: string, work: () => Promise<unknown>): void {
  work().catch((error: unknown) => log.error(`${name} failed`, { error }));
}
