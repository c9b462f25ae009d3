// Files that must survive a crash and must not be readable by others: atomic replace, private directories,
// ownership checks. Knows nothing of what is inside them.
import {
  closeSync,
  constants,
  fchmodSync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  statSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { dirname } from "node:path";
import { IntercomError } from "../protocol/errors.ts";
import { crashPoint } from "./crash-point.ts";

/** Creates `path` with mode 0700, or checks that it is ours and private. */
export function privateDirectory(path: string): void {
  mkdirSync(path, { recursive: true, mode: 0o700 });
  const stat = lstatSync(path);
  if (!stat.isDirectory())
    throw new IntercomError("unsafe_file", `${path} is not a directory`, {
      hint: `move it away: mv ${path} ${path}.old`,
    });
  refuseForeign(path, stat.uid, stat.mode & 0o077, "700");
}

/** Reads a secret file; refuses one that others may read or that is not ours. */
export function readSecret(path: string): string | undefined {
  const stat = lstatOrUndefined(path);
  if (!stat) return undefined;
  if (!stat.isFile())
    throw new IntercomError("unsafe_file", `${path} is not a regular file`, {
      hint: "remove the link and put the file itself there",
    });
  refuseForeign(path, stat.uid, stat.mode & 0o077, "600");
  return readFileSync(path, "utf8");
}

/** A file with a secret in it: nobody else may be able to read it, by its own mode or because of its directory's. */
export function refuseReadable(path: string): void {
  const [file, directory] = [statSync(path), statSync(dirname(path))];
  if ((directory.mode & 0o077) !== 0) refuseForeign(path, file.uid, file.mode & 0o077, "600");
}

export function readTextIfPresent(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (isErrno(error, "ENOENT")) return undefined;
    throw error;
  }
}

export type ReplaceOptions = {
  /** permission bits; default 0600 */
  mode?: number;
  /** false: survives the death of any process, but a power cut may bring the old file or a damaged one back */
  durable?: boolean;
};

/** Replaces `path` whole or not at all: temp file, fsync, rename, directory fsync. */
export function replaceFile(
  path: string,
  text: string,
  { mode = 0o600, durable = true }: ReplaceOptions = {},
): void {
  const temporary = `${path}.${process.pid}.tmp`;
  const fd = openSync(
    temporary,
    constants.O_CREAT | constants.O_TRUNC | constants.O_WRONLY | constants.O_NOFOLLOW,
    mode,
  );
  try {
    fchmodSync(fd, mode);
    writeAll(fd, Buffer.from(text, "utf8"));
    if (durable) fsyncSync(fd);
  } catch (error) {
    unlinkIfPresent(temporary);
    throw error;
  } finally {
    closeSync(fd);
  }
  crashPoint("replace-file.before-rename");
  renameSync(temporary, path);
  crashPoint("replace-file.after-rename");
  if (durable) syncDirectory(dirname(path));
}

/** The last `bytes` of a file, or what there is of it; empty when it is not there. */
export function readTail(path: string, bytes: number): string {
  const size = fileSize(path);
  if (size === 0) return "";
  const fd = openSync(path, constants.O_RDONLY);
  try {
    const buffer = Buffer.alloc(Math.min(bytes, size));
    const read = readSync(fd, buffer, 0, buffer.length, size - buffer.length);
    return buffer.toString("utf8", 0, read);
  } finally {
    closeSync(fd);
  }
}

/** Makes creations, renames and removals in `path` durable. */
export function syncDirectory(path: string): void {
  const fd = openSync(path, constants.O_RDONLY);
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** `writeSync` may write less than asked; this writes all or throws. `position` null appends. */
export function writeAll(fd: number, bytes: Uint8Array, position: number | null = null): void {
  let done = 0;
  while (done < bytes.length)
    done += writeSync(fd, bytes, done, bytes.length - done, position === null ? null : position + done);
}

export function unlinkIfPresent(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if (!isErrno(error, "ENOENT")) throw error;
  }
}

export function fileSize(path: string): number {
  try {
    return statSync(path).size;
  } catch (error) {
    if (isErrno(error, "ENOENT")) return 0;
    throw error;
  }
}

export function isErrno(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}

/** `failing`: it takes nothing, and neither of the others is why */
export type DiskFault = "full" | "read_only" | "failing";

const diskFaults: Record<string, DiskFault> = {
  ENOSPC: "full",
  EDQUOT: "full",
  EROFS: "read_only",
  EACCES: "failing",
  EPERM: "failing",
  EIO: "failing",
};

/** What is wrong with the disk when this was thrown, by whomever it was passed on; undefined: something else. */
export function diskFault(thrown: unknown): DiskFault | undefined {
  if (!(thrown instanceof Error)) return undefined;
  const own = "code" in thrown ? diskFaults[String(thrown.code)] : undefined;
  return own ?? diskFault(thrown.cause);
}

function lstatOrUndefined(path: string) {
  try {
    return lstatSync(path);
  } catch (error) {
    if (isErrno(error, "ENOENT")) return undefined;
    throw error;
  }
}

function refuseForeign(path: string, uid: number, otherBits: number, mode: string): void {
  if (uid !== process.getuid?.())
    throw new IntercomError("unsafe_file", `${path} belongs to another user (uid ${uid})`, {
      hint: `chown it to yourself or remove it`,
    });
  if (otherBits !== 0)
    throw new IntercomError("unsafe_file", `${path} can be used by other users`, {
      hint: `chmod ${mode} ${path}`,
    });
}
