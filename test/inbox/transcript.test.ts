import { afterAll, describe, expect, test } from "bun:test";
import { appendFileSync, mkdirSync, renameSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { type TranscriptReader, TranscriptTail } from "../../src/inbox/transcript.ts";
import { freshDirectory, removeDirectories } from "./support.ts";

afterAll(removeDirectories);

/** A vendor's reader in one line: `c TEXT` is context, `a ID` an answer, anything else nothing. */
const reader: TranscriptReader = (line) => {
  if (line.startsWith("c ")) return { kind: "context", texts: [line.slice(2)], at: undefined };
  return line.startsWith("a ") ? { kind: "answer", id: line.slice(2), at: 1 } : undefined;
};

function transcript(text?: string): string {
  const path = `${freshDirectory()}/transcript.jsonl`;
  mkdirSync(dirname(path), { recursive: true });
  if (text !== undefined) writeFileSync(path, text);
  return path;
}
const shown = (tail: TranscriptTail) =>
  tail
    .poll()
    .map((record) => (record.kind === "context" ? record.texts[0] : record.kind === "answer" && record.id));

describe("a transcript's tail", () => {
  test("gives each line once, as soon as it is whole, with its place", () => {
    const path = transcript("a 1\nx\nc é\n");
    const tail = new TranscriptTail(path, 0, reader);
    expect(tail.poll()).toEqual([
      { kind: "answer", id: "1", at: 1, offset: 0 },
      { kind: "context", texts: ["é"], at: undefined, offset: 6 },
    ]);
    expect(tail.poll()).toEqual([]);
    const line = Buffer.from("a 😀2\n");
    for (const byte of line.subarray(0, -1)) {
      appendFileSync(path, Buffer.from([byte]));
      expect(tail.poll()).toEqual([]);
    }
    appendFileSync(path, "\na 3\n");
    expect(tail.poll()).toEqual([
      { kind: "answer", id: "😀2", at: 1, offset: 11 },
      { kind: "answer", id: "3", at: 1, offset: 19 },
    ]);
  });

  test("starting inside a line skips the rest of it, starting at 0 does not", () => {
    const path = transcript("a 1\na 2\na 3\n");
    expect(shown(new TranscriptTail(path, 0, reader))).toEqual(["1", "2", "3"]);
    expect(shown(new TranscriptTail(path, 2, reader))).toEqual(["2", "3"]);
    expect(shown(new TranscriptTail(path, 4, reader))).toEqual(["3"]);
  });

  test("waits for a file that is not there, or is a directory", () => {
    const path = transcript();
    const tail = new TranscriptTail(path, 0, reader);
    expect(tail.poll()).toEqual([]);
    expect(new TranscriptTail(dirname(path), 0, reader).poll()).toEqual([]);
    expect(new TranscriptTail(`${path}/x`, 0, reader).poll()).toEqual([]);
    writeFileSync(path, "a 1\n");
    expect(shown(tail)).toEqual(["1"]);
    rmSync(path);
    expect(tail.poll()).toEqual([]);
  });

  test("a cut or replaced file is read from its start, and its places say nothing", () => {
    const path = transcript("a 1\na 2\na ha");
    const tail = new TranscriptTail(path, 0, reader);
    expect(shown(tail)).toEqual(["1", "2"]);
    truncateSync(path, 4);
    expect(tail.poll()).toEqual([{ kind: "answer", id: "1", at: 1, offset: Number.POSITIVE_INFINITY }]);
    writeFileSync(`${path}.new`, "a 7\na 8\na 9\n");
    renameSync(`${path}.new`, path);
    expect(shown(tail)).toEqual(["7", "8", "9"]);
    appendFileSync(path, "a 10\n");
    expect(shown(tail)).toEqual(["10"]);
  });

  test("lines longer than what is read at once come whole; a line beyond all measure is skipped", () => {
    const long = "x".repeat(700_000);
    const path = transcript(`a ${long}\na 2\n`);
    const tail = new TranscriptTail(path, 0, reader);
    expect(shown(tail)).toEqual([long, "2"]);
    appendFileSync(path, `c ${"y".repeat(33 * 1024 * 1024)}`);
    expect(shown(tail)).toEqual([]);
    appendFileSync(path, "\na 3\n");
    expect(shown(tail)).toEqual(["3"]);
  });
});
