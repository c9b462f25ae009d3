// What Claude Code's stream-json tells of a mission (shapes as in facts/claude-code.md §9).
import { expect, test } from "bun:test";
import { claudeMissions } from "../../src/integrations/claude-mission.ts";
import { isSessionVariable } from "../../src/integrations/integration.ts";

const read = (value: unknown) => claudeMissions.readLine(JSON.stringify(value));
const assistant = (...content: object[]) => ({ type: "assistant", message: { id: "a1", content } });
const tool = (name: string, input: object) => assistant({ type: "tool_use", id: "t", name, input });

test("the conversation's id, from the first line on", () => {
  expect(read({ type: "system", subtype: "init", session_id: "n-1" })).toEqual({
    steps: [],
    nativeSessionId: "n-1",
  });
  expect(read({ type: "system", subtype: "hook_started", session_id: "n-1" })).toEqual({ steps: [] });
});

test.each([
  [assistant({ type: "text", text: " I look. " }), [{ kind: "text", summary: "I look." }]],
  [assistant({ type: "thinking", thinking: "hm" }, { type: "text", text: "  " }), []],
  [tool("Bash", { command: "bun test", description: "x" }), [{ kind: "command", summary: "bun test" }]],
  [tool("Edit", { file_path: "/p/a.ts", old_string: "x" }), [{ kind: "file", summary: "Edit /p/a.ts" }]],
  [
    tool("NotebookEdit", { notebook_path: "/p/n.ipynb" }),
    [{ kind: "file", summary: "NotebookEdit /p/n.ipynb" }],
  ],
  [tool("Grep", { pattern: "x" }), [{ kind: "tool", summary: 'Grep {"pattern":"x"}' }]],
  [tool("ExitPlanMode", {}), [{ kind: "tool", summary: "ExitPlanMode" }]],
  [
    {
      type: "user",
      message: {
        content: [{ type: "tool_result", is_error: true, content: [{ type: "text", text: "no" }] }],
      },
    },
    [{ kind: "error", summary: "no" }],
  ],
  [{ type: "user", message: { content: [{ type: "tool_result", content: "fine" }] } }, []],
])("steps of %j", (line, steps) => {
  expect(read(line).steps).toEqual(steps as never);
});

test("success comes from is_error and subtype, never from text", () => {
  const base = {
    type: "result",
    subtype: "success",
    is_error: false,
    num_turns: 3,
    total_cost_usd: 0.1,
    session_id: "n",
  };
  expect(read({ ...base, result: "ERROR: everything failed" })).toMatchObject({
    output: "ERROR: everything failed",
    verdict: { ok: true, turns: 3, costUsd: 0.1 },
    nativeSessionId: "n",
  });
  expect(read({ ...base, is_error: true, result: "all done" }).verdict).toMatchObject({
    ok: false,
    reason: "error: all done",
  });
  expect(read({ ...base, subtype: "error_max_turns" }).verdict).toMatchObject({
    ok: false,
    reason: "error_max_turns",
  });
  const errors = {
    ...base,
    subtype: "error_during_execution",
    is_error: true,
    errors: ["No conversation found"],
  };
  expect(read(errors).verdict?.reason).toBe("error_during_execution: No conversation found");
  expect(
    read({ ...base, permission_denials: [{ tool_name: "Bash", tool_input: { command: "x" } }] }).steps,
  ).toEqual([{ kind: "error", summary: 'not permitted: Bash {"command":"x"}' }]);
});

test("foreign lines tell nothing", () => {
  for (const line of [
    "",
    "warning: x",
    "{",
    "null",
    "[1]",
    '"x"',
    "{}",
    '{"type":"assistant"}',
    '{"type":"user","message":null}',
  ])
    expect(claudeMissions.readLine(line).steps).toEqual([]);
});

test("variables of an outer session are known; the person's own are not among them", () => {
  for (const name of [
    "CLAUDECODE",
    "CLAUDE_CODE_SESSION_ATTENDED",
    "CLAUDE_CODE_MESSAGING_TOKEN",
    "AI_AGENT",
  ])
    expect(isSessionVariable(name)).toBe(true);
  for (const name of [
    "CLAUDE_CONFIG_DIR",
    "ANTHROPIC_API_KEY",
    "CLAUDE_CODE_USE_BEDROCK",
    "CLAUDE_CODE_OAUTH_TOKEN",
    "PATH",
  ])
    expect(isSessionVariable(name)).toBe(false);
});
