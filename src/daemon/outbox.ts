// What this machine owes the hub: messages accepted from our agents while the hub was away, and receipts. A FIFO
// on disk; an entry leaves it only after the hub answered. A crash in between sends it again: ids make that harmless.
import { closeSync, constants, fdatasyncSync, ftruncateSync, openSync, readFileSync } from "node:fs";
import { dirname } from "node:path";
import { z } from "zod";
import { IntercomError } from "../protocol/errors.ts";
import { Receipt, RouteInput } from "../protocol/hub-api.ts";
import { crashPoint } from "../system/crash-point.ts";
import { fileSize, replaceFile, syncDirectory, writeAll } from "../system/files.ts";
import { log } from "../system/log.ts";
import { setAside } from "../system/set-aside.ts";
import { copiesOf } from "./answers.ts";
import { corruptPath, noteLostRoutes } from "./lost-routes.ts";

const Entry = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("route"), session_id: z.string(), at: z.string(), input: RouteInput }),
  z.object({ kind: z.literal("receipt"), receipt: Receipt }),
]);
export type OutboxEntry = z.infer<typeof Entry>;
export type RouteEntry = Extract<OutboxEntry, { kind: "route" }>;

/** entries sent and gone are dropped from the file when it exceeds this many bytes */
const compactAboveBytes = 1024 * 1024;

export class Outbox {
  readonly #path: string;
  #fd: number;
  readonly #entries: OutboxEntry[];
  /** what is asked of each message that comes or goes, so that no answer walks over all that waits */
  readonly #routes = new Map<string, RouteEntry>();
  /** the copies of what goes to many, by the ids that their sender was told */
  readonly #copies = new Map<string, RouteEntry>();
  readonly #senders = new Map<string, number>();
  readonly #returning = new Map<string, number>();
  #bytes: number;
  /** some receipts are in memory only */
  #isBehind = false;
  /** a file that is long because much waits is not written anew for each entry that goes */
  #compactAbove: number;
  /** called when something was added */
  onAdd: () => void = () => {};

  private constructor(path: string, fd: number, entries: OutboxEntry[], bytes: number) {
    this.#path = path;
    this.#fd = fd;
    this.#entries = entries;
    this.#bytes = bytes;
    this.#compactAbove = Math.max(compactAboveBytes, 2 * bytes);
    for (const entry of entries) this.#count(entry, 1);
  }

  static open(path: string): Outbox {
    const fd = openAppend(path);
    syncDirectory(dirname(path));
    const bytes = readFileSync(path);
    const { entries, damaged, clean } = readEntries(bytes);
    if (damaged.length > 0) {
      noteLostRoutes(path, damaged, setAside(corruptPath(path), "the outbox", damaged));
      crashPoint("outbox.open.noted");
    }
    const outbox = new Outbox(path, fd, entries, bytes.length);
    if (!clean) outbox.#rewrite();
    return outbox;
  }

  get size(): number {
    return this.#entries.length;
  }

  /** messages of our agents among the entries */
  get routes(): number {
    return this.#routes.size;
  }

