// Agents' questions whether they may use a tool: a card each, whole, answered once.
import { afterEach, expect, test } from "bun:test";
import { newPermissionId, type PermissionAnswer } from "../../src/protocol/permission.ts";
import { owner, stranger } from "../rig/telegram.ts";
import { waitFor } from "../rig/wait.ts";
import { type Stage, setStage } from "./stage.ts";

let stage: Stage;
afterEach(() => stage[Symbol.asyncDispose]());

const question = (more: object = {}) => ({
  id: newPermissionId(),
  session_id: "s-a",
  tool: "Bash",
  text: "$ rm -rf <x> & y",
  ...more,
});
const asks = (ask: object) => stage.mac.request<PermissionAnswer>("permission", ask);

test.each([
  ["Allow", "allowed", "✅ allowed by @owner"],
  ["Deny", "denied", "⛔ denied by @owner"],
] as const)(
  "%s: the agent hears it, the card says so, a stranger is not heard",
  async (label, status, shown) => {
    stage = await setStage();
    const ask = question();
    expect(await asks(ask)).toEqual({ status: "pending" });
    const card = await stage.fake.sees("$ rm -rf <x> & y");
    expect(card.text).toBe("🔑 May it? mac/web@s-a\nBash\n$ rm -rf <x> & y");
    expect(card.quiet).toBe(false);
    stage.fake.press(card, label, { from: stranger });
    await stage.fake.idle();
    expect(await asks(ask)).toEqual({ status: "pending" });
    stage.fake.press(card, label);
    await waitFor("the answer", async () => (await asks(ask)).status === status);
    expect(await asks(ask)).toEqual({ status, by: `@${owner.username} (telegram ${owner.id})` });
    await waitFor("the card", () => stage.fake.messages.get(card.id)?.text.includes(shown));
    expect(stage.fake.messages.get(card.id)?.buttons).toEqual([]);
    expect(stage.fake.shown()).toHaveLength(1);
  },
);

test("answered in the terminal: the card says so, a late press does nothing", async () => {
  stage = await setStage();
  const ask = question();
  await asks(ask);
  const card = await stage.fake.sees("rm -rf");
  const [data] = card.buttons.map(({ callback_data }) => callback_data);
  expect(await asks({ ...ask, withdrawn: true })).toEqual({ status: "withdrawn" });
  await waitFor("the card", () => stage.fake.messages.get(card.id)?.text.includes("answered elsewhere"));
  const query = stage.fake.pressData(card.id, data ?? "");
  await waitFor("the press to be told", () =>
    stage.fake.acknowledged.some(({ id, text }) => id === query && text.includes("no longer valid")),
  );
  expect(await asks(ask)).toEqual({ status: "withdrawn" });
});

test("a machine that fell silent: its card is over", async () => {
  stage = await setStage();
  await asks(question());
  const card = await stage.fake.sees("rm -rf");
  stage.hub.clock.offsetMs += 20_000;
  stage.fake.press(card, "Allow");
  await waitFor("the card", () => stage.fake.messages.get(card.id)?.text.includes("not asked any more"));
});

test("a session that the machine does not have: nobody is asked", async () => {
  stage = await setStage();
  expect(await asks(question({ session_id: "s-b" }))).toEqual({ status: "nobody" });
  expect(await asks(question())).toEqual({ status: "pending" });
  await stage.fake.sees("rm -rf");
  expect(stage.fake.shown()).toHaveLength(1);
});

test("nobody to ask: said at once", async () => {
  stage = await setStage();
  await stage.stop();
  expect(await asks(question())).toEqual({ status: "nobody" });
});
