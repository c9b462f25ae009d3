// `install` and `uninstall` for Claude Code: what is written, that everything else keeps its bytes, that nothing
// remains, and that a file which cannot be understood is left alone.
import { describe, expect, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  statSync,
  symlinkSync,
  utimesSync,
} from "node:fs";
import { claude } from "../../src/integrations/claude.ts";
import {
  commandsOf,
  ourEvents,
  read,
  readJson,
  snapshot,
  testHome,
  withoutOurs,
  write,
} from "./claude-home.ts";

const foreign = { type: "command", command: "echo mine", timeout: 5 };
const foreignGroup = { matcher: "Bash|mcp__.*", hooks: [foreign] };
const pretty = JSON.stringify(
  {
    model: "opus",
    hooks: { Stop: [foreignGroup], PreToolUse: [foreignGroup] },
    permissions: { allow: ["Bash"] },
  },
  null,
  2,
);

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
      expect(commandsOf(readJson(settings), event).at(-1)).toEndWith("check-inbox --format hook");
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

describe("what install writes", () => {
  test("hooks with the schema, units and commands that Claude Code wants", async () => {
    const { options, settings, root } = testHome();
    await claude.install(options);
    const guard = `[ -e "\${AI_INTERCOM_HOME:-${root}/.config/ai-intercom}/inbox/pending/$PPID" ] || exit 0; `;
    const run = `[ -x "${root}/bin/ai-intercom" ] || exit 0; unset BUN_OPTIONS BUN_BE_BUN; exec "${root}/bin/ai-intercom" check-inbox --format hook`;
    const group = (command: string) => [{ hooks: [{ type: "command", command, timeout: 30 }] }];
    expect(readJson(settings)).toEqual({
      hooks: {
        UserPromptSubmit: group(guard + run),
        PostToolBatch: group(guard + run),
        Stop: group(guard + run),
        SessionStart: group(run),
      },
    });
  });

  test("the MCP server with the home it shall use, as lines that a person can read", async () => {
    const { options, globalConfig, root, home } = testHome();
    await claude.install(options);
    const server = {
      type: "stdio",
      command: `${root}/bin/ai-intercom`,
      args: ["mcp-server"],
      env: { AI_INTERCOM_HOME: home },
    };
    expect(read(globalConfig)).toBe(
      `${JSON.stringify({ mcpServers: { "ai-intercom": server } }, null, 2)}\n`,
    );
  });

  test("a program of several words, as when run from source", async () => {
    const { options, settings, globalConfig } = testHome();
    await claude.install({ ...options, program: ["/usr/bin/bun", "/src/my project/main.ts"] });
    expect(commandsOf(readJson(settings), "Stop")[0]).toEndWith(
      'exec "/usr/bin/bun" "/src/my project/main.ts" check-inbox --format hook',
    );
    expect(readJson(globalConfig)).toMatchObject({
      mcpServers: {
        "ai-intercom": { command: "/usr/bin/bun", args: ["/src/my project/main.ts", "mcp-server"] },
      },
    });
  });

  test("another home than the usual is told to the program", async () => {
    const { options, settings } = testHome();
    await claude.install({ ...options, home: "/srv/other" });
    for (const event of ourEvents)
      expect(commandsOf(readJson(settings), event)[0]).toContain(
        `export AI_INTERCOM_HOME="\${AI_INTERCOM_HOME:-/srv/other}"; exec`,
      );
  });

  test("foreign hooks keep their place before ours, and their order", async () => {
    const { options, settings } = testHome({
      ".claude/settings.json": odd["foreign hooks in our events"] ?? "",
    });
    await claude.install(options);
    for (const event of ourEvents)
      expect(commandsOf(readJson(settings), event)).toEqual([
        "echo mine",
        "echo mine",
        expect.stringContaining("check-inbox"),
      ]);
  });

  test("in the style of the file: tabs and CRLF", async () => {
    const { options, settings } = testHome({
      ".claude/settings.json": '{\r\n\t"hooks": {\r\n\t\t"PreToolUse": []\r\n\t}\r\n}\r\n',
    });
    await claude.install(options);
    const lines = read(settings).split("\r\n");
    expect(lines.slice(2, 8)).toEqual([
      '\t\t"PreToolUse": [],',
      '\t\t"UserPromptSubmit": [',
      "\t\t\t{",
      '\t\t\t\t"hooks": [',
      "\t\t\t\t\t{",
      '\t\t\t\t\t\t"type": "command",',
    ]);
    expect(read(settings).replaceAll("\r\n", "")).not.toContain("\n");
  });

  test("the report names every change, and the dry run makes none", async () => {
    const { root, options, settings, globalConfig } = testHome({ ".claude/settings.json": pretty });
    const before = snapshot(root);
    const plan = await claude.install({ ...options, dryRun: true });
    expect(snapshot(root)).toEqual(before);
    expect(existsSync(options.home)).toBe(false);
    const done = await claude.install(options);
    expect(done.changes).toEqual(plan.changes);
    expect(done.changes).toEqual([
      ...ourEvents.map((event) => ({ file: settings, what: `hooks.${event}: adds the inbox hook` })),
      { file: globalConfig, what: "mcpServers.ai-intercom: adds the MCP server" },
    ]);
    expect(done.notes.join()).toContain("restarted");
    const installed = snapshot(root);
    const removal = await claude.uninstall({ ...options, dryRun: true });
    expect(snapshot(root)).toEqual(installed);
    expect((await claude.uninstall(options)).changes).toEqual(removal.changes);
    expect(removal.changes).toHaveLength(5);
  });
});

