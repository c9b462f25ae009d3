// Measuring against a baseline on a machine that is busy with other things: all cases take turns in random order, so
// whatever disturbs one disturbs all, and the ratio of two of them means something where milliseconds alone do not.

/** `runs`: how often each case is taken unless the caller says otherwise. */
export type Bench = {
  name: string;
  about: string;
  runs: number;
  run(options: { runs: number }): Promise<Measured>;
};

/** ms of every run, by case; `baseline` is what the others are compared with. */
export type Series = Map<string, number[]>;
export type Measured = { series: Series; baseline: string; bounds: Bound[]; notes?: string[] };
/** A goal; `value` must stay below it. */
export type Bound = { what: string; value: number; below: number; unit: "ms" | "×" | "%" | "MB" };

/** One run; its result is the ms it took. */
export type Case = () => Promise<number>;

/** ms after which a bench takes no further round, however many it still wants */
const budgetMs = 60_000;
/** rounds before the first that counts: page cache, CPU clock and the daemon's code get warm */
const warmUps = 3;

/** Runs every case once a round. */
export async function interleaved(cases: Record<string, Case>, runs: number): Promise<Series> {
  const series: Series = new Map(Object.keys(cases).map((name) => [name, []]));
  const until = performance.now() + budgetMs;
  for (let round = -warmUps; round < runs && performance.now() < until; round++)
    for (const [name, take] of shuffled(Object.entries(cases))) {
      const took = await take();
      if (round >= 0) series.get(name)?.push(took);
    }
  return series;
}

/** ms that `work` took. */
export async function timed(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await work();
  return performance.now() - started;
}

export function median(series: Series, name: string): number {
  return quantile(series.get(name) ?? [], 0.5);
}

export function p99(series: Series, name: string): number {
  return quantile(series.get(name) ?? [], 0.99);
}

/** How many times the baseline's median. */
export function ratio(series: Series, name: string, baseline: string): number {
  return median(series, name) / median(series, baseline);
}

export const isMet = ({ value, below }: Bound): boolean => value < below;

/** The table's rows. */
export function summaryOf(series: Series, baseline: string) {
  const base = series.get(baseline) ?? [];
  return [...series].map(([name, samples]) => ({
    name,
    n: samples.length,
    median: quantile(samples, 0.5),
    min: Math.min(...samples),
    p99: quantile(samples, 0.99),
    timesMedian: name === baseline ? undefined : quantile(samples, 0.5) / quantile(base, 0.5),
    timesMin: name === baseline ? undefined : Math.min(...samples) / Math.min(...base),
  }));
}

function quantile(samples: readonly number[], part: number): number {
  const sorted = samples.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN;
}

function shuffled<T>(items: T[]): T[] {
  return items
    .map((item) => ({ item, key: Math.random() }))
    .toSorted((a, b) => a.key - b.key)
    .map(({ item }) => item);
}
