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

/** A client that asks before it runs `touch`, and the file that shows that it ran. */
async function asking(version: (typeof claudeVersions)[number], name: string) {
  const home = await stage.home("atlas");
  const session = await home.terminal({ version, permissionMode: "default" });
  const ran = () => Bun.file(`${home.files.path}/${name}`).exists();
  await session.claude.submit(prompt(name, [[bash(`touch "$HOME/${name}"`)], [{ text: `end of ${name}` }]]));
  const card = await waitFor(
    "the card",
    () => fake.shown().find(({ text }) => text.includes(`touch "$HOME/${name}"`)),
    { timeoutMs: 30_000, detail: () => session.claude.describe() },
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
});
