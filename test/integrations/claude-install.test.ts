// What `install` writes for Claude Code, how it treats older entries of ours, and what it tells the person.
import { describe, expect, test } from "bun:test";
import { chmodSync, existsSync, mkdirSync } from "node:fs";
import { claude } from "../../src/integrations/claude.ts";
import {
  commandsOf,
  foreign,
  foreignGroup,
  ourEvents,
  ourHooks,
  pretty,
  read,
  readJson,
  snapshot,
  testHome,
  write,
} from "./claude-home.ts";

describe("what install writes", () => {
  test("hooks with the schema, units and commands that Claude Code wants", async () => {
    const { options, settings, root } = testHome();
    await claude.install(options);
    const guard = `[ -e "\${AI_INTERCOM_HOME:-${root}/.config/ai-intercom}/inbox/pending/$PPID" ] || exit 0; `;
    const run = `[ -x "${root}/bin/ai-intercom" ] || exit 0; unset BUN_OPTIONS BUN_BE_BUN; exec "${root}/bin/ai-intercom" check-inbox --format hook`;
    const group = (command: string) => ({ hooks: [{ type: "command", command, timeout: 30 }] });
    const bell = (before: string) => {
      const pipe = `b="\${AI_INTERCOM_HOME:-${root}/.config/ai-intercom}/inbox/bell/$PPID"; `;
      const wait = `true <>"$b"; until l=; IFS= read -r l <"$b"; do [ -n "$l" ] || exit 0; done`;
      const command = `${pipe}${before}[ -p "$b" ] || exit 0; ${wait}; printf '%s\\n' "$l" >&2; exit 2 # ai-intercom bell`;
      return { hooks: [{ type: "command", command, timeout: 2_000_000, asyncRewake: true }] };
    };
    const first =
      '[ "$CLAUDE_CODE_ENTRYPOINT$CLAUDE_CODE_MESSAGING_SOCKET" = cli ] || exit 0; ' +
      'n=0; until [ -p "$b" ] || [ $n -ge 20 ]; do sleep 0.5; n=$((n+1)); done; ';
    expect(readJson(settings)).toEqual({
      hooks: {
        UserPromptSubmit: [group(guard + run)],
        PostToolBatch: [group(guard + run)],
        Stop: [group(guard + run), bell("")],
        SessionStart: [group(run), bell(first)],
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
      ".claude/settings.json": JSON.stringify({
        hooks: Object.fromEntries(ourEvents.map((event) => [event, [foreignGroup, foreignGroup]])),
      }),
    });
    await claude.install(options);
    for (const event of ourEvents)
      expect(commandsOf(readJson(settings), event)).toEqual([
        "echo mine",
        "echo mine",
        expect.stringContaining("check-inbox"),
        ...(event === "Stop" || event === "SessionStart"
          ? [expect.stringContaining("ai-intercom bell")]
          : []),
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
      ...ourHooks.map(({ event, kind }) => ({
        file: settings,
        what: `hooks.${event}: adds the ${kind} hook`,
      })),
      { file: globalConfig, what: "mcpServers.ai-intercom: adds the MCP server" },
    ]);
    expect(done.notes.join()).toContain("restarted");
    const installed = snapshot(root);
    const removal = await claude.uninstall({ ...options, dryRun: true });
    expect(snapshot(root)).toEqual(installed);
    expect((await claude.uninstall(options)).changes).toEqual(removal.changes);
    expect(removal.changes).toHaveLength(7);
  });
});

describe("entries of ours from before", () => {
  test("another binary, another home, an older form: replaced in place, not doubled", async () => {
    const { options, settings, globalConfig } = testHome();
    await claude.install({ ...options, program: ["/old/place/ai-intercom"], home: "/old/home" });
    expect((await claude.check(options)).state).toBe("outdated");
    const report = await claude.install(options);
    expect(report.changes.map(({ what }) => what)).toEqual([
      ...ourHooks.map(({ event, kind }) => `hooks.${event}: updates the ${kind} hook`),
      "mcpServers.ai-intercom: updates the MCP server",
    ]);
    for (const event of ourEvents)
      expect(commandsOf(readJson(settings), event)).toHaveLength(
        ourHooks.filter((one) => one.event === event).length,
      );
    for (const path of [settings, globalConfig]) expect(read(path)).not.toContain("/old/");
    expect((await claude.check(options)).state).toBe("current");
  });

  test("doubled entries and events no longer used are taken away; a neighbour in our group stays", async () => {
    const ours = { type: "command", command: "exec /x/ai-intercom check-inbox --format hook" };
    const bell = { ...ours, command: "exit 0 # ai-intercom bell" };
    const { options, settings } = testHome({
      ".claude/settings.json": JSON.stringify({
        hooks: {
          PostToolUse: [{ matcher: "*", hooks: [ours] }],
          Stop: [{ hooks: [ours, foreign, ours, bell] }, foreignGroup, { hooks: [ours] }, { hooks: [bell] }],
        },
      }),
    });
    await claude.install(options);
    const after = readJson(settings);
    expect(commandsOf(after, "PostToolUse")).toEqual([]);
    expect(commandsOf(after, "Stop")).toEqual([
      expect.stringContaining("|| exit 0; [ -x"),
      "echo mine",
      expect.stringContaining("|| exit 0; true"),
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

describe("notes on what makes the entries dead", () => {
  test("disableAllHooks, managed settings, a project's own entries, a missing program", async () => {
    const { options } = testHome({
      ".claude/settings.json": '{"disableAllHooks": true, "crossSessionInbound": "hold"}',
      ".claude.json":
        '{"projects": {"/p/q": {"mcpServers": {"ai-intercom": {"command": "x"}}}, "/r": {"disabledMcpServers": ["ai-intercom"]}, "/s": {}}}',
      ".claude/remote-settings.json":
        '{"allowManagedHooksOnly": true, "strictPluginOnlyCustomization": ["mcp"]}',
    });
    for (const { notes } of [await claude.install(options), await claude.check(options)]) {
      const text = notes.join("\n");
      expect(text).toContain('"disableAllHooks" is true');
      expect(text).toContain('"crossSessionInbound" is "hold"');
      expect(text).toContain("for the project /p/q");
      expect(text).toContain("switched off for the project /r");
      expect(text).not.toContain("/s;");
      expect(text).toContain("cannot be executed");
      expect(text).toContain('"allowManagedHooksOnly"');
      expect(text).toContain("MCP servers from plugins only");
    }
    const { hooksStopped } = await claude.check(options);
    expect(hooksStopped.map((note) => note.split('"')[1])).toEqual([
      "disableAllHooks",
      "allowManagedHooksOnly",
    ]);
  });

  test("which notes mean that no hook runs: what lets plugins through does not stop ours", async () => {
    for (const [enabledPlugins, stopped] of [
      [{}, 1],
      [{ "ai-intercom@ai-intercom": true }, 0],
    ] as const) {
      const { options } = testHome({
        ".claude/settings.json": JSON.stringify({ enabledPlugins }),
        ".claude/remote-settings.json": '{"strictPluginOnlyCustomization": true}',
      });
      expect((await claude.check(options)).hooksStopped).toHaveLength(stopped);
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

test("our plugin is the other way in: with it nothing is missing, and it is named", async () => {
  for (const [enabled, state] of [
    [{ "ai-intercom@ai-intercom": true }, "current"],
    [{ "ai-intercom@ai-intercom": false }, "absent"],
    [{ "other@ai-intercom": true }, "absent"],
  ] as const) {
    const { options } = testHome({ ".claude/settings.json": JSON.stringify({ enabledPlugins: enabled }) });
    const report = await claude.check(options);
    expect(report.state).toBe(state);
    expect(report.notes.some((note) => note.startsWith("our plugin is enabled"))).toBe(state === "current");
  }
});

describe("uninstall takes our plugin out too", () => {
  const others = { "other@market": [{ scope: "user" }] };
  const files = (ours: boolean) => ({
    ".claude/settings.json": JSON.stringify(
      {
        model: "opus",
        extraKnownMarketplaces: { market: {}, ...(ours ? { "ai-intercom": { source: {} } } : {}) },
        enabledPlugins: {
          "other@market": true,
          ...(ours ? { "ai-intercom@ai-intercom": true, "ai-intercom@market": false } : {}),
        },
      },
      null,
      2,
    ),
    ".claude/plugins/installed_plugins.json": JSON.stringify({
      version: 2,
      plugins: { ...others, ...(ours ? { "ai-intercom@ai-intercom": [] } : {}) },
    }),
    ".claude/plugins/known_marketplaces.json": JSON.stringify({
      market: {},
      ...(ours ? { "ai-intercom": {} } : {}),
    }),
    ".claude/plugins/cache/market/other/1.0.0/plugin.json": "{}",
  });
  const copies = {
    ".claude/plugins/cache/ai-intercom/ai-intercom/0.1.0/hooks/hooks.json": "{}",
    ".claude/plugins/cache/market/ai-intercom/0.1.0/hooks/hooks.json": "{}",
    ".claude/plugins/marketplaces/ai-intercom/README.md": "",
  };

  test.each([false, true])(
    "entries, lists and copies; others' stay as they are; also installed: %p",
    async (both) => {
      const { options, root } = testHome({ ...files(true), ...copies });
      if (both) await claude.install(options);
      const before = snapshot(root);
      const dry = await claude.uninstall({ ...options, dryRun: true });
      expect(snapshot(root)).toEqual(before);
      const { changes } = await claude.uninstall(options);
      expect(changes).toEqual(dry.changes);
      expect(snapshot(`${root}/.claude`)).toEqual(snapshot(`${testHome(files(false)).root}/.claude`));
      expect((await claude.uninstall(options)).changes).toEqual([]);
      expect((await claude.check(options)).state).toBe("absent");
    },
  );

  test("where it was all there was, its containers go from the settings", async () => {
    const { options, settings } = testHome({
      ".claude/settings.json": JSON.stringify({
        enabledPlugins: { "ai-intercom@ai-intercom": true },
        model: "opus",
      }),
    });
    await claude.uninstall(options);
    expect(readJson(settings)).toEqual({ model: "opus" });
  });
});
