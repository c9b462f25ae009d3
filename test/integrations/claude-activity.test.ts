// What Claude Code's session registry says of a session, and whose record it is; and which processes are Claude Code.
import { describe, expect, test } from "bun:test";
import { claude } from "../../src/integrations/claude.ts";
import {
  integrationNamed,
  integrationOf,
  integrationOfClient,
  integrations,
} from "../../src/integrations/integration.ts";
import { testHome, write } from "./claude-home.ts";

/** as 2.1.330 writes it */
const entry = {
  pid: 10686,
  sessionId: "505062e8-caa0-4e47-91ca-2d6a643a2fa9",
  cwd: "/p",
  startedAt: 1795373065997,
  procStart: "127571",
  version: "2.1.330",
  peerProtocol: 1,
  kind: "interactive",
  entrypoint: "cli",
  messagingSocketPath: "/tmp/cc-socks/10686.sock",
  status: "idle",
  updatedAt: 1795373065958,
  statusUpdatedAt: 1795373065958,
};

describe("activity", () => {
  function registry(fields: object, { root } = testHome()): { configDirectory: string } {
    write(`${root}/.claude/sessions/10686.json`, JSON.stringify({ ...entry, ...fields }));
    return { configDirectory: `${root}/.claude` };
  }
  const agent = { pid: 10686, start: "ad4cb233-127571" };

  test("the status, since when, and in which session", () => {
    expect(claude.activity(agent, registry({}))).toEqual({
      status: "idle",
      since: 1795373065958,
      nativeSessionId: entry.sessionId,
    });
  });

  test.each([
    ["busy", "working"],
    ["waiting", "waiting"],
    ["shell", "idle"],
    ["napping", "unknown"],
    [undefined, "unknown"],
  ] as const)("%p is %p", (status, expected) => {
    expect(claude.activity(agent, registry({ status }))).toEqual({
      status: expected,
      since: 1795373065958,
      nativeSessionId: entry.sessionId,
    });
  });

  const line = (record: object) => `${JSON.stringify({ isSidechain: false, ...record })}\n`;
  const ended = line({
    type: "system",
    subtype: "turn_duration",
    timestamp: new Date(1795373070000).toISOString(),
  });
  const busy = { status: "busy", statusUpdatedAt: 1795373060000 };
  test.each([
    ["its turn is over and a background agent works", busy, ended, "idle", 1795373070000],
    [
      "other lines follow that are not the conversation's",
      busy,
      `${ended}${line({ type: "queue-operation" })}{"cut`,
      "idle",
      1795373070000,
    ],
    [
      "a subagent's lines follow",
      busy,
      ended + line({ type: "assistant", isSidechain: true }),
      "idle",
      1795373070000,
    ],
    [
      "a new turn has begun and is not in the transcript yet",
      { status: "busy", statusUpdatedAt: 1795373080000 },
      ended,
      "working",
      1795373080000,
    ],
    [
      "a new turn's prompt is in the transcript",
      busy,
      ended + line({ type: "user" }),
      "working",
      1795373060000,
    ],
    ["no turn has ended", busy, line({ type: "user" }), "working", 1795373060000],
    ["there is no transcript yet", busy, "", "working", 1795373060000],
  ] as const)("busy, and %s", (_, fields, transcript, status, since) => {
    const home = testHome();
    const transcriptPath = `${home.root}/.claude/projects/p/x.jsonl`;
    write(transcriptPath, transcript);
    expect(claude.activity(agent, { ...registry(fields, home), transcriptPath })).toMatchObject({
      status,
      since,
    });
  });

  test("2.1.197 tells the session only", () => {
    const hints = registry({ status: undefined, statusUpdatedAt: undefined });
    expect(claude.activity(agent, hints)).toEqual({ status: "unknown", nativeSessionId: entry.sessionId });
  });

  test("a record of another process with that pid says nothing", () => {
    expect(claude.activity({ ...agent, start: "ad4cb233-27571" }, registry({}))).toEqual({
      status: "unknown",
    });
    expect(claude.activity(agent, registry({ pid: 1 }))).toEqual({ status: "unknown" });
    expect(claude.activity({ pid: 10686 }, registry({})).status).toBe("idle");
  });

  test("elsewhere than on Linux both sides tell the start time as ps does", () => {
    const start = `ps-${Date.parse("2026-11-22T18:44:25Z") / 1000}`;
    const hints = registry({ procStart: "Sun Nov 22 18:44:25 2026" });
    expect(claude.activity({ pid: 10686, start }, hints).status).toBe("idle");
    expect(claude.activity({ pid: 10686, start: "ps-1" }, hints).status).toBe("unknown");
  });

  test("no file, half a file, no object", () => {
    const { root } = testHome();
    const configDirectory = `${root}/.claude`;
    expect(claude.activity(agent, { configDirectory })).toEqual({ status: "unknown" });
    for (const text of ["", '{"pid": 106', "[]", "null"]) {
      write(`${configDirectory}/sessions/10686.json`, text);
      expect(claude.activity(agent, { configDirectory })).toEqual({ status: "unknown" });
    }
  });

  test("the transcript's path tells the configuration directory, else the environment", () => {
    const { configDirectory } = registry({});
    const transcriptPath = `${configDirectory}/projects/-p/${entry.sessionId}.jsonl`;
    expect(claude.activity(agent, { transcriptPath }).status).toBe("idle");
    expect(claude.activity(agent, { transcriptPath: "/elsewhere/x.jsonl" }).status).toBe("unknown");
    process.env.CLAUDE_CONFIG_DIR = configDirectory;
    try {
      expect(claude.activity(agent).status).toBe("idle");
    } finally {
      delete process.env.CLAUDE_CONFIG_DIR;
    }
  });
});

