// What is said of SQLite's errors while the store is used, and the memory that its file turned out to be damaged: one
// that has met a damaged page is not well, although the next page it reads may be.
import { SQLiteError } from "bun:sqlite";
import { IntercomError } from "../protocol/errors.ts";
import { log } from "../system/log.ts";
import { isDamage, isDiskTrouble } from "./integrity.ts";

const fix = "on the hub's host: ai-intercom doctor";

export class Damage {
  readonly #path: string;
  #met = false;

  constructor(path: string) {
    this.#path = path;
  }

  /** What the caller is told of `error`. Damage is logged once; every caller is told. */
  told(error: unknown): unknown {
    if (!isDamage(error)) return error;
    if (!this.#met) log.error("the hub's database is damaged", { path: this.#path, error, fix });
    this.#met = true;
    return damaged(error);
  }

  /** Throws once damage was met: only another file, and so another start, ends it. */
  refuse(): void {
    if (this.#met) throw damaged();
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
