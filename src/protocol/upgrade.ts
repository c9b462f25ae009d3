// An upgrade that a person orders at the hub for another machine, and how it went. The order names a version at most:
// where programs come from and what proves them is decided on that machine.
import { z } from "zod";
import { Name } from "./address.ts";
import { Timestamp } from "./message.ts";

export const Version = z
  .string()
  .regex(/^\d+\.\d+\.\d+(-[A-Za-z0-9.]+)?$/, "a version is three numbers: 1.2.3");

/** hub → daemon, op `upgrade`; without a version the latest that the machine's own release address has */
export const UpgradeOrder = z.object({ version: Version.optional() });
export type UpgradeOrder = z.infer<typeof UpgradeOrder>;

/** `POST /api/machines/:id/upgrade` */
export const MachineUpgrade = UpgradeOrder.extend({ id: Name });
export type MachineUpgrade = z.infer<typeof MachineUpgrade>;

/** What a self-upgrade leaves in `run/upgrade.json`; `rolled_back`: the old program is in place again. */
export const UpgradeRecord = z.object({
  status: z.enum(["running", "done", "failed", "rolled_back"]),
  at: Timestamp,
  from: z.string(),
  to: z.string().optional(),
  error: z.string().optional(),
});
export type UpgradeRecord = z.infer<typeof UpgradeRecord>;

/** The daemon's answer to `upgrade` and `upgrade_state`: what it runs now, and its latest upgrade if there was one. */
export const UpgradeState = z.object({ version: z.string(), last: UpgradeRecord.optional() });
export type UpgradeState = z.infer<typeof UpgradeState>;
