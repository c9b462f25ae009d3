// `<session>.ids`: ids of messages that compaction dropped, one JSON string a line, oldest first. A hub that did
// not get our ack sends again; the copy must be known although its record is gone.
import { readTextIfPresent, replaceFile } from "../system/files.ts";

/** Far more than can be on their way unacknowledged: the hub sends a session's next mail only after an ack. */
const maxIds = 10_000;

export class RememberedIds {
  readonly #path: string;
  #ids: Set<string>;

  constructor(path: string) {
    this.#path = path;
    this.#ids = new Set((readTextIfPresent(path) ?? "").split("\n").flatMap(parseId));
  }

  has(id: string): boolean {
    return this.#ids.has(id);
  }

  /** Durable when it returns. */
  add(ids: readonly string[]): void {
    const all = [...new Set([...this.#ids, ...ids])].slice(-maxIds);
    replaceFile(this.#path, all.map((id) => `${JSON.stringify(id)}\n`).join(""));
    this.#ids = new Set(all);
  }
}

function parseId(line: string): string[] {
  try {
    const id: unknown = JSON.parse(line);
    return typeof id === "string" ? [id] : [];
  } catch {
    return []; // blank or damaged
  }
}
