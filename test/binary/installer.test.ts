// install.sh on a clean home: from a folder and over loopback, with each shell there is, and every way to fail: a
// clear error, an exit code, nothing changed.
import { describe, expect, test } from "bun:test";
import { chmod, mkdir, readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { binary } from "../rig/binary.ts";
import { fileOf, InstallerHome, script, target } from "../rig/installer.ts";
import { foreignPrograms, nobody, program, release, serveRelease } from "../rig/release.ts";

const shells = ["dash", "bash", "busybox sh"].filter((one) => Bun.which(one.split(" ")[0] ?? ""));

const isRoot = process.getuid?.() === 0;

describe.each(shells)("%s", (shell) => {
  test("installs from a folder, says what comes next, and leaves nothing else behind", async () => {
    await using home = await InstallerHome.make();
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
    await using home = await InstallerHome.make();
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

  for (const [what, content] of foreignPrograms)
    test(`verified, and it cannot run here: ${what}; an older program stays as it was`, async () => {
      await using home = await InstallerHome.make();
      await home.run([], { shell });
      const before = await Bun.file(`${home.bin}/ai-intercom`).text();
      await release(home.release, { [fileOf("1.2.4")]: await content() });
      const { code, out, err } = await home.run([], { shell });
      expect([code, out]).toEqual([1, `fetching ${fileOf("1.2.4")}\n`]);
      expect(err).toMatch(
        /(^|\n)error: ai-intercom-1\.2\.4-\S+ (does not run on this machine \(exit \d+\)|cannot be executed in \S+)\ntry: .*\n$/,
      );
      expect(await home.files()).toEqual([".local/bin/ai-intercom"]);
      expect(await Bun.file(`${home.bin}/ai-intercom`).text()).toBe(before);
    });

  test.if(isRoot)("a folder from which programs may not run", async () => {
    await using home = await InstallerHome.make();
    await mkdir(home.bin, { recursive: true });
    await Bun.$`mount -t tmpfs -o size=1m,noexec tmpfs ${home.bin}`;
    try {
      const { code, err } = await home.run([], { shell });
      expect(code).toBe(1);
      expect(err).toEndWith(
        `error: ${fileOf("1.2.3")} cannot be executed in ${home.bin}\ntry: the line above says why; where it is mounted noexec: set AI_INTERCOM_BIN_DIR\n`,
      );
      expect(await home.files()).toEqual([]);
    } finally {
      await Bun.$`umount ${home.bin}`;
    }
  });

  test.if(isRoot)(
    "a folder of another user's: not writable, or sticky with the program of another",
    async () => {
      await using home = await InstallerHome.make();
      await home.run([], { shell });
      const before = await Bun.file(`${home.bin}/ai-intercom`).text();
      await release(home.release, { [fileOf("1.2.4")]: program("1.2.4") });
      await Bun.$`chmod -R a+rX ${home.root}`;
      for (const [mode, said] of [
        [0o755, "cannot be written"],
        [0o1777, "cannot be replaced"],
      ] as const) {
        await chmod(home.bin, mode);
        const { code, err } = await home.run([], { shell, as: nobody });
        expect([mode, code, err]).toEqual([
          mode,
          1,
          expect.stringContaining(`error: ${home.bin}/ai-intercom ${said}\ntry: `),
        ]);
        expect(await home.files()).toEqual([".local/bin/ai-intercom"]);
        expect(await Bun.file(`${home.bin}/ai-intercom`).text()).toBe(before);
      }
    },
  );

  test("a target that cannot be written to", async () => {
    await using home = await InstallerHome.make();
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
    await using home = await InstallerHome.make();
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
  await using home = await InstallerHome.make();
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
  await using home = await InstallerHome.make();
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

test("a folder that is not there, and an address that is none, are named", async () => {
  await using home = await InstallerHome.make();
  for (const base of [
    "/nonexistent/releases",
    "file:///nonexistent/releases",
    "ftp://example.org/releases",
  ]) {
    const { code, err } = await home.run([], { env: { AI_INTERCOM_BASE_URL: base } });
    expect([code, err]).toEqual([1, `error: there is no folder ${base}\ntry: install.sh --help\n`]);
  }
  expect(await readdir(home.home)).toEqual([]);
});

test("no gzip: said before anything is fetched", async () => {
  await using home = await InstallerHome.make();
  const { code, out, err } = await home.run([], { without: ["gzip"] });
  expect([code, out, err]).toEqual([1, "", "error: gzip is not here\ntry: install it\n"]);
  expect(await readdir(home.home)).toEqual([]);
});

test("a program that does not run leaves none of the folders that were made for it, and those that were there", async () => {
  await using home = await InstallerHome.make();
  await release(home.release, { [fileOf("1.2.3")]: "#!/bin/sh\nexit 127\n" });
  const folders = async () =>
    (await readdir(home.root, { recursive: true })).filter((one) => /^(home|x)\//.test(one));
  for (const [there, bin] of [
    [[], home.bin],
    [["home/.local"], home.bin],
    [["home/.local", "home/.local/bin"], home.bin],
    [["home/.local", "home/.local/bin"], "x//y z/"], // relative to where it was called, oddly written
  ] as const) {
    for (const folder of there) await mkdir(`${home.root}/${folder}`, { recursive: true });
    const { code } = await home.run([], { env: { AI_INTERCOM_BIN_DIR: bin } });
    expect([bin, code, await folders()]).toEqual([bin, 1, [...there]]);
  }
});

test("neither curl nor wget", async () => {
  await using home = await InstallerHome.make();
  await using server = serveRelease(home.release);
  const env = { AI_INTERCOM_BASE_URL: server.url };
  const { code, err } = await home.run([], { without: ["curl", "wget"], env });
  expect([code, err]).toEqual([1, "error: neither curl nor wget is here\ntry: install one of them\n"]);
  expect(await home.files()).toEqual([]);
});

test("a download that was cut, with curl and with wget", async () => {
  for (const without of ["wget", "curl"]) {
    await using home = await InstallerHome.make();
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
  await using home = await InstallerHome.make();
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
  await using home = await InstallerHome.make();
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
    `error: ${fileOf("1.2.3")} does not run on this machine (exit 127)\ntry: on Alpine: apk add libstdc++ libgcc; exit 132: the processor is too old for it\n`,
  ]);
  expect(await home.files()).toEqual([]);
});

test("which file: the highest version, the pinned one, musl by ldd, baseline without AVX2", async () => {
  await using home = await InstallerHome.make();
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
  await using home = await InstallerHome.make();
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
  await using home = await InstallerHome.make();
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

test("without an address it says so; --help and unknown options", async () => {
  await using home = await InstallerHome.make();
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
  await using home = await InstallerHome.make();
  await release(home.release, { [fileOf("1.2.4")]: await Bun.file(binary).bytes() });
  const { code, err } = await home.run();
  expect([code, err]).toEqual([0, ""]);
  const installed = Bun.spawnSync([`${home.bin}/ai-intercom`, "--help"]);
  expect(installed.stdout.toString()).toContain("coding agents that run now talk to each other");
  const gone = await home.run(["--uninstall"]);
  expect([gone.code, gone.err]).toEqual([0, ""]);
  // it does not send the person to itself, and speaks of no data where there never was any
  expect(gone.out).toEndWith(
    `next: sessions that run now forget it when they end\nremoved ${home.bin}/ai-intercom\n`,
  );
  expect(await home.files()).toEqual([]);
}, 180_000);

test("a script that is cut anywhere in the download does nothing", async () => {
  await using home = await InstallerHome.make();
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