describe("entries of ours from before", () => {
  test("another binary, another home, an older form: replaced in place, not doubled", async () => {
    const { options, settings, globalConfig } = testHome();
    await claude.install({ ...options, program: ["/old/place/ai-intercom"], home: "/old/home" });
    expect((await claude.check(options)).state).toBe("outdated");
    const report = await claude.install(options);
    expect(report.changes.map(({ what }) => what)).toEqual([
      ...ourEvents.map((event) => `hooks.${event}: updates the inbox hook`),
      "mcpServers.ai-intercom: updates the MCP server",
    ]);
    for (const event of ourEvents) expect(commandsOf(readJson(settings), event)).toHaveLength(1);
    for (const path of [settings, globalConfig]) expect(read(path)).not.toContain("/old/");
    expect((await claude.check(options)).state).toBe("current");
  });

  test("doubled entries and events no longer used are taken away; a neighbour in our group stays", async () => {
    const ours = { type: "command", command: "exec /x/ai-intercom check-inbox --format hook" };
    const { options, settings } = testHome({
      ".claude/settings.json": JSON.stringify({
        hooks: {
          PostToolUse: [{ matcher: "*", hooks: [ours] }],
          Stop: [{ hooks: [ours, foreign, ours] }, foreignGroup, { hooks: [ours] }],
        },
      }),
    });
    await claude.install(options);
    const after = readJson(settings);
    expect(commandsOf(after, "PostToolUse")).toEqual([]);
    expect(commandsOf(after, "Stop")).toEqual([
      expect.stringContaining("|| exit 0"),
      "echo mine",
      "echo mine",
    ]);
    await claude.uninstall(options);
    expect(readJson(settings)).toEqual({ hooks: { Stop: [{ hooks: [foreign] }, foreignGroup] } });
  });

  test("an installation by another home is taken over, and its entries do not come back on uninstall", async () => {
    const { root, options, settings } = testHome({ ".claude/settings.json": pretty });
    await claude.install({ ...options, home: `${root}/.config/one` });
    await claude.install({ ...options, home: `${root}/.config/two` });
    await claude.uninstall({ ...options, home: `${root}/.config/two` });
    expect(read(settings)).toBe(pretty);
  });

  test("other fields of the person on our entries are theirs", async () => {
    const { options, settings, globalConfig } = testHome();
    await claude.install(options);
    const server = read(globalConfig).replace('"env": {', '"timeout": 9, "env": {"DEBUG": "1",');
    const hooks = read(settings).replace(
      '"hooks": [\n          {',
      '"matcher": "", "hooks": [{"statusMessage": "…",',
    );
    write(globalConfig, server);
    write(settings, hooks);
    expect((await claude.install(options)).changes).toEqual([]);
    expect([read(globalConfig), read(settings)]).toEqual([server, hooks]);
  });

  test("uninstall where nothing is installed changes nothing", async () => {
    const { root, options } = testHome({ ".claude/settings.json": pretty, ".claude.json": "{ }" });
    const before = snapshot(root);
    expect((await claude.uninstall(options)).changes).toEqual([]);
    expect(snapshot(root)).toEqual(before);
  });
});

