// A hub that hangs (SIGSTOP) while its sockets stand: what agents and people are told, how soon, and that what was
// said arrives once.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { hubPatienceMs } from "../../src/daemon/link.ts";
import type { ScriptedAgent } from "../rig/agent";
import { Fleet, type Machine } from "../rig/fleet";
import { waitFor, within } from "../rig/wait";

let fleet: Fleet;
let hub: Machine;
let atlas: Machine;
let sender: ScriptedAgent;
let receiver: ScriptedAgent;
let hubPid: number;
beforeEach(async () => {
  fleet = await Fleet.start(["limn"]);
  hub = fleet.machine("limn");
  atlas = await fleet.join("atlas");
  const borea = await fleet.join("borea");
  sender = await atlas.agent("website");
  receiver = await borea.agent("mnemos");
  hubPid = (await hub.json("status")).pid;
}, 60_000);
afterEach(async () => {
  process.kill(hubPid, "SIGCONT");
  await fleet[Symbol.asyncDispose]();
});

const texts = ({ messages }: { messages?: { message: string }[] }) => messages?.map(({ message }) => message);

test("an agent's messages are kept in time, say why, and arrive once and in order when the hub goes on", async () => {
  const opened = await sender.call("intercom_chat", { to: "borea/mnemos", message: "zero" });
  process.kill(hubPid, "SIGSTOP");
  const reply = (message: string) =>
    within(
      `an answer to ${message}`,
      sender.call("intercom_reply", { thread_id: opened.thread_id, message }),
      {
        timeoutMs: 2 * hubPatienceMs,
      },
    );
  const first = await reply("one");
  expect(first).toMatchObject({ status: "queued", reason: expect.stringContaining("not answered") });
  expect((await reply("two")).status).toBe("queued");
  expect((await sender.call("intercom_status", { message_id: first.message_id })).status).toBe("queued");
  process.kill(hubPid, "SIGCONT");
  await waitFor("all three", async () => (await receiver.session())?.inbox_pending === 3, {
    timeoutMs: 30_000,
  });
  await waitFor("an empty outbox", async () => (await atlas.json("status")).outbox === 0, {
    timeoutMs: 30_000,
  });
  expect(texts(await receiver.call("intercom_check_inbox"))).toEqual(["zero", "one", "two"]);
}, 90_000);

test("a command waits once, a few seconds, and says that the hub is silent: exit 3", async () => {
  process.kill(hubPid, "SIGSTOP");
  /** each waits so long for the hub, and would take twice as long if it asked again */
  const cases: [Machine, string[], RegExp, number][] = [
    [hub, ["agents"], /did not answer within 5 s\ntry: .*ai-intercom doctor/, 5_000],
    [atlas, ["agents"], /has not answered for 4 s\ntry: /, hubPatienceMs],
    [hub, ["watch"], /did not answer within 5 s/, 5_000],
    [
      hub,
      ["chat", "borea/mnemos", "hello"],
      /is not known\ntry: before you .*ai-intercom status msg-/,
      5_000,
    ],
  ];
  const ran = await Promise.all(
    cases.map(async ([machine, words, wanted, waitMs]) => {
      const began = performance.now();
      const { code, err } = await machine.run(words);
      return { words, code, said: wanted.test(err), err, inTime: performance.now() - began < 2 * waitMs };
    }),
  );
  for (const one of ran) expect(one).toMatchObject({ code: 3, said: true, inTime: true });
}, 60_000);
