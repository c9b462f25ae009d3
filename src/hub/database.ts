// The hub's database file as `doctor` and `self-upgrade` look at it, whether the hub runs or not.
import { existsSync } from "node:fs";
import { copyFor, schemaOf } from "../store/backup.ts";
import { findDamage, type Integrity } from "../store/integrity.ts";
import { knownSchema } from "../store/migrations.ts";
import { rescueObstacle } from "../store/rescue.ts";
import { markerOf, type Rescue, readMarker, rescuesBeside } from "../store/rescue-files.ts";
import { stepBack } from "../store/step-back.ts";
import type { Config } from "../system/config.ts";
import type { HomePaths } from "../system/paths.ts";
import { storeLocation } from "./hub.ts";

/** The newest schema of it that this program can use. */
export const databaseKnown = knownSchema;

/** undefined: this home has no hub, or its store is no file. */
export function examineDatabase(config: Config, paths: HomePaths): DatabaseSeen | undefined {
  const path = databaseOf(config, paths);
  if (path === undefined) return undefined;
  const marker = readMarker(path);
  const found = findDamage(path);
  const isDamaged = "damage" in found && found.damage.length > 0;
  return {
    path,
    found,
    marker: markerOf(path),
    restart: marker && { command: marker.restart },
    obstacle: isDamaged || marker ? rescueObstacle(path) : undefined,
    rescues: rescuesBeside(path),
  };
}

export type DatabaseSeen = {
  path: string;
  found: Integrity;
  /** the file by which the next start is told to rescue it */
  marker: string;
  /** a hub has met damage; `command` starts it again */
  restart: { command: string | undefined } | undefined;
  /** why nothing can be rescued now */
  obstacle: string | undefined;
  rescues: Rescue[];
};

/** Its schema, and the newest copy that a program which knows schemas up to `known` can use. */
export function databaseSchema(config: Config, paths: HomePaths, known: number) {
  const path = databaseOf(config, paths);
  if (path === undefined) return undefined;
  return { path, schema: schemaOf(path) ?? 0, copy: copyFor(path, known) };
}

/** For a hub that does not run: the database becomes one that schema `known` can use (`stepBack`). */
export function databaseBack(config: Config, paths: HomePaths, known: number) {
  const path = databaseOf(config, paths);
  return path === undefined ? undefined : stepBack(path, known);
}

function databaseOf(config: Config, paths: HomePaths): string | undefined {
  const path = storeLocation(config, paths);
  return path.includes("://") || !existsSync(path) ? undefined : path;
}
