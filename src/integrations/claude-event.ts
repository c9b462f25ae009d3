// What Claude Code tells a hook on standard input, and what the hook must print so that the model reads it.
import type { HookEvent } from "./integration.ts";
import { parseObject } from "./json-object.ts";

/** Where `additionalContext` reaches the model (proved for 2.1.197 and 2.1.330). */
const contextEvents = new Set(["UserPromptSubmit", "PostToolBatch", "PostToolUse", "Stop", "SessionStart"]);

export function supportsClaudeHook(event: string): boolean {
  return contextEvents.has(event);
}

/** Only this form reaches the model at all of these events; plain output is lost after a tool. */
export function formatClaudeHookOutput(event: string, text: string): string {
  if (!supportsClaudeHook(event) || text === "") return "";
  return JSON.stringify({ hookSpecificOutput: { hookEventName: event, additionalContext: text } });
}

/** A field of the wrong type makes the whole input foreign: better silence than mail at the wrong place. */
export function parseClaudeHookEvent(stdinText: string): HookEvent | undefined {
  const input = parseObject(stdinText);
  const event = input?.hook_event_name;
  const nativeSessionId = input?.session_id;
  if (!input || typeof event !== "string" || !/^[A-Za-z]{1,64}$/.test(event)) return undefined;
  if (typeof nativeSessionId !== "string" || !/^[\w.-]{1,128}$/.test(nativeSessionId)) return undefined;
  const fields = ["transcript_path", "cwd", "source", "prompt"] as const;
  if (!fields.every((name) => isAbsentOr("string", input[name]))) return undefined;
  if (!isAbsentOr("boolean", input.stop_hook_active)) return undefined;
  const paths = [input.transcript_path, input.cwd];
  if (!paths.every((path) => !path || String(path).startsWith("/"))) return undefined;
  return {
    event,
    nativeSessionId,
    transcriptPath: textOf(input.transcript_path),
    cwd: textOf(input.cwd),
    source: textOf(input.source),
    isSubagent: input.agent_id !== undefined && input.agent_id !== null,
    stopHookActive: typeof input.stop_hook_active === "boolean" ? input.stop_hook_active : undefined,
    prompt: typeof input.prompt === "string" ? input.prompt : undefined,
  };
}

function textOf(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}

function isAbsentOr(type: "string" | "boolean", value: unknown): boolean {
  return value === undefined || value === null || typeof value === type;
}
