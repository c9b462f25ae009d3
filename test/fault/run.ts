// The fault harness: kills, cuts and stops the built program in every way and counts what became of the mail.
// `bun test/fault/run.ts --slice | --full | --soak [--seed N] [--class F1,F2] [--case ID] [--cases N] [--results FILE]
// [--parallel N] [--messages N] [--binary FILE] [--list]`. A full run goes on where its results file ends. Exit 0: nothing lost, doubled or misplaced. The same seed makes the same choices; what the machine's clock does
// to them it cannot repeat, so a violation is worth running again a few times.
import { appendFileSync, existsSync, readFileSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { Glob } from "bun";
import { log } from "../../src/system/log.ts";
import { within } from "../rig/wait.ts";
import { crashPoints } from "./f01-crash-points.ts";
import { kills } from "./f02-kills.ts";
import { damage } from "./f03-damage.ts";
import { disk } from "./f04-disk.ts";
import { network } from "./f06-network.ts";
import { clocks } from "./f07-clocks.ts";
import { manyReaders } from "./f08-readers.ts";
import { stops } from "./f09-stops.ts";
import { twoDaemons } from "./f10-two-daemons.ts";
import { renames } from "./f11-renames.ts";
import { brokenReaders } from "./f15-broken-readers.ts";
import { type CaseResult, type FaultCase, type FaultClass, summary } from "./fault.ts";
import { isClean, kinds, nothingWrong } from "./oracle.ts";
import { soak } from "./soak.ts";
import { World } from "./world.ts";

const classes: FaultClass[] = [
  crashPoints,
  kills,
  damage,
  disk,
  network,
  clocks,
  manyReaders,
  stops,
  twoDaemons,
  renames,
  brokenReaders,
];
/** ms after which a case counts as broken: the longest takes a third of it */
const caseLimitMs = 600_000;

const { values } = parseArgs({
  options: {
    seed: { type: "string", default: "1" },
    class: { type: "string" },
    case: { type: "string" },
    cases: { type: "string" },
    slice: { type: "boolean", default: false },
    full: { type: "boolean", default: false },
    results: { type: "string" },
    parallel: { type: "string", default: "2" },
    binary: { type: "string" },
    list: { type: "boolean", default: false },
    soak: { type: "boolean", default: false },
    messages: { type: "string", default: "1000000" },
  },
});
log.level = Number(process.env.AI_INTERCOM_FAULT_LOG ?? 0);
const seed = Number(values.seed);
const wanted = values.class?.split(",");
const unknown = wanted?.filter((name) => !classes.some((one) => one.name === name)) ?? [];
if (unknown.length > 0)
  throw new Error(`no class ${unknown.join(", ")}; there are ${classes.map(({ name }) => name).join(", ")}`);

const root = join(import.meta.dir, "../..");
const binary = resolve(values.binary ?? join(root, "dist/ai-intercom-crash"));
if (values.binary === undefined && isStale(binary)) await build();

for (const signal of ["SIGINT", "SIGTERM"] as const)
  process.once(signal, async () => {
    await Promise.all([...World.open].map((world) => world[Symbol.asyncDispose]()));
    process.exit(130);
  });

if (values.soak) process.exit((await soak({ binary, seed, messages: Number(values.messages) })) ? 0 : 1);

const resultsFile = values.results ?? (values.full ? join(root, `dist/fault-full-${seed}.jsonl`) : undefined);
type Done = CaseResult & { id: string; seed: number; ms: number };
const done = new Map<string, Done>();
if (resultsFile !== undefined && existsSync(resultsFile))
  for (const line of readFileSync(resultsFile, "utf8").split("\n")) {
    if (line === "") continue;
    const one = JSON.parse(line) as Done; // boundary: our own file
    if (one.seed === seed && isClean(one.verdict)) done.set(one.id, one);
  }

const scale = { slice: values.slice, most: Number(values.cases ?? Number.MAX_SAFE_INTEGER) };
const waiting: FaultCase[] = [];
for (const one of classes) {
  if (wanted ? !wanted.includes(one.name) : values.case !== undefined && !values.case.startsWith(one.name))
    continue;
  const cases = await one.cases(scale);
  waiting.push(
    ...cases.slice(0, scale.most).filter(({ id }) => values.case === undefined || id === values.case),
  );
}
if (waiting.length === 0)
  throw new Error(
    `no case ${values.case ?? ""}; --list names them${values.slice ? "" : ", those of a slice with --slice"}`,
  );
if (values.list) {
  for (const { id } of waiting) console.log(id);
  process.exit(0);
}

const results: Done[] = [...done.values()].filter(({ id }) => waiting.some((one) => one.id === id));
const todo = waiting.filter(({ id }) => !done.has(id)).reverse();
const worker = async () => {
  for (let next = todo.pop(); next; next = todo.pop()) await runOne(next);
};
await Promise.all(Array.from({ length: Number(values.parallel) }, worker));

const total = (count: (one: Done) => number) => results.reduce((sum, one) => sum + count(one), 0);
const skipped = results.filter((one) => one.skipped !== undefined);
for (const { id, skipped: why } of skipped) console.log(`(skip) ${id}: ${why}`);
const others = kinds.filter((kind) => total(({ verdict }) => verdict[kind].length) > 0).slice(0);
const extra = others
  .filter((kind) => kind !== "lost" && kind !== "doubled" && kind !== "misplaced")
  .map((kind) => `, ${kind} ${total(({ verdict }) => verdict[kind].length)}`)
  .join("");
for (const { name, title } of classes) {
  const own = results.filter(({ id }) => id.startsWith(`${name}:`));
  if (own.length === 0) continue;
  const sum = (count: (one: Done) => number) => own.reduce((all, one) => all + count(one), 0);
  const wrong = kinds.map((kind) => ({ kind, count: sum(({ verdict }) => verdict[kind].length) }));
  const found = wrong.filter(({ count }) => count > 0).map(({ kind, count }) => `${kind} ${count}`);
  console.log(
    `${name.padEnd(4)} ${title}: ${sum(({ cases }) => cases)} faults in ${own.length} cases, ${sum(({ messages }) => messages)} messages, ${Math.round(sum(({ ms }) => ms) / 1_000)} s; ${found.join(", ") || "nothing wrong"}`,
  );
}
// as `bun test` counts, for test/run.ts and .ci/run
const failed = results.filter(({ verdict }) => !isClean(verdict)).length;
console.log(
  ` ${results.length - failed - skipped.length} pass\n ${failed} fail${skipped.length > 0 ? `\n ${skipped.length} skip` : ""}`,
);
console.log(`messages: ${total(({ messages }) => messages)}`);
console.log(
  `fault: ${total(({ cases }) => cases)} cases, lost ${total(({ verdict }) => verdict.lost.length)}, doubled ${total(({ verdict }) => verdict.doubled.length)}, misplaced ${total(({ verdict }) => verdict.misplaced.length)}, seed ${seed}${extra}`,
);
process.exit(others.length > 0 ? 1 : 0);

async function runOne({ id, run }: FaultCase): Promise<void> {
  const started = performance.now();
  const caseSeed = Bun.hash.crc32(`${seed}:${id}`);
  let result: CaseResult;
  try {
    const running = run({ binary, seed: caseSeed });
    result = await within(`case ${id}`, running, { timeoutMs: caseLimitMs });
  } catch (error) {
    const why = error instanceof Error ? (error.stack ?? error.message) : String(error);
    result = {
      verdict: { ...nothingWrong(), stuck: [`the case broke: ${why}`] },
      cases: 0,
      messages: 0,
      detail: "",
    };
  }
  const one = { ...result, id, seed, ms: Math.round(performance.now() - started) };
  results.push(one);
  if (resultsFile !== undefined)
    appendFileSync(resultsFile, `${JSON.stringify({ ...one, logs: undefined })}\n`);
  const clean = isClean(one.verdict);
  console.log(
    `${clean ? (one.skipped === undefined ? "ok  " : "skip") : "FAIL"} ${id}: ${one.cases} cases, ${one.messages} messages, ${summary(one.verdict)}, ${one.ms} ms`,
  );
  if (clean) return console.log(`     ${one.detail}`);
  for (const kind of kinds)
    for (const line of one.verdict[kind].slice(0, 10)) console.log(`  ${kind}: ${line}`);
  console.log(`  ${one.detail}`);
  const file = `${tmpdir()}/ai-intercom-fault-${id.replaceAll(/[^\w.-]/g, "_")}.log`;
  await Bun.write(file, one.logs ?? "");
  console.log(`  logs: ${file}`);
  console.log(
    `  again: bun test/fault/run.ts --seed ${seed}${values.slice ? " --slice" : ""} --case '${id}'`,
  );
}

/** Another program than the source says would prove nothing. */
function isStale(file: string): boolean {
  if (!existsSync(file)) return true;
  const { mtimeMs } = statSync(file);
  return [...new Glob("src/**/*.ts").scanSync(root)].some(
    (one) => statSync(join(root, one)).mtimeMs > mtimeMs,
  );
}

async function build(): Promise<void> {
  const building = Bun.spawn([process.execPath, "build.ts", "--crash-points"], {
    cwd: root,
    stdio: ["ignore", "ignore", "inherit"],
  });
  if ((await building.exited) !== 0) throw new Error("the build failed");
}
