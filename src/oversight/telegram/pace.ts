// How fast Telegram may be written to: core.telegram.org/bots/faq ("how can I message all of my bot's subscribers")
// allows about 30 messages a second overall, 20 a minute in a group, and one a second in a private chat. Counted
// over any such stretch of time, so that the limit holds wherever the window begins.
import type { Clock } from "./clock.ts";

type Window = { ms: number; most: number; taken: number[] };

/** slots of a minute that only what a person waits for may use */
const reserved = 4;

export class Pace {
  readonly #clock: Clock;
  readonly #overall: Window = { ms: 1_000, most: 30, taken: [] };
  readonly #chat: Window;
  #pausedUntil = 0;

  constructor(clock: Clock, chat: "group" | "private") {
    this.#clock = clock;
    this.#chat = { ms: 60_000, most: chat === "group" ? 20 : 60, taken: [] };
  }

  /** ms until something may be posted or edited in the chat; 0: now. `urgent`: a person waits for it. */
  waitMs(urgent: boolean): number {
    const now = this.#clock.now();
    return Math.max(
      this.#pausedUntil - now,
      leftMs(this.#overall, now, this.#overall.most),
      leftMs(this.#chat, now, urgent ? this.#chat.most : this.#chat.most - reserved),
      0,
    );
  }

  /**
   * Something is posted or edited in the chat. Telegram counts the call when it arrives, which may be any moment until
   * its answer: so it counts from its begin, and once it has ended as if it had arrived at its end. One at a time.
   */
  async counted<T>(call: () => Promise<T>): Promise<T> {
    const windows = [this.#overall, this.#chat];
    for (const { taken } of windows) taken.push(this.#clock.now());
    try {
      return await call();
    } finally {
      for (const { taken } of windows) taken[taken.length - 1] = this.#clock.now();
    }
  }

  /** Telegram said how long to be silent. */
  pause(ms: number): void {
    this.#pausedUntil = Math.max(this.#pausedUntil, this.#clock.now() + ms);
  }
}

function leftMs(window: Window, now: number, most: number): number {
  const gone = window.taken.findIndex((at) => at > now - window.ms);
  window.taken = gone < 0 ? [] : window.taken.slice(gone);
  const oldest = window.taken[window.taken.length - most];
  return oldest === undefined ? 0 : oldest + window.ms - now;
}
