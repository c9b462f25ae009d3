// Missions from Telegram with the built program and scripted agents: approved, followed, cancelled, dispatched.
import { afterEach, beforeEach, expect, setDefaultTimeout, test } from "bun:test";
import type { ScriptedAgent } from "../rig/agent";
import type { Fleet } from "../rig/fleet";
import { missionFleet, reached, response } from "../rig/missions";
import { botToken, FakeTelegram, owner, stranger } from "../rig/telegram";
import { waitFor } from "../rig/wait";

// each test starts several programs, and the machine may be busy
setDefaultTimeout(120_000);

let fake: FakeTelegram;
let fleet: Fleet;
let website: ScriptedAgent;
// one program each: with the true clock, 20 posts and edits a minute are all that a test has
beforeEach(async () => {
  fake = new FakeTelegram({ limits: false });
  fleet = await missionFleet(["limn", "atlas"], {
    TELEGRAM_BOT_TOKEN: botToken,
    TELEGRAM_SUPERGROUP_ID: String(fake.chat),
    TELEGRAM_OWNER_ID: String(owner.id),
    AI_INTERCOM_TELEGRAM_API_ROOT: fake.url,
    AI_INTERCOM_DISPATCHER_ENABLED: "true",
    AI_INTERCOM_DISPATCHER_TARGET: "limn/mnemos",
  });
  website = await fleet.machine("atlas").agent("website");
}, 60_000);
afterEach(async () => {
  await fleet[Symbol.asyncDispose]();
  await fake.stop();
});

test("an agent asks; the card shows all that would run; once; the answer reaches the agent and the topic", async () => {
  const asked = await website.call("intercom_ask", { to: "limn/mnemos", message: "answer eight <thousand>" });
  expect(asked.status).toBe("pending_approval");
  const card = await fake.sees("🔐 Approval", "outside");
  for (const part of [
    "answer eight <thousand>",
    fleet.machine("limn").directory("mnemos"),
    "mission-agent.ts",
  ])
    expect(card.text).toContain(part);
  fake.press(card, "Once", { from: stranger });
  fake.press(card, "Once");
  expect((await response(website, asked.mission_id)).message).toContain("eight ‹thousand›");
  const { id: topic } = await waitFor("its topic", () => fake.topicNamed(asked.mission_id));
  await fake.sees("📬 Result", topic);
  await fake.sees("✅ completed", topic);
  await fake.sees("✅ approved by @owner", "outside");
});

test("a mission that runs is cancelled by its button", async () => {
  fake.say("/ask limn/mnemos wait /nowhere done");
  const card = await waitFor("the card", () =>
    fake.shown("outside").find(({ text, buttons }) => text.includes("/nowhere") && buttons.length === 4),
  );
  fake.press(card, "Once");
  const [, id = ""] = /(m-\d{8}-[0-9a-f]{6})/.exec(card.text) ?? [];
  const running = await fake.sees(`🎯 Mission ${id} · ▶️ running`);
  fake.press(running, "Cancel");
  await reached(fleet.machine("limn"), id, "cancelled");
  await waitFor("the card to say so", () => fake.messages.get(running.id)?.text.includes("⏹ cancelled"));
});

test("a plain message: approved for good, answered, and the next one runs by itself with what was said", async () => {
  const first = fake.say("answer good morning");
  const card = await waitFor("the card", () =>
    fake.shown("outside").find(({ text, buttons }) => text.includes("good morning") && buttons.length === 4),
  );
  fake.press(card, "Always");
  const answered = (message: number, part: string) =>
    waitFor(`${part} as an answer`, () =>
      fake
        .shown("outside")
        .find(({ replyTo, text }) => replyTo === message && text.includes(`📬`) && text.includes(part)),
    );
  await answered(first, "good morning");
  const second = fake.say("answer good night");
  await answered(second, "good night");
  // one card for both, and it is decided
  await waitFor("no open card", () => fake.shown().every(({ buttons }) => buttons.length < 4));
  expect(
    fake.shown("outside").filter(({ text }) => text.startsWith("🔐") && text.includes("good")),
  ).toHaveLength(1);
});
