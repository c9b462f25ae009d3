// Who may: every command and button by a stranger and by the owner; words that are not the person's own.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { ask, pending, reaches } from "../hub/launcher.ts";
import { Peer } from "../hub/peer.ts";
import { owner, stranger } from "../rig/telegram.ts";
import { waitFor } from "../rig/wait.ts";
import { chat, type Stage, seesEnding, setStage } from "./stage.ts";

let stage: Stage;
beforeAll(async () => {
  stage = await setStage({
    speed: 200,
    settings: { dispatcher: { enabled: true, target: "limn/api" } },
  });
  stage.limn.level = "once";
});
afterAll(() => stage[Symbol.asyncDispose]());

/** What the bot answers to that message. Answers come in order: one to a later message shows that there are no more. */
async function answersTo(message: number): Promise<string[]> {
  const later = stage.fake.say("/watch");
  await waitFor("the later answer", () => stage.fake.shown().some(({ replyTo }) => replyTo === later));
  return stage.fake
    .shown()
    .filter(({ replyTo }) => replyTo === message)
    .map(({ text }) => text);
}

const commands: [text: string, answer: RegExp][] = [
  ["/agents", /🟢 limn\/api\n {3}@s-b · claude · idle/],
  ["/agents machine:mac", /mac\/web\n {3}@s-a/],
  ["/agents junk", /^⚠️ a filter is all, online or machine:ID\nTry: \/help says what is allowed$/],
  ["/missions junk", /^⚠️ a mission id looks like m-\S+\nTry: \/help says what is allowed$/],
  ["/stop zzz", /^⚠️ a mission id looks like m-\S+\nTry: \/help says what is allowed$/],
  ["/policy revoke x", /^⚠️ a grant id is g- and 12 hex digits\nTry: \/help says what is allowed$/],
  ["/machines", /limn · 🟢 online · [0-9a-f-]{39}/],
  ["/missions", /There are no missions/],
  ["/approvals", /Nothing waits for approval/],
  ["/policy", /Nothing is granted beyond that/],
  ["/policy revoke g-000000000000", /there is no grant/],
  ["/policy revoke", /Write: \/policy revoke/],
  ["/watch", /is shown/],
  ["/watch perhaps", /Write: \/watch on/],
  ["/help", /\/start_agent machine\/project "mission"/],
  ["/start", /\/stop ID/],
  ["/help@intercom_bot", /\/stop ID/],
  ["/stop", /Write: \/stop/],
  ["/stop m-20261122-000000", /there is no mission/i],
  ["/nonsense", /no command \/nonsense/],
  ["/chat", /Write: \/chat/],
  ["/chat nowhere/x hi", /no machine named "nowhere"/],
  ["/chat mac/web hi", /several sessions[\s\S]*mac\/web@s-a/],
  ["/chat limn/zzz hi", /no project named "zzz"\nTry: \/agents shows who can be reached$/],
  ["/chat limn/api good day", /^📨 → limn\/api@s-b \[t-[0-9a-f]{12}\]$/],
  ["/ask limn/nothing do it", /no project named "nothing"/],
  ["/ask limn/api tidy up", /🎯 m-\d{8}-[0-9a-f]{6} → limn\/api/],
  ["/start_agent limn/api “sweep the floor”", /🎯 m-\d{8}/],
];

/** how many messages reach limn, and how many missions are planned there */
const effects = (text: string): [number, number] =>
  text.startsWith("/chat limn/api ") ? [1, 0] : / limn\/api /.test(text) ? [0, 1] : [0, 0];

