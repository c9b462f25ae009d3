// One agent's tool calls, carried out. Each answer has the tool's own shape; an error is an answer too, so that
// the agent reads what went wrong and what to try.
import { cleanText } from "../inbox/clean-text.ts";
import { framedToolMessages } from "../inbox/framing.ts";
import { formatAddress } from "../protocol/address.ts";
import { IntercomError, toIntercomError } from "../protocol/errors.ts";
import { newMessageId } from "../protocol/ids.ts";
import type { ToolAnswer, ToolCall } from "../protocol/local-api.ts";
import { AgentList } from "../protocol/session.ts";
import {
  failedAnswer,
  isToolName,
  parseToolInput,
  type ToolInput,
  type ToolName,
  type ToolOutput,
  tools,
} from "../protocol/tools.ts";
import { askerOf, type Deliveries } from "./delivery.ts";
import type { Link } from "./link.ts";
import { type Call as MissionCall, MissionCalls } from "./mission-calls.ts";
import type { Outbox } from "./outbox.ts";
import type { Projects } from "./projects.ts";
import type { Sender } from "./sender.ts";
import type { Session, Sessions } from "./sessions.ts";

type Call = MissionCall & { askerPid: number };
type Handlers = {
  [T in ToolName]: (input: ToolInput<T>, call: Call) => Promise<ToolOutput<T> & { confirm?: string }>;
};

export type ToolParts = {
  sessions: Sessions;
  deliveries: Deliveries;
  sender: Sender;
  link: Link;
  outbox: Outbox;
  projects: Projects;
  machine: string;
};

export class ToolCalls {
  readonly #parts: ToolParts;
  readonly #handlers: Handlers;

  constructor(parts: ToolParts) {
    this.#parts = parts;
    const missions = new MissionCalls({ ...parts, addressOf: (session) => this.addressOf(session) });
    this.#handlers = {
      intercom_list_agents: async ({ filter }) => AgentList.parse(await parts.link.ask("agents", { filter })),
      intercom_chat: ({ to, message, if_no_session, expect_reply_within }, { session, messageId }) =>
        parts.sender.chat(session, {
          to,
          message,
          if_no_session,
          expect_reply_within,
          message_id: messageId,
        }),
      intercom_reply: ({ thread_id, message }, { session, messageId }) =>
        parts.sender.chat(session, { thread_id, message, message_id: messageId }),
      intercom_check_inbox: (_, call) => this.#checkInbox(call),
      intercom_register: (input, { session }) => this.#register(input, session),
      intercom_ask: (input, call) => missions.ask(input, call),
      intercom_start_agent: (input, call) => missions.startAgent(input, call),
      intercom_send: (input, call) => missions.send(input, call),
      intercom_status: (input, call) => missions.status(input, call),
      intercom_history: (input, call) => missions.history(input, call),
      intercom_cancel: (input, call) => missions.cancel(input, call),
      intercom_report_feedback: (input, call) => missions.reportFeedback(input, call),
    };
  }

  /** Runs one call for the agent process `pid`; throws only when there is no such session or tool. */
  async call(
    name: string,
    { pid, message_id, arguments: given }: ToolCall,
    askerPid: number,
  ): Promise<ToolAnswer> {
    if (!isToolName(name))
      throw new IntercomError("unknown_tool", `there is no tool "${name}"`, {
        hint: `tools: ${Object.keys(tools).join(", ")}`,
      });
    const session = this.#parts.sessions.byProcess(pid);
    if (!session)
      throw new IntercomError("unknown_session", `no session is registered for pid ${pid}`, {
        hint: "register it first: POST /api/session/register",
      });
    this.#parts.sessions.settleIdentity(session);
    const { confirm, ...result } = await this.#run(name, given, {
      session,
      messageId: message_id ?? newMessageId(),
      askerPid,
    });
    const waiting = session.inbox.unread;
    return {
      result: waiting > 0 ? { ...result, inbox_waiting: waiting } : result,
      ...(confirm ? { confirm } : {}),
    };
  }

  async #run<T extends ToolName>(
    name: T,
    given: unknown,
    call: Call,
  ): Promise<Record<string, unknown> & { confirm?: string }> {
    try {
      const input = parseToolInput(name, given);
      const handler: (input: never, call: Call) => Promise<ToolOutput<T> & { confirm?: string }> =
        this.#handlers[name];
      return await handler(input as never, call); // boundary: `name` ties schema and handler together
    } catch (thrown) {
      return failedAnswer(name, toIntercomError(thrown));
    }
  }

  /** Where the mail cannot be handed out, the answer still says how much waits. */
  async #checkInbox(call: Call): Promise<ToolOutput<"intercom_check_inbox"> & { confirm?: string }> {
    try {
      return await this.#takeMail(call);
    } catch (thrown) {
      const { message: error, hint } = toIntercomError(thrown);
      const waiting = call.session.inbox.unread;
      return { messages: [], count: 0, waiting, status: "error", error, hint };
    }
  }

  async #takeMail({ session, askerPid }: Call) {
    const { deliveries } = this.#parts;
    await deliveries.awaitClaimable(session, 300);
    const delivery = deliveries.claim(session, {
      asker: askerOf(askerPid),
      carrier: "tool",
      event: "intercom_check_inbox",
    });
    if (!delivery) return { messages: [], count: 0, waiting: session.inbox.unread };
    const messages = framedToolMessages(delivery);
    const needsReport = session.stored.transcript_path === undefined;
    return {
      messages,
      count: messages.length,
      waiting: delivery.waiting,
      delivery: delivery.nonce,
      ...(needsReport ? { confirm: delivery.nonce } : {}),
    };
  }

  async #register({ summary, ...about }: ToolInput<"intercom_register">, session: Session) {
    this.#parts.projects.describe(session.stored.project, {
      description: about.description === undefined ? undefined : cleanText(about.description),
      capabilities: about.capabilities?.map(cleanText),
      tags: about.tags?.map(cleanText),
    });
    this.#parts.sessions.update(
      session,
      summary === undefined ? {} : { summary: cleanText(summary).replaceAll("\n", " ") },
    );
    return { status: "updated" as const };
  }

  addressOf(session: Session): string {
    const { project, session_id } = session.stored;
    return formatAddress({ kind: "session", machine: this.#parts.machine, project, session: session_id });
  }
}
