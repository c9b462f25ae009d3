// `doctor --canary` at the hub: back down the asking machine's own link, the way mail goes, and no mail.

import { type Canary, CanaryAnswer } from "../protocol/checkup.ts";
import { IntercomError } from "../protocol/errors.ts";
import type { Parts } from "./parts.ts";

/** ms a linked daemon has to answer */
const canaryTimeoutMs = 5_000;

export async function sendCanary(
  { store, links }: Parts,
  machine: string,
  { session_id, nonce }: Canary,
): Promise<CanaryAnswer> {
  const session = await store.session(machine, session_id);
  if (!session || session.ended_at !== null)
    throw new IntercomError("unknown_session", `the hub knows no open session ${session_id} of ${machine}`, {
      hint: "the daemon tells it within two seconds of the session's start; look again: ai-intercom agents",
    });
  return CanaryAnswer.parse(
    await links.request(machine, "canary", { session_id, nonce } satisfies Canary, canaryTimeoutMs),
  );
}
