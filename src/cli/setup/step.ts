// One part of the setup, as it is shown before anything is changed.
import type { Check } from "../doctor/check.ts";

/**
 * `changes`: what it will do, in words; none: it is as it should be, or `unable` says in a note why it cannot be.
 * `run` resolves with notes for the person.
 */
export type Step = {
  title: string;
  changes: string[];
  found?: Check[];
  unable?: string;
  run: () => Promise<string[]>;
};
