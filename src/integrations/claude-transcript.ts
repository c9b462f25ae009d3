// Claude Code's transcript, one line at a time: which texts demonstrably reached the model, and which lines are its
// answers. Much in that file quotes text that the model never saw, so only the shapes below count (facts, section 8).
import type { TranscriptRecord } from "../inbox/transcript.ts";
import { isRecord, type JsonObject, parseObject } from "./json-object.ts";

/** Undefined: the line proves nothing (or is no whole JSON line yet). */
export function readClaudeTranscriptLine(line: string): TranscriptRecord | undefined {
  const record = parseObject(line);
  if (!record || record.isSidechain === true) return undefined;
  const at = timeOf(record.timestamp);
  if (record.type === "assistant") return answer(record.message, at);
  const texts =
    record.type === "attachment"
      ? attachmentTexts(record.attachment)
      : record.type === "user"
        ? userTexts(record)
        : [];
  const follows = record.type === "user" ? followedBy(record) : undefined;
  if (texts.length > 0) return { kind: "context", texts, at, ...(follows === undefined ? {} : { follows }) };
  return follows === undefined ? undefined : { kind: "prompt", follows, at };
}

/** What a prompt of the person or of a peer stands behind; undefined for the lines that a turn adds by itself. */
function followedBy(record: JsonObject): string | undefined {
  const content = isRecord(record.message) ? record.message.content : undefined;
  const opens = record.isMeta !== true || originOf(record) === "peer";
  const isResult =
    record.toolUseResult !== undefined ||
    (Array.isArray(content) && content.some((block) => isRecord(block) && block.type === "tool_result"));
  if (!opens || isResult || content === undefined) return undefined;
  return typeof record.parentUuid === "string" ? record.parentUuid : undefined;
}

/** `<synthetic>` lines are written by the client itself, e.g. for an API error: no model has read anything. */
function answer(message: unknown, at: number | undefined): TranscriptRecord | undefined {
  if (!isRecord(message) || typeof message.id !== "string" || message.id === "") return undefined;
  return message.model === "<synthetic>" ? undefined : { kind: "answer", id: message.id, at };
}

function attachmentTexts(attachment: unknown): string[] {
  if (!isRecord(attachment)) return [];
  switch (attachment.type) {
    case "hook_additional_context":
      return textsOf(attachment.content);
    case "hook_success":
      // plain output reaches the model at these two events only; elsewhere it is recorded all the same
      return attachment.hookEvent === "SessionStart" || attachment.hookEvent === "UserPromptSubmit"
        ? textsOf(attachment.content)
        : [];
    case "hook_blocking_error":
      return isRecord(attachment.blockingError) ? textsOf(attachment.blockingError.blockingError) : [];
    case "queued_command":
      return originOf(attachment) === "peer" ? textsOf(attachment.prompt) : [];
    default:
      return [];
  }
}

function userTexts(record: JsonObject): string[] {
  const content = isRecord(record.message) ? record.message.content : undefined;
  const origin = originOf(record);
  if (origin === "task-notification") return textsOf(content);
  if (record.isMeta === true && typeof content === "string")
    return origin === "peer" || content.startsWith("Stop hook feedback:") ? textsOf(content) : [];
  if (!Array.isArray(content)) return [];
  return content.flatMap((block: unknown) =>
    isRecord(block) && block.type === "tool_result" ? textsOf(block.content) : [],
  );
}

function originOf(record: JsonObject): unknown {
  return isRecord(record.origin) ? record.origin.kind : undefined;
}

/** A text, a list of texts, or a list of text blocks. */
function textsOf(content: unknown): string[] {
  const parts: unknown[] = Array.isArray(content) ? content : [content];
  return parts
    .map((part) => (isRecord(part) && part.type === "text" ? part.text : part))
    .filter((text): text is string => typeof text === "string" && text !== "");
}

function timeOf(timestamp: unknown): number | undefined {
  const time = typeof timestamp === "string" ? Date.parse(timestamp) : Number.NaN;
  return Number.isNaN(time) ? undefined : time;
}
