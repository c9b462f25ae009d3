// `<session>.jsonl`: which bytes are whose. Appends, flips flags in place, rewrites whole. Holds no bodies in
// memory and knows nothing of claims. The daemon alone writes the file; a person may read it at any time.
import {
  closeSync,
  constants,
  fchmodSync,
  fdatasyncSync,
  fstatSync,
  ftruncateSync,
  openSync,
  readFileSync,
  readSync,
  statSync,
} from "node:fs";
import { dirname } from "node:path";
import { IntercomError } from "../protocol/errors.ts";
import type { InboxRecord } from "../protocol/message.ts";
import { crashPoint } from "../system/crash-point.ts";
import { isErrno, replaceFile, syncDirectory, writeAll } from "../system/files.ts";
import { setAside } from "../system/set-aside.ts";
import { noteLoss } from "./loss.ts";
import { flagBytes, type Mark, readLine, writeLine } from "./mail-line.ts";
import { type PlacedMail, parseMail, placeMail } from "./mail-parse.ts";

export type Mail = Readonly<PlacedMail>;

export class MailFile {
  readonly path: string;
  #mails: PlacedMail[] = [];
  #ids = new Map<string, PlacedMail>();
  #size = 0;
  #inode = 0n;
  #unread = 0;
  #settledBytes = 0;
  #unsynced = false;
  #entrySynced = false;

  constructor(path: string) {
    this.path = path;
    this.load();
  }

  /** In file order, which is the order of arrival. */
  get mails(): readonly Mail[] {
    return this.#mails;
  }
  get size(): number {
    return this.#size;
  }
  get unread(): number {
    return this.#unread;
  }
  get settledBytes(): number {
    return this.#settledBytes;
  }
  find(id: string): Mail | undefined {
    return this.#ids.get(id);
  }

  /** Reads the file, mends what a crash or a foreign hand left, and makes what was read durable. */
  load(mended = false): void {
    const bytes = this.#readAll();
    const { lines, damaged, loss, clean } = parseMail(bytes);
    if (damaged.length > 0) setAside(this.path.replace(/\.jsonl$/, ".corrupt"), "an inbox", damaged);
    if (!clean) {
      if (mended) throw new IntercomError("internal", `${this.path} cannot be mended`);
      crashPoint("inbox.load.quarantined");
      if (loss) noteLoss(this.path);
      crashPoint("inbox.load.noted");
      replaceFile(this.path, lines.map(({ record, mark }) => `${writeLine(record, mark).text}\n`).join(""));
      this.load(true);
      return;
    }
    this.#index(lines.map((line) => line.mail));
    // a daemon killed between write and fdatasync: a message found here counts as kept, so it must be
    if (bytes.length > 0) this.#write((fd) => fdatasyncSync(fd));
    this.#unsynced = false;
    this.#entrySynced = false;
    this.#remember(bytes.length);
  }

  /** Someone else replaced, cut or lengthened the file. */
  changed(): boolean {
    try {
      const { size, ino } = statSync(this.path, { bigint: true });
      return Number(size) !== this.#size || ino !== this.#inode;
    } catch (error) {
      if (isErrno(error, "ENOENT")) return this.#inode !== 0n;
      throw error;
    }
  }

  /** One write, one fdatasync. On failure nothing was appended. */
  append(records: readonly Omit<InboxRecord, "read">[]): void {
    const before = this.#size;
    const entries: PlacedMail[] = [];
    const lines: Buffer[] = [];
    let at = before;
    for (const record of records) {
      const { text, flagAt } = writeLine(record, "unread");
      const line = Buffer.from(`${text}\n`);
      lines.push(line);
      entries.push(placeMail(record, at, line.length, at + flagAt, "unread"));
      at += line.length;
    }
    this.#appendBytes(Buffer.concat(lines), before);
    crashPoint("inbox.append.synced");
    this.#mails.push(...entries);
    for (const entry of entries) this.#ids.set(entry.id, entry);
    this.#unread += entries.length;
    this.#remember(at);
  }

