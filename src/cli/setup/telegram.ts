// Telegram as a part of `setup`: takes the keys from flags, environment or the person, asks the Bot API about them
// before anything is written, and writes into config.yml what the service will find there.
import { IntercomError } from "../../protocol/errors.ts";
import { type Config, inspectConfig } from "../../system/config.ts";
import { type ConfigValue, setConfigKeys } from "../../system/config-edit.ts";
import { privateHome } from "../../system/home.ts";
import { homePaths } from "../../system/paths.ts";
import { askDaemon } from "../access.ts";
import { examineTelegram } from "../doctor/telegram.ts";
import { asked, confirmed } from "./questions.ts";
import type { Step } from "./step.ts";

type Settings = Config["telegram"];
/** Variables of config.ts, so that a value is read and refused in one place only. */
type Given = { TELEGRAM_BOT_TOKEN?: string; TELEGRAM_SUPERGROUP_ID?: string; TELEGRAM_OWNER_ID?: string };

/** Plans it; undefined: nobody wants it. Throws when there is no token, or none that Telegram knows. */
export async function telegramStep(wish: {
  wanted: boolean;
  group?: string;
  owner?: string;
  isAsking: boolean;
}): Promise<Step | undefined> {
  const before = settings({});
  if (!wish.wanted && !(await isWished(wish.isAsking, before))) return undefined;
  const given: Given = {
    ...(wish.group === undefined ? {} : { TELEGRAM_SUPERGROUP_ID: wish.group }),
    ...(wish.owner === undefined ? {} : { TELEGRAM_OWNER_ID: wish.owner }),
  };
  const telegram = settings(wish.isAsking ? await completed(given, before) : given);
  if (telegram.bot_token === undefined)
    throw new IntercomError("bad_usage", "there is no bot token", {
      hint: "ask @BotFather for one, then: TELEGRAM_BOT_TOKEN=… ai-intercom setup --telegram",
    });
  const found = await examineTelegram(telegram);
  const refused = found.find(({ code }) => code === "telegram_token");
  if (refused) throw new IntercomError("bad_config", refused.text, { hint: refused.fix });
  const { config } = homePaths();
  const due = missing(telegram);
  const names = Object.keys(due);
  return {
    title: "telegram",
    changes: names.length === 0 ? [] : [`${config}: ${names.join(", ")}`],
    found,
    run: async () => {
      privateHome(homePaths());
      setConfigKeys(config, due);
      return (await runsAlready())
        ? ["the hub that runs uses this after a restart: ai-intercom service restart"]
        : [];
    },
  };
}

async function isWished(isAsking: boolean, { bot_token }: Settings): Promise<boolean> {
  if (!isAsking || inspectConfig().config.mode === "daemon") return false;
  return (
    bot_token === undefined && (await confirmed("see and steer your agents from Telegram? [y/N] ", false))
  );
}

/** Asks for what neither flags nor environment nor file tell. */
async function completed(given: Given, { bot_token, supergroup_id, security }: Settings): Promise<Given> {
  const all = { ...given };
  if (bot_token === undefined)
    all.TELEGRAM_BOT_TOKEN = await asked("the bot's token, from @BotFather (not shown): ", { secret: true });
  if (all.TELEGRAM_SUPERGROUP_ID === undefined && supergroup_id === undefined)
    all.TELEGRAM_SUPERGROUP_ID = await asked("the group's id (begins with -100; empty: later): ");
  if (all.TELEGRAM_OWNER_ID === undefined && security.allowed_users.length === 0)
    all.TELEGRAM_OWNER_ID = await asked("your user id (a number, @userinfobot tells it; empty: later): ");
  return all;
}

/** File and environment, `given` above both. */
function settings(given: Given): Settings {
  return inspectConfig({ env: { ...process.env, ...given } }).config.telegram;
}

/** What the file does not say yet: a service does not have this terminal's environment. */
function missing({ bot_token, supergroup_id, api_root, security }: Settings): Record<string, ConfigValue> {
  const file = inspectConfig({ env: {} }).config.telegram;
  const listed = [...new Set(security.allowed_users)];
  return {
    ...(bot_token === undefined || bot_token === file.bot_token ? {} : { "telegram.bot_token": bot_token }),
    ...(supergroup_id === undefined || supergroup_id === file.supergroup_id
      ? {}
      : { "telegram.supergroup_id": supergroup_id }),
    ...(api_root === file.api_root ? {} : { "telegram.api_root": api_root }),
    ...(Bun.deepEquals(listed, file.security.allowed_users)
      ? {}
      : { "telegram.security.allowed_users": listed }),
  };
}

async function runsAlready(): Promise<boolean> {
  return askDaemon("/health").then(
    () => true,
    () => false,
  );
}
