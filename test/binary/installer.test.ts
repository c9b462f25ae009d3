// install.sh on a clean home: from a folder and over loopback, with each shell there is, and every way to fail: a
// clear error, an exit code, nothing changed.
import { describe, expect, test } from "bun:test";
import { chmod, mkdir, mkdtemp, readdir, rm, stat, symlink } from "node:fs/promises";
import { join } from "node:path";
import { hostTarget } from "../../build/targets.ts";
import { binary } from "../rig/binary.ts";
import { program, release, serveRelease } from "../rig/release.ts";

const script = join(import.meta.dir, "../../install.sh");
const target = hostTarget().name;
const fileOf = (version: string, name = target) => `ai-intercom-${version}-${name}.gz`;
/** what install.sh may use; a test leaves some out */
const tools =
  "uname grep sed sort tail cut mktemp rm mkdir touch gzip chmod mv cp cat ls ldd sha256sum curl wget sysctl".split(
    " ",
  );
const shells = ["dash", "bash", "busybox sh"].filter((one) => Bun.which(one.split(" ")[0] ?? ""));

class Home implements AsyncDisposable {
  private constructor(readonly root: string) {}

  static async make(): Promise<Home> {
    const home = new Home(await mkdtemp("/tmp/aii-inst-"));
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
    } = {},
  ) {
    const path = await mkdtemp(`${this.root}/path-`);
    for (const tool of tools.filter((one) => !options.without?.includes(one) && !options.fakes?.[one])) {
      const found = Bun.which(tool);
      if (found) await symlink(found, `${path}/${tool}`);
    }
    for (const [name, text] of Object.entries(options.fakes ?? {}))
      await executable(`${path}/${name}`, `#!/bin/sh\n${text}\n`);
    const [shell = "sh", ...more] = (options.shell ?? "dash").split(" ");
    const child = Bun.spawn([Bun.which(shell) ?? shell, ...more, script, ...words], {
      cwd: this.root,
      env: { PATH: path, HOME: this.home, AI_INTERCOM_BASE_URL: this.release, ...options.env },
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
      timeout: 30_000,
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

async function executable(path: string, text: string): Promise<void> {
  await Bun.write(path, text);
  await chmod(path, 0o755);
}

describe.each(shells)("%s", (shell) => {
  test("installs from a folder, says what comes next, and leaves nothing else behind", async () => {
    await using home = await Home.make();
    const { code, out, err } = await home.run([], { shell });
    expect([code, err]).toEqual([0, ""]);
    expect(out).toContain(`installed ai-intercom 1.2.3 as ${home.bin}/ai-intercom`);
    expect(out).toContain(`export PATH="${home.bin}:$PATH"`);
    expect(out).toContain(`next: ${home.bin}/ai-intercom setup`);
    expect(await home.files()).toEqual([".local/bin/ai-intercom"]);
    expect((await stat(`${home.bin}/ai-intercom`)).mode & 0o777).toBe(0o755);
    expect(await home.said()).toEqual(["--version"]);
  });

  test("a wrong checksum installs nothing, and an older program stays as it was", async () => {
    await using home = await Home.make();
    await home.run([], { shell });
    const before = await Bun.file(`${home.bin}/ai-intercom`).text();
    await Bun.write(join(home.release, fileOf("1.2.3")), Bun.gzipSync(Buffer.from(program("6.6.6"))));
    const { code, err } = await home.run([], { shell });
    expect(code).toBe(1);
    expect(err).toContain(`error: ${fileOf("1.2.3")} is not what SHA256SUMS says`);
    expect(err).toContain("try: ");
    expect(await home.files()).toEqual([".local/bin/ai-intercom"]);
    expect(await Bun.file(`${home.bin}/ai-intercom`).text()).toBe(before);
  });

  test("a target that cannot be written to", async () => {
    await using home = await Home.make();
    await Bun.write(`${home.home}/.local`, "a file where a folder belongs");
    const { code, err } = await home.run([], { shell });
    expect([code, err]).toEqual([
      1,
      `error: ${home.bin}/ai-intercom cannot be written\ntry: set AI_INTERCOM_BIN_DIR\n`,
    ]);
    expect(await home.files()).toEqual([".local"]);
  });
});

test("over http: with curl, and with wget where there is no curl", async () => {
  for (const without of ["wget", "curl"]) {
    await using home = await Home.make();
    await using server = serveRelease(home.release);
    const { code, out, err } = await home.run([], {
      without: [without],
      env: { AI_INTERCOM_BASE_URL: `${server.url}/` },
    });
    expect([without, code, err]).toEqual([without, 0, ""]);
    expect(out).toContain("installed ai-intercom 1.2.3");
    expect(server.asked).toEqual(["SHA256SUMS", fileOf("1.2.3")]);
  }
});

test.if(Bun.which("busybox") !== null)("over http with busybox's wget", async () => {
  await using home = await Home.make();
  await using server = serveRelease(home.release);
  const { code, err } = await home.run([], {
    without: ["curl"],
    fakes: { wget: `exec ${Bun.which("busybox")} wget "$@"` },
    env: { AI_INTERCOM_BASE_URL: server.url },
  });
  expect([code, err]).toEqual([0, ""]);
  expect(await home.files()).toEqual([".local/bin/ai-intercom"]);
});

test("a file:// address, a folder with a space, another bin folder that is on the PATH already", async () => {
  await using home = await Home.make();
  const folder = `${home.root}/my releases`;
  await mkdir(folder);
  await release(folder, { [fileOf("1.2.3")]: program("1.2.3") });
  const bin = `${home.home}/my bin`;
  const { code, out } = await home.run([], {
    env: { AI_INTERCOM_BASE_URL: `file://${folder}`, AI_INTERCOM_BIN_DIR: bin },
  });
  expect(code).toBe(0);
  expect(out).toContain(`installed ai-intercom 1.2.3 as ${bin}/ai-intercom`);
  expect(await home.files()).toEqual(["my bin/ai-intercom"]);
});

test("neither curl nor wget", async () => {
  await using home = await Home.make();
  await using server = serveRelease(home.release);
  const env = { AI_INTERCOM_BASE_URL: server.url };
  const { code, err } = await home.run([], { without: ["curl", "wget"], env });
  expect([code, err]).toEqual([1, "error: neither curl nor wget is here\ntry: install one of them\n"]);
  expect(await home.files()).toEqual([]);
});

test("a download that was cut, with curl and with wget", async () => {
  for (const without of ["wget", "curl"]) {
    await using home = await Home.make();
    await using server = serveRelease(home.release, fileOf("1.2.3"));
    const { code, err } = await home.run([], {
      without: [without],
      env: { AI_INTERCOM_BASE_URL: server.url },
    });
    expect([without, code]).toEqual([without, 1]);
    expect(err).toMatch(/error: \S+\.gz cannot be fetched whole|is not what SHA256SUMS says/);
    expect(await home.files()).toEqual([]);
  }
});

test("no release there, no line for this platform, a version that is not there, a version that is none", async () => {
  await using home = await Home.make();
  await using server = serveRelease(home.root);
  const away = await home.run([], { env: { AI_INTERCOM_BASE_URL: server.url } });
  expect([away.code, away.err.split("\n").slice(-3, -1)]).toEqual([
    1,
    [`error: ${server.url}/SHA256SUMS cannot be fetched`, "try: check address, version and network"],
  ]);
  const none = await home.run(["--version", "9.9.9"]);
  expect([none.code, none.err]).toEqual([
    1,
    `error: ${home.release}/SHA256SUMS lists no ai-intercom 9.9.9 for ${target}\ntry: read that list\n`,
  ]);
  await Bun.write(`${home.release}/SHA256SUMS`, "");
  const empty = await home.run();
  expect([empty.code, empty.err]).toEqual([
    1,
    `error: ${home.release}/SHA256SUMS lists no ai-intercom for ${target}\ntry: read that list\n`,
  ]);
  const odd = await home.run(["--version", "1/../2"]);
  expect([odd.code, odd.err]).toEqual([
    1,
    'error: "1/../2" is no version\ntry: for example --version 0.1.0\n',
  ]);
  expect(await home.files()).toEqual([]);
});

test("a platform that nobody builds for; nothing that computes SHA-256; a program that does not run", async () => {
  await using home = await Home.make();
  for (const fakes of [{ uname: "echo SunOS" }, { uname: '[ "$1" = -m ] && echo riscv64 || echo Linux' }]) {
    const { code, err } = await home.run([], { fakes });
    expect(code).toBe(1);
    expect(err).toStartWith("error: there is no ai-intercom for ");
  }
  const blind = await home.run([], { without: ["sha256sum"] });
  expect(blind.code).toBe(1);
  expect(blind.err).toStartWith("error: nothing here computes SHA-256\n");
  await release(home.release, { [fileOf("1.2.3")]: "#!/bin/sh\nexit 127\n" });
  const broken = await home.run();
  expect([broken.code, broken.err]).toEqual([
    1,
    `error: ${fileOf("1.2.3")} does not run on this machine\ntry: on Alpine: apk add libstdc++ libgcc\n`,
  ]);
  expect(await home.files()).toEqual([]);
});

test("which file: the highest version, the pinned one, musl by ldd, baseline without AVX2", async () => {
  await using home = await Home.make();
  await rm(join(home.release, fileOf("1.2.3")));
  const files: Record<string, string> = {};
  for (const version of ["0.9.0", "0.10.0", "0.10.0-rc1", "0.2.11"])
    for (const name of ["linux-x64", "linux-x64-musl", "linux-x64-baseline", "darwin-arm64"])
      files[fileOf(version, name)] = program(`${version} ${name}`);
  await release(home.release, files);
  const uname = (system: string, machine: string) => ({
    uname: `[ "$1" = -m ] && echo ${machine} || echo ${system}`,
  });
  const glibc = { ...uname("Linux", "x86_64"), ldd: "echo GLIBC 2.36" };
  const musl = { ...uname("Linux", "x86_64"), ldd: "echo musl libc >&2; exit 1" };
  const old = `[ "$1" != -qw ] || exit 1\nexec ${Bun.which("grep")} "$@"`;
  const cases: [Record<string, string>, string[], string][] = [
    [{ ...glibc }, [], "0.10.0 linux-x64"],
    [{ ...glibc }, ["--version", "v0.9.0"], "0.9.0 linux-x64"],
    [{ ...glibc }, ["--version", "0.10.0-rc1"], "0.10.0-rc1 linux-x64"],
    [{ ...musl }, [], "0.10.0 linux-x64-musl"],
    [{ ...glibc, grep: old }, [], "0.10.0 linux-x64-baseline"],
    // where the default runtime asks for no AVX2 there is no baseline file, and none is needed
    [{ ...musl, grep: old }, [], "0.10.0 linux-x64-musl"],
    [{ ...uname("Darwin", "x86_64"), sysctl: "echo 1" }, [], "0.10.0 darwin-arm64"],
  ];
  for (const [fakes, words, expected] of cases) {
    if (fakes.grep === undefined && expected.endsWith("linux-x64")) fakes.grep = grepWithAvx2();
    const { code, out, err } = await home.run(words, { fakes });
    expect([expected, code, err]).toEqual([expected, 0, ""]);
    expect(out).toContain(`installed ai-intercom ${expected} as`);
  }
});

/** The processor that runs the tests may be an old one. */
function grepWithAvx2(): string {
  return `[ "$1" != -qw ] || exit 0\nexec ${Bun.which("grep")} "$@"`;
}

test("--yes runs setup, and its failure is the script's; --no-setup runs nothing", async () => {
  await using home = await Home.make();
  expect((await home.run(["--yes"])).code).toBe(0);
  expect(await home.said()).toEqual(["--version", "setup --yes"]);
  await release(home.release, {
    [fileOf("1.2.3")]: `${program("1.2.3", home.calls)}[ "$1" != setup ] || exit 1\n`,
  });
  expect((await home.run(["--yes"])).code).toBe(1);
  await rm(home.calls);
  expect((await home.run(["--no-setup"])).code).toBe(0);
  expect(await home.said()).toEqual(["--version"]);
});

test("at a terminal it asks, also when it came through a pipe", async () => {
  const typescript = Bun.which("script");
  if (!typescript) throw new Error("script(1) of util-linux is needed");
  await using home = await Home.make();
  for (const [answer, calls] of [
    ["n", ["--version"]],
    ["", ["--version", "setup"]],
  ] as const) {
    await rm(home.calls, { force: true });
    const child = Bun.spawn([typescript, "-qec", `cat ${script} | sh -s --`, "/dev/null"], {
      env: { ...process.env, HOME: home.home, AI_INTERCOM_BASE_URL: home.release },
      stdin: new Blob([`${answer}\n`]),
      stdout: "pipe",
      stderr: "pipe",
    });
    const out = await new Response(child.stdout).text();
    expect([out, await child.exited]).toEqual([expect.stringContaining("set this machine up now? [Y/n]"), 0]);
    expect(await home.said()).toEqual([...calls]);
  }
});

test("--uninstall: out of the agents first, then the program; what fails keeps it", async () => {
  await using home = await Home.make();
  await home.run();
  await Bun.write(`${home.bin}/ai-intercom.previous`, "older");
  await Bun.write(`${home.bin}/other`, "not ours");
  const { code, out } = await home.run(["--uninstall"]);
  expect([code, out]).toEqual([
    0,
    `removed ${home.bin}/ai-intercom\nits data stays: ${home.home}/.config/ai-intercom\n`,
  ]);
  expect(await home.said()).toEqual(["--version", "uninstall --all --keep-data"]);
  expect(await home.files()).toEqual([".local/bin/other"]);
  expect((await home.run(["--uninstall"])).code).toBe(1);

  await executable(`${home.bin}/ai-intercom`, "#!/bin/sh\nexit 1\n");
  const kept = await home.run(["--uninstall"]);
  expect([kept.code, kept.err]).toEqual([
    1,
    "error: the program was not removed\ntry: do what the lines above say\n",
  ]);
  expect(await home.files()).toContain(".local/bin/ai-intercom");
});

test("--uninstall --all: its data too, without asking", async () => {
  await using home = await Home.make();
  await home.run();
  const { code, out } = await home.run(["--uninstall", "--all"]);
  expect([code, out]).toEqual([0, `removed ${home.bin}/ai-intercom\n`]);
  expect(await home.said()).toEqual(["--version", "uninstall --all --yes"]);
});

test("without an address it says so; --help and unknown options", async () => {
  await using home = await Home.make();
  const { code, err } = await home.run([], { env: { AI_INTERCOM_BASE_URL: "" } });
  expect([code, err]).toEqual([
    1,
    "error: this install.sh comes from the source and knows no release\ntry: set AI_INTERCOM_BASE_URL\n",
  ]);
  const help = await home.run(["--help"]);
  expect([help.code, help.err]).toEqual([0, ""]);
  for (const word of ["--version", "--yes", "--no-setup", "--uninstall", "AI_INTERCOM_BASE_URL"])
    expect(help.out).toContain(word);
  const wrong = await home.run(["--frob"]);
  expect([wrong.code, wrong.err]).toEqual([1, "error: unknown option --frob\ntry: install.sh --help\n"]);
});

test("the real executable, whole", async () => {
  await using home = await Home.make();
  await release(home.release, { [fileOf("1.2.4")]: await Bun.file(binary).bytes() });
  const { code, err } = await home.run();
  expect([code, err]).toEqual([0, ""]);
  const installed = Bun.spawnSync([`${home.bin}/ai-intercom`, "--help"]);
  expect(installed.stdout.toString()).toContain("coding agents that run now talk to each other");
});

test("a script that is cut anywhere in the download does nothing", async () => {
  await using home = await Home.make();
  const text = await Bun.file(script).text();
  const lines = text.split("\n");
  for (let end = 1; end < lines.length - 2; end++) {
    const child = Bun.spawnSync(["dash", "-s", "--", "--no-setup"], {
      stdin: Buffer.from(lines.slice(0, end).join("\n")),
      env: { ...process.env, HOME: home.home, AI_INTERCOM_BASE_URL: home.release },
    });
    if (child.stdout.length > 0) throw new Error(`cut after line ${end} it said ${child.stdout}`);
  }
  expect(await home.files()).toEqual([]);
});

test("shellcheck finds nothing, it stays under 120 lines, and names no sudo", async () => {
  const text = await Bun.file(script).text();
  expect(text.trimEnd().split("\n").length).toBeLessThan(120);
  expect(text.replace(/^#.*$/gm, "")).not.toContain("sudo");
  const found = Bun.spawnSync(["shellcheck", script]);
  expect(found.stdout.toString()).toBe("");
  expect(found.exitCode).toBe(0);
});
