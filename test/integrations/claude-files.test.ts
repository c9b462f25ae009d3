// The files that `install` edits: created and removed, linked, backed up, locked; and those that it must not touch.
import { describe, expect, test } from "bun:test";
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  rmdirSync,
  statSync,
  symlinkSync,
  utimesSync,
} from "node:fs";
import { claude } from "../../src/integrations/claude.ts";
import { pretty, read, readJson, snapshot, testHome, write } from "./claude-home.ts";

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
    expect(existsSync(home)).toBe(false);
  });

  test("what else lies in our home stays", async () => {
    const { options, home } = testHome({ ".claude/settings.json": pretty });
    await claude.install(options);
    write(`${home}/config.yml`, "language: fr\n");
    await claude.uninstall(options);
    expect(readdirSync(home)).toEqual(["config.yml"]);
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

  test("a file where a directory should be", async () => {
    const { options } = testHome({ ".claude": "" });
    await expect(claude.install(options)).rejects.toMatchObject({
      code: "unsafe_file",
      message: expect.stringMatching(/cannot (read|write) .*: ENOTDIR/),
    });
  });

  test("a failing write of the second file takes the first one back", async () => {
    const { root, options, settings } = testHome({ ".claude/settings.json": pretty, "real/x": "" });
    // the name is just short enough for the file, and too long for the temporary one beside it
    symlinkSync(`real/${"n".repeat(250)}`, `${root}/.claude.json`);
    const before = snapshot(root);
    await expect(claude.install(options)).rejects.toMatchObject({
      code: "unsafe_file",
      message: expect.stringMatching(/cannot write .*\.claude\.json/),
    });
    expect(read(settings)).toBe(pretty);
    expect(snapshot(root)).toEqual(before);
  });
});

describe("another user's file", () => {
  const root = process.getuid?.() === 0;
  test.skipIf(!root)(`is refused${root ? "" : " (skipped: only root can give a file away)"}`, async () => {
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
