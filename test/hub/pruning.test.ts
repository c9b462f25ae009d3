// When the hub forgets: only what is old by a clock that can be trusted; and what it answers for what it forgot.
import { expect, test } from "bun:test";
import { mkdtempSync } from "node:fs";
import { Pruning } from "../../src/hub/pruning.ts";
import { openStore } from "../../src/store/open.ts";
import { Config } from "../../src/system/config.ts";
import { a, furnish, human, newMessage, roomy } from "../store/fixtures.ts";
import { Peer, routeInput, session } from "./peer.ts";
import { startHub } from "./rig.ts";

const dayMs = 24 * 3600 * 1000;
const hourMs = 3600 * 1000;
const zeroMs = Date.UTC(2026, 10, 22);

async function scene(keep_days: number) {
  const store = openStore(`${mkdtempSync("/tmp/aii-prune-")}/hub.db`);
  await furnish(store);
  const message = newMessage("old");
  await store.accept(message, [human], roomy);
  await store.readHumanInbox({ limit: 10, unread: true, at: message.at });
  const clock = { wallMs: zeroMs + 91 * dayMs, steadyMs: 0 };
  const config = Config.parse({ hub: { keep_days } });
  const pruning = new Pruning({ store, config, now: () => clock.wallMs }, () => clock.steadyMs);
  const pass = async (ms: number) => {
    clock.wallMs += ms;
    clock.steadyMs += ms;
    for (let step = 0; step < 5; step++) await pruning.step();
  };
  const isForgotten = async () => (await store.message(message.id)) === undefined;
  return { store, clock, pass, isForgotten };
}

test("nothing is forgotten before the clock has gone steadily for an hour", async () => {
  const { clock, pass, isForgotten, store } = await scene(90);
  await pass(hourMs - 1);
  expect(await isForgotten()).toBe(false);
  clock.wallMs += 120_000; // somebody set the clock: its new time is trusted an hour later
  await pass(2);
  expect(await isForgotten()).toBe(false);
  await pass(hourMs);
  expect(await isForgotten()).toBe(true);
  await store.close();
});

test("after all was looked at, it rests; days count, and 0 keeps for ever", async () => {
  const ninetyTwo = await scene(92);
  await ninetyTwo.pass(2 * hourMs);
  expect(await ninetyTwo.isForgotten()).toBe(false);
  await ninetyTwo.pass(dayMs);
  expect(await ninetyTwo.isForgotten()).toBe(true);
  const forever = await scene(0);
  await forever.pass(1000 * dayMs);
  expect(await forever.isForgotten()).toBe(false);
  await ninetyTwo.store.close();
  await forever.store.close();
});

test("a retry of a forgotten message is told what became of it; nothing is delivered again", async () => {
  await using hub = await startHub();
  const mac = await Peer.online(hub, "mac", "web@s-a");
  const limn = await Peer.online(hub, "limn", "api@s-b");
  const input = routeInput(`mac/web@${a.session}`, "limn/api", "once");
  expect(await mac.request("route", input)).toMatchObject({ status: "delivered" });
  const { message_id, new_thread_id } = input.payload;
  const at = new Date(Date.now() - 1000).toISOString();
  await limn.request("receipts", {
    receipts: [{ message_id, session_id: "s-b", state: "seen", at }],
  });
  await hub.hub.stop();
  const store = openStore(hub.paths.hubDatabase);
  expect(await store.prune({ before: "9999", after: 0, limit: 10 })).toMatchObject({ messages: 1 });
  await store.close();
  await hub.restart();
  await mac.connect();
  await mac.presence(session("web@s-a"));
  await limn.connect();
  await limn.presence(session("api@s-b"));
  expect(await mac.request("route", input)).toMatchObject({
    status: "delivered",
    reason: expect.stringContaining("seen long ago"),
  });
  expect(limn.received).toHaveLength(1);
  const reply = {
    ...input,
    to_agent: undefined,
    payload: { message: "more", message_id: "msg-2", thread_id: new_thread_id },
  };
  expect(mac.request("route", reply)).rejects.toThrow(/no thread/);
  expect((await hub.person("GET", `/api/messages/${message_id}`)).body).toMatchObject({
    error: { code: "unknown_message", hint: expect.stringContaining("hub.keep_days") },
  });
});
