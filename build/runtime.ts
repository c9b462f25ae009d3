// The Bun runtime of a target, from the package registry as npm is configured (.npmrc, mirrors, proxies): Bun's own
// download ignores all of that. Cached as the package's archive, and its SHA-512 is compared at every use with the
// registry's metadata, and with bun.lock where the package stands there.
import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readdir, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Target } from "./targets.ts";

export type Runtime = { path: string; sha256: string } & AsyncDisposable;

export type RuntimeOptions = {
  /** the runtime's version is that of the Bun that builds: bytecode and runtime belong together */
  bunVersion: string;
  /** where archives are kept */
  cache: string;
  /** progress, one line a call */
  say: (line: string) => void;
};

/** Unpacks the target's runtime into a folder of its own, which is removed with the result. */
export async function runtimeOf(target: Target, options: RuntimeOptions): Promise<Runtime> {
  const { bunVersion, cache } = options;
  await mkdir(cache, { recursive: true });
  const archive = await archiveOf(`${target.runtimePackage}@${bunVersion}`, options);
  const folder = await mkdtemp(join(cache, "runtime-"));
  try {
    await run(["tar", "-xzf", archive, "-C", folder]);
    const path = join(folder, "package/bin", `bun${target.suffix}`);
    return {
      path,
      sha256: createHash("sha256")
        .update(await Bun.file(path).bytes())
        .digest("hex"),
      [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
    };
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
}

/** The package's archive, checked; fetched when it is not cached. */
async function archiveOf(spec: string, { cache, say }: RuntimeOptions): Promise<string> {
  const archive = join(cache, `${spec.replace("/", "+")}.tgz`);
  const pinned = await lockedIntegrity(spec);
  if (await Bun.file(archive).exists()) {
    // offline works for what bun.lock pins; anything else asks the registry again
    const expected = pinned ?? (await registryIntegrity(spec));
    if ((await integrityOf(archive)) === expected) return archive;
    say(`${spec}: the cached archive is damaged; fetching it again`);
    await rm(archive);
  }
  const expected = await registryIntegrity(spec);
  if (pinned !== undefined && pinned !== expected)
    throw new Error(`${spec}: the registry says ${expected}, bun.lock says ${pinned}; nothing was fetched`);
  await fetchArchive(spec, archive, expected, { cache, say });
  return archive;
}

async function fetchArchive(
  spec: string,
  archive: string,
  expected: string,
  { cache, say }: Pick<RuntimeOptions, "cache" | "say">,
): Promise<void> {
  const started = performance.now();
  const folder = await mkdtemp(join(cache, "fetch-"));
  try {
    await run(["npm", "pack", spec, "--silent", "--pack-destination", folder]);
    const [name] = await readdir(folder);
    if (name === undefined) throw new Error(`npm pack ${spec} left no archive`);
    const fetched = join(folder, name);
    const found = await integrityOf(fetched);
    if (found !== expected) throw new Error(`${spec}: fetched ${found}, the registry says ${expected}`);
    const { size } = await stat(fetched);
    await rename(fetched, archive);
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    say(`${spec}: fetched ${(size / 1e6).toFixed(0)} MB in ${seconds} s`);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function registryIntegrity(spec: string): Promise<string> {
  const text = (await run(["npm", "view", spec, "dist.integrity", "--silent"])).trim();
  if (/^sha512-[A-Za-z0-9+/]{86}==$/.test(text)) return text;
  throw new Error(`the registry names no SHA-512 of ${spec}: "${text}"`);
}

/** What bun.lock pins; undefined for a package that is not in it. */
async function lockedIntegrity(spec: string): Promise<string | undefined> {
  const lock = await Bun.file(new URL("../bun.lock", import.meta.url)).text();
  const line = lock.split("\n").find((one) => one.includes(`["${spec}"`));
  return /"(sha512-[^"]+)"/.exec(line ?? "")?.[1];
}

async function integrityOf(file: string): Promise<string> {
  return `sha512-${createHash("sha512")
    .update(await Bun.file(file).bytes())
    .digest("base64")}`;
}

async function run(command: string[]): Promise<string> {
  const child = Bun.spawn(command, { stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  const [out, err, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  if (code === 0) return out;
  throw new Error(`${command.slice(0, 3).join(" ")} failed (${code}): ${err.trim() || out.trim()}`);
}
