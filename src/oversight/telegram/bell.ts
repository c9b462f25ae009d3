// Waiting that can be cut short from elsewhere; a ring that nobody waited for is not lost.
import type { Clock } from "./clock.ts";

export type Bell = {
  ring(): void;
  /** Resolves after `ms`, at a ring (one since the last wait counts), or when the signal fires. */
  wait(ms: number, clock: Clock, signal: AbortSignal): Promise<void>;
};

export function bell(): Bell {
  let rung = false;
  let end = () => {};
  return {
    ring: () => {
      rung = true;
      end();
    },
    wait: async (ms, clock, signal) => {
      if (!rung) {
        const waiting = new AbortController();
        end = () => waiting.abort();
        if (ms >= longestMs) await untilAborted(AbortSignal.any([waiting.signal, signal]));
        else await clock.sleep(ms, AbortSignal.any([waiting.signal, signal]));
      }
      rung = false;
      end = () => {};
    },
  };
}

/** a timer holds no longer time */
const longestMs = 2 ** 31 - 1;

function untilAborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}
