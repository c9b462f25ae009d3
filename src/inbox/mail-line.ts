// One line of an inbox file: a record and its read flag, which is flipped in place. Three spellings of the same
// length, all valid JSON: `false` unread, `true ` claimed, ` true` settled. So the file alone tells, without the
// ledger, which mail nobody has proved to be in the agent's context.
import { InboxRecord } from "../protocol/message.ts";

export type Mark = "unread" | "claimed" | "settled";

/** A kind of message that a later version knows is no reason to lose the message. */
const ReadableRecord = InboxRecord.extend({
  type: InboxRecord.shape.type.catch(undefined),
  priority: InboxRecord.shape.priority.catch(undefined),
  local: InboxRecord.shape.local.catch(undefined),
});

const spellings = { unread: "false", claimed: "true ", settled: " true" } as const satisfies Record<
  Mark,
  string
>;
const marks: ReadonlyMap<string, Mark> = new Map([
  ["false", "unread"],
  ["true ", "claimed"],
  [" true", "settled"],
]);
const flagLength = 5;

/** `flagAt`: bytes from the line's start to the flag. `canonical`: the line is spelled as `writeLine` spells it. */
export type MailLine = { record: InboxRecord; mark: Mark; flagAt: number; canonical: boolean };

export const flagBytes = (mark: Mark): Buffer => Buffer.from(spellings[mark], "latin1");

/** The line without its newline. */
export function writeLine(record: Omit<InboxRecord, "read">, mark: Mark): { text: string; flagAt: number } {
  const { head, tail } = aroundFlag(record);
  return { text: head + spellings[mark] + tail, flagAt: Buffer.byteLength(head) };
}

/** undefined: not a record. A foreign spelling is read too (`read: true` is settled), but not flipped in place. */
export function readLine(bytes: Uint8Array): MailLine | undefined {
  const text = decode(bytes);
  if (text === undefined) return undefined;
  const record = parseRecord(text);
  if (!record) return readTornFlag(text);
  const { head, tail } = aroundFlag(record);
  const mark = marks.get(text.slice(head.length, head.length + flagLength));
  const canonical =
    mark !== undefined &&
    text.length === head.length + flagLength + tail.length &&
    text.startsWith(head) &&
    text.endsWith(tail);
  return {
    record,
    mark: canonical ? mark : record.read ? "settled" : "unread",
    flagAt: Buffer.byteLength(head),
    canonical,
  };
}

/** Where a whole record begins inside a damaged line; in a record this text has its quotes escaped. */
export function findRecordStart(bytes: Buffer): number {
  return bytes.lastIndexOf('{"thread_id":');
}

/** A fixed order of keys: whatever a body contains, the flag stands right behind `head`. */
function aroundFlag(record: Omit<InboxRecord, "read">): { head: string; tail: string } {
  const { thread_id, from_agent, timestamp, message, id, type, priority, local } = record;
  const head = JSON.stringify({ thread_id, from_agent, timestamp, message });
  const tail = JSON.stringify({ id, type, priority, local });
  return { head: `${head.slice(0, -1)},"read":`, tail: `,${tail.slice(1)}` };
}

/** A flip cut short by a power failure leaves a mix of two spellings; the ledger says what was meant. */
function readTornFlag(text: string): MailLine | undefined {
  // inside a JSON string these quotes would be escaped, so this is the key itself
  const at = text.indexOf(',"read":') + ',"read":'.length;
  if (at < ',"read":'.length || !/^[truefals ]{5}$/.test(text.slice(at, at + flagLength))) return undefined;
  const record = parseRecord(`${text.slice(0, at)}false${text.slice(at + flagLength)}`);
  return (
    record && { record, mark: "claimed", flagAt: Buffer.byteLength(text.slice(0, at)), canonical: false }
  );
}

function parseRecord(text: string): InboxRecord | undefined {
  try {
    const parsed = ReadableRecord.safeParse(JSON.parse(text));
    return parsed.success ? parsed.data : undefined;
  } catch {
    return undefined; // not JSON
  }
}

function decode(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined; // not UTF-8
  }
}
