// The commands: each does at the hub what the command line does, and answers in the same place.
import type { Message } from "grammy/types";
import { IntercomError } from "../../protocol/errors.ts";
import { randomHex, threadIdFor } from "../../protocol/ids.ts";
import { ChatAnswer } from "../../protocol/message.ts";
import {
  ApprovalList,
  Cancelled,
  MissionAnswer,
  MissionDetail,
  MissionList,
  missionIdFor,
} from "../../protocol/mission.ts";
import { AgentList, MachineList } from "../../protocol/session.ts";
import type { NewTelegramItem } from "../../store/telegram-store.ts";
import { personName } from "./gate.ts";
import type { HubView } from "./hub-view.ts";
import {
  agentLines,
  answerLines,
  grantLines,
  machineLines,
  missionDetailLines,
  missionLines,
} from "./listings.ts";
import { type Block, bold, code, lines, plain } from "./markup.ts";
import { cardId, commandId } from "./names.ts";
import type { Effect } from "./person.ts";
import type { Words } from "./words.ts";

export type Command = { name: string; bot: string | undefined; rest: string };
export type CommandName = keyof Words["commands"];
export const commandNames: readonly CommandName[] = [
  "agents",
  "machines",
  "chat",
  "ask",
  "start_agent",
  "missions",
  "stop",
  "approvals",
  "policy",
  "watch",
  "help",
];

type Act = {
  hub: HubView;
  words: Words;
  message: Message;
  rest: string;
  /** the thread whose topic it was written in */
  thread: string | undefined;
  name: string;
};

/** `/name@bot rest`; undefined: no command. */
export function parseCommand(text: string): Command | undefined {
  const found = /^\/([A-Za-z0-9_]{1,64})(?:@([A-Za-z0-9_]+))?(?:\s+|$)/.exec(text);
  if (!found) return undefined;
  const [all, name = "", bot] = found;
  return { name: name.toLowerCase(), bot, rest: text.slice(all.length).trim() };
}

export async function runCommand(
  { hub, words }: { hub: HubView; words: Words },
  { name, rest }: Command,
  message: Message,
  thread: string | undefined,
): Promise<Effect> {
  const known = commandNames.find((one) => one === (name === "start" ? "help" : name));
  if (!known) return { answer: [plain(words.unknownCommand(name))] };
  const person = message.from ? personName(message.from) : "telegram";
  return acts[known]({ hub, words, message, rest, thread, name: person });
}

