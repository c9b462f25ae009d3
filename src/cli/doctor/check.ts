// One finding of `doctor`: a state, a reason code that scripts may rely on, what was seen, and what to do about it.
import type { ReasonCode } from "./reasons.ts";

export type State = "ok" | "warn" | "fail";
/** `fix`: a command or an edit; always there unless the state is ok. `ms`: how long a step of the canary took. */
export type Check = { code: ReasonCode; state: State; text: string; fix?: string; ms?: number };

export const ok = (code: ReasonCode, text: string): Check => ({ code, state: "ok", text });
export const warn = (code: ReasonCode, text: string, fix: string): Check => ({
  code,
  state: "warn",
  text,
  fix,
});
export const fail = (code: ReasonCode, text: string, fix: string): Check => ({
  code,
  state: "fail",
  text,
  fix,
});

/** The worst of them. */
export function worst(checks: readonly Check[]): State {
  for (const state of ["fail", "warn"] as const)
    if (checks.some((check) => check.state === state)) return state;
  return "ok";
}

/** A path as a word of a shell command. */
export function shellWord(path: string): string {
  return /^[\w./@:+-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`;
}
