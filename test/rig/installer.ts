// install.sh on a home of its own, beside a release in a folder; it finds only the tools that a test leaves it.
import { chmod, mkdir, mkdtemp, readdir, rm, symlink } from "node:fs/promises";
import { join } from "node:path";
import { hostTarget } from "../../build/targets";
import { program, release } from "./release";

export const script = join(import.meta.dir, "../../install.sh");
export const target = hostTarget().name;
export const fileOf = (version: string, name = target) => `ai-intercom-${version}-${name}.gz`;
/** what install.sh may use; a test leaves some out */
const tools =
  "uname grep sed sort tail cut dirname rmdir mktemp rm mkdir touch gzip chmod mv cp cat ls ldd sha256sum curl wget sysctl".split(
    " ",
  );

export class InstallerHome implements AsyncDisposable {
  private constructor(readonly root: string) {}

  static async make(): Promise<InstallerHome> {
    const home = new InstallerHome(await mkdtemp("/tmp/aii-inst-"));
    await chmod(home.root, 0o755);
    await mkdir(home.release);
    await mkdir(home.home);
    await release(home.release, { [fileOf("1.2.3")]: program("1.2.3", home.calls) });
    return home;
  }

  get release(): string {
    return `${this.root}/release`;
  }

  get home(): string {
    return `${this.root}/home`;
  }

  get calls(): string {
    return `${this.root}/calls`;
  }

  get bin(): string {
    return `${this.home}/.local/bin`;
  }

  async run(
    words: string[] = [],
    options: {
      env?: Record<string, string>;
      shell?: string;
      without?: string[];
      fakes?: Record<string, string>;
      as?: string[];
    } = {},
  ) {
    const path = await mkdtemp(`${this.root}/path-`);
    await chmod(path, 0o755);
    for (const tool of tools.filter((one) => !options.without?.includes(one) && !options.fakes?.[one])) {
      const found = Bun.which(tool);
      if (found) await symlink(found, `${path}/${tool}`);
    }
    for (const [name, text] of Object.entries(options.fakes ?? {}))
      await executable(`${path}/${name}`, `#!/bin/sh\n${text}\n`);
    const [shell = "sh", ...more] = (options.shell ?? "dash").split(" ");
    const child = Bun.spawn([...(options.as ?? []), Bun.which(shell) ?? shell, ...more, script, ...words], {
      cwd: this.root,
      env: { PATH: path, HOME: this.home, AI_INTERCOM_BASE_URL: this.release, ...options.env },
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
      timeout: 120_000,
    });
    const [out, err, code] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
      child.exited,
    ]);
    return { code, out, err };
  }

  /** Every file of the home, hidden ones too. */
  async files(): Promise<string[]> {
    return (await readdir(this.home, { recursive: true, withFileTypes: true }))
      .filter((one) => !one.isDirectory())
      .map((one) => `${one.parentPath}/${one.name}`.slice(this.home.length + 1));
  }

  async said(): Promise<string[]> {
    const text = await Bun.file(this.calls)
      .text()
      .catch(() => "");
    return text.split("\n").filter((one) => one !== "");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.root, { recursive: true, force: true });
  }
}

export async function executable(path: string, text: string): Promise<void> {
  await Bun.write(path, text);
  await chmod(path, 0o755);
}
