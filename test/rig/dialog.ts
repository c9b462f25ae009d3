// A person at a terminal of their own (a real pseudo-terminal) who reads what a program asks, and types.
import { waitFor, within } from "./wait";

/** ms that one question, or the end, may take */
const patienceMs = 30_000;

export class Dialog implements AsyncDisposable {
  #text = "";
  /** characters already answered */
  #read = 0;
  readonly #child: Bun.Subprocess;

  constructor(command: string[], options: { env: Record<string, string>; cwd: string }) {
    const decoder = new TextDecoder();
    this.#child = Bun.spawn(command, {
      ...options,
      terminal: {
        cols: 200,
        rows: 50,
        data: (_, bytes) => {
          this.#text += decoder.decode(bytes, { stream: true });
        },
      },
    });
  }

  /** All that was shown, without control sequences. */
  get text(): string {
    return this.#text.replace(/\u001b\[[0-9;?]*[A-Za-z]/g, "").replaceAll("\r", "");
  }

  /** Waits until `question` is asked, behind what was answered before, and types `keys`; Enter is `\r`. */
  async answer(question: string, keys: string): Promise<void> {
    await waitFor(
      `the question "${question}"`,
      () => this.text.indexOf(question, this.#read) !== -1 || this.#child.exitCode !== null,
      { timeoutMs: patienceMs, detail: () => this.text },
    );
    const at = this.text.indexOf(question, this.#read);
    if (at === -1) throw new Error(`it ended without asking "${question}":\n${this.text}`);
    this.#read = at + question.length;
    this.#child.terminal?.write(keys);
  }

  /** Its exit code, or the signal that ended it. */
  async ended(): Promise<number | string> {
    await within("the program to end", this.#child.exited, { timeoutMs: patienceMs });
    return this.#child.signalCode ?? this.#child.exitCode ?? -1;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#child.exited;
    this.#child.terminal?.close();
  }
}
