// Printing for people: tables, times, colours only on a terminal. And the one renderer of errors.
import { styleText } from "node:util";
import type { IntercomError } from "../protocol/errors.ts";

export function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

export function printJson(value: unknown): void {
  print(JSON.stringify(value, null, process.stdout.isTTY ? 2 : undefined));
}

/** Two lines for a person (`error:`, `try:`), one object on one line for a script; always on stderr. */
export function printError({ code, message, hint }: IntercomError, asJson: boolean): void {
  const error = { code, message: onOneLine(message), ...(hint ? { hint: onOneLine(hint) } : {}) };
  if (asJson) process.stderr.write(`${JSON.stringify({ error })}\n`);
  else process.stderr.write(`error: ${error.message}\n${error.hint ? `try: ${error.hint}\n` : ""}`);
}

/** What a tool, a parser or a typed word brought along may have several. */
const onOneLine = (text: string) =>
  plain(text)
    .trim()
    .replaceAll(/\s*\n\s*/g, " ");

/** Columns as wide as their widest cell; the last one is not padded. */
export function table(head: string[], rows: string[][]): string {
  const widths = head.map((cell, at) => Math.max(cell.length, ...rows.map((row) => row[at]?.length ?? 0)));
  const line = (cells: string[]) =>
    cells
      .map((cell, at) => (at === cells.length - 1 ? cell : cell.padEnd(widths[at] ?? 0)))
      .join("  ")
      .trimEnd();
  return [dim(line(head)), ...rows.map(line)].join("\n");
}

export function dim(text: string): string {
  return process.stdout.isTTY ? styleText("dim", text) : text;
}

export function bold(text: string): string {
  return process.stdout.isTTY ? styleText("bold", text) : text;
}

/** `42 s ago`, `5 min ago`, `3 h ago`, `2 d ago` */
export function ago(timestamp: string | null, now = Date.now()): string {
  if (timestamp === null) return "never";
  return `${duration(Math.max(0, now - Date.parse(timestamp)) / 1000)} ago`;
}

export function duration(seconds: number): string {
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  if (seconds < 129_600) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86_400)} d`;
}

/** A peer's text on a terminal: no control characters, one line, at most `limit` characters. */
export function oneLine(text: string, limit = 100): string {
  const clean = plain(text).replaceAll(/\s+/g, " ").trim();
  return clean.length > limit ? `${clean.slice(0, limit - 1)}…` : clean;
}

/** characters of a reason that is read in full (protocol/mission.ts) */
export const wholeReason = 2000;

/** That an answer is this machine's own, where the hub could not be asked. */
export function printUnasked({ hub_unreachable }: { hub_unreachable?: string }): void {
  if (hub_unreachable !== undefined) print(dim(`\n${plain(hub_unreachable)}`));
}

/** A text of several lines under its heading. */
export function indent(text: string): string {
  return plain(text)
    .split("\n")
    .map((line) => `    ${line}`)
    .join("\n");
}

/** Removes what could steer a terminal; keeps line breaks and tabs. */
export function plain(text: string): string {
  return text
    .replace(/\r\n?/g, "\n")
    .replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b-\u200f\u202a-\u202e\u2066-\u2069]/g, "");
}
