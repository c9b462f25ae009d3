// What ai-intercom costs, measured here and now: `bun bench/run.ts [name…] [--json] [--check] [--runs N]`.
// Prints and judges; what is measured stands in the files beside it. Loopback and temporary directories only.
import { loadavg } from "node:os";
import { chat } from "./chat.ts";
import { guard } from "./guard.ts";
import { hook } from "./hook.ts";
import { mcp } from "./mcp.ts";
import { type Bench, type Bound, isMet, type Measured, summaryOf } from "./measure.ts";
import { missions } from "./missions.ts";
import { rest } from "./rest.ts";
import { wake } from "./wake.ts";

const benches: readonly Bench[] = [guard, hook, mcp, chat, wake, rest, missions];

type Options = { names: string[]; json: boolean; check: boolean; runs: number | undefined };
type Result = { name: string; about: string; series: ReturnType<typeof summaryOf>; bounds: Bound[] };

async function run({ names, json, check, runs }: Options): Promise<number> {
  const results: Result[] = [];
  if (!json) console.log(machine());
  for (const bench of benches.filter(({ name }) => names.length === 0 || names.includes(name))) {
    const measured = await bench.run({ runs: Math.min(runs ?? bench.runs, bench.runs * 10) });
    const result = resultOf(bench, measured);
    results.push(result);
    if (!json) print(result, measured);
  }
  if (json) console.log(JSON.stringify({ machine: machine(), results }, null, 1));
  return check && results.some(({ bounds }) => bounds.some((bound) => !isMet(bound))) ? 1 : 0;
}

function resultOf({ name, about }: Bench, { series, baseline, bounds }: Measured): Result {
  return { name, about, series: summaryOf(series, baseline), bounds };
}

function print({ name, about, series, bounds }: Result, { notes = [] }: Measured): void {
  console.log(`\n${name}: ${about}`);
  const width = Math.max(...series.map((one) => one.name.length));
  console.log(
    `  ${"".padEnd(width)}  ${["n", "median", "min", "p99", "×median", "×min"].map(column).join("")}`,
  );
  for (const { name: row, n, median, min, p99, timesMedian, timesMin } of series)
    console.log(
      `  ${row.padEnd(width)}  ${[n, ms(median), ms(min), ms(p99), times(timesMedian), times(timesMin)].map(column).join("")}`,
    );
  for (const note of notes) console.log(`  ${note}`);
  for (const bound of bounds)
    console.log(
      `  ${isMet(bound) ? "ok    " : "MISSED"} ${bound.what}: ${bound.value.toFixed(2)} ${bound.unit}, wanted below ${bound.below} ${bound.unit}`,
    );
}

/** Ratios hold on a busy machine, milliseconds do not: so say how busy it is. */
function machine(): string {
  const [load = 0] = loadavg();
  return `${navigator.hardwareConcurrency} processors, load ${load.toFixed(1)}, ${process.platform}-${process.arch}, Bun ${Bun.version}`;
}

const column = (value: string | number) => String(value).padStart(10);
const ms = (value: number) => `${value.toFixed(2)} ms`;
const times = (value = Number.NaN) => (!Number.isFinite(value) ? "" : `${value.toFixed(2)}×`);

function optionsOf(argv: string[]): Options | string {
  const found: Options = { names: [], json: false, check: false, runs: undefined };
  const words = [...argv];
  for (let word = words.shift(); word !== undefined; word = words.shift()) {
    if (word === "--json") found.json = true;
    else if (word === "--check") found.check = true;
    else if (word === "--runs") {
      found.runs = Number(words.shift());
      if (!Number.isSafeInteger(found.runs) || found.runs < 1) return "--runs wants a number from 1";
    } else if (benches.some(({ name }) => name === word)) found.names.push(word);
    else return `there is no bench "${word}"`;
  }
  return found;
}

const options = optionsOf(process.argv.slice(2));
if (typeof options === "string") {
  console.error(`error: ${options}`);
  console.error(
    `try: bun bench/run.ts [${benches.map(({ name }) => name).join("|")}] [--json] [--check] [--runs N]`,
  );
  process.exit(2);
}
process.exit(await run(options));
