// An upgrade that the person orders for a machine: passed down its link, its answer passed back. The hub decides
// nothing here; whether and what is the machine's own affair.
import { IntercomError } from "../protocol/errors.ts";
import { type UpgradeOrder, UpgradeState } from "../protocol/upgrade.ts";
import type { Parts } from "./parts.ts";

/** ms a linked daemon has to answer; the upgrade itself runs on without the link */
const answerTimeoutMs = 5_000;

export async function askUpgrade(
  { links }: Parts,
  machine: string,
  ask: { op: "upgrade"; order: UpgradeOrder } | { op: "upgrade_state" },
): Promise<UpgradeState> {
  const payload = ask.op === "upgrade" ? ask.order : {};
  const answer = await links.request(machine, ask.op, payload, answerTimeoutMs).catch((error: unknown) => {
    if (error instanceof IntercomError && error.message.includes(`unknown request "${ask.op}"`))
      throw new IntercomError("not_found", `the daemon of ${machine} is older and takes no upgrades`, {
        hint: `on ${machine}: install the new version once by hand`,
      });
    throw error;
  });
  return UpgradeState.parse(answer);
}
