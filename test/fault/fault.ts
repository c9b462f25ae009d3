// What a fault class is: a list of cases, each of which lives in a world of its own and ends with the oracle.
import { isClean, kinds, nothingWrong, type Verdict } from "./oracle.ts";
import type { World } from "./world.ts";

export type Context = { binary: string; seed: number };
export type CaseResult = {
  /** the first that is not clean, else the last */
  verdict: Verdict;
  /** faults that were really injected: what the total counts */
  cases: number;
  messages: number;
  /** why it proved nothing */
  skipped?: string;
  /** for a person: what was done */
  detail: string;
  /** of the servers, where something is wrong */
  logs?: string;
};
export type FaultCase = { id: string; run(context: Context): Promise<CaseResult> };

type Scale = {
  /** the CI slice: few cases, each of them short */
  slice: boolean;
  /** at most so many per class */
  most: number;
};
export type FaultClass = {
  name: string;
  title: string;
  cases(scale: Scale): Promise<FaultCase[]> | FaultCase[];
};

export const noViolation: Verdict = nothingWrong();

/** The result of a case that ends here; logs only where they are needed. */
export function resultOf(world: World, verdict: Verdict, cases: number, detail: string): CaseResult {
  const about = { verdict, cases, messages: world.book.sent.length };
  if (isClean(verdict)) return { ...about, detail };
  world.keep = true;
  return { ...about, detail: `${detail}\n  kept: ${world.root}`, logs: world.logs() };
}

export function summary(verdict: Verdict): string {
  const found = kinds.filter(
    (kind) => verdict[kind].length > 0 || kind === "lost" || kind === "doubled" || kind === "misplaced",
  );
  return found.map((kind) => `${kind} ${verdict[kind].length}`).join(", ");
}
