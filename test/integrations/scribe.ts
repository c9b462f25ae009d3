// Random settings-like JSON in any legal formatting, the same for the same seed.

/** mulberry32: small, seeded, good enough to vary a text */
export function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

/** Writes settings-like JSON in any legal formatting. */
export class Scribe {
  readonly #random: () => number;
  readonly #spaces: readonly string[];

  constructor(seed: number) {
    this.#random = randomFrom(seed);
    const newline = this.pick(["\n", "\r\n", "\n", "\r"]);
    this.#spaces = this.pick([
      ["", "", " "],
      ["", " ", "\t", newline, `${newline}  `, `${newline}\t`, ` ${newline}${newline}    `],
    ]);
  }

  settings(): string {
    const members = this.shuffle([
      ...this.some(3, () => this.member(this.key(), this.value(3))),
      ...(this.chance(0.7) ? [this.member(this.spell("hooks"), this.hooks())] : []),
      ...(this.chance(0.5) ? [this.member(this.spell("mcpServers"), this.servers())] : []),
    ]);
    const mark = this.chance(0.1) ? "\ufeff" : "";
    return mark + this.space() + this.wrap("{", members, "}") + this.space();
  }

  private hooks(): string {
    const events = ["Stop", "PostToolBatch", "UserPromptSubmit", "SessionStart", "PostToolUse", "Odd"];
    return this.wrap(
      "{",
      events
        .filter(() => this.chance(0.4))
        .map((event) =>
          this.member(
            this.spell(event),
            this.wrap(
              "[",
              this.some(3, () => this.group()),
              "]",
            ),
          ),
        ),
      "}",
    );
  }

  private group(): string {
    const handler = () =>
      this.wrap(
        "{",
        this.shuffle([
          this.member('"type"', '"command"'),
          this.member('"command"', this.text()),
          ...this.some(2, () => this.member(this.key(), this.value(1))),
        ]),
        "}",
      );
    const hooks = this.member(this.spell("hooks"), this.wrap("[", this.some(3, handler), "]"));
    return this.wrap(
      "{",
      this.shuffle([hooks, ...this.some(1, () => this.member('"matcher"', this.text()))]),
      "}",
    );
  }

  private servers(): string {
    return this.wrap(
      "{",
      this.some(3, () => this.member(this.key(), this.value(2))),
      "}",
    );
  }

  private value(depth: number): string {
    if (depth === 0 || this.chance(0.5))
      return this.pick([
        "null",
        "true",
        "-0",
        "1.50",
        "1E+9",
        "12345678901234567890",
        this.text(),
        this.text(),
      ]);
    return this.chance(0.5)
      ? this.wrap(
          "[",
          this.some(4, () => this.value(depth - 1)),
          "]",
        )
      : this.wrap(
          "{",
          this.some(4, () => this.member(this.key(), this.value(depth - 1))),
          "}",
        );
  }

  private text(): string {
    return this.pick([
      '""',
      '"a, b: {[x]}"',
      '"\\"\\\\\\u00e9\\ud83d\\ude00"',
      '"é 😀\u2028"',
      '"//"',
      '"\\/\\b"',
    ]);
  }

  private key(): string {
    return this.pick(['"k"', '"k"', '"K\\u0031"', '"__proto__"', '""', '"a b"', '"ai-intercom-not"', '"0"']);
  }

  /** a name, perhaps with one letter escaped */
  private spell(name: string): string {
    if (!this.chance(0.1)) return JSON.stringify(name);
    return `"\\u00${name.charCodeAt(0).toString(16)}${name.slice(1)}"`;
  }

  private member(key: string, value: string): string {
    return `${key}${this.space()}:${this.space()}${value}`;
  }

  private wrap(open: string, children: string[], close: string): string {
    // an empty container over lines is the one thing that only the backup gives back exactly
    if (children.length === 0) return open + this.pick(["", " ", "  ", "\t"]) + close;
    const inner = children.map((child) => this.space() + child + this.space()).join(",");
    return open + inner + close;
  }

  private space(): string {
    return this.pick(this.#spaces);
  }

  private some<T>(most: number, make: () => T): T[] {
    return Array.from({ length: Math.floor(this.#random() * (most + 1)) }, make);
  }

  private shuffle<T>(items: T[]): T[] {
    return items
      .map((item) => ({ item, at: this.#random() }))
      .sort((a, b) => a.at - b.at)
      .map(({ item }) => item);
  }

  private pick<T>(items: readonly T[]): T {
    const item = items[Math.floor(this.#random() * items.length)];
    if (item === undefined) throw new Error("nothing to pick from");
    return item;
  }

  private chance(probability: number): boolean {
    return this.#random() < probability;
  }
}
