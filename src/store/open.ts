// Which engine a `hub.store` value names.
import { IntercomError } from "../protocol/errors.ts";
import type { Starter } from "./damage.ts";
import { openSqlite } from "./sqlite.ts";
import type { Store } from "./store.ts";

/** `location`: a path, absolute or from the working directory. */
export function openStore(location: string, starter?: Starter): Store {
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(location)?.[1];
  if (scheme !== undefined)
    throw new IntercomError("bad_config", `hub.store cannot be a ${scheme}:// address in this version`, {
      hint: "today hub.store is a path to a SQLite file, for example /var/lib/ai-intercom/hub.db; or leave it out",
    });
  return openSqlite(location, starter);
}