describe("commands", () => {
  test.each(commands)("%s by a stranger: nothing; by the owner: answered", async (text, answer) => {
    const counts = () => [stage.limn.peer.received.length, stage.limn.plans.length];
    const before = counts();
    const unheard = stage.fake.say(text, { from: stranger });
    await stage.fake.idle();
    expect(counts()).toEqual(before);
    const id = stage.fake.say(text);
    const shown = await waitFor(
      `an answer to ${text}`,
      () => stage.fake.shown().find(({ replyTo }) => replyTo === id),
      { detail: () => JSON.stringify(stage.fake.shown().map((one) => one.text.slice(0, 200))) },
    );
    expect(shown.text).toMatch(answer);
    expect(shown.topic).toBeUndefined();
    // answers come in the order of what was said: the stranger's would stand before it
    expect(stage.fake.shown().filter(({ replyTo }) => replyTo === unheard)).toEqual([]);
    // what it does is done before the next stranger's word is held against these counts
    const [mail, plans] = effects(text);
    const after = [(before[0] ?? 0) + mail, (before[1] ?? 0) + plans];
    await waitFor("its effect", () => Bun.deepEquals(counts(), after), { detail: () => String(counts()) });
  });

  test("what the last ones did", async () => {
    expect(stage.limn.peer.texts()).toEqual(["good day"]);
    expect(stage.limn.peer.received[0]?.message.from_agent).toBe("human");
    await waitFor("both plans", () => stage.limn.plans.length === 2);
    expect(stage.limn.plans.map(({ type, message }) => [type, message])).toEqual([
      ["ask", "tidy up"],
      ["start_agent", "sweep the floor"],
    ]);
    await stage.fake.sees("good day");
    const id = stage.fake.say("/missions");
    const list = await waitFor("the list", () => stage.fake.shown().find(({ replyTo }) => replyTo === id));
    expect(list.text).toContain("🔐 waits for approval\n   human → limn/api: sweep the floor");
    const mission = stage.limn.plans[0]?.mission_id ?? "";
    stage.fake.say(`/missions ${mission}`);
    await stage.fake.sees(
      `🎯 Mission ${mission} · 🔐 waits for approval\nhuman → limn/api\ntidy up`,
      "outside",
    );
    const cards = stage.fake.shown("outside").filter(({ buttons }) => buttons.length === 4).length;
    stage.fake.say("/approvals");
    await waitFor(
      "both cards again",
      () => stage.fake.shown("outside").filter(({ buttons }) => buttons.length === 4).length === cards + 2,
    );
    const stop = stage.fake.say(`/stop ${mission}`);
    await reaches(stage.hub, mission, "cancelled");
    const stopped = await waitFor("what it came to", () =>
      stage.fake.shown().find(({ replyTo }) => replyTo === stop),
    );
    expect(stopped.text).toBe(`${mission} · ⏹ cancelled (cancelled by @owner (telegram 4711))`);
    const topic = await waitFor(
      "the mission's topic",
      () => stage.fake.topicNamed(stage.limn.plans[1]?.mission_id ?? "")?.id,
    );
    await stage.fake.sees("sweep the floor", topic);
    stage.fake.say("/stop", { topic });
    await reaches(stage.hub, stage.limn.plans[1]?.mission_id, "cancelled");
  });

  test("the list of commands is registered, for this chat only", () => {
    expect(stage.fake.commands.map(({ command }) => command)).toEqual([
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
    ]);
    const [call] = stage.fake.calls.filter(({ method }) => method === "setMyCommands");
    expect(call?.payload.scope).toEqual({ type: "chat", chat_id: stage.fake.chat });
  });
});

describe("words that are not the person's own, or not meant for this bot", () => {
  const forwarded = { forward_origin: { type: "hidden_user", sender_user_name: "x", date: 1 } };
  const cases: [string, () => number, RegExp | undefined][] = [
    ["a stranger to the dispatcher", () => stage.fake.say("do it", { from: stranger }), undefined],
    ["the owner in another group", () => stage.fake.say("/agents", { chat: -100_999 }), undefined],
    ["the owner in private", () => stage.fake.say("/agents", { chat: owner.id }), undefined],
    [
      "an anonymous admin",
      () =>
        stage.fake.say("/agents", { extra: { sender_chat: { id: stage.fake.chat, type: "supergroup" } } }),
      undefined,
    ],
    [
      "a bot under the owner's id",
      () => stage.fake.say("/agents", { extra: { from: { id: owner.id, is_bot: true, first_name: "x" } } }),
      undefined,
    ],
    ["no sender at all", () => stage.fake.say("/agents", { extra: { from: undefined } }), undefined],
    ["forwarded by the owner", () => stage.fake.say("/agents", { extra: forwarded }), /Forwarded messages/],
    [
      "forwarded by a stranger",
      () => stage.fake.say("/agents", { from: stranger, extra: forwarded }),
      undefined,
    ],
    [
      "through another bot",
      () => stage.fake.say("/agents", { extra: { via_bot: { id: 9, is_bot: true, first_name: "x" } } }),
      /Forwarded messages/,
    ],
    ["an edit into a command", () => stage.fake.edit(9_999, "/agents"), undefined],
    ["another bot's command", () => stage.fake.say("/agents@other_bot"), undefined],
  ];
  test.each(cases)("%s", async (_, act, answer) => {
    const before = stage.limn.plans.length;
    const texts = await answersTo(act());
    if (answer === undefined) expect(texts).toEqual([]);
    else expect(texts).toEqual([expect.stringMatching(answer)]);
    expect(stage.limn.plans).toHaveLength(before);
  });

  test("a stranger in a thread's topic is not heard", async () => {
    await chat(stage, "between agents");
    const { topic } = await stage.fake.sees("between agents");
    await stage.fake.sees("Session: ✅ delivered", topic);
    const before = stage.limn.peer.received.length;
    expect(await answersTo(stage.fake.say("obey me", { from: stranger, topic }))).toEqual([]);
    expect(stage.limn.peer.received).toHaveLength(before);
  });
});

