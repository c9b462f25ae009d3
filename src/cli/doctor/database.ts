// The hub's database as `doctor` sees it: whether it is whole, how what can be read of a damaged one is rescued, and what
// became of it.
import { type DatabaseSeen, examineDatabase } from "../../hub/database.ts";
import { IntercomError } from "../../protocol/errors.ts";
import { lockHolder } from "../../system/lock.ts";
import type { HomePaths } from "../../system/paths.ts";
import { type Check, fail, ok, shellWord, warn } from "./check.ts";
import type { Observed } from "./observed.ts";

export function checkDatabase({ config, paths }: Observed): Check[] {
  if (config instanceof IntercomError) return [];
  const seen = examineDatabase(config.config, paths);
  if (!seen) return [];
  return [checkFile(seen, paths, `ai-intercom ${config.config.mode}`), ...checkRescues(seen)];
}

function checkFile(seen: DatabaseSeen, paths: HomePaths, start: string): Check {
  const { path, found, restart } = seen;
  if ("unchecked" in found)
    return warn(
      "database_unchecked",
      `${path}: ${found.unchecked}`,
      `is the disk full or read-only? df -h ${shellWord(paths.home)}; then again: ai-intercom doctor`,
    );
  const damage = found.damage.join("; ") || (restart && "a hub met damage in it");
  if (!damage) return ok("database", `${path} is whole`);
  return fail("database_damaged", `${path}: ${damage}`, rescueFix(seen, paths, start));
}

/** A restart finds the marker that the hub has left; damage that no hub has met yet needs one. */
function rescueFix({ obstacle, marker, restart }: DatabaseSeen, { run }: HomePaths, start: string): string {
  if (obstacle !== undefined)
    return `what can be read cannot be rescued now: ${obstacle}; mend that, or put a backup in its place`;
  const holder = lockHolder(`${run}/hub.lock`);
  const command = restart?.command ?? start;
  const isService = command.includes(" service restart");
  const stop = holder === undefined || isService ? "" : `kill ${holder}; sleep 1; `;
  const mark = restart ? "" : `touch ${shellWord(marker)}; `;
  return `restart the hub, which keeps the file as it is and goes on with what can be read: ${mark}${stop}${command}`;
}

function checkRescues({ rescues }: DatabaseSeen): Check[] {
  return rescues.map(({ directory, at, tables }) => {
    const lost = Object.entries(tables).flatMap(([name, table]) =>
      table.lost.length > 0 ? [`${name} ${table.lost.slice(0, 3).join(", ")}`] : [],
    );
    const word = shellWord(directory);
    return warn(
      "database_rescued",
      `the database was damaged, and rescued at ${at}; lost: ${lost.join("; ") || "nothing"}; as it was: ${directory}`,
      `look at it, then remove it: less ${word}/report.json; rm -r ${word}`,
    );
  });
}
