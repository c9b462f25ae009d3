// What the built program shows in Telegram beside delivered chat: what found nobody, and nothing of its own proofs.
// A fleet of its own, for within the true limits a chat shows 20 things a minute.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { Fleet } from "../rig/fleet";
import { botToken, FakeTelegram, owner } from "../rig/telegram";
import { waitFor } from "../rig/wait";

let fake: FakeTelegram;
let fleet: Fleet;
beforeAll(async () => {
  fake = new FakeTelegram({ limits: false });
  fleet = await Fleet.start(["limn", "atlas"], {
    TELEGRAM_BOT_TOKEN: botToken,
    TELEGRAM_SUPERGROUP_ID: String(fake.chat),
    TELEGRAM_OWNER_ID: String(owner.id),
    AI_INTERCOM_TELEGRAM_API_ROOT: fake.url,
    XDG_RUNTIME_DIR: "/nonexistent",
  });
}, 60_000);
afterAll(async () => {
  await fleet[Symbol.asyncDispose]();
  await fake.stop();
});

test("what setup says to itself is not shown; an agent hides nothing behind that name", async () => {
  const limn = fleet.machine("limn");
  const { self_test } = await limn.json("setup", "--yes", "--no-service");
  expect(self_test).toHaveLength(5);
  const [x, y] = [await limn.agent("ai-intercom-self-test"), await limn.agent("y")];
  const to = `limn/y@${(await y.session()).session_id}`;
  await x.call("intercom_chat", { to, message: "are you there?" });
  await fake.sees("are you there?");
  expect(fake.shown().filter(({ text }) => text.includes("are you there?"))).toHaveLength(1);
  expect([...fake.topics.values()].map(({ name }) => name)).toEqual([
    expect.stringMatching(/limn\/ai-intercom-self-test\S* → limn\/y/),
  ]);
});

test("nobody is open there: the refused chat is in view, and is nobody's mail later", async () => {
  const a = await fleet.machine("limn").agent("a");
  const gone = await fleet.machine("atlas").agent("gone");
  await gone.close();
  await waitFor("the session to end", async () => {
    const { agents } = await a.call("intercom_list_agents", { filter: "machine:atlas" });
    return agents.find((one: { project_id: string }) => one.project_id === "gone")?.sessions.length === 0;
  });
  const { status } = await a.call("intercom_chat", { to: "atlas/gone", message: "is somebody there?" });
  expect(status).toBe("no_active_session");
  const posted = await fake.sees("is somebody there?");
  expect(posted.text).toMatch(
    /^📨 Chat \[t-[0-9a-f]{12}\]\nlimn\/a@s-\S+ → atlas\/gone\nis somebody there\?\nSession: ⚠️ no active session$/,
  );
  const back = await fleet.machine("atlas").agent("gone");
  expect(await back.read()).toEqual([]);
});
