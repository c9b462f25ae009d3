// The one gate: types, Biome, knip, registry addresses, tests. `bun run check`; stops at the first failure.

type Step = { title: string; command: string[] };

const bun = process.execPath;
const steps: Step[] = [
  { title: "types", command: [bun, "check", "--no-script"] },
  { title: "lint and format", command: ["node_modules/.bin/biome", "check", "--error-on-warnings", "."] },
  {
    title: "unused files, exports, dependencies",
    command: [bun, "node_modules/.bin/knip-bun", "--treat-config-hints-as-errors"],
  },
  {
    title: "tests",
    command: [
      bun,
      "test",
      "--timeout=90000",
      ...[
        "house",
        "protocol",
        "system",
        "inbox",
        "store",
        "hub",
        "oversight",
        "daemon",
        "integrations",
        "mcp",
        "rig",
      ].map((part) => `test/${part}/`),
    ],
  },
];

for (const { title, command } of steps) {
  const started = performance.now();
  const run = Bun.spawn(command, { stdio: ["ignore", "inherit", "inherit"] });
  const code = await run.exited;
  console.log(`${code === 0 ? "ok" : "FAILED"}  ${title}  ${Math.round(performance.now() - started)} ms`);
  if (code !== 0) process.exit(1);
}

export {};
