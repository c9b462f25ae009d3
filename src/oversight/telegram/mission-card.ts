// How a mission stands: one card a run, edited in place.
import { formatAddress } from "../../protocol/address.ts";
import type { MissionEntry } from "../../protocol/mission.ts";
import type { Mission } from "../../store/mission-store.ts";
import { type Block, bold, lines, plain } from "./markup.ts";
import type { Words } from "./words.ts";

/** characters of one entry: the card must stay one part however it changes */
const entryLimit = 240;

const icons: Record<MissionEntry["kind"], string> = {
  tool: "🔧",
  file: "📄",
  command: "💲",
  text: "💬",
  error: "❗",
  status: "•",
};

export function missionBlocks(w: Words, mission: Mission, entries: readonly MissionEntry[]): Block[] {
  const { mission_id, status, run, reason, turn_count, cost_usd, machine, project } = mission;
  const facts = [
    ...(run > 1 ? [w.run(run)] : []),
    ...(turn_count > 0 ? [w.turns(turn_count)] : []),
    ...(cost_usd === null ? [] : [`$${cost_usd.toFixed(2)}`]),
  ];
  return lines(
    [bold(w.mission), plain(` ${mission_id} · ${w.missionStates[status]}`)],
    plain(`${formatAddress(mission.from)} → ${machine}/${project}`),
    facts.length === 0 ? undefined : plain(facts.join(" · ")),
    reason ? plain(clip(w.said(reason), 500)) : undefined,
    ...entries.map((entry) => plain(stepLine(w, entry))),
  );
}

/** A step in one line; only what the machine itself says of it is put into words. */
export function stepLine(w: Words, { kind, summary }: Pick<MissionEntry, "kind" | "summary">): string {
  const line = clip(oneLine(summary), entryLimit);
  return `${icons[kind]} ${kind === "status" || kind === "error" ? w.said(line) : line}`;
}

export const clip = (text: string, most: number): string =>
  text.length > most ? `${text.slice(0, most - 1)}…` : text;
export const oneLine = (text: string): string => text.replace(/\s+/g, " ").trim();

/** An argument with spaces is told apart from two arguments. */
export const word = (argument: string) =>
  /^[\w./:=@%+,-]+$/.test(argument) ? argument : JSON.stringify(argument);
