// A release folder: one compressed executable per target, install.sh, and SHA256SUMS over all of them. It is what
// install.sh and self-upgrade read, from a forge, a mirror or a path.
import { createHash } from "node:crypto";
import { chmod, mkdir, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { compile } from "./compile.ts";
import { expected, inspect } from "./inspect.ts";
import { type Runtime, runtimeOf } from "./runtime.ts";
import { releaseFile, type Target, targetNamed } from "./targets.ts";

export type Stamp = { version: string; commit: string; releases: string };

/** Builds the targets into `folder`, which is emptied first, one after another; each result is inspected before it counts. */
export async function makeRelease(
  folder: string,
  wanted: readonly Target[],
  stamp: Stamp,
  say: (line: string) => void,
): Promise<void> {
  const options = { bunVersion: Bun.version, cache: ".cache/bun-runtimes", say };
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  for (const [at, target] of wanted.entries()) {
    const place = `[${at + 1}/${wanted.length}] ${target.name}`;
    await using runtime = await runtimeOf(target, options);
    if (target.sameAs !== undefined && (await isSame(target.sameAs, runtime))) {
      say(`${place}: its runtime is that of ${target.sameAs}, byte for byte; not built`);
      continue;
    }
    say(`${place}: ${await releaseOne(folder, target, runtime, stamp)}`);
  }
  await writeInstaller(folder, stamp.releases);
  await writeSums(folder);
  say(`wrote ${folder}/SHA256SUMS`);

  async function isSame(name: string, runtime: Runtime): Promise<boolean> {
    await using other = await runtimeOf(targetNamed(name), options);
    return other.sha256 === runtime.sha256;
  }
}

async function releaseOne(folder: string, target: Target, runtime: Runtime, stamp: Stamp): Promise<string> {
  const started = performance.now();
  const made = await compile({
    ...stamp,
    target,
    outfile: join(folder, `ai-intercom-${target.name}`),
    runtime: runtime.path,
  });
  await mustBe(made, target, stamp);
  const bytes = await Bun.file(made).bytes();
  // gzip: what every machine can open; xz and zstd would save a quarter and need a program of their own
  const packed = Bun.gzipSync(bytes, { level: 9 });
  const name = releaseFile(stamp.version, target);
  await Bun.write(join(folder, name), packed);
  await rm(made);
  const mb = (count: number) => `${(count / 1e6).toFixed(1)} MB`;
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  return `${name}, ${mb(bytes.length)}, compressed ${mb(packed.length)}, ${seconds} s`;
}

async function mustBe(path: string, target: Target, { version, commit }: Stamp): Promise<void> {
  const found = await inspect(path);
  const wanted = {
    ...expected(target.name),
    build: { version, commit, target: target.name, bun: Bun.version },
  };
  if (Bun.deepEquals(found, wanted)) return;
  throw new Error(`${path} is ${JSON.stringify(found)}, wanted ${JSON.stringify(wanted)}`);
}

/** install.sh with the address of this release's forge. */
async function writeInstaller(folder: string, releases: string): Promise<void> {
  const text = await Bun.file("install.sh").text();
  const constant = /^(releases=)''$/m;
  if (!constant.test(text)) throw new Error("install.sh has no line releases=''");
  if (releases !== "" && !/^https:\/\/[A-Za-z0-9._~:/%-]+$/.test(releases))
    throw new Error(`--releases must be an https address, not ${releases}`);
  const path = join(folder, "install.sh");
  await Bun.write(path, text.replace(constant, `$1'${releases}'`));
  await chmod(path, 0o755);
}

/** As sha256sum(1) writes and checks it. */
async function writeSums(folder: string): Promise<void> {
  const lines: string[] = [];
  for (const name of (await readdir(folder)).sort()) {
    if (name === "SHA256SUMS") continue;
    const bytes = await Bun.file(join(folder, name)).bytes();
    lines.push(`${createHash("sha256").update(bytes).digest("hex")}  ${name}\n`);
  }
  await Bun.write(join(folder, "SHA256SUMS"), lines.join(""));
}
