// What `doctor --json` said, ready for assertions; and that it kept its shape: a fix wherever something is not ok.
import type { Machine } from "./fleet";

type Check = { code: string; state: "ok" | "warn" | "fail"; text: string; fix?: string; ms?: number };

export type DoctorReport = {
  code: number;
  state: string;
  checks: Check[];
  codes: string[];
  notOk: Check[];
  text(code: string): string;
  fix(code: string): string;
};

export async function doctor(machine: Machine, ...words: string[]): Promise<DoctorReport> {
  const { code, out, err } = await machine.run(["doctor", "--json", ...words]);
  if (out === "") throw new Error(`doctor exited ${code}: ${err}`);
  const { checks, state } = JSON.parse(out) as { checks: Check[]; state: string };
  for (const check of checks)
    if ((check.state === "ok") !== (check.fix === undefined))
      throw new Error(`a fix wherever it is not ok, and only there: ${JSON.stringify(check)}`);
  const found = (wanted: string): Check => {
    const check = checks.find((one) => one.code === wanted);
    if (!check) throw new Error(`no ${wanted} among ${JSON.stringify(checks, null, 1)}`);
    return check;
  };
  return {
    code,
    state,
    checks,
    codes: checks.map((check) => check.code),
    notOk: checks.filter((check) => check.state !== "ok"),
    text: (wanted) => found(wanted).text,
    fix: (wanted) => found(wanted).fix ?? "",
  };
}