describe("files and directories", () => {
  test("what did not exist is created privately, and gone after uninstall", async () => {
    const { root, options, settings, globalConfig } = testHome();
    await claude.install(options);
    expect([settings, globalConfig].map((path) => statSync(path).mode & 0o777)).toEqual([0o600, 0o600]);
    await claude.uninstall(options);
    expect(snapshot(root)).toEqual({});
  });

  test("a created file that got other content keeps it, and its directory stays", async () => {
    const { options, settings, globalConfig } = testHome();
    await claude.install(options);
    write(settings, read(settings).replace("{", '{"model": "opus", '));
    await claude.uninstall(options);
    expect(readJson(settings)).toEqual({ model: "opus" });
    expect(existsSync(globalConfig)).toBe(false);
  });

  test("a created file rewritten by the agent with nothing else in it goes", async () => {
    const { options, globalConfig, root } = testHome();
    await claude.install(options);
    write(globalConfig, JSON.stringify(readJson(globalConfig)));
    await claude.uninstall(options);
    expect(snapshot(root)).toEqual({});
  });

  test("CLAUDE_CONFIG_DIR moves both files, even one that does not exist yet", async () => {
    const { root, options } = testHome({ marker: "" });
    const env = { HOME: root, CLAUDE_CONFIG_DIR: `${root}/deep/er/config` };
    await claude.install({ ...options, env });
    expect(readdirSync(`${root}/deep/er/config`).sort()).toEqual([".claude.json", "settings.json"]);
    expect(existsSync(`${root}/.claude.json`)).toBe(false);
    await claude.uninstall({ ...options, env });
    expect(Object.keys(snapshot(root))).toEqual(["marker"]);
  });

  test("an early global configuration, .config.json, is used where the client uses it", async () => {
    const { root, options } = testHome({ ".claude/.config.json": '{"a":1}', ".claude.json": '{"b":1}' });
    await claude.install(options);
    expect(readJson(`${root}/.claude/.config.json`)).toHaveProperty("mcpServers");
    expect(read(`${root}/.claude.json`)).toBe('{"b":1}');
  });

  test("a symlinked file is edited behind its link; mode and link stay", async () => {
    const { root, options, settings } = testHome({ "dotfiles/claude.json": `${pretty}\n`, ".claude/x": "" });
    symlinkSync("../dotfiles/claude.json", settings);
    chmodSync(`${root}/dotfiles/claude.json`, 0o644);
    const before = snapshot(root);
    await claude.install(options);
    expect(readlinkSync(settings)).toBe("../dotfiles/claude.json");
    expect(read(`${root}/dotfiles/claude.json`)).toContain("check-inbox");
    expect(statSync(settings).mode & 0o777).toBe(0o644);
    await claude.uninstall(options);
    expect(snapshot(root)).toEqual(before);
  });

  test("a dangling symlink gets its target, and keeps dangling after uninstall", async () => {
    const { root, options, settings } = testHome({ ".claude/x": "" });
    symlinkSync("../dotfiles/claude.json", settings);
    const before = snapshot(root);
    await claude.install(options);
    expect(read(`${root}/dotfiles/claude.json`)).toContain("check-inbox");
    expect(lstatSync(settings).isSymbolicLink()).toBe(true);
    await claude.uninstall(options);
    expect(snapshot(root)).toEqual(before);
  });

  test("the backup holds the original, privately, under a name with the time", async () => {
    const { options, home } = testHome({ ".claude/settings.json": pretty });
    await claude.install(options);
    const [name = ""] = readdirSync(`${home}/backups`).filter((file) => file.startsWith("settings.json"));
    expect(name).toMatch(/^settings\.json\.\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d\.\d{3}Z$/);
    expect(read(`${home}/backups/${name}`)).toBe(pretty);
    expect(statSync(`${home}/backups/${name}`).mode & 0o777).toBe(0o600);
    expect(statSync(`${home}/backups`).mode & 0o777).toBe(0o700);
    await claude.uninstall(options);
    expect(readdirSync(`${home}/backups`)).toEqual([]);
  });

  test("a damaged backup or record costs exactness only", async () => {
    const text = '{"hooks": {"Stop":[ ] }, "a":1}';
    const { options, home, settings } = testHome({ ".claude/settings.json": text });
    await claude.install(options);
    for (const name of readdirSync(`${home}/backups`)) write(`${home}/backups/${name}`, "}{");
    await claude.uninstall(options);
    expect(readJson(settings)).toEqual({ a: 1 });
  });

  test("an install after a hand-made removal starts afresh", async () => {
    const { options, settings } = testHome({ ".claude/settings.json": "{}" });
    await claude.install(options);
    write(settings, '{ "theme": 1 }');
    await claude.install(options);
    await claude.uninstall(options);
    expect(read(settings)).toBe('{ "theme": 1 }');
  });
});

