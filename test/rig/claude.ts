// Drives the real Claude Code client: headless (ClaudePrint) and in a pseudo-terminal
// (ClaudeTerminal), in a ClaudeHome, against a FakeModel. It knows nothing about the product.

import { z } from "zod";
import type { SessionRegistry } from "./claude-files";
import { type ClaudeOptions, ClaudeProcess, claudeBinary, commonArguments } from "./claude-process";
import { Screen } from "./screen";
import { waitFor, within } from "./wait";

/** How long a client may take to show its prompt, in milliseconds: a cold 250 MB binary on a busy machine. */
const startMs = 60_000;

export const PrintLine = z.looseObject({
  type: z.string(),
  subtype: z.string().optional(),
  session_id: z.string().optional(),
});
export type PrintLine = z.infer<typeof PrintLine>;

export type ClaudePrintOptions = ClaudeOptions & {
  /** The prompt of a one-shot run. Without it the client reads `--input-format stream-json` until `endInput()`. */
  prompt?: string;
};

/** A headless run, `claude -p --output-format stream-json --verbose`. */
export class ClaudePrint extends ClaudeProcess {
  /** The lines of standard output so far, parsed. */
  readonly lines: PrintLine[] = [];
  /** Standard error so far. */
  stderr = "";
  readonly #drained: Promise<unknown>;
  readonly #stdin: Bun.FileSink | undefined;