  /** Flips the flags in place. Not durable before `sync`. */
  mark(mails: readonly Mail[], mark: Mark): void {
    const entries = mails.flatMap(({ id }) => this.#ids.get(id) ?? []).filter((entry) => entry.mark !== mark);
    if (entries.length === 0) return;
    this.#unsynced = true;
    this.#write((fd) => {
      for (const entry of entries) {
        writeAll(fd, flagBytes(mark), entry.flagAt);
        this.#unread += Number(mark === "unread") - Number(entry.mark === "unread");
        this.#settledBytes += entry.length * (Number(mark === "settled") - Number(entry.mark === "settled"));
        entry.mark = mark;
        crashPoint("inbox.mark.flipped");
      }
    });
  }

  sync(): void {
    if (!this.#unsynced) return;
    this.#write((fd) => fdatasyncSync(fd));
    this.#unsynced = false;
  }

  read({ id, at, length, flagAt, mark }: Mail): InboxRecord {
    const bytes = Buffer.alloc(length - 1);
    const fd = openSync(this.path, constants.O_RDONLY | constants.O_NOFOLLOW);
    try {
      readSync(fd, bytes, 0, bytes.length, at);
    } finally {
      closeSync(fd);
    }
    const line = readLine(bytes);
    if (!line?.canonical || line.record.id !== id || at + line.flagAt !== flagAt) {
      this.#size = -1; // `changed` from now on, although size and inode may be the same
      throw new IntercomError("internal", `${this.path} was changed by another program`);
    }
    return { ...line.record, read: mark !== "unread" };
  }

  /** The records of these messages, all unless told otherwise, in one pass over the file. */
  readEvery(wanted: (mail: Mail) => boolean = () => true): InboxRecord[] {
    const mails = this.#mails.filter(wanted);
    if (mails.length === 0) return [];
    const bytes = this.#readAll();
    return mails.flatMap(({ at, length, mark }) => {
      const line = readLine(bytes.subarray(at, at + length - 1));
      return line ? [{ ...line.record, read: mark !== "unread" }] : [];
    });
  }

  /** Rewrites the file with these messages only. */
  keep(wanted: (mail: Mail) => boolean): void {
    const bytes = this.#readAll();
    const kept = this.#mails.filter(wanted);
    const text = Buffer.concat(kept.map(({ at, length }) => bytes.subarray(at, at + length))).toString(
      "utf8",
    );
    replaceFile(this.path, text);
    this.load();
  }

  #appendBytes(bytes: Buffer, before: number): void {
    const { O_APPEND, O_CREAT, O_WRONLY, O_NOFOLLOW } = constants;
    const fd = openSync(this.path, O_APPEND | O_CREAT | O_WRONLY | O_NOFOLLOW, 0o600);
    try {
      writeAll(fd, bytes);
      crashPoint("inbox.append.written");
      fdatasyncSync(fd);
      if (!this.#entrySynced) syncDirectory(dirname(this.path));
      this.#entrySynced = true;
    } catch (error) {
      // half a line, or one that may not be on the disk: the sender must be able to send it again
      ftruncateSync(fd, before);
      throw error;
    } finally {
      closeSync(fd);
    }
  }

  #write(work: (fd: number) => void): void {
    const fd = openSync(this.path, constants.O_WRONLY | constants.O_NOFOLLOW);
    try {
      work(fd);
    } finally {
      closeSync(fd);
    }
  }

  #readAll(): Buffer {
    try {
      // O_NONBLOCK: a named pipe put here must not stop the daemon
      const fd = openSync(this.path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
      try {
        refuseUnsafe(this.path, fd);
        return readFileSync(fd);
      } finally {
        closeSync(fd);
      }
    } catch (error) {
      if (isErrno(error, "ENOENT")) return Buffer.alloc(0);
      if (isErrno(error, "ELOOP")) throw unsafe(this.path, "is a symbolic link", error);
      throw error;
    }
  }

  #index(entries: PlacedMail[]): void {
    this.#mails = entries;
    this.#ids = new Map(entries.map((entry) => [entry.id, entry]));
    this.#unread = entries.filter(({ mark }) => mark === "unread").length;
    this.#settledBytes = entries.reduce(
      (sum, { mark, length }) => sum + (mark === "settled" ? length : 0),
      0,
    );
  }

  /** What `changed` compares with. The size is what we know, so that a foreign byte beyond it is noticed. */
  #remember(size: number): void {
    this.#size = size;
    this.#inode = statSync(this.path, { bigint: true, throwIfNoEntry: false })?.ino ?? 0n;
  }
}

function refuseUnsafe(path: string, fd: number): void {
  const stat = fstatSync(fd);
  if (!stat.isFile()) throw unsafe(path, "is not a regular file");
  if (stat.uid !== process.getuid?.()) throw unsafe(path, "belongs to another user");
  if ((stat.mode & 0o077) !== 0) fchmodSync(fd, 0o600);
}

function unsafe(path: string, what: string, cause?: unknown): IntercomError {
  return new IntercomError("unsafe_file", `${path} ${what}`, {
    hint: `move it away: mv ${path} ${path}.old`,
    cause,
  });
}
