// `ai-intercom ask`: a person has an agent started in a project, and may follow it to its end.
import { parseAddress } from "../protocol/address.ts";
import { IntercomError } from "../protocol/errors.ts";
import { newMessageId, newThreadId } from "../protocol/ids.ts";
import { longestMissionSeconds, MissionAnswer, missionIdFor } from "../protocol/mission.ts";
import { actAsPerson } from "./access.ts";
import { approve, pendingOf } from "./approvals.ts";
import { command, json, textOf } from "./command.ts";
import { follow } from "./follow.ts";
import { missionOf } from "./missions.ts";
import { dim, oneLine, plain, print, printJson, wholeReason } from "./output.ts";

export const ask = command({
  name: "ask",
  description: "have a fresh agent do something in a project; its answer comes to `ai-intercom inbox`",
  args: {
    to: { type: "positional", required: true, description: "machine/project" },
    text: { type: "positional", required: true, description: "the task; - reads it from stdin" },
    wait: { type: "boolean", default: false, description: "follow it to its end and print its output" },
    timeout: { type: "string", default: "300", description: "seconds it may run", valueHint: "S" },
    approve: { type: "boolean", default: false, description: "approve it at once, where it waits for you" },
    files: {
      type: "string",
      description: "files of that project to read first, with commas between",
      valueHint: "A,B",
    },
    "agent-command": {
      type: "string",
      description: "an agent command by its name in that machine's configuration",
      valueHint: "NAME",
    },
    continue: {
      type: "string",
      description: "give a finished mission of yours a further task",
      valueHint: "MISSION",
    },
    json,
  },
  examples: [
    'ai-intercom ask limn/mnemos "why does the API test fail? answer in three lines" --approve --wait',
    "git diff | ai-intercom ask atlas/website - --files docs/style.md",
    'ai-intercom ask limn/mnemos "now fix it" --continue m-20261122-1a2b3c',
  ],
  run: async (args) => {
    const input = await requestOf(args);
    const answer = await approved(MissionAnswer.parse(await actAsPerson("route", input)), args.approve);
    const { status, mission_id } = answer;
    const goesOn = status === "launched" || status === "queued" || status === "pending_approval";
    if (!args.json) tell(answer, goesOn, args.to);
    if (!goesOn || mission_id === undefined || !args.wait) {
      if (args.json) printJson(answer);
      return goesOn ? 0 : 1;
    }
    const mission = await follow(mission_id, !args.json, status === "launched" ? undefined : status);
    if (args.json) printJson({ ...answer, mission });
    return mission?.status === "completed" ? 0 : 1;
  },
});

type Args = {
  to: string;
  text: string;
  timeout: string;
  files?: string;
  "agent-command"?: string;
  continue?: string;
};

async function requestOf(args: Args) {
  if (parseAddress(args.to).kind !== "project")
    throw new IntercomError("bad_usage", `a mission runs in a project, and "${args.to}" is none`, {
      hint: `give machine/project; to write to a running agent: ai-intercom chat ${args.to} "…"`,
    });
  const continues = args.continue === undefined ? undefined : missionOf(args.continue);
  const message_id = newMessageId();
  const mission = {
    id: continues === undefined ? missionIdFor(message_id, new Date()) : undefined,
    continues,
    timeout: secondsOf(args.timeout),
    agent_command: args["agent-command"],
    files: args.files
      ?.split(",")
      .map((one) => one.trim())
      .filter((one) => one !== ""),
  };
  const message = await textOf(args.text);
  const new_thread_id = continues === undefined ? newThreadId() : undefined;
  return {
    from_agent: "human",
    to_agent: args.to,
    type: "ask" as const,
    payload: { message, message_id, new_thread_id, mission },
  };
}

/** The person's own ask needs no second word of theirs. */
async function approved(answer: MissionAnswer, wanted: boolean): Promise<MissionAnswer> {
  if (!wanted || answer.status !== "pending_approval" || answer.mission_id === undefined) return answer;
  const pending = await pendingOf(answer.mission_id);
  if (!pending) return answer; // somebody was faster: the mission itself tells
  const { mission } = await approve(pending.id);
  const { mission_id, thread_id } = answer;
  const { reason } = mission;
  switch (mission.status) {
    case "queued":
    case "pending_approval":
      return { status: mission.status, mission_id, thread_id, reason };
    case "failed":
      return { status: "launch_failed", mission_id, thread_id, error: reason };
    case "denied":
      return { status: "denied", mission_id, thread_id, reason };
    default:
      return { status: "launched", mission_id, thread_id };
  }
}

/** What became of the asking; an error where nothing will run. */
function tell(
  { status, mission_id, thread_id, reason, error, hint }: MissionAnswer,
  goesOn: boolean,
  to: string,
): void {
  if (!goesOn) {
    const why = plain(error ?? reason ?? status);
    throw new IntercomError(status === "denied" ? "forbidden" : "conflict", `${to}: ${status}: ${why}`, {
      hint: hint ?? (mission_id ? `ai-intercom missions show ${mission_id}` : undefined),
    });
  }
  print(
    `${status}${reason ? ` (${oneLine(reason, wholeReason)})` : ""}  ${dim(`${mission_id}  ${thread_id ?? ""}`)}`,
  );
  if (status === "pending_approval")
    print(dim(`it waits for a decision: ai-intercom approvals approve ${mission_id}`));
}

function secondsOf(text: string): number {
  const seconds = Number(text);
  if (Number.isInteger(seconds) && seconds >= 1 && seconds <= longestMissionSeconds) return seconds;
  throw new IntercomError("bad_usage", `--timeout cannot be "${text}"`, {
    hint: `whole seconds, from 1 to ${longestMissionSeconds}`,
  });
}
