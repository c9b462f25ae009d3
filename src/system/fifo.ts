// A named pipe by which a shell without any program of ours can wait for one line. Whether somebody waits is known at
// once: the kernel refuses to open a pipe for writing that nobody reads.
import { dlopen, FFIType } from "bun:ffi";
import { closeSync, constants, lstatSync, openSync, writeSync } from "node:fs";
import { IntercomError } from "../protocol/errors.ts";
import { isErrno, unlinkIfPresent } from "./files.ts";

/** Makes a pipe of this user at `path`, in place of whatever else stands there. */
export function makeFifo(path: string): void {
  if (lstatSync(path, { throwIfNoEntry: false })?.isFIFO()) return;
  unlinkIfPresent(path);
  const { symbols } = dlopen(process.platform === "darwin" ? "libSystem.B.dylib" : "libc.so.6", {
    mkfifo: { args: [FFIType.cstring, FFIType.u32], returns: FFIType.i32 },
  });
  if (symbols.mkfifo(Buffer.from(`${path}\0`), 0o600) !== 0)
    throw new IntercomError("internal", `the pipe ${path} cannot be made`, {
      hint: "is the disk full or read-only? df -h",
    });
}

/**
 * Hands a text to one of those who wait there; the others see the end of the pipe, as all do when the text is empty.
 * False: nobody waits. Never blocks: what is written fits into an empty pipe, or nothing is.
 */
export function writeToFifo(path: string, textFor: () => string): boolean {
  const fd = openIfTaken(path, constants.O_WRONLY);
  if (fd === undefined) return false;
  try {
    const text = textFor();
    if (text !== "") writeSync(fd, text);
    return true;
  } catch (error) {
    if (isErrno(error, "EPIPE") || isErrno(error, "EAGAIN")) return false;
    throw error;
  } finally {
    closeSync(fd);
  }
}

/** Removes the pipe; who waits there, or opened it a moment before, sees its end. */
export function removeFifo(path: string): void {
  const fd = openIfTaken(path, constants.O_RDWR);
  unlinkIfPresent(path);
  if (fd !== undefined) closeSync(fd);
}

function openIfTaken(path: string, access: number): number | undefined {
  try {
    return openSync(path, access | constants.O_NONBLOCK | constants.O_NOFOLLOW);
  } catch (error) {
    if (isErrno(error, "ENXIO") || isErrno(error, "ENOENT")) return undefined;
    throw error;
  }
}
