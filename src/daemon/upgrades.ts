// Upgrades that the hub's person orders. Only where this machine's own configuration allows it, never backwards, and
// done by this machine's own `self-upgrade`, with this machine's own address and checks: the order is but a version.
import { openSync } from "node:fs";
import { IntercomError } from "../protocol/errors.ts";
import { UpgradeOrder, UpgradeRecord, type UpgradeState } from "../protocol/upgrade.ts";
import { version } from "../protocol/version.ts";
import type { Config } from "../system/config.ts";
import { readTextIfPresent } from "../system/files.ts";
import type { HomePaths } from "../system/paths.ts";
import { ownProgram } from "../system/program.ts";

export class Upgrades {
  readonly #config: Config;
  readonly #paths: HomePaths;

  constructor(config: Config, paths: HomePaths) {
    this.#config = config;
    this.#paths = paths;
  }

  state(): UpgradeState {
    const last = readRecord(this.#paths.upgrade);
    return { version, ...(last ? { last } : {}) };
  }

  /** Starts it and answers at once: this very process will be replaced. */
  start(payload: unknown): UpgradeState {
    if (!this.#config.upgrade.allowed)
      throw new IntercomError(
        "forbidden",
        `machine ${this.#config.machine.id} does not take upgrades from its hub`,
        {
          hint: "run `ai-intercom self-upgrade` there, or set upgrade.allowed: true in its config.yml and restart its daemon",
        },
      );
    const order = UpgradeOrder.parse(payload);
    if (order.version !== undefined && Bun.semver.order(order.version, version) < 0)
      throw new IntercomError(
        "forbidden",
        `a hub may not take a machine back from ${version} to ${order.version}`,
        {
          hint: `on that machine: ai-intercom self-upgrade --version ${order.version}`,
        },
      );
    this.#spawn(order.version);
    return this.state();
  }

  /** Through a shell that leaves at once: the upgrade must not be a child of the process that it replaces. */
  #spawn(wanted: string | undefined): void {
    const log = openSync(`${this.#paths.run}/upgrade.log`, "w", 0o600);
    const words = ["self-upgrade", ...(wanted === undefined ? [] : ["--version", wanted])];
    Bun.spawn(["/bin/sh", "-c", '"$@" &', "upgrade", ...ownProgram(), ...words], {
      env: { ...process.env, AI_INTERCOM_HOME: this.#paths.home },
      stdio: ["ignore", log, log],
      detached: true,
    }).unref();
  }
}

function readRecord(path: string): UpgradeRecord | undefined {
  try {
    const parsed = UpgradeRecord.safeParse(JSON.parse(readTextIfPresent(path) ?? ""));
    return parsed.success ? parsed.data : undefined;
  } catch {
    return undefined; // none yet, or torn: the next upgrade writes another
  }
}
