// What a run has printed so far: its steps and its answer, read from the file that the agent writes. The same bytes give
// the same steps with the same numbers, so that a restarted daemon simply reads the file again.
import { closeSync, constants, openSync, readSync } from "node:fs";
import { StringDecoder } from "node:string_decoder";
import { cleanText } from "../inbox/clean-text.ts";
import type { AgentMissions, MissionNews, MissionStep } from "../integrations/integration.ts";
import { type MissionEntry, summaryLimit } from "../protocol/mission.ts";
import { isErrno } from "../system/files.ts";

/** bytes of one read, and of all reads of one look */
const chunkBytes = 256 * 1024;
const lookBytes = 8 * 1024 * 1024;
/** bytes of one line; a longer one is passed over */
const maxLineBytes = 256 * 1024 * 1024;
/** steps of one run, and lines of plain text that are steps */
const maxEntries = 10_000;
const maxTextEntries = 1_000;
/** UTF-16 units of an answer */
const maxOutput = 16 * 1024 * 1024;
const newline = 10;

export class MissionOutput {
  readonly entries: MissionEntry[] = [];
  output = "";
  nativeSessionId: string | undefined;
  verdict: MissionNews["verdict"];
  readonly #path: string;
  readonly #agent: AgentMissions | undefined;
  readonly #turns = new Set<string>();
  readonly #decoder = new StringDecoder("utf8");
  #fd: number | undefined;
  #offset = 0;
  /** pieces of the line that has not ended yet */
  #line: Buffer[] = [];
  #lineBytes = 0;

  constructor(path: string, agent: AgentMissions | undefined) {
    this.#path = path;
    this.#agent = agent;
  }

  /** answers of the agent, where it does not count its turns itself */
  get turns(): number {
    return this.#turns.size;
  }

  get size(): number {
    return this.#offset;
  }

  /** Reads what is new, within a bound; true when there may be more at once. */
  read(): boolean {
    const fd = this.#open();
    if (fd === undefined) return false;
    for (let done = 0; done < lookBytes; ) {
      const buffer = Buffer.allocUnsafe(chunkBytes);
      const length = readSync(fd, buffer, 0, chunkBytes, this.#offset);
      if (length === 0) return false;
      this.#offset += length;
      done += length;
      this.#take(buffer.subarray(0, length));
    }
    return true;
  }

  /** The agent has ended: what stands behind the last line break counts too. */
  finish(): void {
    this.#endLine();
    if (!this.#agent) this.#say(this.#decoder.end());
    this.close();
  }

  close(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }

  #open(): number | undefined {
    try {
      this.#fd ??= openSync(this.#path, constants.O_RDONLY | constants.O_NOFOLLOW);
    } catch (error) {
      if (!isErrno(error, "ENOENT")) throw error;
    }
    return this.#fd;
  }

  #take(bytes: Buffer): void {
    if (!this.#agent) this.#say(this.#decoder.write(bytes));
    let from = 0;
    for (let at = bytes.indexOf(newline); at !== -1; at = bytes.indexOf(newline, from)) {
      this.#keep(bytes.subarray(from, at));
      this.#endLine();
      from = at + 1;
    }
    this.#keep(bytes.subarray(from));
  }

  #keep(piece: Buffer): void {
    if (piece.length === 0) return;
    this.#lineBytes += piece.length;
    if (this.#lineBytes <= maxLineBytes) this.#line.push(piece);
    else this.#line = [];
  }

  #endLine(): void {
    const line = Buffer.concat(this.#line).toString("utf8");
    const tooLong = this.#lineBytes > maxLineBytes;
    this.#line = [];
    this.#lineBytes = 0;
    if (tooLong) this.#step({ kind: "error", summary: "a line that was too long was passed over" });
    else if (line.trim() === "") return;
    else if (this.#agent) this.#hear(this.#agent.readLine(line));
    else if (this.entries.length < maxTextEntries) this.#step({ kind: "text", summary: line });
  }

  #hear({ steps, nativeSessionId, turn, output, verdict }: MissionNews): void {
    for (const step of steps) this.#step(step);
    this.nativeSessionId = nativeSessionId ?? this.nativeSessionId;
    if (turn !== undefined) this.#turns.add(turn);
    if (output) this.#say(this.output === "" ? output : `\n\n${output}`);
    this.verdict = verdict ?? this.verdict;
  }

  #step({ kind, summary }: MissionStep): void {
    if (this.entries.length >= maxEntries) return;
    const last = this.entries.length === maxEntries - 1;
    const entry = last
      ? ({ kind: "status", summary: "further steps are not kept" } as const)
      : { kind, summary };
    this.entries.push({
      seq: this.entries.length + 1,
      timestamp: new Date().toISOString(),
      kind: entry.kind,
      summary: clip(entry.summary),
    });
  }

  #say(text: string): void {
    const room = maxOutput - this.output.length;
    if (room > 0) this.output += text.slice(0, room).toWellFormed();
  }
}

/** Long texts are cut before they are cleaned, and once more: some characters grow. */
function clip(text: string): string {
  const clean = cleanText(text.slice(0, 4 * summaryLimit)).trim();
  const cut = clean.length > summaryLimit ? `${clean.slice(0, summaryLimit - 1)}…` : clean;
  return cut.toWellFormed();
}
