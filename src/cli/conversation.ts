// A person's own hand in the conversation: chat, reply, inbox, history. Writing as `human` is a person's act; the
// hub refuses it from an agent's child.
import { z } from "zod";
import { parseAddress } from "../protocol/address.ts";
import { IntercomError } from "../protocol/errors.ts";
import type { HubInput } from "../protocol/hub-api.ts";
import { newMessageId, newThreadId, ThreadId } from "../protocol/ids.ts";
import { ChatAnswer, History, InboxRecord, PersonInbox } from "../protocol/message.ts";
import { MissionId } from "../protocol/mission.ts";
import { isUncertain } from "../system/socket.ts";
import { actAsPerson, askDaemon, askFacts } from "./access.ts";
import { command, json, limitOf, textOf } from "./command.ts";
import { showCourse } from "./missions.ts";
import { ago, dim, indent, print, printJson, printUnasked } from "./output.ts";

export const chat = command({
  name: "chat",
  description: "write to a running agent; its answer comes to `ai-intercom inbox`",
  args: {
    to: { type: "positional", required: true, description: "machine/project or machine/project@session" },
    text: { type: "positional", required: true, description: "the message; - reads it from stdin" },
    queue: {
      type: "boolean",
      default: false,
      description: "when no agent runs there, keep it for the project's next session",
    },
    json,
  },
  examples: [
    'ai-intercom chat limn/mnemos "which port does the API use?"',
    "git diff | ai-intercom chat limn/mnemos -",
  ],
  run: async (args) => {
    parseAddress(args.to);
    const payload = {
      message: await textOf(args.text),
      message_id: newMessageId(),
      new_thread_id: newThreadId(),
      if_no_session: args.queue ? ("queue" as const) : ("fail" as const),
    };
    return send({ from_agent: "human", to_agent: args.to, type: "chat", payload }, args.json);
  },
});

export const reply = command({
  name: "reply",
  description: "write in a thread",
  args: {
    thread: { type: "positional", required: true, description: "the thread, for example t-0123456789ab" },
    text: { type: "positional", required: true, description: "the message; - reads it from stdin" },
    json,
  },
  examples: ['ai-intercom reply t-0123456789ab "yes, go on"'],
  run: async (args) => {
    const payload = {
      message: await textOf(args.text),
      message_id: newMessageId(),
      thread_id: threadOf(args.thread),
    };
    return send({ from_agent: "human", type: "chat", payload }, args.json);
  },
});

export const release = command({
  name: "release",
  description: "let the messages go that the loop guard holds in a thread",
  args: {
    thread: { type: "positional", required: true, description: "the thread, for example t-0123456789ab" },
    json,
  },
  examples: ["ai-intercom release t-0123456789ab"],
  run: async (args) => {
    const Released = z.object({ thread_id: z.string(), released: z.number() });
    const answer = Released.parse(await actAsPerson("release", { id: threadOf(args.thread) }));
    if (args.json) printJson(answer);
    else
      print(
        answer.released === 0 ? "nothing was held; the count starts anew" : `released: ${answer.released}`,
      );
  },
});

export const inbox = command({
  name: "inbox",
  description: "what agents wrote to you; with --session, look into an agent's inbox without taking anything",
  args: {
    unread: { type: "boolean", default: false, description: "only what was not shown before" },
    session: { type: "string", description: "a session of this machine", valueHint: "ID" },
    limit: { type: "string", default: "50", description: "the newest so many", valueHint: "N" },
    json,
  },
  examples: [
    "ai-intercom inbox",
    "ai-intercom inbox --unread --json",
    "ai-intercom inbox --session s-20261122-1a2b3c",
  ],
  run: async (args) => {
    const limit = limitOf(args.limit);
    if (args.session !== undefined) return sessionInbox(args.session, args.json);
    const { messages, waiting } = PersonInbox.parse(
      await actAsPerson("human_inbox", { limit, unread: args.unread }),
    );
    if (args.json) return printJson({ messages, waiting });
    if (messages.length === 0) return print(args.unread ? "nothing new" : "no messages");
    for (const one of messages) {
      print(`${one.from_agent}  ${dim(`${one.thread_id}  ${ago(one.timestamp)}`)}\n${indent(one.message)}`);
    }
    print(dim(`\nanswer with: ai-intercom reply ${messages.at(-1)?.thread_id} "…"`));
  },
});

