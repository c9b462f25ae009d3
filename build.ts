// Builds dist/ai-intercom for this platform (facts and flags: docs/architecture.md "The binary").
// `bun build.ts --crash-points` leaves the test-only crash points in, as dist/ai-intercom-crash.
import { mkdir, rename, rm } from "node:fs/promises";

const crashPoints = process.argv.includes("--crash-points");
const name = crashPoints ? "ai-intercom-crash" : "ai-intercom";
// Splitting leaves maps and chunks beside the executable: build in a folder of its own, keep only the executable.
const work = `dist/.build-${name}`;
await rm(work, { recursive: true, force: true });
await mkdir(work, { recursive: true });

const build = Bun.spawn(
  [
    process.execPath,
    "build",
    "--compile",
    "--minify",
    "--splitting",
    // bytecode halves the start; with the default cjs format it dies at run time on import.meta, so esm
    "--bytecode",
    "--format=esm",
    // a default executable runs the bunfig.toml preload of whatever directory an agent works in
    "--no-compile-autoload-dotenv",
    "--no-compile-autoload-bunfig",
    `--define=AI_INTERCOM_CRASH_POINTS=${crashPoints}`,
    "src/main.ts",
    "--outfile",
    `${work}/${name}`,
  ],
  { stdout: "pipe", stderr: "inherit" },
);
const output = await new Response(build.stdout).text();
if ((await build.exited) !== 0) {
  process.stdout.write(output);
  process.exit(1);
}
await rename(`${work}/${name}`, `dist/${name}`);
await rm(work, { recursive: true, force: true });
console.log(`built dist/${name}`);
