// What `bun build.ts` makes: the stamp of this machine's build, and a release folder with one target of this
// machine's kind and one foreign. All targets at once are `bun run release`: 360 MB of runtimes, by hand and in the
// release workflow.
import { expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { commitOf } from "../../build/compile.ts";
import { expected, inspect } from "../../build/inspect.ts";
import { hostTarget, targets } from "../../build/targets.ts";
import { version } from "../../package.json";
import { binary } from "../rig/binary.ts";

const root = join(import.meta.dir, "../..");

test("--version is one line; --version --json says what was built", () => {
  const run = (...words: string[]) => {
    const { exitCode, stdout, stderr } = Bun.spawnSync([binary, ...words]);
    return { code: exitCode, out: stdout.toString(), err: stderr.toString() };
  };
  expect(run("--version")).toEqual({ code: 0, out: `${version}\n`, err: "" });
  const { code, out } = run("--version", "--json");
  expect(code).toBe(0);
  expect(out.trim().split("\n").length).toBe(1);
  expect(JSON.parse(out)).toEqual({
    version,
    commit: expect.stringMatching(/^([0-9a-f]{12}(-dirty)?|unknown)$/),
    target: hostTarget().name,
    bun: Bun.version,
    schema: expect.any(Number),
  });
});

test("an executable is known by its bytes alone", async () => {
  const found = await inspect(binary);
  expect(found).toMatchObject(expected(hostTarget().name));
  expect(found.build.version).toBe(version);
  await expect(inspect(process.execPath)).rejects.toThrow("holds no build stamp");
});

test("without git the commit is unknown", async () => {
  const folder = await mkdtemp("/tmp/aii-nogit-");
  try {
    expect(commitOf(folder)).toBe("unknown");
    const child = Bun.spawnSync(
      [process.execPath, "-e", 'console.log(require("./build/compile.ts").commitOf("."))'],
      { cwd: root, env: { ...process.env, PATH: folder } },
    );
    expect(child.stdout.toString().trim()).toBe("unknown");
  } finally {
    await rm(folder, { recursive: true });
  }
});

test("a release folder: each file is what its name says, its sum is right, install.sh knows the address", async () => {
  const folder = await mkdtemp("/tmp/aii-release-");
  const names = [...new Set([hostTarget().name, "darwin-arm64"])];
  try {
    const made = Bun.spawnSync(
      [
        process.execPath,
        "build.ts",
        ...names.flatMap((name) => ["--target", name]),
        ...["--out", folder, "--as", "7.8.9", "--releases", "https://forge.example/ai-intercom/releases"],
      ],
      { cwd: root, stderr: "pipe" },
    );
    expect([made.exitCode, made.stderr.toString()]).toEqual([0, ""]);
    const checked = Bun.spawnSync(["sha256sum", "--check", "--strict", "SHA256SUMS"], { cwd: folder });
    expect([checked.exitCode, checked.stdout.toString().trim().split("\n").sort()]).toEqual([
      0,
      [...names.map((name) => `ai-intercom-7.8.9-${name}.gz: OK`), "install.sh: OK"].sort(),
    ]);
    for (const name of names) {
      const packed = await Bun.file(join(folder, `ai-intercom-7.8.9-${name}.gz`)).bytes();
      const path = join(folder, name);
      await Bun.write(path, Bun.gunzipSync(packed));
      expect(await inspect(path)).toEqual({
        ...expected(name),
        build: { version: "7.8.9", commit: commitOf(root), target: name, bun: Bun.version },
      });
    }
    expect(await Bun.file(join(folder, "install.sh")).text()).toContain(
      "\nreleases='https://forge.example/ai-intercom/releases'\n",
    );
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}, 300_000);

test("the same source in the same folder gives the same bytes", async () => {
  const folder = await mkdtemp("/tmp/aii-same-");
  try {
    const sums = ["a", "b"].map((name) => {
      const out = join(folder, name);
      const made = Bun.spawnSync([process.execPath, "build.ts", "--out", out], { cwd: root });
      expect(made.exitCode).toBe(0);
      return Bun.spawnSync(["sha256sum", out]).stdout.toString().split(" ")[0];
    });
    expect(sums[0]).toBe(sums[1] ?? "");
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}, 120_000);

test("every target has a name of its own and a header that can be checked", () => {
  expect(new Set(targets.map((one) => one.name)).size).toBe(targets.length);
  for (const { name, suffix } of targets) {
    expect(["ELF", "Mach-O", "PE"]).toContain(expected(name).format);
    expect(suffix).toBe(name.startsWith("windows") ? ".exe" : "");
  }
});
