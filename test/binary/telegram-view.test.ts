// What the built program shows in Telegram beside delivered chat: what found nobody, and nothing of its own proofs.
// A fleet of its own, for within the true limits a chat shows 20 things a minute.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { Fleet } from "../rig/fleet";
import { botToken, FakeTelegram, owner } from "../rig/telegram";
import { waitFor } from "../rig/wait";

const variables = (api: FakeTelegram) => ({
  TELEGRAM_BOT_TOKEN: botToken,
  TELEGRAM_SUPERGROUP_ID: String(api.chat),
  TELEGRAM_OWNER_ID: String(owner.id),
  AI_INTERCOM_TELEGRAM_API_ROOT: api.url,
  XDG_RUNTIME_DIR: "/nonexistent",
});
let fake: FakeTelegram;
let fleet: Fleet;
beforeAll(async () => {
  fake = new FakeTelegram({ limits: false });
  fleet = await Fleet.start(["limn", "atlas"], variables(fake));
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

test("language: fr: errors and hints of the hub are French here too, and stay English for agents", async () => {
  await using french = new FakeTelegram({ limits: false });
  await using solo = await Fleet.start(["solo"], { ...variables(french), AI_INTERCOM_LANGUAGE: "fr" });
  const a = await solo.machine("solo").agent("a");
  const answers = async (text: string) => {
    const id = french.say(text);
    return waitFor(`an answer to ${text}`, () => french.shown().find(({ replyTo }) => replyTo === id)?.text);
  };
  expect(await answers("/chat sola/a salut")).toBe(
    "⚠️ aucune machine nommée « sola » n'est inscrite\nEssayez : vouliez-vous dire solo ?",
  );
  expect(await answers("/stop m-20261122-000000")).toBe(
    "⚠️ aucune mission m-20261122-000000 n'est à vous\nEssayez : /missions les montre",
  );
  expect(await answers("/ask solo/a range")).toMatch(/^🎯 m-/);
  await french.sees("aucun agent ne peut être lancé dans le projet « a » sur cette machine");
  await french.sees("a été refusée : aucun agent ne peut être lancé");
  const refused = await a.call("intercom_chat", { to: "solo/a", message: "y a-t-il quelqu'un ?" });
  expect(refused).toMatchObject({
    status: "no_active_session",
    reason: "no other session of solo/a is open",
  });
  expect((await french.sees("y a-t-il quelqu'un ?")).text).toEndWith("Session : ⚠️ aucune session active");
}, 60_000);
