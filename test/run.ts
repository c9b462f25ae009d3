// `npm test`: the check, the build, then the built binary on its own and with the real agent clients. Stops at the
// first failure and closes with one line that counts every test.

export {};

const bun = process.execPath;
const steps: { title: string; command: string[] }[] = [
  // what the tests drive and the product does not need; a test whose part is missing would skip itself by name
  { title: "mcp tools", command: [bun, "test/mcp/install.ts"] },
  { title: "real clients", command: [bun, "test/real/install.ts"] },
  { title: "check", command: [bun, "test/check.ts"] },
  { title: "build", command: [bun, "build.ts"] },
  { title: "binary", command: [bun, "test", "--timeout=120000", "test/binary/"] },
  { title: "build with crash points", command: [bun, "build.ts", "--crash-points"] },
  { title: "fault oracle", command: [bun, "test", "--timeout=120000", "test/fault/"] },
  {
    title: "fault slice",
    command: [bun, "test/fault/run.ts", "--slice", "--seed", "1", "--parallel", "3"],
  },
  // side by side: a real client spends most of a test waiting
  {
    title: "real",
    command: [bun, "test", "--timeout=180000", "--concurrent", "--max-concurrency=3", "test/real/"],
  },
];

/** lines that are shown again of what one failed test said */
const shownLines = 60;

const total = { pass: 0, fail: 0, skip: 0 };
for (const { title, command } of steps) {
  console.log(`\n== ${title}`);
  const { code, output } = await run(command);
  if (code === 0) continue;
  console.log(`\nFAILED at: ${title}`);
  // whoever sees only the end of the output sees what failed, and why
  for (const said of failures(output)) console.log(`\n${said}`);
  summary();
  process.exit(1);
}
summary();

/** What each failed test said since the one before it had ended, the last lines of it. */
function failures(output: string): string[] {
  const ended = /^\((?:pass|fail|skip)\) .*$/gm;
  let from = 0;
  const found: string[] = [];
  // behind it bun names the failed ones again
  const [results = ""] = output.split(/^\d+ tests failed:$/m);
  for (const { index, 0: line } of results.matchAll(ended)) {
    const said = results.slice(from, index).split("\n").slice(-shownLines).join("\n").trim();
    if (line.startsWith("(fail)") && said !== "") found.push(`${said}\n${line}`);
    from = index + line.length;
  }
  return found;
}

/** Runs one step, passes its output on and counts the tests it reports. */
async function run(command: string[]): Promise<{ code: number; output: string }> {
  const child = Bun.spawn(command, {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, FORCE_COLOR: "0" },
  });
  const reading = [child.stdout, child.stderr].map(async (stream) => {
    const decoder = new TextDecoder();
    let text = "";
    for await (const part of stream) {
      process.stdout.write(part);
      text += decoder.decode(part, { stream: true });
    }
    for (const [, count, kind] of text.matchAll(/^ *(\d+) (pass|fail|skip)$/gm))
      if (kind === "pass" || kind === "fail" || kind === "skip") total[kind] += Number(count);
    return text;
  });
  const output = (await Promise.all(reading)).join("\n");
  return { code: await child.exited, output };
}

function summary(): void {
  console.log(`\n${total.pass} passed, ${total.fail} failed, ${total.skip} skipped`);
}
