// A real hub with its bot against the fake Bot API, two scripted machines, and a clock that may run fast.
import { Telegram } from "../../src/oversight/telegram/telegram.ts";
import { Config } from "../../src/system/config.ts";
import { Launcher } from "../hub/launcher.ts";
import { Peer } from "../hub/peer.ts";
import { startHub, type TestHub } from "../hub/rig.ts";
import { FakeTelegram, fastClock } from "../rig/telegram.ts";
import type { Posted } from "../rig/telegram-chat.ts";
import { waitFor } from "../rig/wait.ts";

export type Stage = {
  fake: FakeTelegram;
  hub: TestHub;
  /** sessions web@s-a and web@s-c */
  mac: Peer;
  /** project api with session s-b */
  limn: Launcher;
  /** the bot ends and begins again, on the same store */
  restart: () => Promise<void>;
  stop: () => Promise<void>;
  start: () => Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
};

type Options = {
  forum?: boolean;
  /** how many times as fast as the wall's the bot's clock runs */
  speed?: number;
  settings?: Record<string, unknown>;
  telegram?: Record<string, unknown>;
};

export async function setStage({ forum = true, speed = 20, ...more }: Options = {}): Promise<Stage> {
  const clock = fastClock(speed);
  const fake = new FakeTelegram({ forum, clock });
  const settings = {
    limits: { rate: 1e6, burst: 1e6 },
    ...more.settings,
    telegram: { ...fake.settings, ...more.telegram },
  };
  const config = Config.parse({ machine: { id: "hubhost" }, ...settings });
  const hub = await startHub(settings);
  let telegram: Telegram | undefined;
  const stage: Stage = {
    fake,
    hub,
    mac: await Peer.online(hub, "mac", "web@s-a", "web@s-c"),
    limn: await Launcher.online(hub),
    start: async () => {
      telegram = await Telegram.start({ hub: hub.hub.view, config, clock });
    },
    stop: async () => {
      await telegram?.stop();
      telegram = undefined;
    },
    restart: async () => {
      await stage.stop();
      await stage.start();
    },
    [Symbol.asyncDispose]: async () => {
      await stage.stop();
      await hub.hub.stop();
      await fake.stop();
    },
  };
  await stage.start();
  return stage;
}

/** The post that has `part` in it, once it ends in `end`: its state may come a moment later, as an edit. */
export function seesEnding({ fake }: Stage, part: string, end: string): Promise<Posted> {
  return waitFor(
    `"${part}" in Telegram, ending in "${end}"`,
    () => fake.shown().find(({ text }) => text.includes(part) && text.endsWith(end)),
    {
      detail: () =>
        fake
          .shown()
          .map(({ text }) => text.slice(-300))
          .join("\n"),
    },
  );
}

/** `mac/web@s-a` writes to `limn/api@s-b`; the thread. */
export async function chat(
  { mac }: Stage,
  text: string,
  more: Record<string, unknown> = {},
): Promise<{ thread: string; id: string }> {
  const answer = await mac.chat("web@s-a", "thread_id" in more ? undefined : "limn/api@s-b", text, more);
  return { thread: answer.thread_id ?? "", id: answer.message_id ?? "" };
}
