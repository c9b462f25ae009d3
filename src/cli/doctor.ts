// `doctor`: looks at everything a healthy machine needs and names the fix of whatever is not fine. It changes nothing.
// Start reading here: the table of checks, how they are shown, and what the exit code says.

import { toIntercomError } from "../protocol/errors.ts";
import { command, json } from "./command.ts";
import { checkAgents, checkProgram } from "./doctor/agents.ts";
import { sendCanary } from "./doctor/canary.ts";
import { type Check, fail, worst } from "./doctor/check.ts";
import { homeChecks } from "./doctor/home.ts";
import { missionChecks } from "./doctor/missions.ts";
import { type Observed, observe } from "./doctor/observed.ts";
import { type ReasonCode, reasons } from "./doctor/reasons.ts";
import { serviceChecks } from "./doctor/services.ts";
import { checkSessions } from "./doctor/sessions.ts";
import { checkTelegram } from "./doctor/telegram.ts";
import { bold, oneLine, print, printJson } from "./output.ts";

/** In the order in which they are shown. */
const checks: ((seen: Observed) => Check[] | Promise<Check[]>)[] = [
  ...homeChecks,
  ...missionChecks,
  checkProgram,
  ...serviceChecks,
  checkTelegram,
  checkSessions,
  checkAgents,
];

/** Nothing runs here, or nothing can be reached: exit 3, if it is all that is wrong. */
const away: readonly ReasonCode[] = ["home_missing", "daemon_unreachable", "hub_unreachable"];
/** characters of one finding's text */
const shownLength = 600;

const more = () => {
  const width = Math.max(...Object.keys(reasons).map((code) => code.length));
  const lines = Object.entries(reasons).map(([code, meaning]) => `  ${code.padEnd(width)}  ${meaning}`);
  return `REASON CODES\n\n${lines.join("\n")}`;
};

export const doctor = command({
  name: "doctor",
  description: "check this machine: each line that is not ok names its fix; changes nothing",
  args: {
    canary: {
      type: "string",
      description: "prove the path to one session of this machine, without mail and without a model",
      valueHint: "SESSION",
    },
    json,
  },
  examples: [
    "ai-intercom doctor",
    "ai-intercom doctor --json   # {checks:[{code,state,text,fix?}], state}; exit 1 when one fails, 3 when nothing is reached",
    "ai-intercom doctor --canary limn/mnemos",
    "ai-intercom doctor --canary s-20261122-1a2b3c",
  ],
  more,
  run: async (args) => {
    const found = args.canary === undefined ? await examine() : await sendCanary(args.canary);
    if (args.json) printJson({ checks: found, state: worst(found) });
    else show(found);
    return exitCode(found);
  },
});

async function examine(): Promise<Check[]> {
  const seen = await observe();
  const found: Check[] = [];
  for (const check of checks) found.push(...(await done(() => check(seen))));
  return found;
}

/** A check that cannot be done is a finding like any other: the rest is still looked at. */
async function done(check: () => Check[] | Promise<Check[]>): Promise<Check[]> {
  try {
    return await check();
  } catch (thrown) {
    const error = toIntercomError(thrown);
    return [
      fail("not_checked", error.message, error.hint ?? "look at what it names, then: ai-intercom doctor"),
    ];
  }
}

function show(found: readonly Check[]): void {
  const width = Math.max(...found.map(({ code }) => code.length));
  for (const { code, state, text, fix, ms } of found) {
    const took = ms === undefined ? "" : `${ms.toFixed(1).padStart(8)} ms  `;
    const line = `${state.padEnd(4)}  ${took}${code.padEnd(width)}  ${oneLine(text, shownLength)}`;
    print(state === "ok" ? line : `${bold(line)}; fix: ${oneLine(fix ?? "", shownLength)}`);
  }
}

function exitCode(found: readonly Check[]): number {
  const failed = found.filter(({ state }) => state === "fail").map(({ code }) => code);
  if (failed.length === 0) return 0;
  const nothingReached = failed.includes("daemon_unreachable") && failed.includes("hub_unreachable");
  return nothingReached && failed.every((code) => away.includes(code)) ? 3 : 1;
}
