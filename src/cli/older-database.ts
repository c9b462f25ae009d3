// What becomes of the hub's database when an older program takes over: refused while it cannot be read by it, and
// with `--restore` put back to the copy from before. What still waited in it is named, for nobody else will tell.
import { databaseBack, databaseSchema } from "../hub/database.ts";
import { IntercomError } from "../protocol/errors.ts";
import { loadConfig } from "../system/config.ts";
import { homePaths } from "../system/paths.ts";

/** lines of what is left behind */
const shown = 20;

type Older = {
  /** the newest that the version knows; undefined: it does not say */
  schema: number | undefined;
  restore: boolean;
  /** the pid of the hub that runs here */
  hub: number | undefined;
};

/** Throws `conflict` where this version could not use the database, with the way to go: nothing was changed. */
export function refuseOlder(wanted: string, { schema, restore, hub }: Older): void {
  const config = loadConfig();
  if (schema === undefined || config.mode === "daemon") return;
  const database = databaseSchema(config, homePaths(), schema);
  if (!database || database.schema <= schema) return;
  const again = `ai-intercom self-upgrade --version ${wanted} --restore`;
  if (restore && hub === undefined && database.copy !== undefined) return;
  const text = `${wanted} cannot use the hub's database: it has schema ${database.schema}, that version knows ${schema}`;
  const stop = hub === undefined ? "" : `stop the hub (process ${hub}), then `;
  throw new IntercomError("conflict", restore && stop ? `${text}, and the hub uses it now` : text, {
    hint:
      database.copy === undefined
        ? "stay with this version, or name another file in hub.store: there is no copy from before"
        : `${stop}go back to the copy from before, ${database.copy}, without what came since: ${again}`,
  });
}

/** Puts the copy back where schema `known` needs it, and says what it does not hold. */
export function goOlder(known: number, say: (line: string) => void) {
  const back = databaseBack(loadConfig(), homePaths(), known);
  if (back === undefined) {
    say("the hub's database can be used as it is");
    return undefined;
  }
  say(`the hub's database is again what ${back.copy} holds; what came since is kept in ${back.kept}`);
  const { waiting } = back;
  if (waiting === undefined) say("nobody can say here what waited in it: only the newer version reads it");
  else if (waiting.length === 0) say("nothing in it waited for anybody");
  else {
    say(`left behind in it, not delivered to anybody; have it sent again (${waiting.length}):`);
    for (const { id, from, to, state } of waiting.slice(0, shown)) say(`  ${id}  ${from} → ${to}  ${state}`);
    if (waiting.length > shown) say(`  and ${waiting.length - shown} more: --json shows all`);
  }
  return back;
}
