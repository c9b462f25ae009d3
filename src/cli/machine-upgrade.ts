// `machines upgrade ID`: the order, and following it to its end. The machine does all of it by itself; its link breaks
// for a moment when its daemon takes up the new program.
import { IntercomError, toIntercomError } from "../protocol/errors.ts";
import { UpgradeState } from "../protocol/upgrade.ts";
import { delay } from "../system/wait.ts";
import { actAsPerson } from "./access.ts";
import { print, printJson } from "./output.ts";

/** ms; a download on a slow line is part of it */
const patienceMs = 20 * 60_000;
const lookMs = 500;

export async function upgradeMachine(
  id: string,
  version: string | undefined,
  asJson: boolean,
): Promise<void> {
  const before = UpgradeState.parse(await actAsPerson("machine_upgrade", { id, version }));
  if (!asJson) print(`${id} runs ${before.version}; it has begun`);
  const after = await ended(id, before);
  const { status, error, to } = after.last ?? {};
  if (status !== "done")
    throw new IntercomError("upgrade_unwell", `${id} was not upgraded: ${error ?? "it did not say why"}`, {
      hint: `it runs ${after.version}; on ${id}: the log run/upgrade.log in its home`,
    });
  if (asJson) return printJson({ machine_id: id, status, from: before.version, version: after.version });
  print(before.version === to ? `${id} runs ${to} already` : `${id} runs ${after.version}`);
}

/** The state after an upgrade that began later than the one that was known before. */
async function ended(id: string, before: UpgradeState): Promise<UpgradeState> {
  const until = Date.now() + patienceMs;
  for (;;) {
    const state = await look(id);
    const begun = state?.last && state.last.at !== before.last?.at;
    if (state && begun && state.last?.status !== "running") return state;
    if (Date.now() > until)
      throw new IntercomError("daemon_unreachable", "the machine has not said how it ended", {
        hint: "ai-intercom machines; on that machine: ai-intercom status",
      });
    await delay(lookMs);
  }
}

/** undefined while the machine is not linked: its daemon restarts. */
async function look(id: string): Promise<UpgradeState | undefined> {
  try {
    return UpgradeState.parse(await actAsPerson("machine_upgrade_state", { id }));
  } catch (thrown) {
    const error = toIntercomError(thrown);
    if (error.code === "daemon_unreachable" || error.code === "hub_unreachable") return undefined;
    throw error;
  }
}
