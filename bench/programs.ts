// The programs that are measured, and running one the way an agent does: our executable beside an empty one that was
// compiled with the same flags, and a process from its start to its exit.
import { copyFile, mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { binary } from "../test/rig/binary.ts";

/** As in build.ts: what an executable costs before it runs a line of ours. */
const buildFlags = [
  "--compile",
  "--minify",
  "--splitting",
  "--bytecode",
  "--format=esm",
  "--no-compile-autoload-dotenv",
  "--no-compile-autoload-bunfig",
];

/** ms; no measured process may take so long */
const processTimeoutMs = 10_000;

export class Programs implements AsyncDisposable {
  private constructor(
    /** a short temporary directory, removed at the end */
    readonly directory: string,
    readonly ours: string,
    readonly empty: string,
  ) {}

  /**
   * Both as fresh copies: how an executable lies in the page cache depends on how it was written (by a compiler in
   * pieces, by a copy in one go) and is worth up to 30 % of a start, more than what is to be measured.
   */
  static async prepare(): Promise<Programs> {
    const directory = await mkdtemp("/tmp/aii-bench-");
    try {
      const built = await buildEmpty(directory);
      const programs = new Programs(directory, `${directory}/ai-intercom`, `${directory}/empty`);
      await copyFile(binary, programs.ours);
      await copyFile(built, programs.empty);
      return programs;
    } catch (error) {
      await rm(directory, { recursive: true, force: true });
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.directory, { recursive: true, force: true });
  }
}

export type Finished = { ms: number; out: string };

/** Spawn to exit. `input` comes over a socket, as from Node; anything but exit 0 and silence on stderr is an error. */
export async function finish(
  command: string[],
  { env, input, cwd }: { env: Record<string, string>; input: string; cwd?: string },
): Promise<Finished> {
  const started = performance.now();
  const child = Bun.spawn(command, {
    env,
    cwd: cwd ?? "/",
    stdin: "pipe",
    stdout: "pipe",
    stderr: "pipe",
    timeout: processTimeoutMs,
  });
  await feed(child.stdin, input);
  const code = await child.exited;
  const ms = performance.now() - started;
  const [out, err] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  if (code !== 0 || err !== "") throw new Error(`${command.join(" ")} exited ${code}: ${err}`);
  return { ms, out };
}

/** A program that ends without reading its input is no error, for agents either. */
async function feed(stdin: Bun.FileSink, input: string): Promise<void> {
  try {
    stdin.write(input);
    await stdin.end();
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "EPIPE")) throw error;
  }
}

/** The same for a case that must print nothing. */
export async function finishSilent(
  command: string[],
  options: Parameters<typeof finish>[1],
): Promise<number> {
  const { ms, out } = await finish(command, options);
  if (out !== "") throw new Error(`${command.join(" ")} printed ${out}`);
  return ms;
}

/** What Claude Code tells a hook on standard input. */
export function hookInput(event: string, more: Record<string, unknown> = {}): string {
  return JSON.stringify({
    session_id: "0f9d3a52-6f0b-4c62-9a0e-3d7c1f2b8a11",
    cwd: "/",
    hook_event_name: event,
    tool_calls: [],
    ...more,
  });
}

async function buildEmpty(directory: string): Promise<string> {
  const source = join(directory, "empty.ts");
  const out = join(directory, "build/empty");
  await Bun.write(source, "export {};\n");
  const build = Bun.spawn([process.execPath, "build", ...buildFlags, source, "--outfile", out], {
    cwd: directory,
    stdout: "ignore",
    stderr: "inherit",
  });
  if ((await build.exited) !== 0) throw new Error("the empty program does not compile");
  return out;
}
