// A configuration file that belongs to the person or their agent, not to us: read without losing a byte, replaced
// whole, with its mode and any symlink kept. Knows nothing of what is inside.
import { existsSync, mkdirSync, readFileSync, readlinkSync, rmdirSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { IntercomError } from "../protocol/errors.ts";
import { isErrno, replaceFile, syncDirectory, unlinkIfPresent } from "../system/files.ts";

export type AgentFile = {
  /** where the agent looks */
  path: string;
  /** where the bytes are: symlinks followed, even to a file that does not exist yet */
  target: string;
  /** undefined: there is no file */
  text: string | undefined;
  mode: number;
};

/** Reads the file; refuses what we could not write back byte for byte, and what belongs to another user. */
export function readAgentFile(path: string): AgentFile {
  return explained(path, "read", () => readChecked(path));
}

/** Replaces the file whole. Throws `conflict` when it is no longer what was read. Creates its directories. */
export function writeAgentFile(file: AgentFile, text: string): void {
  refuseChanged(file);
  explained(file.path, "write", () => {
    mkdirSync(dirname(file.target), { recursive: true, mode: 0o700 });
    replaceFile(file.target, text, { mode: file.mode });
  });
}

/** Deletes the file; a symlink to it stays, for it was not ours. */
export function deleteAgentFile(file: AgentFile): void {
  refuseChanged(file);
  explained(file.path, "write", () => {
    unlinkIfPresent(file.target);
    syncDirectory(dirname(file.target));
  });
}

/** Removes directories that are empty, the deepest first; one in use stays. */
export function removeEmptyDirectories(paths: readonly string[]): void {
  for (const path of [...new Set(paths)].sort((a, b) => b.length - a.length)) {
    try {
      rmdirSync(path);
    } catch (error) {
      const stays = ["ENOENT", "ENOTEMPTY", "EEXIST", "ENOTDIR", "EBUSY", "EACCES", "EPERM"];
      if (!stays.some((code) => isErrno(error, code))) throw error;
    }
  }
}

/** The directories that `writeAgentFile` would create for a file in `path`, outermost first. */
export function missingDirectories(path: string): string[] {
  if (existsSync(path)) return [];
  const parent = dirname(path);
  return parent === path ? [] : [...missingDirectories(parent), path];
}

function readChecked(path: string): AgentFile {
  const target = followLinks(path);
  const stat = statSync(target, { throwIfNoEntry: false });
  if (!stat) return { path, target, text: undefined, mode: 0o600 };
  if (!stat.isFile())
    throw new IntercomError("unsafe_file", `${target} is not a regular file`, {
      hint: `move it away: mv '${target}' '${target}.old'`,
    });
  if (stat.uid !== process.getuid?.())
    throw new IntercomError("unsafe_file", `${target} belongs to another user (uid ${stat.uid})`, {
      hint: "run this as its owner, or chown it to yourself",
    });
  return { path, target, text: decode(target, readFileSync(target)), mode: stat.mode & 0o7777 };
}

/** What the system refuses is for the person to mend: no access, a read-only or full disk, a file for a directory. */
export function explained<T>(path: string, what: "read" | "write", act: () => T): T {
  try {
    return act();
  } catch (error) {
    if (error instanceof IntercomError || !(error instanceof Error) || !("code" in error)) throw error;
    throw new IntercomError("unsafe_file", `cannot ${what} ${path}: ${error.message}`, {
      hint: "see who owns it and its directory, and whether the disk is writable; nothing was changed",
      cause: error,
    });
  }
}

function refuseChanged(file: AgentFile): void {
  const now = readAgentFile(file.path);
  if (now.target !== file.target || now.text !== file.text)
    throw new IntercomError("conflict", `${file.path} was changed by another program just now`, {
      hint: "try again",
    });
}

function decode(path: string, bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw new IntercomError("unparsable_file", `${path} is not UTF-8 text`, {
      hint: "save it as UTF-8; nothing was changed",
      cause,
    });
  }
}

/** Only the last path component can be a link that dangles; the kernel follows the others. */
function followLinks(path: string): string {
  let target = resolve(path);
  for (let hops = 0; hops < 40; hops++) {
    const next = readLink(target);
    if (next === undefined) return target;
    target = resolve(dirname(target), next);
  }
  throw new IntercomError("unsafe_file", `${path} is a symbolic link that leads back to itself`, {
    hint: `remove it: rm '${path}'`,
  });
}

function readLink(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch (error) {
    if (isErrno(error, "EINVAL") || isErrno(error, "ENOENT")) return undefined;
    throw error;
  }
}