  private constructor(
    options: ClaudePrintOptions,
    cwd: string,
    process: Bun.Subprocess<"ignore" | "pipe", "pipe", "pipe">,
  ) {
    super(options.home, options.version, cwd, process);
    this.#stdin = process.stdin;
    this.#drained = Promise.all([
      eachLine(process.stdout, (line) => this.lines.push(PrintLine.parse(JSON.parse(line)))),
      eachLine(process.stderr, (line) => {
        this.stderr += `${line}\n`;
      }),
    ]);
  }

  static async start(options: ClaudePrintOptions): Promise<ClaudePrint> {
    const { home, prompt, cwd = home.project() } = options;
    const input = prompt === undefined ? ["--input-format", "stream-json"] : [prompt];
    const command = [
      await claudeBinary(options.version),
      "-p",
      ...input,
      "--output-format",
      "stream-json",
      "--verbose",
      ...(await commonArguments(options)),
    ];
    const process = Bun.spawn(command, {
      cwd,
      env: home.env(options.env),
      stdin: prompt === undefined ? "pipe" : "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
    return new ClaudePrint(options, cwd, process);
  }

  /** Sends one user message to a run without `prompt`. */
  async send(text: string): Promise<void> {
    if (!this.#stdin) throw new Error("a one-shot run reads no input; leave out its prompt");
    this.#stdin.write(`${JSON.stringify({ type: "user", message: { role: "user", content: text } })}\n`);
    await this.#stdin.flush();
  }

  /** No more input: the client finishes what it has and ends. */
  async endInput(): Promise<void> {
    await this.#stdin?.end();
  }

  /** The first line that fits, already there or still to come. */
  waitForLine(label: string, fits: (line: PrintLine) => boolean, timeoutMs?: number): Promise<PrintLine> {
    return waitFor(`the output line: ${label}`, () => this.lines.find(fits), {
      ...(timeoutMs && { timeoutMs }),
      detail: () => this.describe(),
    });
  }

  /** Waits for the end, output drained; resolves with the exit code. Deadline in milliseconds. */
  async finish(timeoutMs = startMs): Promise<number> {
    const code = await within(`claude -p ${this.pid} to finish`, this.exited, {
      timeoutMs,
      detail: () => this.describe(),
    });
    await this.#drained;
    return code;
  }

  override describe(): string {
    const lines = this.lines.map((line) => JSON.stringify(line).slice(0, 300));
    return [
      `claude -p ${this.version}, pid ${this.pid}`,
      ...lines,
      this.stderr && `stderr: ${this.stderr.slice(-2_000)}`,
    ].join("\n");
  }
}

/** Between two presses of a key that a dialog may have ignored, in milliseconds. */
const dialogMs = 400;

const keys = {
  enter: "\r",
  escape: "\u001b",
  up: "\u001b[A",
  down: "\u001b[B",
  ctrlC: "\u0003",
  ctrlU: "\u0015",
} as const;

/** An interactive run in a pseudo-terminal of its own. */
export class ClaudeTerminal extends ClaudeProcess {
  readonly #screen: Screen;

  private constructor(options: ClaudeOptions, cwd: string, process: Bun.Subprocess, screen: Screen) {
    super(options.home, options.version, cwd, process);
    this.#screen = screen;
  }

  /** Starts the client and waits until it shows its prompt and its registry file. */
  static async start(options: ClaudeOptions): Promise<ClaudeTerminal> {
    const { home, cwd = home.project() } = options;
    const screen = new Screen(160, 50);
    const process = Bun.spawn([await claudeBinary(options.version), ...(await commonArguments(options))], {
      cwd,
      env: home.env(options.env),
      terminal: { cols: screen.columns, rows: screen.rows, data: (_, bytes) => screen.write(bytes) },
    });
    const claude = new ClaudeTerminal(options, cwd, process, screen);
    try {
      await claude.#ready();
    } catch (error) {
      await claude.close();
      throw error;
    }
    return claude;
  }

  async #ready(): Promise<void> {
    const state = await this.waitUntil(
      "the first prompt",
      async () => {
        if (this.process.exitCode !== null) return "ended";
        return this.input() === "" && (await this.registry()) !== undefined && "ready";
      },
      startMs,
    );
    if (state === "ended")
      throw new Error(`claude ended at once, code ${this.process.exitCode}\n${this.describe()}`);
  }

  /** What a person sees now. */
  screen(): string {
    return this.#screen.text();
  }

  /** What stands in the input box, white space removed; `undefined` when there is no input box (a dialog). */
  input(): string | undefined {
    return inputBox(this.#screen.lines());
  }

  /** Types a prompt or a slash command and submits it, each step seen on the screen. */
  async submit(text: string): Promise<void> {
    await this.waitUntil("an empty input box", () => this.input() === "");
    this.type(text);
    const tail = withoutSpace(text).slice(-30);
    await this.waitUntil(`the typed text: …${tail}`, () => {
      const shown = this.input();
      return shown !== undefined && (shown.endsWith(tail) || shown.includes("[Pastedtext"));
    });
    this.press("enter");
    await this.waitUntil(
      "the prompt to be submitted",
      () => !this.input()?.endsWith(tail) && !this.input()?.includes("[Pastedtext"),
    );
  }

  /** Empties the input box; a prompt that was taken back stands there again. */
  async clearInput(): Promise<void> {
    await this.waitUntil("an empty input box", async () => {
      if (this.input() === "") return true;
      this.type(keys.ctrlU);
      await within("a line to be cleared", Bun.sleep(dialogMs));
      return false;
    });
  }

  /** Sends characters as a keyboard would, without submitting. */
  type(text: string): void {
    this.process.terminal?.write(text);
  }

  press(key: keyof typeof keys): void {
    this.type(keys[key]);
  }

  /**
   * Answers an open dialog with `key` (enter takes the marked choice) and waits until it is gone. For a
   * moment after a dialog opens, 2.1.330 ignores keys, against accidents; so the key is pressed again.
   */
  async answerDialog(key: "enter" | "escape" = "enter"): Promise<void> {
    await this.waitUntil("a dialog", () => this.input() === undefined);
    let pressedMs = Number.NEGATIVE_INFINITY;
    await this.waitUntil("the dialog to close", () => {
      if (this.input() !== undefined) return true;
      if (performance.now() - pressedMs < dialogMs) return false;
      pressedMs = performance.now();
      this.press(key);
      return false;
    });
  }

  /** Waits until the screen shows `what`. Deadline in milliseconds. */
  async waitForScreen(what: string | RegExp, timeoutMs?: number): Promise<void> {
    const shows =
      typeof what === "string" ? () => this.screen().includes(what) : () => what.test(this.screen());
    await this.waitUntil(`the screen to show ${what}`, shows, timeoutMs);
  }

  /** Waits until the client itself says so in its registry file (`idle`, `busy`, `waiting`). */
  async waitForStatus(status: string, timeoutMs?: number): Promise<SessionRegistry> {
    return this.waitUntil(
      `status ${status}`,
      async () => {
        const registry = await this.registry();
        return registry?.status === status && registry;
      },
      timeoutMs,
    );
  }

  /** `/compact`, until the new context takes prompts. */
  async compact(): Promise<SessionRegistry> {
    await this.submit("/compact");
    await this.waitForScreen("Compacted");
    return this.waitForStatus("idle");
  }

  /**
   * `/clear`, until the new conversation takes prompts. 2.1.197 names the new session while the command still runs and
   * the old screen stands; what is submitted then runs, but comes back into the input box when the command ends.
   */
  async clear(): Promise<SessionRegistry> {
    const before = (await this.registry())?.sessionId;
    await this.submit("/clear");
    return this.waitUntil("a cleared conversation", async () => {
      const cleared = this.screen().includes("❯ /clear");
      const registry = await this.registry();
      return cleared && registry?.sessionId !== before && registry?.status === "idle" && registry;
    });
  }

  /** Polls any condition; the error shows the screen. */
  waitUntil<T>(label: string, fn: () => T | Promise<T>, timeoutMs?: number) {
    return waitFor(`${label} (claude ${this.version}, pid ${this.pid})`, fn, {
      ...(timeoutMs && { timeoutMs }),
      detail: () => this.describe(),
    });
  }

  override describe(): string {
    return `--- screen of claude ${this.version}, pid ${this.pid}\n${this.screen()}\n---`;
  }

  override async close(): Promise<void> {
    await super.close();
    this.process.terminal?.close();
  }
}

/** What an empty box shows while prompts wait in the client's queue. */
const queuedHint = "Pressuptoeditqueuedmessages";

/** The text between the last two horizontal rules, behind the prompt sign. */
function inputBox(lines: readonly string[]): string | undefined {
  const isRule = (line: string) => /^─{20,}/.test(line);
  const bottom = lines.findLastIndex(isRule);
  const top = lines.slice(0, Math.max(bottom, 0)).findLastIndex(isRule);
  const box = lines.slice(top + 1, bottom);
  if (top < 0 || !box[0]?.startsWith("❯")) return undefined;
  const text = withoutSpace(box.join("").slice(1));
  return text === queuedHint ? "" : text;
}

function withoutSpace(text: string): string {
  return text.replaceAll(/\s+/g, "");
}

async function eachLine(stream: ReadableStream<Uint8Array>, take: (line: string) => void): Promise<void> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of stream) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) if (line !== "") take(line);
  }
  if (rest !== "") take(rest);
}
