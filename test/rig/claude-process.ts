// One process of the real Claude Code client: where its binary is, how it is started and ended, and
// what it leaves on disk. The two ways of running it are in claude.ts.

import { join } from "node:path";
import { z } from "zod";
import { type ClaudeVersion, claudePath } from "../real/install";
import {
  readRegistry,
  readTranscript,
  type SessionRegistry,
  type TranscriptLine,
  transcriptPath,
} from "./claude-files";
import type { ClaudeHome } from "./claude-home";
import { waitFor, within } from "./wait";

/** How long a client may take to end after SIGTERM before it is killed, in milliseconds. */
const endMs = 30_000;

export type ClaudeOptions = {
  home: ClaudeHome;
  version: ClaudeVersion;
  /** Working directory; the home's first project if absent. */
  cwd?: string;
  /** On top of the home's environment. */
  env?: Readonly<Record<string, string>>;
  /** `bypassPermissions` if absent: nothing asks. */
  permissionMode?: "default" | "acceptEdits" | "plan" | "bypassPermissions";
  /** The `mcpServers` table for `--mcp-config`. */
  mcpServers?: Readonly<Record<string, unknown>>;
  /** More arguments, e.g. `["--resume", sessionId]`. */
  args?: readonly string[];
};

/** The client's binary. Throws with what to do when it is not installed. */
export async function claudeBinary(version: ClaudeVersion): Promise<string> {
  const path = claudePath(version);
  if (await Bun.file(path).exists()) return path;
  throw new Error(`claude ${version} is not installed for the tests; try: bun test/real/install.ts`);
}

/** What both ways of running share: one process, its registry file and its transcript. */
export abstract class ClaudeProcess implements AsyncDisposable {
  #sessionId: string | undefined;

  protected constructor(
    readonly home: ClaudeHome,
    readonly version: ClaudeVersion,
    readonly cwd: string,
    protected readonly process: Bun.Subprocess,
  ) {}

  get pid(): number {
    return this.process.pid;
  }

  /** Resolves with the exit code, or 128 + the signal's number. */
  get exited(): Promise<number> {
    return this.process.exited;
  }

  /** What the client says about itself in `~/.claude/sessions/<pid>.json`. */
  registry(): Promise<SessionRegistry | undefined> {
    return readRegistry(this.home, this.pid);
  }

  /** Where this session's transcript is (or will be); it changes with `/clear`. After the end: where it was. */
  async transcriptPath(): Promise<string> {
    if (this.process.exitCode === null || this.#sessionId === undefined) {
      const registry = await waitFor(`the registry file of claude ${this.pid}`, () => this.registry());
      this.#sessionId = registry.sessionId;
    }
    return transcriptPath(this.home, this.cwd, this.#sessionId);
  }

  async transcript(): Promise<TranscriptLine[]> {
    return readTranscript(await this.transcriptPath());
  }

  /**
   * Waits until an answer of the main agent that contains `text` stands in the transcript. The screen
   * is no proof: it shows the script of the prompt, which contains the answers as well.
   */
  async waitForAnswer(text: string, timeoutMs?: number): Promise<TranscriptLine> {
    return waitFor(
      `the answer "${text}" (claude ${this.version}, pid ${this.pid})`,
      async () =>
        (await this.transcript()).find(
          (line) => line.type === "assistant" && !line.isSidechain && saysText(line, text),
        ),
      { ...(timeoutMs && { timeoutMs }), detail: () => this.describe() },
    );
  }

  /** What can be seen of the client, for error messages. */
  abstract describe(): string;

  /** Ends this client, and only it: SIGTERM, then SIGKILL. */
  async close(): Promise<void> {
    if (this.process.exitCode === null && this.process.signalCode === null) this.process.kill("SIGTERM");
    try {
      await within(`claude ${this.pid} to end`, this.process.exited, { timeoutMs: endMs });
    } catch {
      this.process.kill("SIGKILL");
      await this.process.exited;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/** The command line and, where asked, the MCP config file that both ways of running share. */
export async function commonArguments({
  home,
  permissionMode = "bypassPermissions",
  mcpServers,
  args = [],
}: ClaudeOptions): Promise<string[]> {
  const common =
    permissionMode === "bypassPermissions"
      ? ["--dangerously-skip-permissions"]
      : ["--permission-mode", permissionMode];
  if (mcpServers) {
    const path = join(home.tmp, `mcp-${Bun.randomUUIDv7("hex").slice(-8)}.json`);
    await Bun.write(path, JSON.stringify({ mcpServers }));
    common.push("--mcp-config", path);
  }
  return [...common, ...args];
}

function saysText(line: TranscriptLine, text: string): boolean {
  const blocks = z
    .array(z.looseObject({ type: z.string(), text: z.string().optional() }))
    .safeParse(line.message?.content);
  return blocks.success && blocks.data.some((block) => block.type === "text" && block.text?.includes(text));
}
