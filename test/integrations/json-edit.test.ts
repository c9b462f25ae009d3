// Text edits of JSON: what was appended and removed again leaves every byte, in files of any formatting. The random
// files come from a seed; a failure prints it.
import { describe, expect, test } from "bun:test";
import { hooksEditor } from "../../src/integrations/claude-hooks.ts";
import { serverEditor } from "../../src/integrations/claude-server.ts";
import { appendItem, appendMember, removeAt, replaceValue } from "../../src/integrations/json-edit.ts";
import { JsonFault, parseJsonText } from "../../src/integrations/json-text.ts";
import { withoutOurs } from "./claude-home.ts";
import { randomFrom, Scribe } from "./scribe.ts";

const rounds = 400;

const options = { program: ["/opt/ai-intercom"] as const, home: "/h", env: {} };
const parse = (text: string): unknown => JSON.parse(text.replace(/^\ufeff/, ""));

describe.each([hooksEditor("settings.json", options), serverEditor(".claude.json", options)])(
  "$path",
  (editor) => {
    test(`${rounds} random files: added, found current, removed to the byte`, () => {
      for (let seed = 1; seed <= rounds; seed++) {
        const text = new Scribe(seed).settings();
        try {
          const added = editor.add(text);
          expect(added.what.length).toBeGreaterThan(0);
          expect(withoutOurs(parse(added.text))).toEqual(withoutOurs(parse(text)));
          expect(editor.add(added.text)).toMatchObject({ text: added.text, what: [] });
          const removed = editor.remove(added.text, text);
          expect(removed.text).toBe(text);
          expect(withoutOurs(parse(editor.remove(added.text, undefined).text))).toEqual(
            withoutOurs(parse(text)),
          );
        } catch (cause) {
          throw new Error(`seed ${seed}: ${JSON.stringify(text)}`, { cause });
        }
      }
    });
  },
);

describe("single edits", () => {
  test.each([
    ["{}", '{\n  "k": [\n    1\n  ]\n}'],
    ["{ }", '{ \n  "k": [\n    1\n  ]\n}'],
    ['{"a":1}', '{"a":1,"k":[1]}'],
    ['{"a": 1}', '{"a": 1, "k": [1]}'],
    ['{ "a": 1 }', '{ "a": 1, "k": [1] }'],
    ['{\n\t"a": 1\n}', '{\n\t"a": 1,\n\t"k": [\n\t\t1\n\t]\n}'],
    ['{\n    "a": 1,\n    "b": 2 }', '{\n    "a": 1,\n    "b": 2,\n    "k": [\n        1\n    ] }'],
    ['{\n "a": {\n  "b": 1}}', '{\n "a": {\n  "b": 1},\n "k": [\n  1\n ]}'],
  ])("a member appended to %j", (before, after) => {
    expect(appendMember(before, [], "k", [1])).toBe(after);
    expect(removeAt(after, ["k"])).toBe(before);
  });

  test("an item appended to an empty list opens it where its surroundings are lines", () => {
    expect(appendItem('{\n  "a": []\n}', ["a"], 1)).toBe('{\n  "a": [\n    1\n  ]\n}');
    expect(appendItem('{"a":[]}', ["a"], 1)).toBe('{"a":[1]}');
    expect(appendItem("[\n]", [], 1)).toBe("[\n  1\n]");
  });

  test("the first of several goes with its comma, and so does the last", () => {
    expect(removeAt("[ 1 ,\n 2 ,  3 ]", [0])).toBe("[ 2 ,  3 ]");
    expect(removeAt("[ 1 ,\n 2 ,  3 ]", [1])).toBe("[ 1 ,\n 3 ]");
    expect(removeAt("[ 1 ,\n 2 ,  3 ]", [2])).toBe("[ 1 ,\n 2 ]");
  });

  test("of a doubled key the last one counts, as for every reader", () => {
    expect(replaceValue('{"a":1,"a":2}', ["a"], 3)).toBe('{"a":1,"a":3}');
    expect(removeAt('{"a":1,"a":2}', ["a"])).toBe('{"a":1}');
  });

  test("a place that is not there is a fault of ours", () => {
    expect(() => removeAt("{}", ["a"])).toThrow("nothing at a");
    expect(() => appendItem("{}", [], 1)).toThrow("no list at");
    expect(() => appendMember("[]", [], "a", 1)).toThrow("no object at");
    expect(() => replaceValue("[1]", [1], 1)).toThrow("nothing at 1");
  });
});

describe("the parser agrees with JSON.parse on what JSON is", () => {
  const fragments = [
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    '"a"',
    '"\\',
    "1",
    "-",
    "01",
    "1.",
    ".5",
    "1e",
    "tru",
    "true",
    " ",
    "\n",
    "//",
    "\u00a0",
    "'a'",
    '"\t"',
    '"\\x"',
    "+1",
    "NaN",
    "null",
  ];
  test("for random scraps and for torn files", () => {
    const random = randomFrom(7);
    const scrap = () => fragments[Math.floor(random() * fragments.length)] ?? "";
    for (let round = 0; round < 5000; round++) {
      const text = Array.from({ length: 1 + Math.floor(random() * 6) }, scrap).join("");
      expect(`${text}: ${accepts(() => parseJsonText(text))}`).toBe(
        `${text}: ${accepts(() => JSON.parse(text))}`,
      );
    }
    for (let seed = 1; seed < 200; seed++) {
      const whole = new Scribe(seed)
        .settings()
        .replace(/^\ufeff/, "")
        .trim();
      const torn = whole.slice(0, Math.floor(random() * whole.length));
      expect(() => parseJsonText(torn)).toThrow(JsonFault);
    }
  });

  function accepts(parsing: () => unknown): boolean {
    try {
      parsing();
      return true;
    } catch {
      return false;
    }
  }
});