describe("a file that cannot be understood is left alone, and so is the other one", () => {
  const broken: [string, string, RegExp][] = [
    [
      "a line comment",
      '{\n  // mine\n  "a": 1\n}',
      /settings\.json, line 2, column 3: comments are not allowed/,
    ],
    ["a comma too many", '{\n  "a": 1,\n}', /line 3, column 1: expected a name in double quotes, found "}"/],
    ["a torn file", '{"a": [1,', /line 1, column 10: the text ends where a value/],
    ["text after the end", "{}\n{}", /line 2, column 1: there is text after/],
    ["a list", "[]", /line 1, column 1: the file holds no JSON object/],
    ["a raw control character", '{"a": "x\ny"}', /this string does not end/],
    ["single quotes", "{'a': 1}", /line 1, column 2: expected a name in double quotes/],
    ["hooks as a list", '{\n\n"hooks": []}', /line 3: hooks must be an object/],
    ["an event as an object", '{"hooks": {\n"Stop": {}}}', /line 2: hooks.Stop must be a list/],
    ["hooks as null", '{"hooks": null}', /line 1: hooks must be an object/],
    ["a deep nest", `${"[".repeat(2000)}`, /nested too deeply/],
  ];
  test.each(broken)("%s", async (_name, text, message) => {
    const { root, options } = testHome({ ".claude/settings.json": text, ".claude.json": "{}" });
    const before = snapshot(root);
    for (const act of [claude.install(options), claude.check(options)])
      await expect(act).rejects.toMatchObject({
        code: "unparsable_file",
        message: expect.stringMatching(message),
        hint: expect.any(String),
      });
    expect(snapshot(root)).toEqual(before);
    expect(existsSync(options.home)).toBe(false);
  });

  test("the second file broken: the first is not touched, nor by uninstall", async () => {
    const { root, options } = testHome({
      ".claude/settings.json": "{}",
      ".claude.json": '{"mcpServers": []}',
    });
    const before = snapshot(root);
    await expect(claude.install(options)).rejects.toMatchObject({ code: "unparsable_file" });
    expect(snapshot(root)).toEqual(before);
    write(`${root}/.claude.json`, "{}");
    await claude.install(options);
    write(`${root}/.claude.json`, "{ torn");
    const installed = snapshot(root);
    await expect(claude.uninstall(options)).rejects.toMatchObject({ code: "unparsable_file" });
    expect(snapshot(root)).toEqual(installed);
  });

  test("bytes that are no UTF-8", async () => {
    const { options, settings } = testHome({ ".claude/settings.json": "" });
    await Bun.write(settings, new Uint8Array([0x7b, 0xff, 0xfe, 0x7d]));
    await expect(claude.install(options)).rejects.toMatchObject({
      code: "unparsable_file",
      message: expect.stringMatching("not UTF-8"),
    });
  });

  test("a directory in the file's place, and a link that leads to itself", async () => {
    const { root, options, settings } = testHome({ ".claude/settings.json/x": "" });
    await expect(claude.install(options)).rejects.toMatchObject({ code: "unsafe_file" });
    const other = testHome({ ".claude/x": "" });
    symlinkSync("settings.json", other.settings);
    await expect(claude.install(other.options)).rejects.toMatchObject({ code: "unsafe_file" });
    expect(existsSync(`${root}/.claude.json`)).toBe(false);
    expect(lstatSync(settings).isDirectory()).toBe(true);
  });

  test("a failing write of the second file takes the first one back", async () => {
    const { root, options, settings } = testHome({ ".claude/settings.json": pretty, "real/x": "" });
    // its directory's name is a file: planning finds no file there, writing fails
    symlinkSync("real/x/claude.json", `${root}/.claude.json`);
    const before = snapshot(root);
    await expect(claude.install(options)).rejects.toThrow();
    expect(read(settings)).toBe(pretty);
    expect(snapshot(root)).toEqual(before);
  });
});

