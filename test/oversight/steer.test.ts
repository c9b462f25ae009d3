// Missions, approvals, join requests, machines and the dispatcher: what a person sees of them and does with them.
import { afterEach, expect, test } from "bun:test";
import { ask, pending, reaches } from "../hub/launcher.ts";
import { Peer } from "../hub/peer.ts";
import type { Posted } from "../rig/telegram-chat.ts";
import { waitFor } from "../rig/wait.ts";
import { type Stage, setStage } from "./stage.ts";

let stage: Stage;
afterEach(() => stage[Symbol.asyncDispose]());

const entry = (seq: number, summary: string) => ({
  seq,
  timestamp: new Date().toISOString(),
  kind: "tool",
  summary,
});
const now = (id: number) => stage.fake.messages.get(id)?.text ?? "";
const becomes = (posted: Posted, part: string) =>
  waitFor(`"${part}" in post ${posted.id}`, () => now(posted.id).includes(part), {
    detail: () => now(posted.id),
  });

test("a mission: a topic, progress edited in place, the result whole, no button left", async () => {
  stage = await setStage();
  const { mission_id: id = "" } = await ask(stage.mac, "web@s-a", "count <all> the tests");
  const card = await stage.fake.sees(`🎯 Mission ${id} · ▶️ running`);
  const began = performance.now();
  const asked = await stage.fake.sees("count <all> the tests");
  expect(asked.topic).toBe(card.topic);
  expect(stage.fake.topics.get(card.topic ?? 0)?.name).toBe(`🎯 mac/web → limn/api · ${id}`);
  expect(card.buttons.map(({ text }) => text)).toEqual(["⏹ Cancel"]);
  for (let seq = 1; seq <= 30; seq++) await stage.limn.report(id, { entries: [entry(seq, `step ${seq}`)] });
  await becomes(card, "step 30");
  expect(now(card.id)).not.toContain("step 22\n");
  const result = Array.from({ length: 1200 }, (_, n) => `result ${n} &amp; <x>`).join("\n");
  await stage.limn.end(id, "completed", { text: result });
  await becomes(card, "✅ completed");
  const last = await stage.fake.sees("result 1199 &amp; <x>");
  expect(last.topic).toBe(card.topic);
  const told = stage.fake.shown(card.topic).filter(({ text }) => text.includes("result "));
  expect(told.map(({ text }) => text).join("")).toContain(result);
  expect(told[0]?.text).toStartWith("📬 Result");
  await waitFor("the button to go", () => stage.fake.messages.get(card.id)?.buttons.length === 0);
  // thirty steps were a few edits: one every 3 s of the bot's time, and what stood there first and last
  const gaps = ((performance.now() - began) * 20) / 3_000;
  expect(stage.fake.messages.get(card.id)?.versions.length).toBeLessThan(gaps + 4);
});

test("cancel: the button stops the run, and works once", async () => {
  stage = await setStage();
  const { mission_id: id = "" } = await ask(stage.mac, "web@s-a", "run for long");
  const card = await stage.fake.sees(`🎯 Mission ${id} · ▶️ running`);
  stage.limn.stop = ({ mission_id }) => {
    void stage.limn.end(mission_id, "cancelled");
    return { status: "stopping" };
  };
  const query = stage.fake.press(card, "Cancel");
  await reaches(stage.hub, id, "cancelled");
  await becomes(card, "⏹ cancelled");
  await waitFor("the press to be acknowledged", () =>
    stage.fake.acknowledged.some((one) => one.id === query),
  );
  const again = stage.fake.press(card.buttons.length > 0 ? card : { ...card, buttons: oldButtons }, "x");
  await waitFor("the second press to be refused", () =>
    stage.fake.acknowledged.some((one) => one.id === again && one.text.includes("no longer valid")),
  );
  expect(stage.limn.cancels).toHaveLength(1);
});
const oldButtons = [{ text: "x", callback_data: "0123456789abcdef:cancel" }];

test("/stop of what runs says that it is being cancelled, and who stops it", async () => {
  stage = await setStage();
  const { mission_id: id = "" } = await ask(stage.mac, "web@s-a", "run for long");
  await stage.fake.sees(`🎯 Mission ${id} · ▶️ running`);
  stage.limn.stop = () => ({ status: "stopping" });
  stage.fake.say(`/stop ${id}`);
  await stage.fake.sees(`⏹ ${id} is being cancelled (machine limn is stopping it)`);
});

