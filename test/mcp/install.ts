// Installs the protocol's own tools (see package.json beside this file) when they are missing: the Inspector and the
// conformance suite. Run it directly; it knows nothing about what they test.
import { cp, mkdtemp, rename, rm } from "node:fs/promises";
import { join } from "node:path";

const here = import.meta.dir;
const modules = join(here, "node_modules");

/** The Inspector, to be run with Bun: `--cli PROGRAM ARGS --method tools/list`. */
export const inspector = join(modules, "@modelcontextprotocol/inspector/clients/launcher/build/index.js");
/** The conformance suite, to be run with Bun: `server --url URL`. Node 20 lacks what it needs. */
export const conformance = join(modules, "@modelcontextprotocol/conformance/dist/index.js");

/** Whether the pinned versions are present; says so where they are not, for the tests skip then. */
export async function mcpToolsReady(): Promise<boolean> {
  const ready = await installed();
  if (!ready)
    console.log("skip: MCP Inspector and conformance suite not installed; try: bun test/mcp/install.ts");
  return ready;
}

/** Downloads them (about 140 MB, once). Each run installs aside and then renames: they are absent or whole. */
async function install(): Promise<void> {
  if (await installed()) return;
  const staging = await mkdtemp(join(here, ".install-"));
  try {
    for (const file of ["package.json", "bun.lock"]) await cp(join(here, file), join(staging, file));
    const run = Bun.spawn([process.execPath, "install", "--frozen-lockfile", "--ignore-scripts"], {
      cwd: staging,
      stdio: ["ignore", "inherit", "inherit"],
    });
    const code = await run.exited;
    if (code !== 0) throw new Error(`bun install of the MCP tools failed with exit code ${code}`);
    await rm(modules, { recursive: true, force: true });
    await rename(join(staging, "node_modules"), modules).catch((error: NodeJS.ErrnoException) => {
      // somebody else put it there first, whole
      if (error.code !== "ENOTEMPTY" && error.code !== "EEXIST") throw error;
    });
  } finally {
    await rm(staging, { recursive: true, force: true });
  }
}

async function installed(): Promise<boolean> {
  const { dependencies }: { dependencies: Record<string, string> } = await Bun.file(
    join(here, "package.json"),
  ).json();
  for (const [name, version] of Object.entries(dependencies)) {
    const manifest = Bun.file(join(modules, name, "package.json"));
    if (!(await manifest.exists()) || (await manifest.json()).version !== version) return false;
  }
  return true;
}

if (import.meta.main) {
  await install();
  console.log(`inspector: ${inspector}\nconformance: ${conformance}`);
}
