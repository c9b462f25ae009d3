// A JSON file that must hold an object: its value, and errors that name file and line. It reads no file itself.
import { IntercomError } from "../protocol/errors.ts";
import { type JsonPath, nodeAt } from "./json-edit.ts";
import { JsonFault, lineOf, parseJsonText } from "./json-text.ts";

export type JsonObject = Record<string, unknown>;

/** The value of the text of `path`; an empty file counts as `{}`. Throws `unparsable_file`. */
export function readJsonObject(path: string, text: string): JsonObject {
  try {
    const whole = orEmptyObject(text);
    const root = parseJsonText(whole);
    if (root.kind === "object") return JSON.parse(whole.replace(/^\ufeff/, ""));
    throw new JsonFault(lineOf(text, root.start), 1, "the file holds no JSON object");
  } catch (error) {
    if (!(error instanceof JsonFault)) throw error;
    const place = `line ${error.line}, column ${error.column}`;
    throw unparsable(path, `${place}: ${error.message}`, error);
  }
}

/** An empty file gets the form of a new one. */
export function orEmptyObject(text: string): string {
  if (/[^ \t\r\n]/.test(text.replace(/^\ufeff/, ""))) return text;
  return `${text.startsWith("\ufeff") ? "\ufeff" : ""}{}\n`;
}

export function isEmptyObject(path: string, text: string): boolean {
  return Object.keys(readJsonObject(path, text)).length === 0;
}

/** The error for a value that is JSON, but not what the agent takes. */
export function wrongShape(path: string, text: string, at: JsonPath, wanted: string): IntercomError {
  const node = nodeAt(parseJsonText(text), at);
  return unparsable(path, `line ${lineOf(text, node?.start ?? 0)}: ${at.join(".")} must be ${wanted}`);
}

/** What a line or an input holds; undefined when it is no JSON object. */
export function parseObject(text: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isRecord(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

export function isRecord(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function unparsable(path: string, problem: string, cause?: unknown): IntercomError {
  return new IntercomError("unparsable_file", `${path}, ${problem}`, {
    hint: "correct that line, then run the command again; nothing was changed",
    cause,
  });
}
