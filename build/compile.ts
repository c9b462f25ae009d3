// One executable: the flags of `bun build` and the stamp that says what was built (docs/architecture.md "The binary").
import { copyFile, mkdir, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { stampText } from "../src/protocol/version.ts";
import type { Target } from "./targets.ts";

export type CompileOptions = {
  target: Target;
  /** the executable to write, without `.exe` */
  outfile: string;
  version: string;
  commit: string;
  /** where released versions are; empty: this build knows of none */
  releases: string;
  /** a Bun of the target; default: the one that builds */
  runtime?: string;
  /** leaves the test-only crash points in */
  crashPoints?: boolean;
  /** as the release after this one, for tests of upgrades (`isNext`) */
  next?: boolean;
};

/** Returns the path of the executable. */
export async function compile(options: CompileOptions): Promise<string> {
  const { target, outfile, runtime } = options;
  // Splitting leaves maps and chunks beside the executable: build in a folder of its own, keep only the executable.
  const work = join(dirname(outfile), `.build-${basename(outfile)}-${target.name}`);
  await rm(work, { recursive: true, force: true });
  await mkdir(work, { recursive: true });
  try {
    const made = join(work, "ai-intercom");
    // copied: `bun build` maps the file, and one in a cache may be replaced meanwhile
    const from = join(work, `runtime${target.suffix}`);
    if (runtime !== undefined) await copyFile(runtime, from);
    await bunBuild(made, options, runtime === undefined ? undefined : from);
    await rename(`${made}${target.suffix}`, `${outfile}${target.suffix}`);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  return `${outfile}${target.suffix}`;
}

async function bunBuild(made: string, options: CompileOptions, runtime: string | undefined): Promise<void> {
  const { target, version, commit, releases, crashPoints = false, next = false } = options;
  const stamp = stampText({ version, commit, target: target.name, bun: Bun.version });
  const build = Bun.spawn(
    [
      process.execPath,
      "build",
      "--compile",
      ...(runtime === undefined
        ? []
        : [`--target=${target.bunTarget}`, `--compile-executable-path=${runtime}`]),
      "--minify",
      "--splitting",
      // bytecode halves the start; with the default cjs format it dies at run time on import.meta, so esm
      "--bytecode",
      "--format=esm",
      // a default executable runs the bunfig.toml preload of whatever directory an agent works in
      "--no-compile-autoload-dotenv",
      "--no-compile-autoload-bunfig",
      `--define=AI_INTERCOM_CRASH_POINTS=${crashPoints}`,
      `--define=AI_INTERCOM_NEXT=${next}`,
      `--define=AI_INTERCOM_STAMP=${JSON.stringify(stamp)}`,
      `--define=AI_INTERCOM_RELEASES=${JSON.stringify(releases)}`,
      "src/main.ts",
      "--outfile",
      made,
    ],
    { stdout: "pipe", stderr: "inherit" },
  );
  const output = await new Response(build.stdout).text();
  if ((await build.exited) !== 0) throw new Error(`bun build failed for ${target.name}\n${output}`);
}

/** The commit that is built, `-dirty` with uncommitted changes; `unknown` without git. */
export function commitOf(folder: string): string {
  const git = (...words: string[]) => {
    try {
      const { exitCode, stdout } = Bun.spawnSync(["git", ...words], { cwd: folder, stderr: "ignore" });
      return exitCode === 0 ? stdout.toString().trim() : undefined;
    } catch {
      return undefined; // no git on this machine
    }
  };
  const commit = git("rev-parse", "--short=12", "HEAD");
  if (commit === undefined) return "unknown";
  return git("status", "--porcelain", "--untracked-files=no") === "" ? commit : `${commit}-dirty`;
}
