// `install` and `uninstall` over settings of every formatting: everything else keeps its bytes, nothing of ours remains.
import { describe, expect, test } from "bun:test";
import { claude } from "../../src/integrations/claude.ts";
import {
  commandsOf,
  foreignGroup,
  ourEvents,
  pretty,
  read,
  readJson,
  snapshot,
  testHome,
  withoutOurs,
  write,
} from "./claude-home.ts";

/** What people's settings look like; each must come back byte for byte. */
const odd: Record<string, string> = {
  compact: '{"model":"opus","hooks":{"Stop":[{"hooks":[{"type":"command","command":"x"}]}]}}',
  "two spaces, final newline": `${pretty}\n`,
  "two spaces, no final newline": pretty,
  "four spaces": JSON.stringify(JSON.parse(pretty), null, 4),
  tabs: `${JSON.stringify(JSON.parse(pretty), null, "\t")}\n`,
  CRLF: `${pretty.replaceAll("\n", "\r\n")}\r\n`,
  "lone CR": pretty.replaceAll("\n", "\r"),
  "byte order mark": `\ufeff${pretty}\n`,
  "byte order mark, compact": '\ufeff{"a":1}',
  "empty object": "{}",
  "empty object, final newline": "{}\n",
  "empty object over two lines": "{\n}\n",
  "empty object with a blank": "{ }",
  "empty file": "",
  "a single newline": "\n",
  "only a byte order mark": "\ufeff",
  "blank lines inside": '\n\n{\n\n  "a": 1\n\n,\n "b":2\n\n\n}\n\n\n',
  "leading commas": '{ "a": 1\n, "b": 2\n, "hooks":\n  { "Stop": [ ]\n  }\n}\n',
  "one-line object with blanks": '{ "a" : 1 , "hooks" : { "Stop" : [ ] } }',
  "empty hooks": '{\n  "hooks": {},\n  "mcpServers": {}\n}',
  "empty hooks over lines": '{\n  "hooks": {\n  },\n  "z": null\n}',
  "empty event lists": '{\n  "hooks": {\n    "Stop": [],\n    "PostToolBatch": [\n    ]\n  }\n}',
  "big and precise numbers": '{\n  "n": 12345678901234567890123,\n  "f": 1.10,\n  "e": 1E+2,\n  "z": -0\n}',
  escapes: '{\n  "a\\u0041\\/": "\\u00e9 \\ud83d\\ude00 é 😀 \\t",\n  "b": "\u2028"\n}',
  "an escaped key": '{\n  "hoo\\u006bs": {"Stop": [{"hooks": []}]}\n}',
  "doubled keys": '{"hooks":{"Stop":[]},"a":1,"a":2,"hooks":{"PreToolUse":[]}}',
  "mixed indentation":
    '{\n\t"a": {\n        "b": [1,\n2]},\n   "hooks": {\n\t\t"Stop": [{\n "hooks": [\n]}]}}',
  "list on one line in readable text": `{\n  "hooks": {\n    "Stop": [${JSON.stringify(foreignGroup)}]\n  }\n}\n`,
  "trailing blanks": '{\n  "a": 1   \n}   \n   ',
  "__proto__ as a key": '{\n  "__proto__": {"hooks": 1},\n  "constructor": 2\n}',
  "foreign hooks in our events": JSON.stringify(
    { hooks: Object.fromEntries(ourEvents.map((event) => [event, [foreignGroup, foreignGroup]])) },
    null,
    2,
  ),
};

describe.each(Object.entries(odd))("settings with %s", (_name, text) => {
  test("install changes nothing but our entries, uninstall gives every byte back", async () => {
    const { root, options, settings, globalConfig } = testHome({
      ".claude/settings.json": text,
      ".claude.json": text,
    });
    const before = snapshot(root);
    await claude.install(options);
    for (const path of [settings, globalConfig]) {
      const value = JSON.parse(text.replace(/^\ufeff/, "").trim() || "{}");
      expect(withoutOurs(readJson(path))).toEqual(withoutOurs(value));
      expect(read(path).startsWith("\ufeff")).toBe(text.startsWith("\ufeff"));
    }
    for (const event of ourEvents)
      expect(commandsOf(readJson(settings), event).join("\n")).toContain("check-inbox --format hook");
    expect(await claude.check(options)).toMatchObject({ state: "current", differences: [] });
    await claude.uninstall(options);
    expect(snapshot(root)).toEqual(before);
  });

  test("a second install changes nothing", async () => {
    const { root, options } = testHome({ ".claude/settings.json": text, ".claude.json": text });
    await claude.install(options);
    const once = snapshot(root);
    expect((await claude.install(options)).changes).toEqual([]);
    expect(snapshot(root)).toEqual(once);
  });

  test("without our backups, uninstall still leaves nothing of ours and all of theirs", async () => {
    const { root, options, settings, globalConfig } = testHome({
      ".claude/settings.json": text,
      ".claude.json": text,
    });
    await claude.install(options);
    await claude.uninstall({ ...options, home: `${root}/another-home` });
    for (const path of [settings, globalConfig]) {
      const value = JSON.parse(text.replace(/^\ufeff/, "").trim() || "{}");
      expect(withoutOurs(readJson(path))).toEqual(withoutOurs(value));
      expect(read(path)).not.toContain("intercom");
    }
  });

  test("their change in between survives uninstall", async () => {
    const { options, settings } = testHome({ ".claude/settings.json": text });
    await claude.install(options);
    const touched = read(settings).replace(/\}\s*$/, ', "added": [1]}');
    write(settings, touched);
    await claude.uninstall(options);
    const value = { ...JSON.parse(text.replace(/^\ufeff/, "").trim() || "{}"), added: [1] };
    expect(readJson(settings)).toEqual(value);
  });
});
