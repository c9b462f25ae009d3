// What is said of SQLite's errors while the store is used, and the memory that its file turned out to be damaged: one
// that has met a damaged page is not well, although the next page it reads may be.
import { SQLiteError } from "bun:sqlite";
import { IntercomError } from "../protocol/errors.ts";
import { log } from "../system/log.ts";
import { isDamage, isDiskTrouble } from "./integrity.ts";
import { isRescuedLately, rescueObstacle } from "./rescue.ts";
import { markerOf, readMarker, writeMarker } from "./rescue-files.ts";

const fix =
  "restart the hub on its host: it goes on with what can be read; ai-intercom doctor there says how";

/** How the hub that uses a store was started. */
export type Starter = {
  /** what starts it again: a command, or words */
  restart: string;
  /** whoever started it does so again when it ends: called once, when damage was met and a restart would help */
  end?: () => void;
};

export class Damage {
  readonly #path: string;
  readonly #starter: Starter | undefined;
  /** Once damage was met: only another file, and so another start, ends it. */
  met = false;

  constructor(path: string, starter?: Starter) {
    this.#path = path;
    this.#starter = starter;
  }

  /** What the caller is told of `error`. Damage is logged once; every caller is told. */
  told(error: unknown): unknown {
    if (!isDamage(error)) return error;
    if (!this.met) this.#meet(error);
    this.met = true;
    return damaged(error);
  }

  /** Throws once damage was met. */
  refuse(): void {
    if (this.met) throw damaged();
  }

  /** The next start rescues what can be read. Without the marker it could not know: the next page may be whole. */
  #meet(error: SQLiteError): void {
    const path = this.#path;
    const { restart = "stop it and start it again", end } = this.#starter ?? {};
    const obstacle = rescueObstacle(path);
    const ends = end !== undefined && obstacle === undefined && !isRescuedLately(path);
    const next = ends ? "the hub ends, and is started again" : restart;
    log.error("the hub's database is damaged", {
      path,
      error,
      ...(obstacle ? { obstacle } : { fix: `its next start rescues what can be read: ${next}` }),
    });
    try {
      if (!readMarker(path))
        writeMarker(path, { at: new Date().toISOString(), error: error.message, restart });
    } catch (cause) {
      log.error("the damage cannot be noted for the next start", { path: markerOf(path), error: cause });
      return;
    }
    if (ends) end();
  }
}

/** `internal`, without the path: whoever may not log in can be told it. */
function damaged(cause?: SQLiteError): IntercomError {
  return new IntercomError("internal", "the hub's database is damaged", { hint: fix, cause });
}

/** What a caller is told of a write that failed. */
export function writeError(error: unknown): unknown {
  if (!(error instanceof SQLiteError)) return error;
  const hint = isDiskTrouble(error)
    ? "look at the disk that holds hub.db: is it full, or read-only?"
    : undefined;
  return new IntercomError("internal", `the hub's store cannot write: ${error.message}`, {
    hint,
    cause: error,
  });
}
