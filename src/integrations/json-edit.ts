// Small edits of a JSON text that leave every other byte as it was: append to an object or a list, replace a value,
// remove one. New text takes the style of its surroundings. Removing what was appended gives the text back.
import { type JsonMember, type JsonNode, parseJsonText } from "./json-text.ts";

export type JsonPath = readonly (string | number)[];

/** The node at `path`; of a doubled key the last one, as JSON.parse has it. */
export function nodeAt(root: JsonNode, path: JsonPath): JsonNode | undefined {
  let node: JsonNode | undefined = root;
  for (const step of path) {
    if (node?.kind === "object") node = memberOf(node, step)?.value;
    else if (node?.kind === "array" && typeof step === "number") node = node.items[step];
    else return undefined;
  }
  return node;
}

/** Adds `"key": value` at the end of the object at `path`. */
export function appendMember(text: string, path: JsonPath, key: string, value: unknown): string {
  const root = parseJsonText(text);
  const node = nodeAt(root, path);
  if (node?.kind !== "object") throw new Error(`no object at ${path.join(".")}`);
  const style = styleIn(text, root, path, node);
  return insert(text, node, style, `${JSON.stringify(key)}${style.colon}${render(value, style)}`);
}

/** Adds `value` at the end of the list at `path`. */
export function appendItem(text: string, path: JsonPath, value: unknown): string {
  const root = parseJsonText(text);
  const node = nodeAt(root, path);
  if (node?.kind !== "array") throw new Error(`no list at ${path.join(".")}`);
  const style = styleIn(text, root, path, node);
  return insert(text, node, style, render(value, style));
}

/** Puts `value` in the place of the one at `path`. */
export function replaceValue(text: string, path: JsonPath, value: unknown): string {
  const root = parseJsonText(text);
  const node = nodeAt(root, path);
  const parentPath = path.slice(0, -1);
  const parent = nodeAt(root, parentPath);
  if (!node || !parent || parent.kind === "scalar") throw new Error(`nothing at ${path.join(".")}`);
  return splice(text, node.start, node.end, render(value, styleIn(text, root, parentPath, parent)));
}

/** Removes the member or item at `path`, with the one comma that belongs to it. */
export function removeAt(text: string, path: JsonPath): string {
  const root = parseJsonText(text);
  const parent = nodeAt(root, path.slice(0, -1));
  const children = childrenOf(parent);
  const at = indexIn(parent, path.at(-1));
  const child = children[at];
  if (!parent || !child) throw new Error(`nothing at ${path.join(".")}`);
  const previous = children[at - 1];
  const next = children[at + 1];
  if (next) return splice(text, child.start, next.start, "");
  if (previous) return splice(text, previous.end, child.end, "");
  return removeOnlyChild(text, parent, child);
}

/** Removes the object or list at `path` when it holds nothing. */
export function removeIfEmpty(text: string, path: JsonPath): string {
  const node = nodeAt(parseJsonText(text), path);
  const empty = node !== undefined && node.kind !== "scalar" && childrenOf(node).length === 0;
  return empty ? removeAt(text, path) : text;
}

/** Space that the appending brought along goes too; space that stood in the empty container stays. */
function removeOnlyChild(text: string, parent: JsonNode, child: Extent): string {
  const before = text.slice(parent.start + 1, child.start);
  const after = text.slice(child.end, parent.end - 1);
  const newline = before.search(/[\r\n]/);
  if (newline < 0) return splice(text, parent.start + 1, child.end, before);
  const closing = after === newlineOf(text) + lineIndent(text, parent.start);
  return splice(text, parent.start + 1, parent.end - 1, before.slice(0, newline) + (closing ? "" : after));
}

type Extent = { start: number; end: number };
type Style = {
  /** each child on a line of its own */
  multiline: boolean;
  newline: string;
  /** before each child */
  indent: string;
  /** before the closing bracket */
  closing: string;
  unit: string;
  colon: string;
  comma: string;
};

function insert(text: string, node: JsonNode, style: Style, addition: string): string {
  const last = childrenOf(node).at(-1);
  const lead = style.multiline ? style.newline + style.indent : "";
  if (last) return splice(text, last.end, last.end, `,${lead || style.comma.slice(1)}${addition}`);
  const inner = text.slice(node.start + 1, node.end - 1);
  if (!style.multiline || /[\r\n]/.test(inner))
    return splice(text, node.start + 1, node.start + 1, lead + addition);
  return splice(text, node.end - 1, node.end - 1, lead + addition + style.newline + style.closing);
}