  /** sessions that wrote what still waits here */
  senders(): Set<string> {
    return new Set(this.#senders.keys());
  }

  /** Mail of this session is on its way back to the hub, which must have it before it sends anything after it. */
  isReturning(sessionId: string): boolean {
    return this.#returning.has(sessionId);
  }

  find(messageId: string): RouteEntry | undefined {
    return this.#routes.get(messageId);
  }

  /** The message to many that has a copy with this id. */
  findCopy(copyId: string): RouteEntry | undefined {
    return this.#copies.get(copyId);
  }

  /** The messages that wait here and are meant, oldest first. */
  routesWhere(isMeant: (entry: RouteEntry) => boolean): RouteEntry[] {
    return [...this.#routes.values()].filter(isMeant);
  }

  /**
   * Adds entries; `durable` means fsynced when this returns. Receipts need not be: losing one to a power cut
   * understates what happened, and the next proof says more. So where the disk takes nothing, memory keeps them, and
   * who wrote still learns that the disk is why.
   */
  add(entries: OutboxEntry[], { durable }: { durable: boolean }): void {
    if (entries.length === 0) return;
    const text = entries.map((entry) => `${JSON.stringify(entry)}\n`).join("");
    crashPoint("outbox.before-write");
    if (durable) this.#append(text, durable);
    else this.#tryAppending(text);
    for (const entry of entries) {
      this.#entries.push(entry);
      this.#count(entry, 1);
    }
    this.onAdd();
  }

  /** The oldest entries that can go in one request: one message, or receipts up to the next message. */
  head(limit = 500): OutboxEntry[] {
    const [first] = this.#entries;
    if (first === undefined || first.kind === "route") return first ? [first] : [];
    const end = this.#entries.findIndex((entry) => entry.kind === "route");
    return this.#entries.slice(0, Math.min(limit, end === -1 ? this.#entries.length : end));
  }

  /** The hub has answered for the oldest `count` entries. */
  drop(count: number): void {
    for (const entry of this.#entries.splice(0, count)) this.#count(entry, -1);
    crashPoint("outbox.before-drop");
    try {
      this.#shorten();
    } catch (error) {
      // what went out stands there still: sent once more after a restart, which is harmless
      this.#compactAbove = 2 * this.#bytes;
      log.warn("the outbox's file cannot be shortened", { path: this.#path, error });
    }
  }

  close(): void {
    closeSync(this.#fd);
  }

  #count(entry: OutboxEntry, by: 1 | -1): void {
    if (entry.kind === "receipt") {
      const { state, session_id } = entry.receipt;
      if (state === "queued") tally(this.#returning, session_id, by);
      return;
    }
    const { message_id } = entry.input.payload;
    index(this.#routes, message_id, entry, by);
    for (const { id } of copiesOf(entry.input)) if (id !== undefined) index(this.#copies, id, entry, by);
    tally(this.#senders, entry.session_id, by);
  }

  #append(text: string, durable: boolean): void {
    const bytes = Buffer.from(text);
    try {
      writeAll(this.#fd, bytes);
      crashPoint("outbox.written");
      if (durable) fdatasyncSync(this.#fd);
    } catch (cause) {
      this.#cutBack();
      throw new IntercomError("internal", "this machine cannot keep the message on disk", {
        cause,
        hint: "is the disk full or read-only? df -h",
      });
    }
    crashPoint("outbox.after-write");
    this.#bytes += bytes.length;
  }

  #tryAppending(text: string): void {
    try {
      this.#append(text, false);
      this.#isBehind = false;
    } catch (error) {
      if (!this.#isBehind) log.warn("receipts are kept in memory only", { error });
      this.#isBehind = true;
    }
  }

  /** A part of a line may stand there: what was not accepted must not be found later. A full disk can do this much. */
  #cutBack(): void {
    try {
      ftruncateSync(this.#fd, this.#bytes);
    } catch {
      this.#rewrite();
    }
  }

  #shorten(): void {
    if (this.#entries.length === 0) {
      ftruncateSync(this.#fd, 0);
      this.#bytes = 0;
      this.#compactAbove = compactAboveBytes;
      crashPoint("outbox.emptied");
    } else if (this.#bytes > this.#compactAbove) this.#rewrite();
  }

  #rewrite(): void {
    try {
      replaceFile(this.#path, this.#entries.map((entry) => `${JSON.stringify(entry)}\n`).join(""));
    } finally {
      // whatever failed: an append goes into the file that stands there
      const fd = openAppend(this.#path);
      closeSync(this.#fd);
      this.#fd = fd;
      this.#bytes = fileSize(this.#path);
      this.#compactAbove = Math.max(compactAboveBytes, 2 * this.#bytes);
    }
  }
}

function index(routes: Map<string, RouteEntry>, id: string, entry: RouteEntry, by: 1 | -1): void {
  if (by === 1) routes.set(id, entry);
  else if (routes.get(id) === entry) routes.delete(id);
}

function tally(counts: Map<string, number>, key: string, by: 1 | -1): void {
  const count = (counts.get(key) ?? 0) + by;
  if (count > 0) counts.set(key, count);
  else counts.delete(key);
}

function openAppend(path: string): number {
  return openSync(
    path,
    constants.O_CREAT | constants.O_APPEND | constants.O_RDWR | constants.O_NOFOLLOW,
    0o600,
  );
}

/** `clean`: every byte belongs to a whole line. */
function readEntries(bytes: Buffer): { entries: OutboxEntry[]; damaged: Buffer[]; clean: boolean } {
  const entries: OutboxEntry[] = [];
  const damaged: Buffer[] = [];
  const text = bytes.toString("latin1"); // a character is a byte
  const lines = text.split("\n");
  let clean = lines.pop() === "";
  for (const line of clean ? lines : text.split("\n")) {
    const whole = readEntry(line);
    if (whole) {
      entries.push(whole);
      continue;
    }
    clean = false;
    // a newline was lost: inside of an entry every quote is escaped, so this can only be where one begins
    for (const piece of line.split(/(?=\{"kind":")/)) {
      const kept = piece.replace(/^\0+|\0+$/g, "");
      const entry = readEntry(kept);
      if (entry) entries.push(entry);
      else if (kept.trim() !== "") damaged.push(Buffer.from(kept, "latin1"));
    }
  }
  return { entries, damaged, clean };
}

/** Undefined when these bytes are no entry. */
function readEntry(bytes: string): OutboxEntry | undefined {
  try {
    return Entry.parse(JSON.parse(strictUtf8.decode(Buffer.from(bytes, "latin1"))));
  } catch {
    return undefined;
  }
}

/** a damaged byte must not become another text under the same id */
const strictUtf8 = new TextDecoder("utf-8", { fatal: true });