test.each([
  ["Once", "once", undefined],
  ["This mission", "mission", "mission"],
  ["Always", "always", "always"],
] as const)("an approval card: %s", async (label, _, scope) => {
  stage = await setStage();
  stage.limn.level = "once";
  const task = `do <this> & that\n${"a long line of the task. ".repeat(400)}\nand the very end`;
  const { mission_id: id = "", status } = await ask(stage.mac, "web@s-a", task, {
    mission: { files: ["a b.md", "README.md"], timeout: 90, agent_command: "claude" },
  });
  expect(status).toBe("pending_approval");
  const last = await stage.fake.sees("and the very end", "outside");
  const [approval] = await pending(stage.hub);
  const parts = stage.fake.shown("outside");
  const whole = parts.map(({ text }) => text).join("");
  expect(whole.includes(task)).toBe(true);
  expect(whole).toContain(`🔐 Approval ${approval?.id} · ${id}`);
  expect(whole).toContain("Directory: /api\nCommand: agent -p\nPermission mode: default");
  expect(whole).toContain('Files: "a b.md" README.md\nAgent command: claude\nTime limit: 90 s\n');
  expect(parts.map(({ buttons }) => buttons.length)).toEqual([...parts.slice(1).map(() => 0), 4]);
  expect(last.quiet).toBe(false);
  expect(stage.limn.starts).toEqual([]);
  const query = stage.fake.press(parts.at(-1) ?? last, label);
  await reaches(stage.hub, id, "running");
  await stage.fake.sees("✅ approved by @owner (telegram 4711)");
  expect(stage.limn.starts).toHaveLength(1);
  expect(stage.limn.starts[0]?.approved_by).toBe("@owner (telegram 4711)");
  await waitFor("the press to be acknowledged", () =>
    stage.fake.acknowledged.some((one) => one.id === query && one.text === "done"),
  );
  const { body } = await stage.hub.person("GET", "/api/approvals");
  const { grants } = body as unknown as { grants: { scope: string }[] };
  expect(grants.map((grant) => grant.scope)).toEqual(scope === undefined ? [] : [scope]);
  await waitFor("no button to be left", () =>
    stage.fake.shown("outside").every(({ buttons }) => buttons.length === 0),
  );
});

test("an approval card: deny; decided elsewhere; a press that comes too late", async () => {
  stage = await setStage();
  stage.limn.level = "once";
  const { mission_id: id = "" } = await ask(stage.mac, "web@s-a", "first task");
  stage.fake.press(await stage.fake.sees("first task", "outside"), "Deny");
  await reaches(stage.hub, id, "denied");
  await stage.fake.sees("⛔ denied by @owner");
  const other = await ask(stage.mac, "web@s-a", "second task");
  const card = await stage.fake.sees("second task", "outside");
  const buttons = [...card.buttons];
  const [waiting] = await pending(stage.hub);
  await stage.hub.person("POST", `/api/approvals/${waiting?.id}`, { decision: "deny" });
  const late = stage.fake.pressData(card.id, buttons[0]?.callback_data ?? "");
  await waitFor("the late press to be told", () =>
    stage.fake.acknowledged.some((one) => one.id === late && one.text.includes("decided already")),
  );
  await waitFor(
    "the card to say so",
    () => now(card.id).includes("⛔ denied by") && card.buttons.length === 0,
  );
  await reaches(stage.hub, other.mission_id, "denied");
});

test("join requests: a card with the fingerprint, approved or denied by a button", async () => {
  stage = await setStage();
  const [good, bad] = [new Peer(stage.hub, "atlas"), new Peer(stage.hub, "evil")];
  const { body } = await good.join({ display_name: "Atlas <1>" });
  await bad.join();
  const card = await stage.fake.sees("Atlas <1>");
  expect(card.text).toContain(`Fingerprint: ${body.fingerprint}`);
  stage.fake.press(card, "Approve");
  await becomes(card, "✅ approved");
  stage.fake.press(await stage.fake.sees("evil"), "Deny");
  await becomes(await stage.fake.sees("evil"), "⛔ denied");
  const { machines } = (await stage.hub.person("GET", "/api/machines")).body;
  expect(machines.find(({ id }) => id === "evil")?.status).toBe("denied");
  expect(machines.find(({ id }) => id === "atlas")?.status).toBe("offline");
});

test("a machine away and back: quiet notices, none for a short absence", async () => {
  stage = await setStage({ speed: 100 });
  await stage.fake.idle();
  stage.mac.close();
  const away = await stage.fake.sees("machine mac is offline");
  expect(away.quiet).toBe(true);
  await stage.mac.connect();
  expect((await stage.fake.sees("machine mac is back")).quiet).toBe(true);
  expect(stage.fake.shown()).toHaveLength(2);
});

test("a plain message outside topics goes to the dispatcher, and its answer comes back", async () => {
  stage = await setStage({
    settings: { dispatcher: { enabled: true, target: "limn/api", system_prompt: "You are the desk." } },
  });
  const first = stage.fake.say("what is going on?");
  const card = await stage.fake.sees("▶️ running");
  expect([card.replyTo, card.topic]).toEqual([first, undefined]);
  const [order] = stage.limn.starts.map((start) => start.order);
  expect(order).toMatchObject({ from_agent: "human", message: "You are the desk.\n\nwhat is going on?" });
  const id = order?.mission_id ?? "";
  await stage.limn.report(id, { entries: [entry(1, "looking around")] });
  await becomes(card, "looking around");
  await stage.limn.end(id, "completed", { text: "All is quiet." });
  const answer = await stage.fake.sees("All is quiet.");
  expect([answer.replyTo, answer.topic, answer.quiet]).toEqual([first, undefined, false]);
  await becomes(card, "✅ completed");
  stage.fake.say("and now?");
  await waitFor("the second mission", () => stage.limn.starts.length === 2);
  const prompt = stage.limn.starts[1]?.order.message ?? "";
  expect(prompt).toContain("> what is going on?\nAll is quiet.");
  expect(prompt).toEndWith("and now?");
  expect(stage.fake.topics.size).toBe(0);
});

test("without a dispatcher a plain message is answered with what to do", async () => {
  stage = await setStage();
  stage.fake.say("hello?");
  await stage.fake.sees("There is no dispatcher");
  expect(stage.limn.starts).toEqual([]);
});
