// Hand-written shell hooks for the tests that prove the rig (and the client) without the product:
// every hook logs its input, and prints additionalContext when the test has left some for its event.

import { mkdir, readdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import type { ClaudeHome } from "./claude-home";
import { type WaitOptions, waitFor } from "./wait";

const hookEvents = [
  "SessionStart",
  "UserPromptSubmit",
  "PostToolBatch",
  "Stop",
  "SubagentStart",
  "SubagentStop",
  "PreCompact",
  "PostCompact",
  "SessionEnd",
] as const;
export type HookEvent = (typeof hookEvents)[number];

const HookInput = z.looseObject({
  hook_event_name: z.enum(hookEvents),
  session_id: z.string(),
  transcript_path: z.string(),
  source: z.string().optional(),
  agent_id: z.string().optional(),
});

/** One run of a hook. */
export type HookCall = {
  /** Its standard input, parsed. */
  input: z.infer<typeof HookInput>;
  /** When it began, in milliseconds since the epoch. */
  atMs: number;
  /** `$PPID` in the guard's shell. */
  guardParent: number;
  /** Parent of the program that the guard `exec`s. */
  programParent: number;
};

// The guard is a shell line like the product's; the program it execs is a shell script here.
// "say-EVENT" is taken by rename, so that of two hooks at once only one prints it.
const program = `#!/bin/sh
log="$HOME/hooks/log"
name="$(date +%s%N)-$$"
{ printf '%s\\n%s\\n' "$GUARD_PARENT" "$PPID"; cat; } > "$log/.$name"
mv "$log/.$name" "$log/$name"
if mv "$HOME/hooks/slow-$1" "$HOME/hooks/slow-$1.$$" 2>/dev/null; then sleep "$(cat "$HOME/hooks/slow-$1.$$")"; fi
if mv "$HOME/hooks/say-$1" "$HOME/hooks/said.$$" 2>/dev/null; then cat "$HOME/hooks/said.$$"; fi
`;

/** The hooks of one home. Install them before the first client starts. */
export class ShellHooks {
  private constructor(readonly home: ClaudeHome) {}

  /** Installs a hook for every event; `timeouts` are in seconds. */
  static async install(
    home: ClaudeHome,
    timeouts: Partial<Record<HookEvent, number>> = {},
  ): Promise<ShellHooks> {
    const path = await home.write("hooks/run.sh", program, { executable: true });
    await mkdir(join(home.path, "hooks/log"), { recursive: true });
    const entries = hookEvents.map((event) => {
      const timeout = timeouts[event];
      const command = `[ -e "$HOME/hooks/log" ] || exit 0; GUARD_PARENT=$PPID exec "${path}" ${event}`;
      return [event, [{ hooks: [{ type: "command", command, ...(timeout && { timeout }) }] }]];
    });
    await home.writeSettings({ hooks: Object.fromEntries(entries) });
    return new ShellHooks(home);
  }

  /** The next hook of `event` prints `text` as additionalContext, once. */
  async sayOnce(event: HookEvent, text: string): Promise<void> {
    const output = { hookSpecificOutput: { hookEventName: event, additionalContext: text } };
    await this.#leave(`say-${event}`, JSON.stringify(output));
  }

  /** The next hook of `event` takes that long, in seconds, before it prints anything. */
  async slowOnce(event: HookEvent, seconds: number): Promise<void> {
    await this.#leave(`slow-${event}`, String(seconds));
  }

  /** Takes back what no hook has printed yet. */
  async sayNothing(event: HookEvent): Promise<void> {
    await rm(join(this.home.path, "hooks", `say-${event}`), { force: true });
  }

  /** The runs of `event` so far, oldest first. */
  async calls(event: HookEvent): Promise<HookCall[]> {
    const directory = join(this.home.path, "hooks/log");
    const names = (await readdir(directory)).filter((name) => !name.startsWith(".")).sort();
    const calls = await Promise.all(names.map((name) => readCall(directory, name)));
    return calls.filter((call) => call.input.hook_event_name === event);
  }

  /** Waits for a run of `event` that fits, running or ended. */
  async waitForCall(
    event: HookEvent,
    fits: (call: HookCall) => boolean = () => true,
    options: WaitOptions = {},
  ): Promise<HookCall> {
    return waitFor(`a ${event} hook`, async () => (await this.calls(event)).find(fits), options);
  }

  async #leave(name: string, text: string): Promise<void> {
    const path = join(this.home.path, "hooks", name);
    await writeFile(`${path}.new`, text);
    await rename(`${path}.new`, path);
  }
}

async function readCall(directory: string, name: string): Promise<HookCall> {
  const [guardParent = "", programParent = "", ...input] = (
    await Bun.file(join(directory, name)).text()
  ).split("\n");
  const [startedNs = "0"] = name.split("-");
  return {
    input: HookInput.parse(JSON.parse(input.join("\n"))),
    atMs: Number(startedNs) / 1e6,
    guardParent: Number(guardParent),
    programParent: Number(programParent),
  };
}
