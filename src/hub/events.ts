// What happens in the hub, for whoever watches: the event stream, and a sender that waits for its message. In this
// process only and after the commit; nothing depends on an event being seen.
import type { HubEvent } from "../protocol/hub-api.ts";
import type { StateRecord } from "../store/store.ts";

export type Watch = {
  /** Resolves at the next state change since the last call, or when `ms` have passed. */
  changed(ms: number): Promise<void>;
  [Symbol.dispose](): void;
};

const isEnd = (status: string) => !["pending_approval", "queued", "running"].includes(status);

export class Events {
  readonly #listeners = new Set<(event: HubEvent) => void>();
  readonly #watches = new Map<string, Set<() => void>>();

  /** Returns the way to stop listening. A listener must not throw. */
  subscribe(listener: (event: HubEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  emit(event: HubEvent): void {
    for (const listener of this.#listeners) listener(event);
  }

  states(changes: readonly StateRecord[]): void {
    for (const change of changes) {
      for (const wake of this.#watches.get(change.message_id) ?? []) wake();
      this.emit({ kind: "state", ...change });
    }
  }

  /** `until` resolves when the mission has ended, or after `ms`. `forget` stops listening. */
  missionEnd(missionId: string, ms: number): { until: Promise<void>; forget: () => void } {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, ms);
    const unsubscribe = this.subscribe((event) => {
      if (event.kind === "mission" && event.mission_id === missionId && isEnd(event.status)) resolve();
    });
    const forget = () => {
      clearTimeout(timer);
      unsubscribe();
      resolve();
    };
    return { until: promise, forget };
  }

  /** Begins to watch one message now, so that no change between now and the first `changed` is missed. */
  watch(messageId: string): Watch {
    let pending = false;
    let wakeWaiter: (() => void) | undefined;
    const wake = () => {
      pending = true;
      wakeWaiter?.();
    };
    const watches = this.#watches.get(messageId) ?? new Set();
    this.#watches.set(messageId, watches.add(wake));
    return {
      changed: (ms) =>
        new Promise((resolve) => {
          const done = () => {
            clearTimeout(timer);
            wakeWaiter = undefined;
            pending = false;
            resolve();
          };
          const timer = setTimeout(done, ms);
          if (pending) done();
          else wakeWaiter = done;
        }),
      [Symbol.dispose]: () => {
        watches.delete(wake);
        if (watches.size === 0) this.#watches.delete(messageId);
      },
    };
  }
}
