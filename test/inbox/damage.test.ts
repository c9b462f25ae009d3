// A disk that cut or zeroed the end of a file. Oracle: a message that stands whole in the file is never lost, and
// what the hub sends again is delivered once. A lost ledger may cost a visible duplicate.
import { afterAll, describe, expect, test } from "bun:test";
import { cpSync, existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import {
  type Arriving,
  damage,
  drain,
  filesOf,
  freshDirectory,
  idsOf,
  mail,
  openInbox,
  quiet,
  reader,
  removeDirectories,
} from "./support.ts";

afterAll(removeDirectories);

quiet(); // thousands of damaged files, each of which would be told

const all: Arriving[] = [
  mail("seen", "seen 😀"),
  mail("context"),
  mail("claimed", 'claimed "read":false'),
  mail("half", "0123456789".repeat(3)),
  mail("unread", "unread é"),
];

/** One message in each state; the claim of the second is proved, the third's is open, one of three parts is read. */
function original(): string {
  const directory = freshDirectory();
  const inbox = openInbox(directory);
  for (const record of all.slice(0, 3)) {
    inbox.append([record]);
    const { nonce = "" } = inbox.claim(reader()) ?? {};
    if (record.id === "seen") inbox.markSeen(nonce);
    if (record.id === "context") inbox.confirm(nonce);
  }
  inbox.append(all.slice(3, 4));
  inbox.markSeen(inbox.claim(reader(10))?.nonce ?? "");
  inbox.append(all.slice(4));
  expect(inbox.openClaims().map(({ inContext }) => inContext)).toEqual([true, false]);
  return directory;
}

const kinds = {
  "cut off": (bytes: Buffer, at: number) => bytes.subarray(0, at),
  "zero-filled": (bytes: Buffer, at: number) =>
    Buffer.concat([bytes.subarray(0, at), Buffer.alloc(bytes.length - at)]),
};
const template = original();

const copy = freshDirectory();

/** One at a time: thousands are made. */
function damagedCopy(file: "mail" | "ledger", change: (bytes: Buffer) => Buffer): string {
  rmSync(copy, { recursive: true, force: true });
  cpSync(template, copy, { recursive: true });
  damage(filesOf(copy)[file], change);
  return copy;
}

describe.each(Object.entries(kinds))("a tail that is %s", (_, change) => {
  const { mail: mailPath, ledger: ledgerPath } = filesOf(template);
  const bytes = readFileSync(mailPath);
  const ends = [...bytes.entries()].filter(([, byte]) => byte === 0x0a).map(([at]) => at);

  test("at any byte of the mail file: whole records stay, the rest can come again", () => {
    for (let at = 0; at <= bytes.length; at++) {
      const directory = damagedCopy("mail", (whole) => change(whole, at));
      const inbox = openInbox(directory);
      // a record whose newline alone is missing is whole
      const whole = all.filter((_, i) => (ends[i] ?? 0) <= at).map(({ id }) => id);
      expect([at, inbox.records().map(({ id }) => id)]).toEqual([at, whole]);
      expect(inbox.records()).toEqual(openInbox(directory).records());
      // neither the proof nor the hub's knowledge was damaged: whoever is gone is sent again
      inbox.append(all);
      for (const { nonce, inContext } of inbox.openClaims())
        inContext ? inbox.forget(nonce) : inbox.drop(nonce);
      const expected = all.filter(({ id }) => !whole.includes(id) || (id !== "seen" && id !== "context"));
      expect([at, [...new Set(idsOf(drain(inbox)))]]).toEqual([at, expected.map(({ id }) => id)]);
    }
  }, 60_000);

  test("at any byte of the ledger: nothing is lost, and nothing proved and settled comes again", () => {
    const length = readFileSync(ledgerPath).length;
    for (let at = 0; at < length - 1; at++) {
      const directory = damagedCopy("ledger", (whole) => change(whole, at));
      const inbox = openInbox(directory);
      expect([at, inbox.openClaims().length]).toEqual([at, 0]);
      expect([at, idsOf(drain(inbox))]).toEqual([at, ["claimed", "half", "unread"]]);
      expect(openInbox(directory).unread).toBe(0);
    }
  }, 60_000);
});

test("damaged lines are set aside with the rest going on, and only once", () => {
  const directory = freshDirectory();
  const inbox = openInbox(directory);
  inbox.append([mail("a"), mail("b"), mail("c")]);
  const path = filesOf(directory);
  const [first = "", second = "", third = ""] = readFileSync(path.mail, "utf8").split("\n");
  writeFileSync(
    path.mail,
    `${first}\n{"thread_id":"torn\n\n\0\0\0\nnot json\n${second.slice(0, 40)}${third}\n${first}\n`,
  );
  const mended = openInbox(directory);
  expect(mended.records().map(({ id }) => id)).toEqual(["a", "c"]);
  expect(readFileSync(path.corrupt, "utf8")).toBe(
    `{"thread_id":"torn\n\nnot json\n${second.slice(0, 40)}\n`.replace("\n\n", "\n"),
  );
  const before = readFileSync(path.corrupt, "utf8");
  expect(openInbox(directory).unread).toBe(2);
  expect(readFileSync(path.corrupt, "utf8")).toBe(before);
});

test("bytes that are not UTF-8 are set aside unchanged", () => {
  const directory = freshDirectory();
  openInbox(directory).append([mail("a"), mail("b")]);
  const path = filesOf(directory);
  damage(path.mail, (bytes) => {
    bytes[bytes.indexOf("body of a")] = 0xff;
    return bytes;
  });
  expect(
    openInbox(directory)
      .records()
      .map(({ id }) => id),
  ).toEqual(["b"]);
  expect(readFileSync(path.corrupt).includes(0xff)).toBe(true);
});

test("a read flag cut in two by a power failure is what the ledger says, else unread", () => {
  for (const torn of ["tr lse", "trlse", "fue  ", "falsr", "tru e"].map((flag) => flag.slice(0, 5))) {
    const directory = freshDirectory();
    const inbox = openInbox(directory);
    inbox.append([mail("a"), mail("b")]);
    inbox.claim(reader(9));
    const path = filesOf(directory);
    damage(path.mail, (bytes) =>
      Buffer.from(bytes.toString().replace("true ", torn).replace('"read":false', `"read":${torn}`)),
    );
    const mended = openInbox(directory);
    expect(mended.records().map(({ id, read }) => [id, read])).toEqual([
      ["a", true],
      ["b", false],
    ]);
    expect(existsSync(path.corrupt)).toBe(false);
  }
});

test("a ledger of another session, or of a later version, is not believed", () => {
  for (const change of [
    (text: string) => text.replace(/s-2026\d+-\w+/, "s-other"),
    (text: string) => text.replace('"version":1', '"version":2'),
    (text: string) => text.replace(/"nonce":"\w+"/, '"nonce":"x"'),
  ]) {
    const directory = damagedCopy("ledger", (bytes) => Buffer.from(change(bytes.toString())));
    const inbox = openInbox(directory);
    expect([inbox.openClaims().length, inbox.unread]).toEqual([0, 3]);
  }
});

test("a damaged list of remembered ids is read as far as it goes", () => {
  const directory = freshDirectory();
  const options = { compactAbove: 1_000 };
  const inbox = openInbox(directory, options);
  const old = [mail("a", "x".repeat(900)), mail("b", "x".repeat(900))];
  inbox.append(old);
  drain(inbox);
  expect(readFileSync(filesOf(directory).ids, "utf8")).toBe('"a"\n"b"\n');
  damage(filesOf(directory).ids, (bytes) => Buffer.from(`\0\0{}\n${bytes}"c`));
  const reopened = openInbox(directory, options);
  reopened.append([...old, mail("c")]);
  expect(idsOf(drain(reopened))).toEqual(["c"]);
});
