// A small terminal screen: enough of the control sequences that Claude Code sends to know what a
// person would see now. Colours, the mouse and the title are thrown away.

const tabWidth = 8;
/** Cursor movements by final character, per unit of their parameter. */
const moves: Readonly<Record<string, { rows: number; columns: number }>> = {
  A: { rows: -1, columns: 0 },
  B: { rows: 1, columns: 0 },
  C: { rows: 0, columns: 1 },
  D: { rows: 0, columns: -1 },
};

/** Text cells of a terminal, fed with what the program writes. */
export class Screen {
  #cells: string[][];
  #row = 0;
  #column = 0;
  #saved = { row: 0, column: 0 };
  #pending = "";
  readonly #decoder = new TextDecoder();

  constructor(
    readonly columns: number,
    readonly rows: number,
  ) {
    this.#cells = Array.from({ length: rows }, () => this.#blank());
  }

  /** What is visible now: the rows without trailing blanks. */
  text(): string {
    return this.lines().join("\n").trimEnd();
  }

  lines(): string[] {
    return this.#cells.map((row) => row.join("").trimEnd());
  }

  write(bytes: Uint8Array): void {
    const text = this.#pending + this.#decoder.decode(bytes, { stream: true });
    let at = 0;
    while (at < text.length) {
      const next = this.#consume(text, at);
      if (next === undefined) break;
      at = next;
    }
    this.#pending = text.slice(at);
  }

  /** Takes one character or one control sequence; `undefined` when its end has not arrived yet. */
  #consume(text: string, at: number): number | undefined {
    const char = String.fromCodePoint(text.codePointAt(at) ?? 0);
    if (char !== "\u001b") {
      this.#put(char);
      return at + char.length;
    }
    const kind = text[at + 1];
    if (kind === undefined) return undefined;
    if (kind === "[") return this.#csi(text, at);
    if (kind === "]" || kind === "P" || kind === "_" || kind === "^") return endOfString(text, at + 2);
    if (kind === "(" || kind === ")") return text.length > at + 2 ? at + 3 : undefined;
    if (kind === "7") this.#saved = { row: this.#row, column: this.#column };
    if (kind === "8") this.#moveTo(this.#saved.row, this.#saved.column);
    return at + 2;
  }

  #csi(text: string, at: number): number | undefined {
    let end = at + 2;
    while (end < text.length && !/[@-~]/.test(text[end] ?? "")) end += 1;
    const final = text[end];
    if (final === undefined) return undefined;
    const parameters = text.slice(at + 2, end);
    if (/^[?>=<]/.test(parameters)) this.#privateMode(parameters, final);
    else
      this.#control(
        final,
        parameters.split(";").map((part) => (part === "" ? undefined : Number(part))),
      );
    return end + 1;
  }

  #privateMode(parameters: string, final: string): void {
    if (parameters !== "?1049" || (final !== "h" && final !== "l")) return;
    this.#eraseScreen(2);
    this.#moveTo(0, 0);
  }

  #control(final: string, [first, second]: (number | undefined)[]): void {
    const count = first || 1;
    const move = moves[final];
    if (move) this.#moveTo(this.#row + move.rows * count, this.#column + move.columns * count);
    else if (final === "G") this.#moveTo(this.#row, count - 1);
    else if (final === "d") this.#moveTo(count - 1, this.#column);
    else if (final === "H" || final === "f") this.#moveTo(count - 1, (second || 1) - 1);
    else if (final === "J") this.#eraseScreen(first ?? 0);
    else if (final === "K") this.#eraseLine(first ?? 0);
    else if (final === "X") this.#erase(this.#row, this.#column, this.#column + count);
    else if (final === "S") this.#scroll(count);
  }

  #put(char: string): void {
    if (char === "\r") this.#column = 0;
    else if (char === "\n") this.#lineFeed();
    else if (char === "\b") this.#moveTo(this.#row, this.#column - 1);
    else if (char === "\t") this.#moveTo(this.#row, this.#column + tabWidth - (this.#column % tabWidth));
    else if (char >= " " && char !== "\u007f") this.#print(char);
  }

  #print(char: string): void {
    const width = Bun.stringWidth(char);
    const row = () => this.#cells[this.#row] ?? [];
    if (width === 0) return;
    if (this.#column + width > this.columns) {
      this.#column = 0;
      this.#lineFeed();
    }
    row()[this.#column] = char;
    if (width === 2) row()[this.#column + 1] = "";
    this.#column += width;
  }

  #lineFeed(): void {
    if (this.#row === this.rows - 1) this.#scroll(1);
    else this.#row += 1;
  }

  #scroll(count: number): void {
    for (let left = Math.min(count, this.rows); left > 0; left -= 1) {
      this.#cells.shift();
      this.#cells.push(this.#blank());
    }
  }

  #moveTo(row: number, column: number): void {
    this.#row = Math.min(Math.max(row, 0), this.rows - 1);
    this.#column = Math.min(Math.max(column, 0), this.columns - 1);
  }

  #eraseScreen(mode: number): void {
    if (mode === 0) this.#eraseLine(0);
    if (mode === 1) this.#eraseLine(1);
    const from = mode === 0 ? this.#row + 1 : 0;
    const to = mode === 1 ? this.#row : this.rows;
    for (let row = from; row < to; row += 1) this.#cells[row] = this.#blank();
  }

  #eraseLine(mode: number): void {
    if (mode === 0) this.#erase(this.#row, this.#column, this.columns);
    if (mode === 1) this.#erase(this.#row, 0, this.#column + 1);
    if (mode === 2) this.#erase(this.#row, 0, this.columns);
  }

  #erase(row: number, from: number, to: number): void {
    this.#cells[row]?.fill(" ", from, Math.min(to, this.columns));
  }

  #blank(): string[] {
    return Array.from({ length: this.columns }, () => " ");
  }
}

/** Position behind the BEL or ESC \ that ends an operating system command. */
function endOfString(text: string, from: number): number | undefined {
  for (let at = from; at < text.length; at += 1) {
    if (text[at] === "\u0007") return at + 1;
    if (text[at] === "\u001b") return text.length > at + 1 ? at + 2 : undefined;
  }
  return undefined;
}
