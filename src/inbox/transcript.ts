// What an agent's own transcript says, read as it grows. Knows no vendor: a reader turns a line into evidence.
import { closeSync, constants, openSync, readSync, statSync } from "node:fs";

/**
 * `context`: text that reaches the model. `answer`: a block of the model's message `id`. `prompt`: what opens a turn.
 * `follows`: the line that a prompt, or a text that is one, was put behind. `at`: unix ms.
 */
export type TranscriptRecord =
  | { kind: "context"; texts: string[]; follows?: string; at: number | undefined }
  | { kind: "prompt"; follows: string; at: number | undefined }
  | { kind: "answer"; id: string; at: number | undefined };
export type TranscriptReader = (line: string) => TranscriptRecord | undefined;

/** `offset`: byte where the line starts; infinite in a file that was cut or replaced, for there it says nothing. */
export type PlacedRecord = TranscriptRecord & { offset: number };

/** bytes read at once */
const chunkBytes = 256 * 1024;
/** bytes of a line above which it is skipped unread */
const maxLineBytes = 32 * 1024 * 1024;

export class TranscriptTail {
  readonly #path: string;
  readonly #reader: TranscriptReader;
  #inode: number | undefined;
  /** bytes read so far */
  #position: number;
  /** the start of a line whose end is not there yet */
  #partial: Buffer[] = [];
  #partialBytes = 0;
  /** we started inside a line, or a line was too long: nothing counts before the next newline */
  #skipping: boolean;
  #replaced = false;

  constructor(path: string, fromOffset: number, reader: TranscriptReader) {
    this.#path = path;
    this.#position = fromOffset;
    this.#skipping = fromOffset > 0;
    this.#reader = reader;
  }

  /** The records that were completed since the last poll. One `stat` when there are none. */
  poll(): PlacedRecord[] {
    const stat = statOf(this.#path);
    if (!stat?.isFile()) return [];
    const other = this.#inode !== undefined && this.#inode !== stat.ino;
    this.#inode = stat.ino;
    if (other || stat.size < this.#position) this.#restart();
    if (stat.size === this.#position) return [];
    return this.#readTo(stat.size);
  }

  #restart(): void {
    this.#position = 0;
    this.#partial = [];
    this.#partialBytes = 0;
    this.#skipping = false;
    this.#replaced = true;
  }

  #readTo(size: number): PlacedRecord[] {
    const records: PlacedRecord[] = [];
    const fd = openIfPossible(this.#path);
    if (fd === undefined) return records;
    try {
      while (this.#position < size) {
        const chunk = Buffer.allocUnsafe(Math.min(chunkBytes, size - this.#position));
        const count = readSync(fd, chunk, 0, chunk.length, this.#position);
        if (count === 0) break;
        this.#take(chunk.subarray(0, count), records);
      }
    } finally {
      closeSync(fd);
    }
    return records;
  }

  #take(chunk: Buffer, records: PlacedRecord[]): void {
    let at = 0;
    for (let end = chunk.indexOf(0x0a); end !== -1; end = chunk.indexOf(0x0a, at)) {
      const line = Buffer.concat([...this.#partial, chunk.subarray(at, end)]);
      const offset = this.#replaced ? Number.POSITIVE_INFINITY : this.#position + at - this.#partialBytes;
      const record = this.#skipping ? undefined : this.#reader(line.toString("utf8"));
      if (record) records.push({ ...record, offset });
      this.#partial = [];
      this.#partialBytes = 0;
      this.#skipping = false;
      at = end + 1;
    }
    this.#position += chunk.length;
    const rest = chunk.subarray(at);
    if (this.#partialBytes + rest.length > maxLineBytes) {
      this.#skipping = true;
      this.#partial = [];
      this.#partialBytes = 0;
    }
    if (this.#skipping || rest.length === 0) return;
    this.#partial.push(rest);
    this.#partialBytes += rest.length;
  }
}

/** What cannot be looked at tells nothing; it is not a failure of ours. */
function statOf(path: string) {
  try {
    return statSync(path);
  } catch {
    return undefined;
  }
}

function openIfPossible(path: string): number | undefined {
  try {
    return openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch {
    return undefined;
  }
}
