// The tool calls about missions, and telling many. Asking goes through the outbox like a message; looking and
// cancelling need the hub.
import { z } from "zod";
import { IntercomError } from "../protocol/errors.ts";
import { History, MessageStatus } from "../protocol/message.ts";
import {
  Cancelled,
  type MissionAnswer,
  MissionDetail,
  MissionHistory,
  type MissionRequest,
  missionIdFor,
} from "../protocol/mission.ts";
import type { ToolInput, ToolOutput } from "../protocol/tools.ts";
import { missionOf, threadOf } from "./answers.ts";
import type { Link } from "./link.ts";
import { lostNoticeId } from "./lost-routes.ts";
import type { Outbox } from "./outbox.ts";
import type { Asked, Sender } from "./sender.ts";
import type { Session } from "./sessions.ts";

export type Call = { session: Session; messageId: string };
type Parts = { sender: Sender; link: Link; outbox: Outbox; addressOf: (session: Session) => string };

const Stored = z.object({ timestamp: z.string() });

export class MissionCalls {
  readonly #parts: Parts;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  ask(input: ToolInput<"intercom_ask">, call: Call): Promise<MissionAnswer> {
    const { to, message, timeout, require_approval, mission_id, files, context_thread } = input;
    const mission = { timeout, require_approval, agent_command: "", files, context_thread };
    return this.#start({ type: "ask", to, message }, mission, mission_id, call);
  }

  startAgent(input: ToolInput<"intercom_start_agent">, call: Call): Promise<MissionAnswer> {
    const { machine, project, mission: message, agent_command } = input;
    const mission = { require_approval: "auto" as const, agent_command, files: [] };
    return this.#start(
      { type: "start_agent", to: `${machine}/${project}`, message },
      mission,
      undefined,
      call,
    );
  }

  send({ to, message, priority }: ToolInput<"intercom_send">, { session, messageId }: Call) {
    return this.#parts.sender.tell(session, { to, message, priority, message_id: messageId });
  }

  async status(
    { message_id, mission_id, output_from }: ToolInput<"intercom_status">,
    { session }: Call,
  ): Promise<ToolOutput<"intercom_status">> {
    const { link } = this.#parts;
    if (mission_id === undefined) return this.#messageStatus(message_id ?? "", session);
    const { session_id } = session.stored;
    const waiting = this.#waitingMission(mission_id, session_id);
    if (waiting) return waiting;
    return MissionDetail.parse(await link.ask("mission", { id: mission_id, session_id, output_from }));
  }

  async history(
    { thread_id, mission_id, limit, after }: ToolInput<"intercom_history">,
    { session }: Call,
  ): Promise<ToolOutput<"intercom_history">> {
    const { link } = this.#parts;
    const { session_id } = session.stored;
    if (thread_id !== undefined)
      return History.parse(await link.ask("thread", { id: thread_id, limit, session_id }));
    const id = mission_id ?? "";
    return MissionHistory.parse(await link.ask("mission_history", { id, session_id, limit, after }));
  }

  async cancel({ mission_id }: ToolInput<"intercom_cancel">, { session }: Call) {
    const { session_id } = session.stored;
    const answer = await this.#parts.link.request("mission_cancel", { id: mission_id, session_id });
    return { mission_id, ...Cancelled.parse(answer) };
  }

  async reportFeedback(input: ToolInput<"intercom_report_feedback">, { session }: Call) {
    const { link, addressOf } = this.#parts;
    const answer = await link.request("feedback", { ...input, from_agent: addressOf(session) });
    return { status: "stored" as const, timestamp: Stored.parse(answer).timestamp };
  }

  #start(
    asked: Pick<Asked, "type" | "to" | "message">,
    mission: MissionRequest,
    continues: string | undefined,
    { session, messageId }: Call,
  ): Promise<MissionAnswer> {
    // a retry proposes the same id: the hub knows the message by its own id even when midnight fell in between
    const id = continues === undefined ? missionIdFor(messageId, new Date()) : undefined;
    return this.#parts.sender.ask(session, {
      ...asked,
      message_id: messageId,
      mission: { ...mission, id, continues },
    });
  }

  /** A message that still waits here is known to nobody else, and neither is one that damage took from the outbox. */
  async #messageStatus(message_id: string, { stored, inbox }: Session): Promise<MessageStatus> {
    const { outbox, link } = this.#parts;
    const { session_id } = stored;
    const waiting = outbox.find(message_id);
    if (waiting?.session_id !== session_id)
      try {
        return MessageStatus.parse(await link.ask("message", { id: message_id, session_id }));
      } catch (error) {
        const unknown = error instanceof IntercomError && error.code === "unknown_message";
        const notice = unknown
          ? inbox.records().find(({ id }) => id === lostNoticeId(message_id))
          : undefined;
        if (!notice) throw error;
        const failed = { state: "failed" as const, at: notice.timestamp, reason: notice.message };
        return { message_id, thread_id: notice.thread_id, status: "failed", states: [failed] };
      }
    const queued = { state: "queued" as const, at: waiting.at, reason: this.#whyWaiting() };
    return { message_id, thread_id: threadOf(waiting.input) ?? "", status: "queued", states: [queued] };
  }

  #waitingMission(mission_id: string, session_id: string): ToolOutput<"intercom_status"> | undefined {
    const waiting = this.#parts.outbox.findRoute((input) => missionOf(input) === mission_id);
    if (waiting?.session_id !== session_id) return undefined;
    return {
      mission_id,
      status: "queued",
      thread_id: threadOf(waiting.input),
      to: [waiting.input.to_agent ?? ""].flat().join(", "),
      text: waiting.input.payload.message,
      output: "",
      feedback: [],
      requested_at: waiting.at,
      started_at: null,
      finished_at: null,
      turn_count: 0,
      reason: this.#whyWaiting(),
    };
  }

  #whyWaiting(): string {
    return this.#parts.link.reason ?? "waits on this machine for the hub";
  }
}
