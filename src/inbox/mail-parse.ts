// The lines of an inbox file and where they stand; what a crash, a failing disk or a foreign hand left between them.
import type { InboxRecord } from "../protocol/message.ts";
import { findRecordStart, type MailLine, type Mark, readLine } from "./mail-line.ts";

/** Where one message stands in the file; offsets in bytes, `length` with the newline. */
export type PlacedMail = {
  readonly id: string;
  readonly thread: string;
  readonly local: boolean;
  /** no reason to wake an idle agent */
  readonly low: boolean;
  readonly at: number;
  readonly length: number;
  readonly flagAt: number;
  mark: Mark;
};

/**
 * `clean`: every byte belongs to a canonical line, and no id stands twice. `loss`: there are bytes, zeros among them,
 * that belong to no record: they may have been one.
 */
type ParsedMail = {
  lines: (MailLine & { mail: PlacedMail })[];
  damaged: Buffer[];
  loss: boolean;
  clean: boolean;
};

export function parseMail(bytes: Buffer): ParsedMail {
  const parsed: ParsedMail = { lines: [], damaged: [], loss: false, clean: true };
  const ids = new Set<string>();
  for (let at = 0; at < bytes.length; ) {
    const newline = bytes.indexOf(0x0a, at);
    const end = newline === -1 ? bytes.length : newline;
    const raw = bytes.subarray(at, end);
    const intact = readLine(raw);
    if (!intact && raw.length > 0) parsed.loss = true;
    const line = intact ?? salvage(raw, parsed.damaged);
    const fresh = line !== undefined && !ids.has(line.record.id);
    if (!line?.canonical || !fresh || newline === -1) parsed.clean = false;
    if (line && fresh) {
      ids.add(line.record.id);
      const mail = placeMail(line.record, at, end + 1 - at, at + line.flagAt, line.mark);
      parsed.lines.push({ ...line, mail });
    }
    at = end + 1;
  }
  return parsed;
}

/** A whole record behind a torn one or between zeros, where a newline was lost. The rest of the line is damaged. */
function salvage(raw: Buffer, damaged: Buffer[]): MailLine | undefined {
  let [start, end] = [0, raw.length];
  while (start < end && raw[start] === 0) start++;
  while (end > start && raw[end - 1] === 0) end--;
  if (start === end) return undefined; // zeros after a power failure: nothing to keep
  const kept = raw.subarray(start, end);
  const record = Math.max(0, findRecordStart(kept));
  const line = readLine(kept.subarray(record));
  if (!line) damaged.push(kept);
  else if (record > 0) damaged.push(kept.subarray(0, record));
  return line && { ...line, canonical: false };
}

export function placeMail(
  { id, thread_id, local, priority }: Omit<InboxRecord, "read">,
  at: number,
  length: number,
  flagAt: number,
  mark: Mark,
): PlacedMail {
  const low = priority === "low";
  return { id, thread: thread_id, local: local === true, low, at, length, flagAt, mark };
}
