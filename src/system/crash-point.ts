// Named places where a test may kill the process: random kills alone miss the narrow windows. The build defines
// AI_INTERCOM_CRASH_POINTS away, so a release binary has none of them, nor a clock that can be set (AI_INTERCOM_CLOCK).
import { followClock } from "./clock-steps.ts";

declare const AI_INTERCOM_CRASH_POINTS: boolean | undefined;

const enabled = typeof AI_INTERCOM_CRASH_POINTS === "undefined" || AI_INTERCOM_CRASH_POINTS;

if (enabled && process.env.AI_INTERCOM_CLOCK) followClock(process.env.AI_INTERCOM_CLOCK);

/** Does nothing unless a test armed this point: `AI_INTERCOM_CRASH=name[:nth]` kills the process with SIGKILL. */
export function crashPoint(name: string): void {
  if (!enabled) return;
  const wish = process.env.AI_INTERCOM_CRASH;
  if (wish === undefined) return;
  const [wanted, nth = "1"] = wish.split(":");
  if (wanted !== name) return;
  passed += 1;
  if (passed === Number(nth)) process.kill(process.pid, "SIGKILL");
}

let passed = 0;
