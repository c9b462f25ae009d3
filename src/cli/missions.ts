// What missions do and did: the list, one mission whole, its course, and cancelling it.

import { IntercomError } from "../protocol/errors.ts";
import {
  Cancelled,
  MissionDetail,
  type MissionEntry,
  MissionHistory,
  MissionId,
  MissionList,
  MissionStatus,
} from "../protocol/mission.ts";
import { AgentList } from "../protocol/session.ts";
import { actAsPerson, askFacts } from "./access.ts";
import { command, json, limitOf, oneOf } from "./command.ts";
import {
  ago,
  dim,
  duration,
  indent,
  oneLine,
  plain,
  print,
  printJson,
  printUnasked,
  table,
  wholeReason,
} from "./output.ts";

const actions = ["show", "cancel"] as const;

export const missions = command({
  name: "missions",
  description: "list missions, look at one, or cancel it",
  args: {
    action: { type: "positional", required: false, description: "show or cancel" },
    id: { type: "positional", required: false, description: "the mission, for example m-20261122-1a2b3c" },
    status: { type: "string", description: "only those that stand like this", valueHint: "STATUS" },
    limit: { type: "string", default: "50", description: "the newest so many", valueHint: "N" },
    json,
  },
  choices: { action: [...actions], status: MissionStatus.options },
  examples: [
    "ai-intercom missions",
    "ai-intercom missions --status running",
    "ai-intercom missions show m-20261122-1a2b3c     # its task, what it did, its output",
    "ai-intercom missions cancel m-20261122-1a2b3c",
  ],
  run: async (args) => {
    if (args.action === undefined) return list(args);
    const action = oneOf("missions", args.action, actions);
    if (args.id === undefined)
      throw new IntercomError("bad_usage", `which mission shall I ${action}?`, {
        hint: "ai-intercom missions lists them",
      });
    const id = missionOf(args.id);
    if (action === "show") return showMission(id, args.json);
    const answer = Cancelled.parse(await actAsPerson("mission_cancel", { id }));
    if (args.json) return printJson({ mission_id: id, ...answer });
    print(`${id}: ${answer.status}${answer.reason ? ` (${plain(answer.reason)})` : ""}`);
  },
});

/** One mission with its whole output; 0 whatever became of it. */
export async function showMission(id: string, asJson: boolean): Promise<void> {
  const mission = await wholeMission(id);
  if (asJson) return printJson(mission);
  const { status, reason, run } = mission;
  print(
    `${id}  ${status}${reason ? ` (${oneLine(reason, wholeReason)})` : ""}  ${dim(`${mission.from} → ${mission.to}  ${mission.thread_id}${run > 1 ? `  run ${run}` : ""}`)}`,
  );
  print(dim(timesOf(mission)));
  print(`task\n${indent(mission.text)}`);
  if (mission.feedback.length > 0) print(dim(mission.feedback.length === 1 ? "1 entry" : "what it did"));
  for (const entry of mission.feedback) print(`    ${entryLine(entry)}`);
  if (mission.output !== "") print(`output\n${indent(mission.output)}`);
  printUnasked(mission);
  if (status === "running" && (await isReachable(id)))
    print(dim(`\nwrite to it: ai-intercom chat ${mission.address} "…"`));
}

/** It has a session of its own that is open: not every agent command registers one. */
async function isReachable(mission: string): Promise<boolean> {
  const { agents } = AgentList.parse(await askFacts("agents", { filter: "all" }));
  return agents.some(({ sessions }) => sessions.some(({ mission_id }) => mission_id === mission));
}

/** What was asked, done and answered, page by page as far as `limit` goes. */
export async function showCourse(id: string, limit: number, asJson: boolean): Promise<void> {
  const course = MissionHistory.parse(await askFacts("mission_history", { id, limit }));
  if (asJson) return printJson(course);
  for (const one of course.messages) {
    if ("from_agent" in one)
      print(
        `${one.from_agent} → ${one.to_agent}  ${dim(`${one.status}  ${ago(one.timestamp)}  ${one.id}`)}\n${indent(one.message)}`,
      );
    else print(`    ${entryLine({ timestamp: one.timestamp, kind: one.kind, summary: one.message })}`);
  }
  if (course.next !== undefined)
    print(dim(`more: ai-intercom history ${id} --limit ${Math.min(1000, limit * 10)}`));
  printUnasked(course);
}

/** Every page of its output in one. */
export async function wholeMission(id: string): Promise<MissionDetail> {
  const first = MissionDetail.parse(await askFacts("mission", { id }));
  let { output, output_next } = first;
  while (output_next !== undefined) {
    const page = MissionDetail.parse(await askFacts("mission", { id, output_from: output_next }));
    output += page.output;
    output_next = page.output_next;
  }
  const { output_next: _, ...rest } = first;
  return { ...rest, output };
}

export function entryLine({ timestamp, kind, summary }: Omit<MissionEntry, "seq">): string {
  return `${dim(timestamp.slice(11, 19))} ${kind.padEnd(8)}${oneLine(summary, 160)}`;
}

/** `asked 5 min ago, ran 8 s, 3 turns, $0.0123, exit 3` */
export function timesOf(mission: MissionDetail): string {
  const { requested_at, started_at, finished_at, turn_count, cost_usd, exit_code } = mission;
  const ran = (to: string) => duration((Date.parse(to) - Date.parse(started_at ?? to)) / 1000);
  return [
    `asked ${ago(requested_at)}`,
    ...(started_at === null
      ? []
      : [finished_at ? `ran ${ran(finished_at)}` : `runs since ${ran(new Date().toISOString())}`]),
    ...(turn_count > 0 ? [turn_count === 1 ? "1 turn" : `${turn_count} turns`] : []),
    ...(cost_usd === undefined ? [] : [`$${cost_usd.toFixed(4)}`]),
    ...(exit_code === undefined || exit_code === 0 ? [] : [`exit ${exit_code}`]),
  ].join(", ");
}

export function missionOf(text: string): string {
  const parsed = MissionId.safeParse(text);
  if (parsed.success) return parsed.data;
  throw new IntercomError("bad_usage", `"${text}" is not a mission id`, {
    hint: "a mission id looks like m-20261122-1a2b3c; `ai-intercom missions` lists them",
  });
}

async function list(args: { status?: string; limit: string; json: boolean }): Promise<void> {
  const status =
    args.status === undefined ? undefined : oneOf("missions", args.status, MissionStatus.options);
  const { missions } = MissionList.parse(await askFacts("missions", { status, limit: limitOf(args.limit) }));
  if (args.json) return printJson({ missions });
  if (missions.length === 0) return print('no missions; ask for one: ai-intercom ask machine/project "…"');
  print(
    table(
      ["mission", "status", "asked", "from", "to", "task"],
      missions.map((one) => [
        one.mission_id,
        one.status,
        ago(one.requested_at),
        one.from,
        one.to,
        oneLine(one.text, 60),
      ]),
    ),
  );
}
