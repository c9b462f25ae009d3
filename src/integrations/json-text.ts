// A JSON text as a tree of byte-exact positions, so that an edit touches only what it means to change. Strict: what
// JSON.parse refuses (comments, trailing commas) is refused here too, with the line. It holds no values.

export type JsonMember = { key: string; start: number; keyEnd: number; value: JsonNode };
export type JsonNode =
  | { kind: "object"; start: number; end: number; members: JsonMember[] }
  | { kind: "array"; start: number; end: number; items: JsonNode[] }
  | { kind: "scalar"; start: number; end: number };

/** Where and why a text is no JSON; lines and columns count from 1. */
export class JsonFault extends Error {
  constructor(
    readonly line: number,
    readonly column: number,
    reason: string,
  ) {
    super(reason);
    this.name = "JsonFault";
  }
}

/** levels; far above any settings file, far below the stack's end */
const maxDepth = 1000;
const space = /[ \t\n\r]*/y;
const string = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;
const scalar = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|true|false|null/y;

/** The tree of a JSON text; a byte order mark before it is allowed, as the agents allow it. Throws JsonFault. */
export function parseJsonText(text: string): JsonNode {
  const start = text.startsWith("\ufeff") ? 1 : 0;
  const root = readValue(text, skipSpace(text, start), 0);
  const end = skipSpace(text, root.end);
  if (end < text.length) throw fault(text, end, "there is text after the end of the JSON value");
  return root;
}

/** 1-based line of a position in a text. */
export function lineOf(text: string, position: number): number {
  return text.slice(0, position).split(/\r\n|\n|\r/).length;
}

function readValue(text: string, start: number, depth: number): JsonNode {
  if (depth > maxDepth) throw fault(text, start, "the value is nested too deeply");
  switch (text[start]) {
    case "{":
      return readObject(text, start, depth);
    case "[":
      return readArray(text, start, depth);
    case '"':
      return { kind: "scalar", start, end: stringEnd(text, start) };
    default: {
      const end = match(scalar, text, start);
      if (end === undefined) throw fault(text, start, unexpected(text, start, "a value"));
      return { kind: "scalar", start, end };
    }
  }
}

function readObject(text: string, start: number, depth: number): JsonNode {
  const members: JsonMember[] = [];
  let at = skipSpace(text, start + 1);
  if (text[at] === "}") return { kind: "object", start, end: at + 1, members };
  for (;;) {
    if (text[at] !== '"') throw fault(text, at, unexpected(text, at, "a name in double quotes"));
    const keyStart = at;
    const keyEnd = stringEnd(text, at);
    at = skipSpace(text, keyEnd);
    if (text[at] !== ":") throw fault(text, at, unexpected(text, at, '":"'));
    const value = readValue(text, skipSpace(text, at + 1), depth + 1);
    members.push({ key: String(JSON.parse(text.slice(keyStart, keyEnd))), start: keyStart, keyEnd, value });
    at = skipSpace(text, value.end);
    if (text[at] === "}") return { kind: "object", start, end: at + 1, members };
    if (text[at] !== ",") throw fault(text, at, unexpected(text, at, '"," or "}"'));
    at = skipSpace(text, at + 1);
  }
}

function readArray(text: string, start: number, depth: number): JsonNode {
  const items: JsonNode[] = [];
  let at = skipSpace(text, start + 1);
  if (text[at] === "]") return { kind: "array", start, end: at + 1, items };
  for (;;) {
    const item = readValue(text, at, depth + 1);
    items.push(item);
    at = skipSpace(text, item.end);
    if (text[at] === "]") return { kind: "array", start, end: at + 1, items };
    if (text[at] !== ",") throw fault(text, at, unexpected(text, at, '"," or "]"'));
    at = skipSpace(text, at + 1);
  }
}

function stringEnd(text: string, start: number): number {
  const end = match(string, text, start);
  if (end === undefined)
    throw fault(text, start, "this string does not end, or holds a raw control character");
  return end;
}

function skipSpace(text: string, start: number): number {
  return match(space, text, start) ?? start;
}

function match(pattern: RegExp, text: string, start: number): number | undefined {
  pattern.lastIndex = start;
  return pattern.test(text) ? pattern.lastIndex : undefined;
}

function unexpected(text: string, at: number, wanted: string): string {
  if (at >= text.length) return `the text ends where ${wanted} should stand`;
  if (text[at] === "/") return `comments are not allowed in JSON (expected ${wanted})`;
  if (text[at] === "}" || text[at] === "]")
    return `expected ${wanted}, found "${text[at]}" (a comma too many before it?)`;
  return `expected ${wanted}, found "${[...text.slice(at, at + 12)].slice(0, 6).join("")}"`;
}

function fault(text: string, at: number, reason: string): JsonFault {
  const lineStart = Math.max(text.lastIndexOf("\n", at - 1), text.lastIndexOf("\r", at - 1)) + 1;
  return new JsonFault(lineOf(text, at), at - lineStart + 1, reason);
}
