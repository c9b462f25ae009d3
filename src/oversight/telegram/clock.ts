// Time as the bot sees it, so that a test of minutes takes a second.
import { delay } from "../../system/wait.ts";

export type Clock = {
  /** ms; only differences count */
  now(): number;
  /** Resolves after `ms`, or at once when the signal fires; never rejects. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
};

export const realClock: Clock = { now: () => performance.now(), sleep: delay };