const acts: Record<CommandName, (act: Act) => Promise<Effect>> = {
  agents: async ({ hub, words, name, rest }) => {
    const { agents } = AgentList.parse(await hub.ask("agents", { filter: rest || "all" }, name));
    return { answer: agents.length === 0 ? [plain(words.noAgents)] : agentLines(words, agents) };
  },
  machines: async ({ hub, words, name }) => {
    const { machines } = MachineList.parse(await hub.ask("machines", {}, name));
    return { answer: machines.length === 0 ? [plain(words.noMachines)] : machineLines(words, machines) };
  },
  chat: async ({ hub, words, message, rest, name }) => {
    const { to, text } = addressed(rest, words, words.examples.chat);
    const message_id = commandId(message.chat.id, message.message_id);
    const payload = {
      message: text,
      message_id,
      new_thread_id: threadIdFor(message_id),
      await_delivery: false,
    };
    const input = { from_agent: "human", to_agent: to, type: "chat", payload } as const;
    const answer = ChatAnswer.parse(await hub.ask("route", input, name));
    // the answer says `queued` of what is merely on its way, too
    const [copy] = (await hub.store.message(message_id))?.deliveries ?? [];
    return { answer: answerLines(words, answer, copy) };
  },
  ask: (act) => startMission(act, "ask"),
  start_agent: (act) => startMission(act, "start_agent"),
  missions: async ({ hub, words, rest, name }) => {
    if (rest !== "") {
      const detail = MissionDetail.parse(await hub.ask("mission", { id: rest }, name));
      return { answer: missionDetailLines(words, detail) };
    }
    const { missions } = MissionList.parse(await hub.ask("missions", { limit: 20 }, name));
    return { answer: missions.length === 0 ? [plain(words.noMissions)] : missionLines(words, missions) };
  },
  stop: async ({ hub, words, rest, thread, name }) => {
    const id = rest || (await missionOfThread(hub, thread));
    if (id === undefined) throw usage(words, "/stop m-20261122-1a2b3c");
    const cancelled = Cancelled.parse(await hub.ask("mission_cancel", { id }, name));
    return { answer: [plain(stopped(words, id, cancelled))], touched: [id] };
  },
  approvals: async ({ hub, words, message, name }) => {
    const { approvals } = ApprovalList.parse(await hub.ask("approvals", { limit: 10 }, name));
    if (approvals.length === 0) return { answer: [plain(words.noApprovals)] };
    const again = approvals.map(
      ({ id }): NewTelegramItem => ({
        key: `${cardId.approval(id)}:${message.message_id}`,
        place: "main",
        kind: "approval",
        ref: id,
        nonce: randomHex(8),
      }),
    );
    return { items: again.reverse() };
  },
  policy: async ({ hub, words, rest, name }) => {
    const [verb, id, ...more] = rest.split(/\s+/);
    if (verb === "revoke" && id !== undefined && more.length === 0) {
      await hub.ask("grant_revoke", { id }, name);
      return { answer: [plain(words.revoked(id))] };
    }
    if (rest !== "") throw usage(words, "/policy revoke g-0123456789ab");
    const { grants } = ApprovalList.parse(await hub.ask("approvals", { limit: 1 }, name));
    return { answer: grantLines(words, grants) };
  },
  watch: async ({ hub, words, rest }) => {
    const wish = rest.toLowerCase();
    if (wish !== "" && wish !== "on" && wish !== "off") throw usage(words, "/watch on | /watch off");
    const is = wish === "" ? ((await hub.store.telegram.setting("watch")) ?? "on") : wish;
    return {
      settings: { watch: is },
      answer: [plain(is === "on" ? words.watchOn : words.watchOff)],
    };
  },
  help: async ({ words }) => ({
    answer: lines(
      ...commandNames.map((name): Block[] => [bold(`/${name}`), plain(` ${words.commands[name]}`)]),
      plain(words.helpEnd),
    ),
  }),
};

async function startMission(
  { hub, words, message, rest, name }: Act,
  type: "ask" | "start_agent",
): Promise<Effect> {
  const { to, text } = addressed(rest, words, words.examples[type]);
  const message_id = commandId(message.chat.id, message.message_id);
  const answer = MissionAnswer.parse(
    await hub.ask(
      "route",
      {
        from_agent: "human",
        to_agent: to,
        type,
        payload: {
          message: type === "start_agent" ? unquoted(text) : text,
          message_id,
          new_thread_id: threadIdFor(message_id),
          // how it goes on is shown by its card
          await_delivery: false,
          mission: { id: missionIdFor(message_id, new Date(message.date * 1000)) },
        },
      },
      name,
    ),
  );
  const { mission_id, status, reason, error, hint } = answer;
  if (mission_id === undefined) throw new IntercomError("conflict", error ?? reason ?? status, { hint });
  return { answer: [plain("🎯 "), code(mission_id), plain(` → ${to}`)] };
}

/** What runs ends by its machine's report: the hub waits for that a moment only. */
function stopped(w: Words, id: string, { status, reason }: Cancelled): string {
  const because = reason === undefined ? "" : ` (${w.said(reason)})`;
  const isRunning = status === "queued" || status === "running";
  return `${isRunning ? w.stopping(id) : `${id} · ${w.missionStates[status]}`}${because}`;
}

function addressed(rest: string, words: Words, example: string): { to: string; text: string } {
  const found = /^(\S+)\s+([\s\S]+)$/.exec(rest);
  if (!found) throw usage(words, example);
  const [, to = "", text = ""] = found;
  return { to, text };
}

const usage = (words: Words, example: string) =>
  new IntercomError("bad_usage", words.usage(example), { hint: "/help" });

/** In whatever quotation marks a telephone's keyboard makes. */
const unquoted = (text: string): string => /^["“„«]\s*([\s\S]+?)\s*["”“»]$/.exec(text)?.[1] ?? text;

async function missionOfThread(hub: HubView, thread: string | undefined): Promise<string | undefined> {
  if (thread === undefined) return undefined;
  const opening = await hub.store.telegram.opening(thread);
  return opening === undefined ? undefined : (await hub.store.missionOfMessage(opening))?.mission_id;
}
