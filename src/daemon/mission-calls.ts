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
import type { Link } from "./link.ts";
import { lostNoticeId } from "./lost-routes.ts";
import type { Outbox } from "./outbox.ts";
import { hubOrOutbox, ownMission } from "./own-mail.ts";
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
    if (mission_id === undefined) return this.#messageStatus(message_id ?? "", session);
    const asked = { id: mission_id, session_id: session.stored.session_id, output_from };
    return (
      ownMission(this.#parts, asked) ?? MissionDetail.parse(await this.#parts.link.ask("mission", asked))
    );
  }

  async history(
    { thread_id, mission_id, limit, after }: ToolInput<"intercom_history">,
    { session }: Call,
  ): Promise<ToolOutput<"intercom_history">> {
    const { link } = this.#parts;
    const { session_id } = session.stored;
    if (thread_id !== undefined) {
      const asked = { id: thread_id, limit, session_id };
      const ask = () => link.ask("thread", asked);
      return History.parse(await hubOrOutbox(this.#parts, "thread", asked, ask));
    }
    const asked = { id: mission_id ?? "", session_id, limit, after };
    const ask = () => link.ask("mission_history", asked);
    return MissionHistory.parse(await hubOrOutbox(this.#parts, "mission_history", asked, ask));
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

  /** One that damage took from the outbox is known to nobody but by the notice of it. */
  async #messageStatus(message_id: string, { stored, inbox }: Session): Promise<MessageStatus> {
    const asked = { id: message_id, session_id: stored.session_id };
    const ask = () => this.#parts.link.ask("message", asked);
    try {
      return MessageStatus.parse(await hubOrOutbox(this.#parts, "message", asked, ask));
    } catch (error) {
      const unknown = error instanceof IntercomError && error.code === "unknown_message";
      const notice = unknown ? inbox.records().find(({ id }) => id === lostNoticeId(message_id)) : undefined;
      if (!notice) throw error;
      const failed = { state: "failed" as const, at: notice.timestamp, reason: notice.message };
      return { message_id, thread_id: notice.thread_id, status: "failed", states: [failed] };
    }
  }
}