describe("processes", () => {
  const look = (name: string, ...argv: string[]) => ({ pid: 7, start: "s", parent: 1, name, argv });

  test.each([
    look("claude", "claude"),
    look("claude", "/home/me/node_modules/claude-code-linux-x64/claude", "-p", "hi"),
    look("2.1.330", "claude", "--continue"),
    look("node", "node", "/usr/lib/node_modules/@anthropic-ai/claude-code/cli.js"),
    look("node", "/usr/bin/node", "--max-old-space-size=8", "/usr/local/bin/claude"),
    look("node", "claude"),
    look("bun", "bun", "/home/me/.bun/bin/claude"),
  ])("is Claude Code: %j", (process) => {
    expect(claude.isAgentProcess(process)).toBe(true);
  });

  test.each([
    look("bash", "bash", "/home/me/bin/claude"),
    look("sh", "/bin/sh", "-c", "claude"),
    look("node", "node", "/usr/lib/node_modules/x/cli.js", "claude"),
    look("node", "node", "server.js"),
    look("vim", "vim", "claude"),
    look("claude-desktop", "claude-desktop"),
    look("tmux", "tmux", "new", "claude"),
    look("node"),
    look("2.1.330", "other"),
  ])("is not: %j", (process) => {
    expect(claude.isAgentProcess(process)).toBe(false);
  });
});

test("integrations are found by name and client; an unknown agent tells nothing", async () => {
  expect(integrations).toContain(claude);
  expect(integrationNamed("claude")).toBe(claude);
  expect(integrationNamed("emacs")).toBeUndefined();
  expect(integrationOfClient("claude-code")).toBe(claude);
  expect(integrationOfClient("codex-mcp-client")).toBeUndefined();
  const unknown = integrationOf("emacs");
  expect(unknown.activity({ pid: process.pid })).toEqual({ status: "unknown" });
  expect(unknown.parseHookEvent("{}")).toBeUndefined();
  await expect(unknown.install({ program: ["/x"], home: "/y" })).rejects.toMatchObject({ code: "not_found" });
});
