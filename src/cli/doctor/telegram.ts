// Whether the bot can do its work: token, group, topics, rights, and whom it obeys. Asked of the Bot API with calls
// that change nothing and take no updates away from a hub that runs. `doctor` and `setup` share it.
import { BotApi, type Failure, type Outcome } from "../../oversight/telegram/bot-api.ts";
import { homeChat } from "../../oversight/telegram/gate.ts";
import { IntercomError } from "../../protocol/errors.ts";
import type { Config } from "../../system/config.ts";
import { type Check, fail, ok, warn } from "./check.ts";
import type { Observed } from "./observed.ts";

/** ms for one call */
const callTime = { deadlineMs: 5_000 };

type Bot = { id: number; username: string; can_read_all_group_messages: boolean };
/** What is read of the Bot API's ChatFullInfo. */
type Group = {
  type: "private" | "group" | "supergroup" | "channel";
  title?: string;
  is_forum?: boolean;
  permissions?: { can_send_messages?: boolean };
};
/** What is read of the Bot API's ChatMember. */
type Member = {
  status: "creator" | "administrator" | "member" | "restricted" | "left" | "kicked";
  can_manage_topics?: boolean;
  can_send_messages?: boolean;
  is_member?: boolean;
};

/** Of a hub's host that has a bot; elsewhere there is nothing to look at. */
export async function checkTelegram({ config }: Observed): Promise<Check[]> {
  if (config instanceof IntercomError || config.config.mode === "daemon") return [];
  return examineTelegram(config.config.telegram);
}

/** Nothing where there is no token. Every call ends in time, and no finding holds the token. */
export async function examineTelegram(telegram: Config["telegram"]): Promise<Check[]> {
  if (telegram.bot_token === undefined) return [];
  const api = new BotApi(telegram.bot_token, telegram.api_root, new AbortController().signal);
  const me = await api.call<Bot>((calls, signal) => calls.getMe(signal), callTime);
  if (!me.ok) return [withoutBot(me, telegram.api_root), ...users(telegram)];
  const bot = ok("telegram", `the token is @${me.value.username}'s`);
  return [bot, ...(await examineChat(api, me.value, telegram)), ...users(telegram)];
}

async function examineChat(api: BotApi, bot: Bot, telegram: Config["telegram"]): Promise<Check[]> {
  const id = homeChat(telegram);
  if (id === undefined)
    return [
      fail(
        "telegram_chat_unset",
        "telegram.supergroup_id is not set: nothing is shown in Telegram",
        "add the bot to a group, then: TELEGRAM_SUPERGROUP_ID=-100… ai-intercom setup --telegram",
      ),
    ];
  return examineGroup(api, bot, id);
}

async function examineGroup(api: BotApi, bot: Bot, id: number): Promise<Check[]> {
  const chat = await api.call<Group>((calls, signal) => calls.getChat(id, signal), callTime);
  if (!chat.ok && chat.kind === "moved" && chat.to !== id)
    return [
      warn(
        "telegram_chat_moved",
        `group ${id} became the supergroup ${chat.to}: the hub goes on there`,
        `set telegram.supergroup_id (or TELEGRAM_SUPERGROUP_ID) to ${chat.to}`,
      ),
      ...(await examineGroup(api, bot, chat.to)),
    ];
  if (!chat.ok) return [withoutChat(chat, id, bot)];
  if (chat.value.type === "channel")
    return [
      fail("telegram_chat_unusable", `chat ${id} is a channel`, "set telegram.supergroup_id to a group's id"),
    ];
  if (chat.value.type === "private") return [ok("telegram_chat", `private chat ${id}`)];
  const member = await api.call<Member>((calls, signal) => calls.getChatMember(id, bot.id, signal), callTime);
  const name = chat.value.title === undefined ? String(id) : `"${chat.value.title}" (${id})`;
  const kind = chat.value.is_forum ? "a supergroup with topics" : "a plain group: no topics, replies instead";
  return [ok("telegram_chat", `${name}, ${kind}`), ...rights(member, chat.value, bot)];
}

function rights(
  member: Outcome<Member>,
  group: Group,
  { username, can_read_all_group_messages }: Bot,
): Check[] {
  if (!member.ok)
    return [
      warn("telegram_rights_unknown", `the bot's rights are not told: ${said(member)}`, "ai-intercom doctor"),
    ];
  const { status, can_manage_topics, can_send_messages, is_member } = member.value;
  const admin = status === "creator" || status === "administrator";
  const promote = `in the group's settings make @${username} an administrator`;
  if (status === "left" || status === "kicked" || (status === "restricted" && is_member === false))
    return [
      fail(
        "telegram_rights_missing",
        `the bot is not in the group (${status})`,
        `add @${username} to the group`,
      ),
    ];
  const mayPost = admin || (can_send_messages ?? group.permissions?.can_send_messages ?? true);
  if (!mayPost) return [fail("telegram_rights_missing", "the bot may not post in the group", promote)];
  const found: Check[] = [];
  if (group.is_forum && status !== "creator" && can_manage_topics !== true)
    found.push(
      warn(
        "telegram_topics_denied",
        "the bot may not manage topics: all threads are shown in one place",
        `${promote} with the right to manage topics`,
      ),
    );
  // Bot API, "privacy mode": such a bot gets commands and replies to itself, and nothing else that people write
  if (!admin && !can_read_all_group_messages)
    found.push(
      warn(
        "telegram_deaf",
        "the bot hears commands and replies only: words in a topic do not reach agents",
        `${promote}; or @BotFather: /setprivacy, Disable, then add the bot to the group again`,
      ),
    );
  return found.length > 0 ? found : [ok("telegram_rights", "the bot may do all that is needed")];
}

function users({ security }: Config["telegram"]): Check[] {
  const list = [...new Set(security.allowed_users)];
  if (list.length > 0) return [ok("telegram_users", `obeys ${list.join(", ")}`)];
  return [
    warn(
      "telegram_users_none",
      "telegram.security.allowed_users is empty: the bot shows, and obeys nobody",
      "TELEGRAM_OWNER_ID=<your user id> ai-intercom setup --telegram   # @userinfobot tells the id",
    ),
  ];
}

function withoutBot(failure: Failure, apiRoot: string): Check {
  if (failure.kind === "unauthorized")
    return fail(
      "telegram_token",
      `Telegram does not know the token: ${failure.text}`,
      "@BotFather: /token; then: ai-intercom setup --telegram",
    );
  return fail(
    "telegram_unreachable",
    `${withoutPassword(apiRoot)} cannot be asked: ${said(failure)}`,
    "what is to be shown waits on disk; check the network, a proxy, telegram.api_root",
  );
}

function withoutChat(failure: Failure, id: number, { username }: Bot): Check {
  if (failure.kind === "uncertain" || failure.kind === "too_fast")
    return fail(
      "telegram_unreachable",
      `chat ${id} cannot be asked for: ${said(failure)}`,
      "ai-intercom doctor",
    );
  return fail(
    "telegram_chat_unreachable",
    `the bot cannot see chat ${id}: ${said(failure)}`,
    `add @${username} to the group, and check telegram.supergroup_id: a supergroup's begins with -100`,
  );
}

const said = (failure: Failure): string =>
  failure.kind === "too_fast" ? `again in ${Math.ceil(failure.waitMs / 1000)} s` : failure.text;

function withoutPassword(address: string): string {
  const { origin, pathname } = new URL(address);
  return `${origin}${pathname}`.replace(/\/$/, "");
}
