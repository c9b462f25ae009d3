// Named places where a test may kill the process: random kills alone miss the narrow windows. The build defines
// AI_INTERCOM_CRASH_POINTS away, so a release binary has none of them, nor a clock that can be set (AI_INTERCOM_CLOCK).
import { followClock } from "./clock-steps.ts";

declare const AI_INTERCOM_CRASH_POINTS: boolean | undefined;

// written out in both places: the bundler drops a branch that the definition makes false, not one behind a constant
if (typeof AI_INTERCOM_CRASH_POINTS === "undefined" || AI_INTERCOM_CRASH_POINTS)
  if (process.env.AI_INTERCOM_CLOCK) followClock(process.env.AI_INTERCOM_CLOCK);

/** Does nothing unless a test armed this point: `AI_INTERCOM_CRASH=name[:nth]` kills the process with SIGKILL. */
export function crashPoint(name: string): void {
  if (typeof AI_INTERCOM_CRASH_POINTS === "undefined" || AI_INTERCOM_CRASH_POINTS) pass(name);
}

function pass(name: string): void {
  const wish = process.env.AI_INTERCOM_CRASH;
  if (wish === undefined) return;
  const [wanted, nth = "1"] = wish.split(":");
  if (wanted !== name) return;
  passed += 1;
  if (passed === Number(nth)) process.kill(process.pid, "SIGKILL");
}

let passed = 0;
