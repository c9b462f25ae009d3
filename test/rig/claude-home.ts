// A home directory of its own for real Claude Code clients: no dialog asks anything, nothing of the
// person's own set-up is read or inherited, and only the fake model can be reached.

import { chmod, mkdir, mkdtemp, realpath, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";

const apiKey = "dummy-key-000000000000000000";

export type ClaudeHomeOptions = {
  /** Base URL of the fake model. */
  modelUrl: string;
  /** Names of project directories to create; the client trusts them. The first one is the default. */
  projects?: readonly string[];
};

/**
 * One person's machine as the client sees it. Several sessions can share it. It lives in a short
 * temp directory (`/tmp/aii-XXXXXX`), so Unix sockets below it keep within their 104 bytes.
 */
export class ClaudeHome implements AsyncDisposable {
  private constructor(
    /** The temp directory; everything the client writes stays below it. */
    readonly root: string,
    readonly modelUrl: string,
    readonly projects: readonly string[],
  ) {}

  static async create({ modelUrl, projects = ["project"] }: ClaudeHomeOptions): Promise<ClaudeHome> {
    const root = await realpath(await mkdtemp("/tmp/aii-"));
    const home = new ClaudeHome(root, modelUrl, projects);
    for (const path of [home.path, home.tmp, ...projects.map((name) => home.project(name))])
      await mkdir(path, { recursive: true });
    await home.write(".claude.json", JSON.stringify(quietClientState(home)));
    return home;
  }

  /** The HOME directory. */
  get path(): string {
    return join(this.root, "h");
  }

  get tmp(): string {
    return join(this.root, "t");
  }

  /** The directory of a project named at creation; without a name, of the first. */
  project(name = this.projects[0] ?? "project"): string {
    return join(this.root, name);
  }

  /**
   * The client's whole environment: nothing of ours, no road to the network (the proxy is a
   * closed port), and what silences everything except talking to the model.
   */
  env(extra: Readonly<Record<string, string>> = {}): Record<string, string> {
    return {
      HOME: this.path,
      PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
      TMPDIR: this.tmp,
      SHELL: "/bin/sh",
      TERM: "xterm-256color",
      LANG: "C.UTF-8",
      ANTHROPIC_BASE_URL: this.modelUrl,
      ANTHROPIC_API_KEY: apiKey,
      CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1",
      DISABLE_AUTOUPDATER: "1",
      DISABLE_TELEMETRY: "1",
      DISABLE_INSTALLATION_CHECKS: "1",
      // Lets root use --dangerously-skip-permissions.
      IS_SANDBOX: "1",
      HTTPS_PROXY: "http://127.0.0.1:9",
      NO_PROXY: "127.0.0.1,localhost",
      ...extra,
    };
  }

  /** Writes a file below HOME, directories included; returns its absolute path. */
  async write(relative: string, text: string, { executable = false } = {}): Promise<string> {
    const path = join(this.path, relative);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, text);
    if (executable) await chmod(path, 0o755);
    return path;
  }

  /** Writes the user settings, e.g. `{hooks: {...}}`, before a client starts. */
  async writeSettings(settings: Readonly<Record<string, unknown>>): Promise<string> {
    return this.write(".claude/settings.json", JSON.stringify(settings, null, 2));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.root, { recursive: true, force: true, maxRetries: 3 });
  }
}

function quietClientState(home: ClaudeHome): Record<string, unknown> {
  const trusted = { hasTrustDialogAccepted: true, hasCompletedProjectOnboarding: true, allowedTools: [] };
  return {
    hasCompletedOnboarding: true,
    lastOnboardingVersion: "2.1.330",
    theme: "dark",
    bypassPermissionsModeAccepted: true,
    customApiKeyResponses: { approved: [apiKey.slice(-20)], rejected: [] },
    projects: Object.fromEntries(home.projects.map((name) => [home.project(name), trusted])),
  };
}
