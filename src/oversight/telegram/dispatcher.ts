// A plain message outside topics: a mission of the configured agent, with what was said before. Its card stands
// below the message and follows the run; its answer comes as a reply.
import type { Message } from "grammy/types";
import { randomHex, threadIdFor } from "../../protocol/ids.ts";
import { MissionAnswer, missionIdFor } from "../../protocol/mission.ts";
import type { NewTelegramItem } from "../../store/telegram-store.ts";
import type { Config } from "../../system/config.ts";
import { personName } from "./gate.ts";
import type { HubView } from "./hub-view.ts";
import { plain } from "./markup.ts";
import { clip } from "./mission-card.ts";
import { cardId, dispatchId } from "./names.ts";
import type { Effect } from "./person.ts";
import type { Words } from "./words.ts";

/** characters of one remembered message or answer */
const rememberedLimit = 2_000;
/** characters of all of it: room is left for the message itself */
const rememberedTotal = 20_000;

type Parts = { hub: HubView; words: Words; config: Config };

export async function dispatch(parts: Parts, message: Message, text: string): Promise<Effect> {
  const { hub, words, config } = parts;
  const { enabled, target } = config.dispatcher;
  if (!enabled || target === undefined) return { answer: [plain(words.noDispatcher)] };
  const message_id = dispatchId(message.chat.id, message.message_id);
  // a message that comes again is the same mission, whatever is remembered by now
  const known = await hub.store.missionOfMessage(message_id);
  const answer =
    known ??
    MissionAnswer.parse(
      await hub.ask(
        "route",
        {
          from_agent: "human",
          to_agent: target,
          type: "ask",
          payload: {
            message: await prompt(parts, text),
            message_id,
            new_thread_id: threadIdFor(message_id),
            await_delivery: false,
            mission: { id: missionIdFor(message_id, new Date(message.date * 1000)) },
          },
        },
        message.from ? personName(message.from) : "telegram",
      ),
    );
  if (answer.mission_id === undefined) return { answer: [plain(whyNot(words, answer))] };
  const item: NewTelegramItem = {
    key: cardId.dispatch(answer.mission_id),
    place: "main",
    kind: "dispatch",
    ref: answer.mission_id,
    body: text,
    reply_to: message.message_id,
    nonce: randomHex(8),
  };
  return { items: [item] };
}

function whyNot(
  { said }: Words,
  answer: { status: string; error?: string; reason?: string | null; hint?: string },
): string {
  const hint = answer.hint === undefined ? "" : `\n${said(answer.hint)}`;
  return `⚠️ ${said(answer.error ?? answer.reason ?? answer.status)}${hint}`;
}

/** What the person wrote, behind the configured words and what was said before. */
async function prompt({ hub, words, config }: Parts, text: string): Promise<string> {
  const { system_prompt, memory } = config.dispatcher;
  const earlier = memory.enabled ? await remembered(hub, memory) : [];
  const parts = [system_prompt, earlier.length === 0 ? "" : `${words.earlier}\n${earlier.join("\n")}`, text];
  return parts.filter((part) => part !== "").join("\n\n");
}

/** The last messages and their answers, oldest first. */
async function remembered(
  { store, now }: HubView,
  { exchanges, hours }: Config["dispatcher"]["memory"],
): Promise<string[]> {
  const since = new Date(now() - hours * 3_600_000).toISOString();
  const said: string[] = [];
  for (const { ref, body } of await store.telegram.itemsOfKind("dispatch", exchanges)) {
    const mission = await store.mission(ref);
    if (!mission || mission.requested_at < since) break;
    const output = await store.missionOutput(ref, 0, rememberedLimit);
    said.unshift(`> ${quoted(body ?? "")}\n${quoted(output === "" ? mission.status : output)}`);
    if (said.join("").length > rememberedTotal) break;
  }
  return said;
}

const quoted = (text: string): string => clip(text, rememberedLimit).replaceAll("\n", "\n  ");
