// A permission question of Claude Code in words, whole, and its answer.
import { expect, test } from "bun:test";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { claude } from "../../src/integrations/claude.ts";

import { readJson, snapshot, testHome } from "./claude-home.ts";

const question = (tool_name: string, tool_input: unknown) =>
  JSON.stringify({ hook_event_name: "PermissionRequest", session_id: "s", tool_name, tool_input });

test("what would be done, nothing left out", () => {
  const cases: [string, object, string][] = [
    ["Bash", { command: "rm -rf x\nls", description: "clean" }, "$ rm -rf x\nls\ndescription: clean"],
    [
      "Edit",
      { file_path: "/a/b.ts", old_string: "one\ntwo", new_string: "one\n2", replace_all: true },
      "/a/b.ts\n- one\n- two\n+ one\n+ 2\nreplace_all: true",
    ],
    ["Write", { file_path: "/a", content: "x\ny" }, "/a\n+ x\n+ y"],
    [
      "MultiEdit",
      {
        file_path: "/a",
        edits: [
          { old_string: "a", new_string: "b" },
          { old_string: "c", new_string: "" },
        ],
      },
      "/a\n- a\n+ b\n- c",
    ],
    ["mcp__x__y", { deep: { a: [1] }, url: "u" }, 'deep: {"a":[1]}\nurl: u'],
  ];
  for (const [tool, input, text] of cases)
    expect(claude.permissions?.read(question(tool, input))).toEqual({ tool, text });
});

test("anything else is no question", () => {
  for (const input of [
    "",
    "{",
    "[]",
    '{"hook_event_name":"Stop","tool_name":"Bash"}',
    '{"hook_event_name":"PermissionRequest"}',
  ])
    expect(claude.permissions?.read(input)).toBeUndefined();
});

test("the answer as the agent reads it", () => {
  expect(JSON.parse(claude.permissions?.format(true, "@me") ?? "")).toEqual({
    hookSpecificOutput: { hookEventName: "PermissionRequest", decision: { behavior: "allow" } },
  });
  expect(JSON.parse(claude.permissions?.format(false, "@me") ?? "")).toEqual({
    hookSpecificOutput: {
      hookEventName: "PermissionRequest",
      decision: { behavior: "deny", message: "denied by @me" },
    },
  });
});

test("the hook is there only while questions are not off, and guards itself with a builtin test", async () => {
  const { options, home, settings, root } = testHome();
  const hook = () => {
    const { hooks } = readJson(settings) as {
      hooks: Record<string, { hooks: { command: string; timeout: number }[] }[]>;
    };
    return hooks.PermissionRequest?.[0]?.hooks[0];
  };
  const before = snapshot(root);
  await claude.install(options);
  expect(hook()).toBeUndefined();
  mkdirSync(home, { recursive: true });
  writeFileSync(`${home}/ask-person`, "");
  expect((await claude.check(options)).state).toBe("outdated");
  await claude.install(options);
  expect(hook()?.timeout).toBe(3600);
  const guard = hook()?.command.split("; ")[0] ?? "";
  const passes = (env: Record<string, string>) =>
    Bun.spawnSync(["sh", "-c", `${guard}; echo starts`], { env }).stdout.toString() === "starts\n";
  expect([passes({}), passes({ AI_INTERCOM_ASK_PERSON: "1" })]).toEqual([false, true]);
  writeFileSync(`${home}/ask-person`, "all sessions\n");
  expect(passes({})).toBe(true);
  rmSync(`${home}/ask-person`);
  await claude.install(options);
  expect(hook()).toBeUndefined();
  await claude.uninstall(options);
  expect(snapshot(root)).toEqual(before);
});
