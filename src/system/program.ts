// How to start this very program again: the compiled executable, or Bun with the source while developing.

// taken at the start: after an upgrade the kernel calls this process's file by another name, or deleted
const executable = process.execPath;

/** Absolute path of the executable and its leading arguments. */
export function ownProgram(): [string, ...string[]] {
  const compiled = Bun.main.startsWith("/$bunfs/") || Bun.main.includes("~BUN");
  return compiled ? [executable] : [executable, Bun.main];
}