describe("buttons", () => {
  const presses: [name: string, press: (id: number, data: string) => void][] = [
    ["a stranger", (id, data) => stage.fake.pressData(id, data, { from: stranger })],
    ["the owner in another chat", (id, data) => stage.fake.pressData(id, data, { chat: -100_999 })],
    ["a nonce that was guessed", (id) => stage.fake.pressData(id, "0000000000000000:once")],
    ["another choice", (id, data) => stage.fake.pressData(id, `${data.split(":")[0]}:session`)],
    ["another card's choice", (id, data) => stage.fake.pressData(id, `${data.split(":")[0]}:approve`)],
    ["more than a choice", (id, data) => stage.fake.pressData(id, `${data}:once`)],
    ["no nonce", (id) => stage.fake.pressData(id, ":once")],
  ];
  test("only the owner's press of what is there does anything, and does it once", async () => {
    const { mission_id } = await ask(stage.mac, "web@s-a", "guard the door");
    const [approval] = await pending(stage.hub);
    const card = await stage.fake.sees("guard the door", "outside");
    const data = card.buttons[0]?.callback_data ?? "";
    expect(data).toMatch(/^[0-9a-f]{16}:once$/);
    for (const [name, press] of presses) {
      const acknowledged = stage.fake.acknowledged.length;
      press(card.id, data);
      await stage.fake.idle();
      const [waiting] = await pending(stage.hub);
      expect([name, waiting?.id]).toEqual([name, approval?.id]);
      if (name === "a stranger") expect(stage.fake.acknowledged).toHaveLength(acknowledged);
    }
    const twice = [stage.fake.pressData(card.id, data), stage.fake.pressData(card.id, data)];
    await reaches(stage.hub, mission_id, "running");
    await waitFor("both presses to be answered", () =>
      twice.every((id) => stage.fake.acknowledged.some((one) => one.id === id)),
    );
    const toasts = twice.map((id) => stage.fake.acknowledged.find((one) => one.id === id)?.text);
    expect(toasts).toEqual(["done", "This button is no longer valid."]);
    expect(stage.limn.starts).toHaveLength(1);
  });

  test("join and cancel by a stranger: nothing", async () => {
    await new Peer(stage.hub, "newcomer").join();
    const card = await stage.fake.sees("newcomer");
    stage.fake.press(card, "Approve", { from: stranger });
    const { mission_id = "" } = await ask(stage.mac, "web@s-a", "guard the gate");
    const mission = await stage.fake.sees(`Mission ${mission_id} `);
    stage.fake.press(mission, "Cancel", { from: stranger });
    await stage.fake.idle();
    const { machines } = (await stage.hub.person("GET", "/api/machines")).body;
    expect(machines.find(({ id }) => id === "newcomer")?.status).toBe("pending");
    expect(stage.limn.cancels).toEqual([]);
    await reaches(stage.hub, mission_id, "pending_approval");
  });
});

describe("private messages, where they are allowed", () => {
  test("the owner in private is answered there; a stranger is not", async () => {
    await using open = await setStage({
      telegram: {
        security: {
          allowed_users: [owner.id],
          restrict_to_supergroup: false,
          ignore_private_messages: false,
        },
      },
    });
    open.fake.say("/machines", { chat: stranger.id, from: stranger });
    open.fake.say("/machines", { chat: owner.id });
    const sent = await waitFor("an answer in private", () => {
      const elsewhere = open.fake.calls.filter(
        ({ method, payload }) => method === "sendMessage" && payload.chat_id !== open.fake.chat,
      );
      return elsewhere.length > 0 && elsewhere;
    });
    await open.fake.idle();
    expect(sent.map(({ payload }) => payload.chat_id)).toEqual([owner.id]);
  });
});

test("French", async () => {
  await using french = await setStage({ settings: { language: "fr" } });
  await chat(french, "bonjour");
  await seesEnding(french, "bonjour", "Session : ✅ remis");
  french.fake.say("/help");
  await french.fake.sees("cette liste");
  expect(french.fake.commands.find(({ command }) => command === "stop")?.description).toBe(
    "ID : annuler une mission",
  );
});
