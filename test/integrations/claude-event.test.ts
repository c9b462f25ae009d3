// What Claude Code's hooks are told and what they must print; the inputs are as the named versions send them.
import { describe, expect, test } from "bun:test";
import { claude } from "../../src/integrations/claude.ts";

const common = {
  session_id: "505062e8-caa0-4e47-91ca-2d6a643a2fa9",
  transcript_path: "/home/me/.claude/projects/-p/505062e8-caa0-4e47-91ca-2d6a643a2fa9.jsonl",
  cwd: "/p",
};
const prompted = { ...common, prompt_id: "da702eff-12d1-4726-afa3-673316adb277", permission_mode: "default" };
const tool = {
  tool_name: "Bash",
  tool_input: { command: "true" },
  tool_use_id: "toolu_1",
  tool_response: { stdout: "", stderr: "" },
};

/** version → event → standard input, as recorded (2.1.197 sends no effort on tool events). */
const recorded: Record<string, Record<string, object>> = {
  "2.1.330": {
    SessionStart: { ...common, hook_event_name: "SessionStart", source: "startup", model: "claude-opus" },
    UserPromptSubmit: { ...prompted, hook_event_name: "UserPromptSubmit", prompt: "hi" },
    PostToolUse: {
      ...prompted,
      hook_event_name: "PostToolUse",
      effort: { level: "high" },
      ...tool,
      mcp_server: { name: "x", source: "user" },
      duration_ms: 12,
    },
    PostToolBatch: {
      ...prompted,
      hook_event_name: "PostToolBatch",
      effort: { level: "high" },
      tool_calls: [tool, tool],
    },
    Stop: {
      ...prompted,
      hook_event_name: "Stop",
      effort: { level: "high" },
      stop_hook_active: false,
      last_assistant_message: "done",
      background_tasks: [],
      session_crons: [],
    },
  },
  "2.1.197": {
    SessionStart: { ...common, hook_event_name: "SessionStart", source: "resume" },
    UserPromptSubmit: { ...prompted, hook_event_name: "UserPromptSubmit", prompt: "hi" },
    PostToolUse: { ...prompted, hook_event_name: "PostToolUse", ...tool },
    PostToolBatch: { ...prompted, hook_event_name: "PostToolBatch", tool_calls: [tool] },
    Stop: { ...prompted, hook_event_name: "Stop", stop_hook_active: true },
  },
};

const parse = (input: object) => claude.parseHookEvent(JSON.stringify(input));

describe.each(Object.entries(recorded))("Claude Code %s", (_version, events) => {
  test.each(Object.entries(events))("%s", (event, input) => {
    expect(parse(input)).toMatchObject({
      event,
      nativeSessionId: common.session_id,
      transcriptPath: common.transcript_path,
      cwd: "/p",
      isSubagent: false,
    });
  });

  test("a subagent's events are marked", () => {
    const input = { ...events.PostToolBatch, agent_id: "a7f3", agent_type: "general-purpose" };
    expect(parse(input)?.isSubagent).toBe(true);
  });
});

test("what only some events carry", () => {
  const current = recorded["2.1.330"] ?? {};
  const older = recorded["2.1.197"] ?? {};
  expect(parse(current.SessionStart ?? {})).toMatchObject({ source: "startup", stopHookActive: undefined });
  expect(parse(current.UserPromptSubmit ?? {})).toMatchObject({ prompt: "hi", source: undefined });
  expect(parse(current.Stop ?? {})).toMatchObject({ stopHookActive: false });
  expect(parse(older.Stop ?? {})).toMatchObject({ stopHookActive: true, prompt: undefined });
  expect(parse({ ...current.UserPromptSubmit, prompt: "" })).toMatchObject({ prompt: "" });
});

test("an event that we do not know is told as it is, and takes no text", () => {
  expect(parse({ ...common, hook_event_name: "SubagentStop" })).toMatchObject({ event: "SubagentStop" });
  expect(claude.supportsHook("SubagentStop")).toBe(false);
  expect(claude.formatHookOutput("SubagentStop", "x")).toBe("");
});

test.each([
  ["nothing", ""],
  ["no JSON", "{"],
  ["a list", "[]"],
  ["null", "null"],
  ["a string", '"Stop"'],
  ["no event", JSON.stringify(common)],
  ["no session", JSON.stringify({ ...common, hook_event_name: "Stop", session_id: undefined })],
  ["an event that is no name", JSON.stringify({ ...common, hook_event_name: "../Stop" })],
  [
    "a session id with a path in it",
    JSON.stringify({ ...common, hook_event_name: "Stop", session_id: "../x" }),
  ],
  [
    "a session id with a line break",
    JSON.stringify({ ...common, hook_event_name: "Stop", session_id: "a\nb" }),
  ],
  [
    "an endless session id",
    JSON.stringify({ ...common, hook_event_name: "Stop", session_id: "a".repeat(129) }),
  ],
  [
    "a transcript that is a number",
    JSON.stringify({ ...common, hook_event_name: "Stop", transcript_path: 1 }),
  ],
  [
    "a relative transcript",
    JSON.stringify({ ...common, hook_event_name: "Stop", transcript_path: "a.jsonl" }),
  ],
  ["a relative directory", JSON.stringify({ ...common, hook_event_name: "Stop", cwd: "p" })],
  [
    "a stop flag that is a text",
    JSON.stringify({ ...common, hook_event_name: "Stop", stop_hook_active: "no" }),
  ],
  ["a prompt that is a list", JSON.stringify({ ...common, hook_event_name: "UserPromptSubmit", prompt: [] })],
])("malformed input is undefined: %s", (_name, input) => {
  expect(claude.parseHookEvent(input)).toBeUndefined();
});

test.each(["UserPromptSubmit", "PostToolBatch", "PostToolUse", "Stop", "SessionStart"])(
  "output for %s names its event",
  (event) => {
    expect(claude.supportsHook(event)).toBe(true);
    const text = '"quotes"\n| \u2028 é 😀';
    expect(JSON.parse(claude.formatHookOutput(event, text))).toEqual({
      hookSpecificOutput: { hookEventName: event, additionalContext: text },
    });
    expect(claude.formatHookOutput(event, "")).toBe("");
  },
);