describe("another user's file", () => {
  const root = process.getuid?.() === 0;
  test.skipIf(!root)(`is refused${root ? "" : " (skipped: only root can give a file away)"}`, async () => {
    const { chownSync } = await import("node:fs");
    const { options, settings } = testHome({ ".claude/settings.json": "{}" });
    chownSync(settings, 12345, 12345);
    await expect(claude.install(options)).rejects.toMatchObject({
      code: "unsafe_file",
      message: expect.stringMatching("uid 12345"),
    });
    expect(read(settings)).toBe("{}");
  });
});

describe("the client's own lock on its global configuration", () => {
  test("is waited for", async () => {
    const { root, options, globalConfig } = testHome({ ".claude.json": "{}" });
    mkdirSync(`${root}/.claude.json.lock`);
    const installing = claude.install(options);
    await Bun.sleep(0);
    expect(read(globalConfig)).toBe("{}");
    const { rmdirSync } = await import("node:fs");
    rmdirSync(`${root}/.claude.json.lock`);
    await installing;
    expect(read(globalConfig)).toContain("ai-intercom");
    expect(existsSync(`${root}/.claude.json.lock`)).toBe(false);
  });

  test("is ignored when abandoned", async () => {
    const { root, options, globalConfig } = testHome({ ".claude.json": "{}" });
    mkdirSync(`${root}/.claude.json.lock`);
    utimesSync(`${root}/.claude.json.lock`, 1, 1);
    await claude.install(options);
    expect(read(globalConfig)).toContain("ai-intercom");
    expect(existsSync(`${root}/.claude.json.lock`)).toBe(false);
  });
});

describe("notes on what makes the entries dead", () => {
  test("disableAllHooks, a shadowing project entry, a missing program", async () => {
    const { options } = testHome({
      ".claude/settings.json": '{"disableAllHooks": true}',
      ".claude.json": '{"projects": {"/p/q": {"mcpServers": {"ai-intercom": {"command": "x"}}}, "/r": {}}}',
      ".claude/remote-settings.json":
        '{"allowManagedHooksOnly": true, "strictPluginOnlyCustomization": ["mcp"]}',
    });
    for (const { notes } of [await claude.install(options), await claude.check(options)]) {
      const text = notes.join("\n");
      expect(text).toContain('"disableAllHooks" is true');
      expect(text).toContain("for the project /p/q");
      expect(text).toContain("cannot be executed");
      expect(text).toContain('"allowManagedHooksOnly"');
      expect(text).toContain("MCP servers from plugins only");
    }
  });

  test("none where all is well", async () => {
    const { root, options } = testHome({ "bin/ai-intercom": "#!/bin/sh\n" });
    chmodSync(`${root}/bin/ai-intercom`, 0o755);
    expect((await claude.check(options)).notes).toEqual([]);
    expect((await claude.check(options)).state).toBe("absent");
  });

  test("whether Claude Code is on this machine", () => {
    const { root } = testHome();
    expect(claude.isPresent({ HOME: root, PATH: `${root}/bin` })).toBe(false);
    write(`${root}/bin/claude`, "");
    expect(claude.isPresent({ HOME: root, PATH: `${root}/bin` })).toBe(false);
    chmodSync(`${root}/bin/claude`, 0o755);
    expect(claude.isPresent({ HOME: root, PATH: `${root}/bin` })).toBe(true);
    mkdirSync(`${root}/.claude`);
    expect(claude.isPresent({ HOME: root, PATH: "" })).toBe(true);
  });
});
