// The MCP tools about missions and about telling many: work that a fresh agent does elsewhere, its course and its
// end. Part of the table in tools.ts.
import { z } from "zod";
import { Name } from "./address.ts";
import { MessageId, ThreadId } from "./ids.ts";
import { HistoryMessage, MessageState, MessageStatus, ownAnswer, Priority } from "./message.ts";
import {
  Feedback,
  longestMissionSeconds,
  MissionAnswer,
  MissionDetail,
  MissionHistory,
  MissionId,
  MissionRequest,
  MissionStatus,
  RequireApproval,
} from "./mission.ts";
import { SendAnswer } from "./send.ts";
import { failure, message, type ToolDefinition, waiting } from "./tool-fields.ts";

const missionId = MissionId.describe("for example m-20261122-1a2b3c");
const threadId = ThreadId.describe("for example t-0123456789ab");
const exactlyOne = (...ids: unknown[]) => ids.filter((id) => id !== undefined).length === 1;

export const missionTools = {
  intercom_ask: {
    title: "Have a fresh agent do it",
    description:
      "Give a task or a question to a project on this or another machine: a fresh one-shot agent is started there for it, works, and ends (a mission). Nobody has to be running there. Use it for work to be done or looked up in another project; to talk to an agent that runs now, use intercom_chat. Answers at once and never waits for the work: launched, queued (the machine is busy or away; it starts by itself), or pending_approval (a person there decides, perhaps much later; it starts then, under the same mission_id). Do not poll and do not wait in a loop: the agent's answer arrives in your context by itself, as a message of type response, and so does a refusal or a failure. Go on with other work meanwhile. The agent sees only your message and what you hand over: say what you want, what you know, and what form the answer should have. With mission_id you continue a finished mission of yours: the same agent, its conversation kept, gets your message as its next task. Write to a mission that still runs with intercom_chat (its address stands in intercom_status).",
    input: z.object({
      to: z.string().describe("machine/project, as intercom_list_agents shows it"),
      message: message.describe("the task, with all that the agent must know; up to 64 KiB"),
      timeout: z
        .number()
        .int()
        .min(1)
        .max(longestMissionSeconds)
        .default(300)
        .describe("seconds it may run; the machine's own limit stands above it"),
      require_approval: RequireApproval.default("auto").describe(
        "auto: as the receiving machine's policy says; always: ask a person even where none would be asked; never: as auto, for it cannot loosen that policy",
      ),
      mission_id: missionId.optional().describe("continue this finished mission of yours"),
      files: MissionRequest.shape.files.describe(
        "files of the receiving project that the agent shall read first, paths relative to it",
      ),
      context_thread: ThreadId.optional().describe(
        "one of your threads: its newest messages are handed to the agent",
      ),
    }),
    output: MissionAnswer.extend(waiting),
    readOnly: false,
  },
  intercom_start_agent: {
    title: "Start an agent for a mission",
    description:
      "Start an agent in a project on a machine and give it a mission, with a named agent command of that machine (agent_command) where its default one does not fit. Like intercom_ask in all else: it answers at once, a person may have to approve, and the result arrives in your context by itself; do not poll. Use intercom_ask for questions and ordinary tasks.",
    input: z.object({
      machine: Name.describe("the machine"),
      project: Name.describe("the project on it"),
      mission: message.describe("what the agent shall do; up to 64 KiB"),
      agent_command: MissionRequest.shape.agent_command.describe(
        "a name from that machine's configuration; empty: its default",
      ),
    }),
    output: MissionAnswer.extend(waiting),
    readOnly: false,
  },
  intercom_send: {
    title: "Tell many",
    description:
      "Tell one or many agents something that needs no answer: news, a warning, a result. Goes to every open session of each recipient, and is kept for the next one where none is open. Use intercom_chat for anything you want an answer to. The answer says for each recipient what is proved (delivered, queued, held, error). Where some failed, send again to those only.",
    input: z.object({
      to: z
        .union([z.string(), z.array(z.string()).min(1).max(1000)])
        .describe(
          "one or many of machine/project, machine/project@session, human; machine/* is every project of a machine, */project that project everywhere, * everyone",
        ),
      message,
      priority: Priority.default("normal").describe(
        "low: does not wake an idle agent; high: marked as such where it is read",
      ),
    }),
    output: SendAnswer.extend(waiting),
    readOnly: false,
  },
  intercom_status: {
    title: "Status of a message or mission",
    description:
      "Where a message you sent is, or how a mission you asked for goes; give exactly one of message_id and mission_id. Message: the states it has reached (queued, accepted, delivered, offered, seen, replied, failed, expired) with times and reasons; seen means it stands in the other agent's own transcript and the model answered after it. Mission: its status, what it does now (feedback), and its output, in pages (output_from). For a look now and then: answers and ends arrive in your context by themselves, so do not poll.",
    input: z
      .object({
        message_id: MessageId.optional().describe(
          "as intercom_chat, intercom_reply or intercom_send gave it",
        ),
        mission_id: missionId.optional().describe("as intercom_ask or intercom_start_agent gave it"),
        output_from: z
          .number()
          .int()
          .nonnegative()
          .default(0)
          .describe("mission: where the page of output begins; output_next of the page before"),
      })
      .refine(({ message_id, mission_id }) => exactlyOne(message_id, mission_id), {
        error: "give exactly one of message_id and mission_id",
      }),
    output: z.object({
      ...MissionDetail.partial().shape,
      ...MessageStatus.partial().shape,
      status: z.union([MessageState, MissionStatus, z.literal("error")]),
      ...failure,
      ...waiting,
    }),
    readOnly: true,
  },
  intercom_history: {
    title: "History of a thread or mission",
    description:
      "The messages of a thread you take part in, or the course of a mission you asked for (what was asked, what its agent did, what it answered), oldest first. Give exactly one of thread_id and mission_id. A long mission comes in pages: `next` of one answer is `after` of the next call.",
    input: z
      .object({
        thread_id: threadId.optional(),
        mission_id: missionId.optional(),
        limit: z
          .number()
          .int()
          .min(1)
          .max(1000)
          .default(50)
          .describe("thread: the newest so many; mission: page size"),
        after: z.string().max(64).optional().describe("mission: `next` of the page before"),
      })
      .refine(({ thread_id, mission_id }) => exactlyOne(thread_id, mission_id), {
        error: "give exactly one of thread_id and mission_id",
      }),
    output: z.object({
      thread_id: z.string().optional(),
      mission_id: z.string().optional(),
      messages: z.array(z.union([HistoryMessage, MissionHistory.shape.messages.element])),
      more: z.boolean().optional().describe("older messages of the thread did not fit into this answer"),
      next: z.string().optional().describe("mission: `after` of the next page; absent at the end"),
      ...ownAnswer,
      status: z.literal("error").optional(),
      ...failure,
      ...waiting,
    }),
    readOnly: true,
  },
  intercom_cancel: {
    title: "Cancel a mission",
    description:
      "Stop a mission that you asked for: one that waits is withdrawn, one that runs is ended with all that it started. Its end still arrives in your context. `status` says how the mission stands now.",
    input: z.object({ mission_id: missionId }),
    output: z.object({
      status: z.union([MissionStatus, z.literal("error")]),
      mission_id: z.string().optional(),
      reason: z.string().optional(),
      ...failure,
      ...waiting,
    }),
    readOnly: false,
  },
  intercom_report_feedback: {
    title: "Report feedback on ai-intercom",
    description:
      "Tell the people who run this ai-intercom about a bug, an improvement or a note on ai-intercom itself. It is kept for them; no agent gets it and nobody answers.",
    input: Feedback,
    output: z.object({
      status: z.enum(["stored", "error"]),
      timestamp: z.string().optional(),
      ...failure,
      ...waiting,
    }),
    readOnly: false,
  },
} as const satisfies Record<string, ToolDefinition>;
