// The hub's database file as `doctor` looks at it, whether the hub runs or not.
import { existsSync } from "node:fs";
import { findDamage, type Integrity } from "../store/integrity.ts";
import type { Config } from "../system/config.ts";
import type { HomePaths } from "../system/paths.ts";
import { storeLocation } from "./hub.ts";

/** undefined: this home has no hub, or its store is no file. */
export function examineDatabase(
  config: Config,
  paths: HomePaths,
): { path: string; found: Integrity } | undefined {
  const path = storeLocation(config, paths);
  if (path.includes("://") || !existsSync(path)) return undefined;
  return { path, found: findDamage(path) };
}
