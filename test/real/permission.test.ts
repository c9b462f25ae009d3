// A permission question of a real client, put to a person in Telegram while the dialog stands in its terminal: the
// first answer wins, and silence leaves the dialog as it was.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { prompt } from "../rig/fake-script";
import { IntercomStage } from "../rig/intercom-stage";
import { bash, clientsReady, testMs } from "../rig/stage";
import { botToken, FakeTelegram, owner } from "../rig/telegram";
import { waitFor } from "../rig/wait";
import { claudeVersions } from "./install";

const installed = await clientsReady();
let stage: IntercomStage;
let fake: FakeTelegram;
beforeAll(async () => {
  if (!installed) return;
  fake = new FakeTelegram({ limits: false });
  stage = await IntercomStage.open(["limn", "atlas"], {
    TELEGRAM_BOT_TOKEN: botToken,
    TELEGRAM_SUPERGROUP_ID: String(fake.chat),
    TELEGRAM_OWNER_ID: String(owner.id),
    AI_INTERCOM_TELEGRAM_API_ROOT: fake.url,
  });
  await stage.fleet.machine("atlas").json("permissions", "on");
}, testMs);
afterAll(async () => {
  await stage?.[Symbol.asyncDispose]();
  await fake?.stop();
});

type Version = (typeof claudeVersions)[number];

/** A client that wants to run `touch`, and the file that shows that it ran. */
async function wishing(version: Version, name: string, env: Record<string, string> = {}) {
  const home = await stage.home("atlas");
  const session = await home.terminal({ version, permissionMode: "default", env });
  const ran = () => Bun.file(`${home.files.path}/${name}`).exists();
  await session.claude.submit(prompt(name, [[bash(`touch "$HOME/${name}"`)], [{ text: `end of ${name}` }]]));
  return { session, ran };
}

/** One that asks in Telegram too. */
async function asking(version: Version, name: string, env: Record<string, string> = {}) {
  const { session, ran } = await wishing(version, name, env);
  const card = await waitFor(
    "the card",
    () => fake.shown().find(({ text }) => text.includes(`touch "$HOME/${name}"`)),
    // the group takes 20 posts a minute, and tests beside this one post too
    { timeoutMs: 120_000, detail: () => session.claude.describe() },
  );
  return { session, ran, card };
}

const text = (id: number) => fake.messages.get(id)?.text ?? "";

describe.skipIf(!installed).each([...claudeVersions])("claude %s", (version) => {
  const short = version.replaceAll(".", "");

  test(
    "allowed from Telegram: the dialog closes, the tool runs",
    async () => {
      const { session, ran, card } = await asking(version, `allowed${short}`);
      await using _ = session;
      expect(card.text).toContain(session.address);
      expect(await ran()).toBe(false);
      fake.press(card, "Allow");
      await session.claude.waitForAnswer(`end of allowed${short}`);
      expect(await ran()).toBe(true);
    },
    testMs,
  );

  test(
    "denied from Telegram: the tool does not run, the agent is told by whom",
    async () => {
      const { session, ran, card } = await asking(version, `denied${short}`);
      await using _ = session;
      fake.press(card, "Deny");
      await session.claude.waitForAnswer(`end of denied${short}`);
      expect(await ran()).toBe(false);
      expect(session.turns().at(-1)?.text).toContain("denied by @owner");
    },
    testMs,
  );

  test(
    "answered in the terminal: the tool runs, and the card says that it is over",
    async () => {
      const { session, ran, card } = await asking(version, `terminal${short}`);
      await using _ = session;
      await session.claude.waitForStatus("waiting");
      await session.claude.answerDialog();
      await session.claude.waitForAnswer(`end of terminal${short}`);
      expect(await ran()).toBe(true);
      await waitFor("the card", () => text(card.id).includes("answered elsewhere"));
      expect(fake.messages.get(card.id)?.buttons).toEqual([]);
    },
    testMs,
  );

  test(
    "Esc in the terminal: the tool does not run, and the card says that it is over",
    async () => {
      const { session, ran, card } = await asking(version, `esc${short}`);
      await using _ = session;
      await session.claude.waitForStatus("waiting");
      await session.claude.answerDialog("escape");
      await session.claude.waitForStatus("idle");
      await waitFor("the card", () => text(card.id).includes("answered elsewhere"));
      expect(fake.messages.get(card.id)?.buttons).toEqual([]);
      expect(await ran()).toBe(false);
    },
    testMs,
  );

  test(
    "silence: the dialog stands as it was, while the card waits; the terminal decides much later",
    async () => {
      const { session, ran, card } = await asking(version, `silence${short}`);
      await using _ = session;
      await session.claude.waitForStatus("waiting");
      // above it the client draws what it likes
      const dialog = () => session.claude.screen().split("Do you want to proceed?")[1];
      const before = await waitFor("the whole dialog", () => {
        const drawn = dialog();
        return drawn?.includes("Esc to cancel") ? drawn : undefined;
      });
      expect(before).toContain("1. Yes");
      const [asked, since] = [fake.calls.length, performance.now()];
      // for longer than a card whose agent does not ask any more would stand
      await waitFor("16 s of silence", () => performance.now() - since > 16_000, { timeoutMs: 20_000 });
      expect(dialog()).toBe(before);
      expect(fake.messages.get(card.id)?.buttons).toHaveLength(2);
      // of this card: tests beside it have their own
      expect(fake.calls.slice(asked).filter(({ payload }) => payload.message_id === card.id)).toEqual([]);
      expect(await ran()).toBe(false);
      await session.claude.answerDialog();
      await session.claude.waitForAnswer(`end of silence${short}`);
      expect(await ran()).toBe(true);
    },
    testMs,
  );
});

describe.skipIf(!installed)("per session", () => {
  const version = claudeVersions[0];
  beforeAll(() => stage.fleet.machine("atlas").json("permissions", "sessions"));

  // one switch of the machine for all: not side by side
  test.serial(
    "one that was started without the wish asks in its terminal only, one with it in Telegram too",
    async () => {
      const silent = await wishing(version, "unasked");
      await using _ = silent.session;
      await silent.session.claude.waitForStatus("waiting");
      const asked = await asking(version, "asked", { AI_INTERCOM_ASK_PERSON: "1" });
      await using __ = asked.session;
      expect(fake.shown().filter(({ text }) => text.includes("unasked"))).toEqual([]);
      fake.press(asked.card, "Allow");
      await asked.session.claude.waitForAnswer("end of asked");
      expect([await asked.ran(), await silent.ran()]).toEqual([true, false]);
      await silent.session.claude.answerDialog();
      await silent.session.claude.waitForAnswer("end of unasked");
      expect(fake.shown().filter(({ text }) => text.includes("unasked"))).toEqual([]);
    },
    testMs,
  );

  test.serial(
    "off: nobody is asked but in the terminal, whatever the session wishes",
    async () => {
      await stage.fleet.machine("atlas").json("permissions", "off");
      const { session, ran } = await wishing(version, "off", { AI_INTERCOM_ASK_PERSON: "1" });
      await using _ = session;
      await session.claude.waitForStatus("waiting");
      await session.claude.answerDialog();
      await session.claude.waitForAnswer("end of off");
      expect(await ran()).toBe(true);
      expect(fake.shown().filter(({ text }) => text.includes("$HOME/off"))).toEqual([]);
    },
    testMs,
  );
});
