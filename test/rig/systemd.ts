// A real systemd user manager of the test's own: in a mount namespace where /run says that systemd booted the computer,
// with a runtime directory and a home of its own. Needs root (for the namespace) and Debian's package systemd.
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { waitFor } from "./wait";

const manager = "/lib/systemd/systemd";

/** Why there can be none here; undefined: there can. */
export const systemdMissing: string | undefined =
  process.platform !== "linux" || process.getuid?.() !== 0
    ? "a systemd of the test's own needs Linux and root"
    : Bun.which("systemctl") === null || Bun.which("unshare") === null
      ? "systemd is not installed; try: apt-get install systemd"
      : undefined;

export class UserSystemd implements AsyncDisposable {
  readonly #root: string;
  readonly #process: Bun.Subprocess;

  private constructor(root: string, process: Bun.Subprocess) {
    this.#root = root;
    this.#process = process;
  }

  static async start(): Promise<UserSystemd> {
    const root = await mkdtemp("/tmp/aii-sd-");
    await mkdir(`${root}/run`, { mode: 0o700 });
    const boot = `mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/system && exec ${manager} --user`;
    const process = Bun.spawn(["unshare", "-m", "sh", "-c", boot], {
      env: environment(root),
      stdio: ["ignore", "ignore", "ignore"],
    });
    const started = new UserSystemd(root, process);
    try {
      await waitFor("systemd to answer", () => started.systemctl("show", "--property=Version") !== "");
    } catch (error) {
      await started[Symbol.asyncDispose]();
      throw error;
    }
    return started;
  }

  /** HOME and XDG_RUNTIME_DIR of this manager. */
  get env(): Record<string, string> {
    return environment(this.#root);
  }

  /** What it printed, whatever its exit code. */
  systemctl(...words: string[]): string {
    const { stdout } = Bun.spawnSync(["systemctl", "--user", ...words], { env: this.env });
    return stdout.toString().trim();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.systemctl("stop", "ai-intercom.service");
    this.#process.kill("SIGKILL");
    await this.#process.exited;
    await rm(this.#root, { recursive: true, force: true });
  }
}

function environment(root: string): Record<string, string> {
  const { PATH = "" } = process.env;
  return { PATH, HOME: root, LANG: "C.UTF-8", XDG_RUNTIME_DIR: `${root}/run` };
}