export const history = command({
  name: "history",
  description: "the messages of a thread, or the course of a mission, oldest first",
  args: {
    id: { type: "positional", required: true, description: "the thread (t-0123456789ab) or mission" },
    limit: { type: "string", default: "50", description: "the newest so many", valueHint: "N" },
    json,
  },
  examples: [
    "ai-intercom history t-0123456789ab",
    "ai-intercom history t-0123456789ab --limit 500 --json",
    "ai-intercom history m-20261122-1a2b3c",
  ],
  run: async (args) => {
    const limit = limitOf(args.limit);
    if (MissionId.safeParse(args.id).success) return showCourse(args.id, limit, args.json);
    const answer = History.parse(await askFacts("thread", { id: threadOf(args.id), limit }));
    if (args.json) return printJson(answer);
    if (answer.more) print(dim("older messages did not fit into this answer"));
    for (const one of answer.messages) {
      print(
        `${one.from_agent} → ${one.to_agent}  ${dim(`${one.status}  ${ago(one.timestamp)}  ${one.id}`)}\n${indent(one.message)}`,
      );
    }
    printUnasked(answer);
  },
});

async function sessionInbox(session: string, asJson: boolean): Promise<void> {
  const { messages } = z
    .object({ messages: z.array(InboxRecord) })
    .parse(await askDaemon(`/api/inbox?session=${encodeURIComponent(session)}`));
  if (asJson) return printJson({ messages });
  if (messages.length === 0) return print("no messages");
  for (const one of messages)
    print(
      `${one.read ? " " : "*"} ${one.from_agent}  ${dim(`${one.thread_id}  ${ago(one.timestamp)}`)}\n${indent(one.message)}`,
    );
}

/** Prints what became of the message; 1 where it was not sent. */
async function send(input: HubInput<"route">, asJson: boolean): Promise<number> {
  const answer = await route(input);
  const sent = answer.status === "delivered" || answer.status === "queued" || answer.status === "held";
  if (asJson) printJson(answer);
  else if (sent)
    print(
      `${answer.status}${answer.reason ? ` (${answer.reason})` : ""}  ${dim(`${answer.thread_id}  ${answer.message_id}`)}`,
    );
  else if (answer.status === "ambiguous")
    throw new IntercomError(
      "conflict",
      `${input.to_agent} has ${answer.sessions?.length} sessions; nothing was sent`,
      {
        hint: `choose one: ${answer.sessions?.map(({ address }) => address).join(", ")}`,
      },
    );
  else
    throw new IntercomError("no_active_session", answer.reason ?? `no agent runs in ${input.to_agent}`, {
      hint: answer.hint ?? "start one there, or keep the message for the next: --queue",
    });
  return sent ? 0 : 1;
}

async function route(input: HubInput<"route">): Promise<ChatAnswer> {
  try {
    return ChatAnswer.parse(await actAsPerson("route", input));
  } catch (error) {
    if (!isUncertain(error)) throw error;
    throw new IntercomError(error.code, `${error.message}; whether it took the message is not known`, {
      hint: `before you send it again: ai-intercom status ${input.payload.message_id}`,
      cause: error,
    });
  }
}

function threadOf(text: string): string {
  const parsed = ThreadId.safeParse(text);
  if (parsed.success) return parsed.data;
  throw new IntercomError("bad_usage", `"${text}" is not a thread id`, {
    hint: "a thread id is t- and 12 hex digits; `ai-intercom inbox` and `watch` show them",
  });
}
