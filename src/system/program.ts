// How to start this very program again: the compiled executable, or Bun with the source while developing.

/** Absolute path of the executable and its leading arguments. */
export function ownProgram(): [string, ...string[]] {
  const compiled = Bun.main.startsWith("/$bunfs/") || Bun.main.includes("~BUN");
  return compiled ? [process.execPath] : [process.execPath, Bun.main];
}
