// Whether a program that was fetched runs on this machine and is what its name says: tried before anything is changed.
import { IntercomError } from "../protocol/errors.ts";
import type { Release } from "../system/release.ts";
import { oneLine } from "./output.ts";

/** ms the new program may take to say its version */
const tryMs = 20_000;

/**
 * Returns the newest schema of the hub's database that the program knows, where it says so. Throws `conflict` with why
 * it does not run here.
 */
export async function tryOut(path: string, { file, version, target }: Release): Promise<number | undefined> {
  const { out, ended } = await said(path);
  const stamp = ended === undefined ? stampOf(out) : undefined;
  if (stamp?.version === version && stamp.target === target)
    return typeof stamp.schema === "number" ? stamp.schema : undefined;
  const instead = oneLine(out, 200) || "nothing";
  throw new IntercomError(
    "conflict",
    ended === undefined
      ? `${file} does not say that it is ${version} for ${target}; it said: ${instead}`
      : `${file} does not run on this machine: ${ended}`,
    { hint: "nothing was changed; tell whoever made that release, or name another one with --version" },
  );
}

/** `ended`: why it did not come to a good end. */
async function said(path: string): Promise<{ out: string; ended?: string }> {
  let child: Bun.Subprocess<"ignore", "pipe", "pipe">;
  try {
    child = Bun.spawn([path, "--version", "--json"], {
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
      timeout: tryMs,
    });
  } catch (error) {
    return { out: "", ended: refusals[codeOf(error)] ?? `it cannot be started (${codeOf(error)})` };
  }
  const [out, err, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  if (code === 0) return { out };
  const signal = child.signalCode;
  const how = signal === null ? `it exits with ${code}` : (signals[signal] ?? `${signal} ended it`);
  const words = oneLine(err || out, 200);
  return { out, ended: words === "" ? how : `${how}, and says: ${words}` };
}

const codeOf = (error: unknown) =>
  error instanceof Error && "code" in error ? String(error.code) : "unknown";

/** execve(2): what the kernel says of a file that is there and executable. */
const refusals: Record<string, string> = {
  ENOENT: "the loader or C library that it was built for is not here",
  ENOEXEC: "it was built for another processor or system",
  EACCES: "programs may not run from that directory (a file system mounted noexec?)",
};
const signals: Record<string, string> = {
  SIGILL: "it asks for instructions that this processor does not have",
  SIGTERM: `it said nothing for ${tryMs / 1000} s`,
};

function stampOf(text: string): { version?: unknown; target?: unknown; schema?: unknown } | undefined {
  try {
    return Object(JSON.parse(text));
  } catch {
    return undefined;
  }
}
