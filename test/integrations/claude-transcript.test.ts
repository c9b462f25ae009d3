// Which transcript lines prove that a text reached the model, and which only look so (facts, section 8).
import { describe, expect, test } from "bun:test";
import { claude } from "../../src/integrations/claude.ts";
import { claudeVersions } from "../real/install.ts";
import { read } from "./claude-home.ts";

const nonce = "n-5f2c9d01aa34bb56cc78dd90ee12ff34";
const text = `mail ${nonce}`;
const at = Date.parse("2026-11-22T18:00:00.123Z");
const base = {
  parentUuid: "e0c1",
  isSidechain: false,
  userType: "external",
  cwd: "/p",
  sessionId: "505062e8-caa0-4e47-91ca-2d6a643a2fa9",
  version: "2.1.330",
  timestamp: "2026-11-22T18:00:00.123Z",
};
const attachment = (fields: object) => ({ ...base, type: "attachment", attachment: fields });
const user = (content: unknown, fields: object = {}) => ({
  ...base,
  type: "user",
  message: { role: "user", content },
  ...fields,
});
const readRecord = (record: unknown) => claude.readTranscriptLine(JSON.stringify(record));

describe("in context", () => {
  const shapes: [string, unknown][] = [
    ...["SessionStart", "UserPromptSubmit", "PreToolUse", "PostToolUse", "PostToolBatch", "Stop"].map(
      (hookEvent): [string, unknown] => [
        `additionalContext of ${hookEvent}`,
        attachment({ type: "hook_additional_context", content: [text], hookName: hookEvent, hookEvent }),
      ],
    ),
    [
      "plain output of SessionStart",
      attachment({ type: "hook_success", hookEvent: "SessionStart", content: text, stdout: text }),
    ],
    [
      "plain output of UserPromptSubmit",
      attachment({ type: "hook_success", hookEvent: "UserPromptSubmit", content: text, stdout: text }),
    ],
    [
      "a blocking hook",
      attachment({ type: "hook_blocking_error", hookEvent: "Stop", blockingError: { blockingError: text } }),
    ],
    ["a Stop block", user(`Stop hook feedback:\n${text}`, { isMeta: true })],
    [
      "the socket, idle",
      user(`Another Claude session sent a message:\n${text}`, {
        isMeta: true,
        origin: { kind: "peer", from: "uds:/x", verifiedPeerPid: 1, selfSent: true },
      }),
    ],
    [
      "the socket, busy",
      attachment({ type: "queued_command", prompt: text, origin: { kind: "peer", msg_id: "m", body: text } }),
    ],
    ["asyncRewake", user(`<task-notification>${text}`, { origin: { kind: "task-notification" } })],
    [
      "a tool result as blocks",
      user([{ type: "tool_result", tool_use_id: "t", content: [{ type: "text", text }] }]),
    ],
    ["a tool result as a string", user([{ type: "tool_result", tool_use_id: "t", content: text }])],
    [
      "the preview of a long result",
      user([{ type: "tool_result", content: `<persisted-output>\nPreview:\n${text}\n</persisted-output>` }]),
    ],
  ];
  test.each(shapes)("%s", (_name, record) => {
    const found = readRecord(record);
    expect(found).toMatchObject({ kind: "context", at });
    expect(found?.kind === "context" && found.texts.join("\n")).toContain(nonce);
  });

  test("several texts, each whole", () => {
    expect(readRecord(attachment({ type: "hook_additional_context", content: ["a", "b"] }))).toEqual({
      kind: "context",
      texts: ["a", "b"],
      at,
    });
  });

  test("without a readable time", () => {
    const record = { ...attachment({ type: "hook_additional_context", content: [text] }), timestamp: "soon" };
    expect(readRecord(record)).toEqual({ kind: "context", texts: [text], at: undefined });
  });
});

