// What a test with real clients needs at once: a fake model, a home and hooks written by hand.

import type { ClaudeVersion } from "../real/install";
import { claudeVersions, clientsInstalled } from "../real/install";
import { ClaudeHome } from "./claude-home";
import { FakeModel, type LoggedRequest } from "./fake-model";
import type { Step } from "./fake-script";
import { ShellHooks } from "./sh-hooks";

/** Deadline of one test in milliseconds: a real client starts in about a second, on a loaded machine in ten. */
export const testMs = 120_000;

/** Whether the real clients are there; prints a named skip when they are not. */
export async function clientsReady(): Promise<boolean> {
  const ready = await clientsInstalled();
  if (!ready)
    console.log(`skip: claude ${claudeVersions.join(" and ")} not installed; try: bun test/real/install.ts`);
  return ready;
}

/** A tool call that runs a shell command. */
export function bash(command: string, more: Readonly<Record<string, unknown>> = {}): Step {
  return { tool: "Bash", input: { command, description: "test", ...more } };
}

/** A turn of the main agent's conversation, not a subagent's, a title's or a summary's request. */
export function isMainTurn(request: LoggedRequest): boolean {
  return request.kind === "turn" && request.agentId === undefined;
}

/** Model, home and hooks of one test. Disposing it fails the test if the model met a problem. */
export class Stage implements AsyncDisposable {
  private constructor(
    readonly version: ClaudeVersion,
    readonly model: FakeModel,
    readonly home: ClaudeHome,
    readonly hooks: ShellHooks,
  ) {}

  /** `timeouts` of the hooks are in seconds. */
  static async open(
    version: ClaudeVersion,
    timeouts: Parameters<typeof ShellHooks.install>[1] = {},
  ): Promise<Stage> {
    const model = FakeModel.start();
    const home = await ClaudeHome.create({ modelUrl: model.url });
    return new Stage(version, model, home, await ShellHooks.install(home, timeouts));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.model[Symbol.asyncDispose]();
    await this.home[Symbol.asyncDispose]();
    if (this.model.problems.length > 0)
      throw new Error(`the fake model met: ${this.model.problems.join("; ")}`);
  }
}
