import { afterAll, describe, expect, test } from "bun:test";
import { type Candidate, choose } from "../../src/inbox/delivery.ts";
import type { Progress } from "../../src/inbox/ledger.ts";
import {
  drain,
  framedReader,
  freshDirectory,
  freshInbox,
  idsOf,
  mail,
  openInbox,
  reader,
  removeDirectories,
} from "./support.ts";

afterAll(removeDirectories);

const candidate = (id: string, message: string, progress?: Progress): Candidate => ({
  record: { ...mail(id, message), read: false },
  progress,
});

describe("what fits", () => {
  test.each([1, 2, 3, 4, 5, 7, 8, 9, 31, 100])("takes exactly the %d oldest that fit", (count) => {
    const candidates = Array.from({ length: 120 }, (_, i) => candidate(`m${i}`, "x"));
    const choice = choose(candidates, 120, reader(count));
    expect(choice?.parts.length).toBe(count);
    expect(choice?.waiting).toBe(120 - count);
    expect(idsOf(choice?.parts ?? [])).toEqual(candidates.slice(0, count).map(({ record }) => record.id));
  });

  test("measures few times, and carries at most 256 messages", () => {
    let measured = 0;
    const candidates = Array.from({ length: 1_000 }, (_, i) => candidate(`m${i}`, ""));
    const choice = choose(candidates, 1_000, {
      maxChars: 1,
      measure: () => {
        measured++;
        return 0;
      },
    });
    expect(choice?.parts.length).toBe(256);
    expect(measured).toBeLessThan(20);
  });

  test("a message that does not fit ends the delivery; none behind it overtakes", () => {
    const choice = choose(
      [candidate("a", "12"), candidate("b", "123456789"), candidate("c", "1")],
      3,
      reader(5),
    );
    expect(idsOf(choice?.parts ?? [])).toEqual(["a"]);
  });

  test("behind a part, nothing of its thread; others go along", () => {
    const half = { cuts: [3, 6, 9], done: 1 };
    const choice = choose(
      [
        candidate("a", "123456789", half),
        { ...candidate("a2", "x"), record: { ...mail("a2", "x", "t-a"), read: false } },
        candidate("b", "y"),
      ],
      3,
      reader(100),
    );
    expect(choice?.parts.map(({ record, part, of, text }) => [record.id, part, of, text])).toEqual([
      ["a", 2, 3, "456"],
      ["b", 1, 1, "y"],
    ]);
    expect(choice?.waiting).toBe(2);
  });

  test("nothing to take, or no room for one character: nothing", () => {
    expect(choose([], 0, reader())).toBeUndefined();
    expect(choose([candidate("a", "😀")], 1, reader(1))).toBeUndefined();
    expect(choose([candidate("a", "ab")], 1, { maxChars: 10, measure: () => 11 })).toBeUndefined();
    expect(choose([candidate("a", "")], 1, { maxChars: 10, measure: () => 11 })).toBeUndefined();
  });
});