describe("no proof", () => {
  const shapes: [string, unknown][] = [
    ["enqueue", { ...base, type: "queue-operation", operation: "enqueue", content: text }],
    [
      "remove",
      { ...base, type: "queue-operation", operation: "remove", reason: "absorbed_mid_turn", content: text },
    ],
    ["last-prompt", { ...base, type: "last-prompt", lastPrompt: text }],
    ["a summary", { type: "summary", summary: text }],
    ...["PostToolUse", "PostToolBatch", "Stop", "PreToolUse"].map((hookEvent): [string, unknown] => [
      `plain output of ${hookEvent}`,
      attachment({ type: "hook_success", hookEvent, content: text, stdout: text }),
    ]),
    [
      "stdout beside an empty content",
      attachment({ type: "hook_success", hookEvent: "UserPromptSubmit", content: "", stdout: text }),
    ],
    [
      "a failed hook",
      attachment({ type: "hook_non_blocking_error", hookEvent: "PostToolUse", stdout: text, stderr: text }),
    ],
    ["a cancelled hook", attachment({ type: "hook_cancelled", hookEvent: "Stop", content: [text] })],
    [
      "a permission decision",
      attachment({ type: "hook_permission_decision", decision: "allow", content: [text] }),
    ],
    ["the person's queued text", attachment({ type: "queued_command", prompt: text })],
    [
      "the origin's copy only",
      attachment({ type: "queued_command", prompt: "", origin: { kind: "peer", body: text } }),
    ],
    [
      "a stop summary",
      { ...base, type: "system", subtype: "stop_hook_summary", content: text, hookInfos: [text] },
    ],
    [
      "a held message",
      { ...base, type: "system", subtype: "informational", content: `Held peer message ${text}` },
    ],
    [
      "a tool's input",
      {
        ...base,
        type: "assistant",
        message: { role: "assistant", content: [{ type: "tool_use", id: "t", input: { text } }] },
      },
    ],
    ["a meta line of another kind", user(text, { isMeta: true })],
    ["a tool's result beside the message", user("x", { toolUseResult: text })],
    [
      "hook context of a subagent",
      {
        ...attachment({ type: "hook_additional_context", content: [text] }),
        isSidechain: true,
        agentId: "a1",
      },
    ],
    ["a subagent's tool result", user([{ type: "tool_result", content: text }], { isSidechain: true })],
    ["an attachment without form", { ...base, type: "attachment", attachment: text }],
    ["a user line without message", { ...base, type: "user" }],
    ["context of a wrong type", attachment({ type: "hook_additional_context", content: { 0: text } })],
    ["a list", [text]],
    ["a string", text],
    ["null", null],
  ];
  test.each(shapes)("%s", (_name, record) => {
    expect(readRecord(record)).toBeUndefined();
  });

  test("a torn line, an empty one, noise", () => {
    const whole = JSON.stringify(attachment({ type: "hook_additional_context", content: [text] }));
    for (const line of [whole.slice(0, -1), whole.slice(1), "", "\0\0", "NaN"])
      expect(claude.readTranscriptLine(line)).toBeUndefined();
  });
});

describe("prompts", () => {
  test("prove nothing, and tell behind which line they stand", () => {
    for (const content of [text, [{ type: "text", text }], `Stop hook feedback:\n${text}`])
      expect(readRecord(user(content))).toEqual({ kind: "prompt", follows: "e0c1", at });
    expect(readRecord(user(text, { parentUuid: null }))).toBeUndefined();
    expect(readRecord(user(text, { isSidechain: true }))).toBeUndefined();
  });

  test("a peer's prompt tells both", () => {
    const ring = user(text, { isMeta: true, origin: { kind: "peer" } });
    expect(readRecord(ring)).toEqual({ kind: "context", texts: [text], follows: "e0c1", at });
  });
});

describe("answers", () => {
  const assistant = (message: object, fields: object = {}) => ({
    ...base,
    type: "assistant",
    message,
    ...fields,
  });

  test("carry the model's message id", () => {
    expect(readRecord(assistant({ id: "msg_1", model: "opus", content: [] }))).toEqual({
      kind: "answer",
      id: "msg_1",
      at,
    });
  });

  test("not those of a subagent, of the client itself, or without id", () => {
    expect(readRecord(assistant({ id: "msg_1", content: [] }, { isSidechain: true }))).toBeUndefined();
    expect(readRecord(assistant({ id: "msg_1", model: "<synthetic>" }))).toBeUndefined();
    expect(readRecord(assistant({ content: [] }))).toBeUndefined();
    expect(readRecord(assistant({ id: "" }))).toBeUndefined();
    expect(readRecord({ ...base, type: "assistant" })).toBeUndefined();
  });
});

/** Recorded by the real clients: what went in by each hook and by a tool, and the answers, in file order. */
describe.each([...claudeVersions])("the transcript of Claude Code %s", (version) => {
  const lines = read(`${import.meta.dir}/fixtures/transcript-${version}.jsonl`)
    .trimEnd()
    .split("\n");
  const records = lines
    .map((line) => claude.readTranscriptLine(line))
    .filter((record) => record !== undefined)
    .filter((record) => record.kind !== "prompt");

  test("shows each text once, where it reached the model, between the answers", () => {
    const story = records.map((record) =>
      record.kind === "answer" ? "answer" : record.texts.join().match(/nonce-of-\w+/)?.[0],
    );
    expect(story).toEqual([
      "nonce-of-start",
      "nonce-of-prompt",
      "answer",
      "answer",
      "nonce-of-tool",
      "nonce-of-batch",
      "answer",
      "nonce-of-stop",
      "answer",
    ]);
  });

  test("gives the blocks of one message one id, and every record its time", () => {
    const ids = records.flatMap((record) => (record.kind === "answer" ? [record.id] : []));
    expect(ids[0]).toBe(ids[1] ?? "");
    expect(new Set(ids).size).toBe(3);
    for (const { at } of records) expect(at).toBeGreaterThan(Date.parse("2026-01-01"));
  });
});
