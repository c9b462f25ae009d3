// News to many: who gets it, what the sender is told of each, and how its priority shows.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import type { ScriptedAgent, ToolResult } from "../rig/agent";
import type { Fleet, Machine } from "../rig/fleet";
import { missionFleet } from "../rig/missions";
import { waitFor } from "../rig/wait";

// each test starts several programs, and the machine may be busy
setDefaultTimeout(120_000);

let fleet: Fleet;
let atlas: Machine;
let sender: ScriptedAgent;
let mnemos: ScriptedAgent;
let website: ScriptedAgent;
beforeAll(async () => {
  fleet = await missionFleet();
  atlas = fleet.machine("atlas");
  sender = await fleet.machine("limn").agent("website");
  mnemos = await fleet.machine("limn").agent("mnemos");
  website = await atlas.agent("website");
}, 60_000);
afterAll(() => fleet[Symbol.asyncDispose]());

const send = (to: string | string[], message: string, more: Record<string, unknown> = {}) =>
  sender.call("intercom_send", { to, message, ...more });
const byName = (answer: ToolResult) =>
  Object.fromEntries(
    (answer.recipients as ToolResult[]).map(({ to, status }) => [to.replace(/@.*/, ""), status]),
  );

test("to many: each recipient's own truth; open sessions get it at once, the others are kept", async () => {
  const answer = await send(["limn/mnemos", "atlas/*", "human", "atlas/nothing"], "deploy at five");
  expect(byName(answer)).toEqual({
    "limn/mnemos": "delivered",
    "atlas/website": "delivered",
    "atlas/mnemos": "queued",
    human: "delivered",
    "atlas/nothing": "error",
  });
  expect(answer).toMatchObject({ status: "queued", hint: expect.stringMatching(/^failed: atlas\/nothing;/) });
  const refused = (answer.recipients as ToolResult[]).find(({ to }) => to === "atlas/nothing");
  expect(refused?.reason).toContain('no project named "nothing"');
  expect(await mnemos.read()).toEqual(["deploy at five"]);
  expect(await website.read()).toEqual(["deploy at five"]);
  expect((await fleet.machine("limn").json("inbox", "--unread")).messages).toHaveLength(1);
  const late = await atlas.agent("mnemos");
  await waitFor("what was kept", async () => (await late.session()).inbox_pending === 1);
  expect(await late.read()).toEqual(["deploy at five"]);
  const delivered = (answer.recipients as ToolResult[]).find(({ to }) => to.startsWith("limn/mnemos@"));
  const status = await sender.call("intercom_status", { message_id: delivered?.message_id });
  expect(["delivered", "offered", "seen"]).toContain(status.status);
  await late.kill();
  await waitFor("its session to end", async () => (await late.session()) === undefined);
});

test("*/project and * reach everyone but the sender", async () => {
  expect(byName(await send("*/website", "to websites"))).toEqual({ "atlas/website": "delivered" });
  expect(await website.read()).toEqual(["to websites"]);
  const everyone = byName(await send("*", "to all"));
  expect(everyone).toMatchObject({ "limn/mnemos": "delivered", "atlas/website": "delivered" });
  expect(everyone).not.toHaveProperty("limn/website");
  expect(await mnemos.read()).toEqual(["to all"]);
  expect(await website.read()).toEqual(["to all"]);
  expect(await sender.read()).not.toContain("to all");
});

test("high priority stands in the header, low and normal do not; both are kept in the inbox", async () => {
  await send("limn/mnemos", "now!", { priority: "high" });
  await send("limn/mnemos", "whenever", { priority: "low" });
  const { body } = await fleet.machine("limn").local("GET", "/api/inbox");
  expect(body).toHaveProperty("error"); // this process is no agent
  const { messages } = await fleet
    .machine("limn")
    .json("inbox", "--session", (await mnemos.session()).session_id);
  expect(messages.slice(-2).map((one: ToolResult) => [one.message, one.priority, one.type])).toEqual([
    ["now!", "high", "send"],
    ["whenever", "low", "send"],
  ]);
  const context = await mnemos.take();
  expect(context.match(/^\[ai-intercom .*$/gm)).toEqual([
    expect.stringMatching(/, high priority$/),
    expect.not.stringContaining("priority"),
  ]);
});

test("a malformed address in a list takes nothing from the others", async () => {
  const answer = await send(["limn/mnemos", "zz", `${"x".repeat(300)}/*`, "limn/nope"], "all the same");
  expect(byName(answer)).toMatchObject({ "limn/mnemos": "delivered", zz: "error", "limn/nope": "error" });
  expect(answer.status).toBe("delivered");
  expect(answer.error).toBeUndefined();
  expect(answer.hint).toMatch(/^failed: limn\/nope, zz, x+\/\*; if you send again, then to these only/);
  const malformed = (answer.recipients as ToolResult[]).find(({ to }) => to === "zz");
  expect(malformed).toEqual({
    to: "zz",
    status: "error",
    error: '"zz" is not an address',
    hint: expect.stringContaining("machine/project"),
  });
  expect(await mnemos.read()).toEqual(["all the same"]);
});

test("nobody there, wrong words: an answer in the tool's own shape", async () => {
  for (const to of ["nowhere/*", "*/nothing", "limn/mnemo"]) {
    const answer = await send(to, "x");
    expect(answer).toMatchObject({ status: "error", recipients: [{ to, status: "error" }] });
  }
  const bad = {
    status: "error",
    error: expect.stringContaining("is not an address"),
    hint: expect.any(String),
  };
  expect(await send("a b", "x")).toMatchObject({ ...bad, recipients: [{ to: "a b", ...bad }] });
  expect(await send(["a b", "zz"], "x")).toMatchObject({
    status: "error",
    recipients: [
      { to: "a b", ...bad },
      { to: "zz", ...bad },
    ],
  });
  expect(await send([], "x")).toMatchObject({ status: "error", recipients: [] });
});

test("the hub is away: each copy has its id at once, and goes by it before and after the hub is back", async () => {
  await using own = await missionFleet();
  const limn = own.machine("limn");
  const far = await own.machine("atlas").agent("website");
  const near = await limn.agent("mnemos");
  await limn.crash();
  await waitFor(
    "atlas to notice",
    async () => (await own.machine("atlas").json("status")).link === "connecting",
  );
  const to = ["limn/mnemos", "human", "*/website", "zz"];
  const answer = await far.call("intercom_send", { to, message: "while you were out" });
  expect(answer).toMatchObject({
    status: "queued",
    hint: expect.stringMatching(/^failed: zz;.*the hub decides whom \*\/website means/),
  });
  expect(byName(answer)).toEqual({
    "limn/mnemos": "queued",
    human: "queued",
    "*/website": "queued",
    zz: "error",
  });
  const ids = (answer.recipients as ToolResult[]).flatMap(({ message_id }) => message_id ?? []);
  expect(ids.length).toBe(2);
  for (const message_id of ids)
    expect(await far.call("intercom_status", { message_id })).toMatchObject({
      message_id,
      status: "queued",
      states: [{ state: "queued", reason: expect.stringContaining("outbox") }],
    });
  await limn.serve("standalone", "--listen", new URL(own.hubUrl).host);
  for (const message_id of ids)
    await waitFor("its delivery at the hub", async () => {
      const { status, states } = await far.call("intercom_status", { message_id });
      return states?.some(({ state }: ToolResult) => state === "delivered") || Promise.reject(status);
    });
  expect(await near.read()).toEqual(["while you were out"]);
});
