// Waiting for a condition with a deadline that says what was seen last. Nothing in the tests sleeps
// for a fixed time: what is waited for is named, and a wait that fails explains itself.

/** How often a condition is looked at again, in milliseconds. */
const pollMs = 10;

/** How long a wait may take when the caller does not say, in milliseconds. */
export const defaultWaitMs = 30_000;

export type WaitOptions = {
  /** Deadline in milliseconds from now. */
  timeoutMs?: number;
  /** What to print beside the last value when the deadline passes (a screen, a log). */
  detail?: () => string;
};

/**
 * Polls `fn` until it returns something other than `undefined`, `null` or `false`, and returns that.
 * After the deadline it throws, naming `label` and printing the last value or the last error.
 * An error thrown by `fn` counts as "not yet" (a file that does not exist yet), but is shown.
 */
export async function waitFor<T>(
  label: string,
  fn: () => T | Promise<T>,
  { timeoutMs = defaultWaitMs, detail }: WaitOptions = {},
): Promise<Exclude<Awaited<T>, undefined | null | false>> {
  const deadline = performance.now() + timeoutMs;
  let last: string;
  while (true) {
    try {
      const value = await fn();
      if (isThere(value)) return value;
      last = `last value: ${show(value)}`;
    } catch (error) {
      last = `last error: ${error instanceof Error ? error.message : show(error)}`;
    }
    if (performance.now() > deadline) throw new Error(explain(label, timeoutMs, last, detail));
    await Bun.sleep(pollMs);
  }
}

/**
 * Waits for a promise with a deadline in milliseconds. The promise itself goes on;
 * whoever owns it ends it.
 */
export async function within<T>(
  label: string,
  promise: Promise<T>,
  { timeoutMs = defaultWaitMs, detail }: WaitOptions = {},
): Promise<T> {
  let timer: Timer | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new Error(explain(label, timeoutMs, "it never settled", detail))),
      timeoutMs,
    );
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

function isThere<T>(value: T): value is Exclude<T, undefined | null | false> {
  return value !== undefined && value !== null && value !== false;
}

function explain(label: string, timeoutMs: number, last: string, detail?: () => string): string {
  const more = detail ? `\n${detail()}` : "";
  return `waited ${timeoutMs} ms for ${label}; ${last}${more}`;
}

function show(value: unknown): string {
  if (typeof value === "string") return value.slice(0, 2_000);
  return (JSON.stringify(value) ?? String(value)).slice(0, 2_000);
}