describe("splitting", () => {
  const split = (text: string, room: number) => {
    const cuts = choose([candidate("a", text)], 1, reader(room))?.cuts ?? [];
    return cuts.map((cut, i) => text.slice(i === 0 ? 0 : cuts[i - 1], cut));
  };

  test.each([
    ["surrogate pairs stay whole", "😀😀😀", 3, ["😀", "😀", "😀"]],
    ["a pair that just fits is kept", "a😀b😀", 3, ["a😀", "b😀"]],
    ["CR LF stays whole", "ab\r\ncd\r\ne", 3, ["ab", "\r\nc", "d\r\n", "e"]],
    ["after a line break in the last third", "aaaaaaa\nbbbbbbbbbbbb", 10, ["aaaaaaa\n", "bbbbbbbbbb", "bb"]],
    ["not at one further back", "aaa\nbbbbbbbbbbbb", 10, ["aaa\nbbbbbb", "bbbbbb"]],
    [
      "after a space in the last tenth",
      `${"a".repeat(18)} ${"b".repeat(20)}`,
      20,
      [`${"a".repeat(18)} `, "b".repeat(20)],
    ],
    ["lone surrogates are characters", "\ud800\ud800\udc00\udc00", 1, []],
    ["lone surrogates fit two by two", "\ud800\ud800\udc00\udc00", 2, ["\ud800", "\ud800\udc00", "\udc00"]],
  ])("%s", (_, text, room, expected) => {
    expect(split(text, room)).toEqual(expected);
  });

  test("64 KiB arrive whole and in order, each frame within its limit, in both languages", () => {
    const bodies = [
      "😀".repeat(32 * 1024),
      "é<\u001b[1mred\u001b[0m>\r\n".repeat(3_000),
      "\n".repeat(65_536),
      "\u200b".repeat(65_000),
    ];
    for (const [i, body] of bodies.entries()) {
      const inbox = freshInbox();
      inbox.append([mail("long", body), mail("next", "n", "t-long")]);
      const request = framedReader(9_000, i % 2 === 0 ? "en" : "fr");
      const parts = drain(inbox, request);
      const long = parts.filter(({ record }) => record.id === "long");
      expect(long.map(({ text }) => text).join("")).toBe(body);
      expect(long.map(({ part, of }) => [part, of])).toEqual(long.map((_, n) => [n + 1, long.length]));
      expect(idsOf(parts).at(-1)).toBe("next");
      for (const part of long) {
        expect(request.measure([part], 99)).toBeLessThanOrEqual(9_000);
        expect(part.text.isWellFormed()).toBe(true);
      }
    }
  }, 60_000);

  test("the boundaries stay when the next reader has another budget, over a restart too", () => {
    const directory = freshDirectory();
    const text = "0123456789".repeat(10);
    const inbox = openInbox(directory);
    inbox.append([mail("long", text)]);
    inbox.confirm(inbox.claim(reader(30))?.nonce ?? "");
    inbox.close();
    const rest = drain(openInbox(directory), reader(60, { carrier: "tool" }));
    expect(rest.map(({ part, of, text }) => [part, of, text.length])).toEqual([
      [2, 4, 30],
      [3, 4, 30],
      [4, 4, 10],
    ]);
  });

  test("a part that no longer fits is cut again; what was read keeps its number", () => {
    const text = "0123456789".repeat(5);
    const inbox = freshInbox();
    inbox.append([mail("long", text)]);
    const first = inbox.claim(reader(25));
    inbox.confirm(first?.nonce ?? "");
    const rest = drain(inbox, reader(10));
    expect(rest.map(({ part, of, text }) => [part, of, text.length])).toEqual([
      [2, 4, 10],
      [3, 4, 10],
      [4, 4, 5],
    ]);
    expect((first?.parts[0]?.text ?? "") + rest.map((part) => part.text).join("")).toBe(text);
  });

  test("a part that was cut again and dropped comes again, not the parts before it", () => {
    const inbox = freshInbox();
    inbox.append([mail("long", "0123456789".repeat(5))]);
    inbox.confirm(inbox.claim(reader(25))?.nonce ?? "");
    const second = inbox.claim(reader(10));
    inbox.drop(second?.nonce ?? "");
    expect(inbox.claim(reader(10))?.parts).toEqual(second?.parts);
  });

  test("a first part that never arrived leaves no boundary behind", () => {
    const inbox = freshInbox();
    inbox.append([mail("long", "x".repeat(50))]);
    inbox.drop(inbox.claim(reader(20))?.nonce ?? "");
    expect(drain(inbox, reader(100)).map(({ part, of }) => [part, of])).toEqual([[1, 1]]);
  });

  test("a dropped part comes again as the same part", () => {
    const inbox = freshInbox();
    inbox.append([mail("long", "x".repeat(50))]);
    inbox.confirm(inbox.claim(reader(20))?.nonce ?? "");
    const second = inbox.claim(reader(20));
    expect([inbox.unread, inbox.waitingOnClaim]).toEqual([1, 1]);
    inbox.drop(second?.nonce ?? "");
    expect(inbox.claim(reader(20))?.parts).toEqual(second?.parts);
  });
});
