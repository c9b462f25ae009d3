// A disk that cut or zeroed the end of a file. Oracle: a message that stands whole in the file is never lost, and
// what the hub sends again is delivered once. A lost ledger may cost a visible duplicate.
import { afterAll, describe, expect, test } from "bun:test";
import { cpSync, existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { forgetLoss, notedLoss, noteLoss, sessionsWithLoss } from "../../src/inbox/loss.ts";
import { diesAt } from "../rig/dies.ts";
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
  sessionId,
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

describe("what the hub must be asked about", () => {
  /** `before` and `after`: whole lines without their newlines */
  const cases: [string, boolean, (before: string, after: string) => string][] = [
    ["nothing", false, (a, b) => `${a}\n${b}\n`],
    ["a newline that is missing at the end", false, (a, b) => `${a}\n${b}`],
    ["a blank line", false, (a, b) => `${a}\n\n${b}\n`],
    ["a record in another spelling", false, (a, b) => `${JSON.stringify(JSON.parse(a), null, 0)}\n ${b}\n`],
    ["the same record twice", false, (a, b) => `${a}\n${a}\n${b}\n`],
    ["a flag cut in two", false, (a, b) => `${a}\n${b.replace('"read":false', '"read":trlse')}\n`],
    ["a line cut off", true, (a, b) => `${a}\n${b.slice(0, 30)}`],
    ["a line cut off before another", true, (a, b) => `${a.slice(0, 30)}${b}\n`],
    ["a changed byte", true, (a, b) => `${a}\n${b.replace("thread_id", "thread\0id")}\n`],
    ["a line of zeros", true, (a, b) => `${a}\n${"\0".repeat(b.length)}\n`],
    ["zeros where a line and its newline were", true, (a, b) => `${"\0".repeat(a.length + 1)}${b}\n`],
    ["zeros at the end", true, (a, b) => `${a}\n${"\0".repeat(b.length + 1)}`],
  ];
  test.each(cases)("%s: %p", (_, loss, change) => {
    const directory = freshDirectory();
    openInbox(directory).append([mail("a"), mail("b")]);
    const [before = "", after = ""] = readFileSync(filesOf(directory).mail, "utf8").split("\n");
    damage(filesOf(directory).mail, () => Buffer.from(change(before, after)));
    openInbox(directory);
    expect(sessionsWithLoss(directory)).toEqual(loss ? [sessionId] : []);
    expect(notedLoss(filesOf(directory).mail) !== undefined).toBe(loss);
  });

  test("a loss that is found while the one before is looked into stays noted", () => {
    const directory = freshDirectory();
    const path = openInbox(directory).path;
    expect(notedLoss(path)).toBeUndefined();
    noteLoss(path);
    const first = notedLoss(path);
    noteLoss(path);
    forgetLoss(path, first);
    expect(sessionsWithLoss(directory)).toEqual([sessionId]);
    forgetLoss(path, notedLoss(path));
    expect(sessionsWithLoss(directory)).toEqual([]);
  });

  test.each([
    "inbox.load.quarantined:1",
    "replace-file.before-rename:1",
    "replace-file.after-rename:1",
    "inbox.load.noted:1",
    "replace-file.before-rename:2",
    "replace-file.after-rename:2",
  ])("a kill at %s leaves the note, or the damage that it is made of", async (crash) => {
    const directory = freshDirectory();
    openInbox(directory).append([mail("a"), mail("b")]);
    damage(filesOf(directory).mail, (bytes) => bytes.subarray(0, bytes.length - 20));
    const source = `import { Inbox } from "${import.meta.dir}/../../src/inbox/inbox.ts";
      Inbox.open(${JSON.stringify({ directory, sessionId, unreadLimit: 9 })});`;
    await diesAt(crash, source);
    expect(
      openInbox(directory)
        .records()
        .map(({ id }) => id),
    ).toEqual(["a"]);
    expect(sessionsWithLoss(directory)).toEqual([sessionId]);
  });

  test("known is what stands in the file or was compacted, not what was given back or damaged", () => {
    const directory = freshDirectory();
    const options = { compactAbove: 1_000 };
    const inbox = openInbox(directory, options);
    inbox.append([mail("old", "x".repeat(900)), mail("older", "x".repeat(900))]);
    drain(inbox);
    inbox.append([mail("back"), mail("damaged"), mail("standing")]);
    inbox.removeReturned(["back"]);
    damage(filesOf(directory).mail, (bytes) =>
      Buffer.from(bytes.toString().replace("body of d", "body\0of d")),
    );
    const ids = ["old", "older", "back", "damaged", "standing", "other"];
    for (const one of [openInbox(directory, options), openInbox(directory, options)])
      expect(ids.filter((id) => one.knows(id))).toEqual(["old", "older", "standing"]);
  });
});
