// Installs the pinned real agent clients (see package.json beside this file) when they are missing.
// Run it directly, or call installClients() from a test set-up. It knows nothing about driving them.

import { cp, mkdir, mkdtemp, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";

/** The versions of Claude Code that the tests drive; the older one is what npm selects on Node 20. */
export const claudeVersions = ["2.1.330", "2.1.197"] as const;
export type ClaudeVersion = (typeof claudeVersions)[number];

const here = import.meta.dir;

/** Where the client's native binary is (or would be) on this machine. It needs no install script. */
export function claudePath(version: ClaudeVersion): string {
  return join(here, "node_modules", `claude-${version}-${process.platform}-${process.arch}`, "claude");
}

/** Whether every pinned client is present. */
export async function clientsInstalled(): Promise<boolean> {
  const present = await Promise.all(claudeVersions.map((version) => Bun.file(claudePath(version)).exists()));
  return present.every(Boolean);
}

/**
 * Downloads the clients (about 250 MB each, once) if any is missing, showing bun's progress.
 * Two runs at once are harmless: each installs into its own directory and then renames, so a
 * client is either absent or whole.
 */
export async function installClients(): Promise<void> {
  if (await clientsInstalled()) return;
  console.error(`installing the real agent clients (${claudeVersions.join(", ")}; about 250 MB each, once)`);
  const staging = await mkdtemp(join(here, ".install-"));
  try {
    for (const file of ["package.json", "bun.lock"]) await cp(join(here, file), join(staging, file));
    const install = Bun.spawn([process.execPath, "install", "--frozen-lockfile", "--ignore-scripts"], {
      cwd: staging,
      stdio: ["ignore", "inherit", "inherit"],
    });
    const code = await install.exited;
    if (code !== 0)
      throw new Error(
        `bun install of the real clients failed with exit code ${code}; try: bun test/real/install.ts`,
      );
    await adopt(join(staging, "node_modules"), join(here, "node_modules"));
  } finally {
    await rm(staging, { recursive: true, force: true });
  }
  if (!(await clientsInstalled()))
    throw new Error(`no client for ${process.platform}-${process.arch} in test/real/package.json`);
}

async function adopt(from: string, to: string): Promise<void> {
  await mkdir(to, { recursive: true });
  for (const name of await readdir(from)) {
    if (!name.startsWith("claude-")) continue;
    await rename(join(from, name), join(to, name)).catch((error: NodeJS.ErrnoException) => {
      // Somebody else put it there first, whole.
      if (error.code !== "ENOTEMPTY" && error.code !== "EEXIST") throw error;
    });
  }
}

if (import.meta.main) {
  await installClients();
  for (const version of claudeVersions) console.log(`claude ${version}: ${claudePath(version)}`);
}
