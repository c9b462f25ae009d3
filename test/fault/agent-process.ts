// The process of a simulated agent: a shell that does nothing, and starts a hook as its own child when it is told to.
// It ends with the harness, for its standard input ends then.
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import type { ToolAnswer } from "../../src/protocol/local-api.ts";
import { waitFor } from "../rig/wait.ts";
import { patience } from "./served.ts";

/** What befalls a hook so many ms after its start: it stands still for so many ms, or is killed. */
export type HookStrike = { afterMs: number; stopMs?: number };
/** `struck`: it still ran then */
export type HookRun = { text: string; struck: boolean };

/** What carries an agent's tool calls: a session client as in the MCP server, or the real one. */
export type AgentTools = {
  call(tool: string, given: Record<string, unknown>): Promise<ToolAnswer>;
  confirm(nonce: string): Promise<void>;
  stop(): Promise<void>;
};
/** The agent's own process: whose child a hook is. */
export type Process = {
  readonly pid: number;
  readonly startTicks: string;
  hook(binary: string, input: string, strike?: HookStrike): Promise<HookRun>;
  kill(): Promise<void>;
};

export class AgentProcess implements Process {
  readonly #child: Bun.Subprocess<"pipe", "pipe", "ignore">;
  readonly #lines: string[] = [];
  #next = 1;
  /** `procStart` as the agent's registry file has it */
  readonly startTicks: string;

  constructor(
    private readonly directory: string,
    env: Record<string, string>,
  ) {
    this.#child = Bun.spawn(["/bin/sh"], {
      env,
      cwd: directory,
      stdin: "pipe",
      stdout: "pipe",
      stderr: "ignore",
    });
    const stat = readFileSync(`/proc/${this.pid}/stat`, "utf8");
    this.startTicks = stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? "";
    void this.#read();
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** Runs the installed hook command with this event; gives what reached its standard output. */
  async hook(binary: string, input: string, strike?: HookStrike): Promise<HookRun> {
    const name = `${this.directory}/hook-${this.pid}-${this.#next++}`;
    writeFileSync(`${name}.in`, input);
    writeFileSync(`${name}.out`, ""); // a hook that is killed before its shell has opened this printed nothing
    const guard = `[ -e "$AI_INTERCOM_HOME/inbox/pending/$PPID" ] || exit 0; unset BUN_OPTIONS BUN_BE_BUN; exec "${binary}" check-inbox --format hook`;
    const from = this.#lines.length;
    this.#child.stdin.write(
      `/bin/sh -c '${guard}' < ${name}.in > ${name}.out 2>/dev/null & echo pid $!; wait $!; echo end\n`,
    );
    this.#child.stdin.flush();
    const line = await waitFor("the hook's pid", () => this.#lines[from] ?? this.#ended, patience);
    if (line === "dead") return { text: "", struck: false };
    let struck = false;
    if (strike) {
      await Bun.sleep(strike.afterMs);
      struck = this.#lines.length < from + 2 && (await befall(Number(line.slice(4)), strike.stopMs));
    }
    await waitFor("the hook's end", () => this.#lines.length >= from + 2 || this.#ended, patience);
    const text = readFileSync(`${name}.out`, "utf8");
    for (const file of [`${name}.in`, `${name}.out`]) rmSync(file);
    return { text, struck };
  }

  get #ended(): "dead" | undefined {
    return this.#child.signalCode === null && this.#child.exitCode === null ? undefined : "dead";
  }

  async kill(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#child.exited;
  }

  async #read(): Promise<void> {
    const decoder = new TextDecoder();
    let rest = "";
    for await (const part of this.#child.stdout) {
      const lines = (rest + decoder.decode(part, { stream: true })).split("\n");
      rest = lines.pop() ?? "";
      this.#lines.push(...lines);
    }
  }
}

/**
 * Stops a process for so many ms, or kills it. False when it has ended; its shell has only just been told, so the pid
 * is no other's yet.
 */
export async function befall(pid: number, stopMs?: number): Promise<boolean> {
  try {
    process.kill(pid, stopMs === undefined ? "SIGKILL" : "SIGSTOP");
    if (stopMs === undefined) return true;
    await Bun.sleep(stopMs);
    process.kill(pid, "SIGCONT");
    return true;
  } catch {
    return false;
  }
}