function styleIn(text: string, root: JsonNode, path: JsonPath, node: JsonNode): Style {
  const closing = lineIndent(text, node.start);
  const unit = indentUnit(text, root) ?? "  ";
  const lead = lastLead(text, node);
  const multiline = lead === undefined ? emptyIsMultiline(text, root, path, node) : /[\r\n]/.test(lead);
  return {
    multiline,
    newline: newlineOf(text),
    indent: multiline && lead !== undefined ? lead.replace(/^.*[\r\n]/s, "") : closing + unit,
    closing,
    unit,
    colon: multiline ? ": " : colonOf(text, root),
    comma: multiline || colonOf(text, root) !== ":" ? ", " : ",",
  };
}

/** An empty container opens up like the one around it; a whole text of `{}` becomes readable lines. */
function emptyIsMultiline(text: string, root: JsonNode, path: JsonPath, node: JsonNode): boolean {
  if (/[\r\n]/.test(text.slice(node.start, node.end))) return true;
  if (path.length === 0) return true;
  const parent = nodeAt(root, path.slice(0, -1));
  return parent !== undefined && /[\r\n]/.test(lastLead(text, parent) ?? "");
}

/** The white space before the last child; undefined where there is no child. */
function lastLead(text: string, node: JsonNode): string | undefined {
  const last = childrenOf(node).at(-1);
  return last && /[ \t\r\n]*$/.exec(text.slice(node.start + 1, last.start))?.[0];
}

/** One level of indentation, seen where a container first opens a line of its own. */
function indentUnit(text: string, node: JsonNode): string | undefined {
  const lead = lastLead(text, node);
  const own = lineIndent(text, node.start);
  const child = lead?.includes("\n") ? lead.replace(/^.*\n/s, "") : undefined;
  if (child !== undefined && child.length > own.length && child.startsWith(own))
    return child.slice(own.length);
  for (const inner of nestedIn(node)) {
    const unit = indentUnit(text, inner);
    if (unit !== undefined) return unit;
  }
  return undefined;
}

function colonOf(text: string, root: JsonNode): string {
  const first = root.kind === "object" ? root.members[0] : undefined;
  return first && text.slice(first.keyEnd, first.value.start) === ":" ? ":" : ": ";
}

function lineIndent(text: string, position: number): string {
  const lineStart = Math.max(text.lastIndexOf("\n", position - 1), text.lastIndexOf("\r", position - 1)) + 1;
  return /^[ \t]*/.exec(text.slice(position === 0 ? 0 : lineStart))?.[0] ?? "";
}

function newlineOf(text: string): string {
  return /\r\n|\n|\r/.exec(text)?.[0] ?? "\n";
}

function render(value: unknown, style: Style): string {
  if (!style.multiline) return renderLine(value, style);
  return JSON.stringify(value, null, style.unit).replaceAll("\n", style.newline + style.indent);
}

function renderLine(value: unknown, style: Style): string {
  if (Array.isArray(value)) return `[${value.map((item) => renderLine(item, style)).join(style.comma)}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const members = Object.entries(value).map(
    ([key, item]) => `${JSON.stringify(key)}${style.colon}${renderLine(item, style)}`,
  );
  return `{${members.join(style.comma)}}`;
}

/** The extents of members (from the key on) or items. */
function childrenOf(node: JsonNode | undefined): Extent[] {
  if (node?.kind === "object")
    return node.members.map((member) => ({ start: member.start, end: member.value.end }));
  return node?.kind === "array" ? node.items : [];
}

function nestedIn(node: JsonNode): JsonNode[] {
  if (node.kind === "object") return node.members.map((member) => member.value);
  return node.kind === "array" ? node.items : [];
}

function indexIn(node: JsonNode | undefined, step: string | number | undefined): number {
  if (node?.kind === "array" && typeof step === "number") return step;
  return node?.kind === "object" ? node.members.findLastIndex((member) => member.key === step) : -1;
}

function memberOf(node: { members: JsonMember[] }, key: string | number): JsonMember | undefined {
  return node.members.findLast((member) => member.key === key);
}

function splice(text: string, start: number, end: number, replacement: string): string {
  return text.slice(0, start) + replacement + text.slice(end);
}
