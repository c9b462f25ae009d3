// The built MCP server as a bare process: lines in, lines out, and how it ends. For what a client library hides.
import { binary } from "./binary";
import { waitFor, within } from "./wait";

// biome-ignore lint/suspicious/noExplicitAny: the tests assert the shape
export type Line = Record<string, any>;

export class StdioServer implements AsyncDisposable {
  readonly #child: Bun.Subprocess<"pipe", "pipe", "pipe">;
  readonly lines: Line[] = [];
  #rest = "";
  #errors = "";

  private constructor(env: Record<string, string>, cwd: string) {
    this.#child = Bun.spawn([binary, "mcp-server"], {
      env,
      cwd,
      stdin: "pipe",
      stdout: "pipe",
      stderr: "pipe",
    });
    void this.#read();
    void new Response(this.#child.stderr).text().then((text) => {
      this.#errors = text;
    });
  }

  static start({ env, cwd }: { env: Record<string, string>; cwd: string }): StdioServer {
    return new StdioServer(env, cwd);
  }

  send(message: Line): void {
    this.#child.stdin.write(`${JSON.stringify({ jsonrpc: "2.0", ...message })}\n`);
    this.#child.stdin.flush();
  }

  /** The answer to request `id`. */
  answer(id: number): Promise<Line> {
    return waitFor(`an answer to request ${id}`, () => this.lines.find((line) => line.id === id), {
      detail: () => `${JSON.stringify(this.lines)} ${this.#errors}`,
    });
  }

  /** Sends a request and gives its answer. */
  ask(id: number, method: string, params: Line = {}): Promise<Line> {
    this.send({ id, method, params });
    return this.answer(id);
  }

  endInput(): void {
    this.#child.stdin.end();
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** The exit code; 128 and the signal's number when one ended it. */
  exited(): Promise<number> {
    return within("the MCP server to exit", this.#child.exited);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#child.exited;
  }

  /** Anything on stdout that is no JSON line throws: it would break the client. */
  async #read(): Promise<void> {
    const decoder = new TextDecoder();
    for await (const part of this.#child.stdout) {
      const parts = (this.#rest + decoder.decode(part, { stream: true })).split("\n");
      this.#rest = parts.pop() ?? "";
      for (const line of parts) this.lines.push(JSON.parse(line));
    }
  }
}
