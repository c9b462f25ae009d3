// A program that a crash point must kill.
import { expect } from "bun:test";

/** Runs `source` as a program of its own, which ends by SIGKILL at this crash point. */
export async function diesAt(crash: string, source: string): Promise<void> {
  const child = Bun.spawn([process.execPath, "-e", source], {
    env: { ...process.env, AI_INTERCOM_CRASH: crash },
    stdio: ["ignore", "ignore", "ignore"],
  });
  await child.exited;
  expect(child.signalCode).toBe("SIGKILL");
}
