// How a run ended, judged by what is known: why it was stopped, its exit, and the agent's own last word. Never by what
// the answer says.
import { cleanText } from "../inbox/clean-text.ts";
import type { MissionChange } from "../protocol/mission.ts";
import { readTail } from "../system/files.ts";
import type { MissionOutput } from "./mission-output.ts";
import type { Exit } from "./mission-process.ts";
import type { MissionRecord } from "./mission-record.ts";

/** characters of standard error that a reason quotes */
const quotedChars = 500;

export function verdictOf(
  { stop, format }: MissionRecord,
  story: Pick<MissionOutput, "verdict" | "turns">,
  exit: Exit,
  stderrPath: string,
): MissionChange {
  const { verdict } = story;
  const facts = {
    at: new Date().toISOString(),
    ...(exit.code === undefined ? {} : { exit_code: exit.code }),
    ...(format === undefined ? {} : { turn_count: verdict?.turns ?? story.turns }),
    ...(verdict?.costUsd === undefined ? {} : { cost_usd: verdict.costUsd }),
  };
  const { status, reason } = judge(stop, format === undefined ? "text" : verdict, exit);
  if (reason === undefined) return { ...facts, status };
  const said = status === "failed" && !verdict?.reason ? stderrTail(stderrPath) : "";
  return {
    ...facts,
    status,
    reason: (said === "" ? reason : `${reason}; it said: ${said}`).slice(0, 2000).toWellFormed(),
  };
}

/** `verdict`: the agent's own last word; "text" for an agent that has none but its exit code. */
function judge(
  stop: MissionRecord["stop"],
  verdict: MissionOutput["verdict"] | "text",
  exit: Exit,
): { status: MissionChange["status"]; reason?: string } {
  const unknown = exit.code === undefined && exit.signal === undefined;
  const saysDone = verdict === "text" ? !unknown : verdict?.ok === true;
  // it was done before it was stopped
  if (saysDone && (exit.code === 0 || unknown)) return { status: "completed" };
  if (stop) return { status: stop.status, reason: stop.reason };
  if (verdict !== "text" && verdict && !verdict.ok)
    return { status: "failed", reason: verdict.reason ?? "it reported an error" };
  if (unknown)
    return {
      status: "lost",
      reason:
        "how it ended was not seen, for the daemon was restarted meanwhile, and its output does not say it",
    };
  const how = exit.signal === undefined ? `exit code ${exit.code}` : `ended by ${exit.signal}`;
  return {
    status: "failed",
    reason: saysDone || verdict === "text" ? how : `it ended without a result, ${how}`,
  };
}

function stderrTail(path: string): string {
  try {
    const text = cleanText(readTail(path, 4 * quotedChars)).trim();
    return text.length > quotedChars ? `…${text.slice(-quotedChars)}` : text;
  } catch {
    return ""; // the file was removed: the reason stands without it
  }
}
