// The hub's database as `doctor` sees it, and the command that rescues what can be read of a damaged one.
import { examineDatabase } from "../../hub/database.ts";
import { IntercomError } from "../../protocol/errors.ts";
import { type Check, fail, ok, shellWord, warn } from "./check.ts";
import type { Observed } from "./observed.ts";

export function checkDatabase({ config, paths }: Observed): Check[] {
  if (config instanceof IntercomError) return [];
  const database = examineDatabase(config.config, paths);
  if (!database) return [];
  const { path, found } = database;
  if ("unchecked" in found)
    return [
      warn(
        "database_unchecked",
        `${path}: ${found.unchecked}`,
        `is the disk full or read-only? df -h ${shellWord(paths.home)}; then again: ai-intercom doctor`,
      ),
    ];
  const { damage } = found;
  if (damage.length === 0) return [ok("database", `${path} is whole`)];
  return [fail("database_damaged", `${path}: ${damage.join("; ")}`, rescue(path))];
}

/**
 * One shell command: it works on copies, and only a whole database with the same schema takes the place of the damaged
 * one, which is kept. `.dump`, because the sqlite3 of Debian and Ubuntu is built without what `.recover` needs
 * (sqlite_dbpage). A dump ends with a rollback where something could not be read, and carries no user_version, without
 * which the hub would take the file for an empty one. Rows whose parents were lost go too: the first write about one
 * of them would fail, and with it the hub's start. The old log must not lie beside the new file: SQLite would play it in.
 */
function rescue(path: string): string {
  const orphans = `SELECT 'DELETE FROM ' || \\"table\\" || ' WHERE rowid = ' || rowid || ';' FROM pragma_foreign_key_check`;
  const objects = "'SELECT count(*) FROM sqlite_master'";
  const steps = [
    'exec 9>>"$f.lock"',
    '{ ! command -v flock >/dev/null || flock -n 9 || { echo "stop the hub first" >&2; false; }; }',
    'd=$(mktemp -d "$f.damaged-XXXXXX")',
    'cp -p "$f" "$d/read"',
    '{ [ ! -e "$f-wal" ] || cp -p "$f-wal" "$d/read-wal"; }',
    `v=$(sqlite3 "$d/read" 'PRAGMA user_version')`,
    `{ sqlite3 "$d/read" .dump | sed '$s/^ROLLBACK;.*/COMMIT;/' | sqlite3 "$d/new" || :; }`,
    `for n in 1 2 3 4; do { echo 'BEGIN;'; sqlite3 "$d/new" "${orphans}"; echo 'COMMIT;'; } | sqlite3 "$d/new" || exit; done`,
    'sqlite3 "$d/new" "PRAGMA user_version = $v"',
    `[ "$(sqlite3 "$d/new" 'PRAGMA integrity_check')" = ok ]`,
    `[ "$(sqlite3 "$d/new" ${objects})" = "$(sqlite3 "$d/read" ${objects})" ]`,
    'ln "$f" "$d/hub.db"',
    '{ [ ! -e "$f-wal" ] || mv "$f-wal" "$d/hub.db-wal"; }',
    'rm -f "$f-shm"',
    'mv "$d/new" "$f"',
    'echo "rescued; as it was: $d/hub.db"',
  ];
  const otherwise =
    'echo "not rescued: nothing was changed; is sqlite3 installed? else put a backup there" >&2';
  return `stop the hub, then: (umask 077; f=${shellWord(path)}; ${steps.join(" && ")}) || { ${otherwise}; false; }`;
}
