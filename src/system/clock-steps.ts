// A wall clock that a test sets while the program runs, as a person, a time server or a sleeping laptop does. Only the
// build with crash points has it; the monotonic clock and all timers stay true.
import { readFileSync } from "node:fs";

/** From here on `Date` follows the file: `+<ms>` later than the true time, or `=<unix ms>`: it stands still. */
export function followClock(path: string): void {
  const TrueDate = Date;
  const now = (): number => {
    const text = readFileSync(path, "utf8");
    const ms = Number(text.slice(1));
    return text.startsWith("=") ? ms : TrueDate.now() + ms;
  };
  globalThis.Date = new Proxy(TrueDate, {
    construct: (date, given, made) => Reflect.construct(date, given.length === 0 ? [now()] : given, made),
    apply: () => new TrueDate(now()).toString(),
    get: (date, key) => (key === "now" ? now : Reflect.get(date, key)),
  });
}
