// A machine that is turned away for its clock: the hub says so wherever it says that the machine is offline, and lets
// nobody else say it.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { signRequest } from "../../src/system/signature.ts";
import { waitFor } from "../rig/wait.ts";
import { Peer } from "./peer.ts";
import { startHub, type TestHub } from "./rig.ts";

let hub: TestHub;
let mac: Peer;
beforeEach(async () => {
  hub = await startHub();
  mac = await Peer.online(hub, "mac", "web@s-a");
  mac.cut();
  await waitFor("mac to be offline", async () => (await machine("mac"))?.status === "offline");
});
afterEach(() => hub.hub.stop());

const machine = async (id: string) =>
  (await hub.person("GET", "/api/machines")).body.machines.find((one) => one.id === id);

/** It asks, as its daemon does again and again, until the hub shows this. */
async function untilShown(reason: string | undefined, ask: () => Promise<unknown>): Promise<void> {
  await waitFor(`mac to be shown as ${reason}`, async () => {
    await ask();
    return (await machine("mac"))?.reason === reason;
  });
}
const knock = async (peer = mac) => {
  expect((await peer.http("POST", "/api/heartbeat", {})).body.error.code).toBe("clock_skew");
};

test.each([
  [-7 * 60, "its clock is 7 min ahead"],
  [7 * 60, "its clock is 7 min behind"],
  [5 * 3600, "its clock is 5 h behind"],
  [-400 * 86_400, "its clock is 400 d ahead"],
])("the hub's clock %d s from its own: %s", async (seconds, reason) => {
  hub.clock.offsetMs = seconds * 1000;
  await untilShown(reason, knock);
  expect(await machine("mac")).toMatchObject({ status: "offline", reason });
  const { agents } = (await hub.person("GET", "/api/agents")).body;
  for (const agent of agents)
    expect(agent).toMatchObject({ machine_status: "offline", machine_reason: reason });
});

test("mail that waits for it says why; when it is let in, and when it asks no more, the reason is gone", async () => {
  hub.clock.offsetMs = -7 * 60_000;
  await untilShown("its clock is 7 min ahead", knock);
  const send = (message_id: string) =>
    hub.person("POST", "/api/route", {
      from_agent: "human",
      to_agent: "mac/web@s-a",
      type: "chat",
      payload: { message: "hello", message_id },
    });
  expect((await send("msg-1")).body).toMatchObject({
    status: "queued",
    reason: "machine mac is offline: its clock is 7 min ahead",
  });
  hub.clock.offsetMs += 61_000;
  expect(await machine("mac")).toEqual(expect.not.objectContaining({ reason: expect.anything() }));
  expect((await send("msg-2")).body).toMatchObject({ status: "queued", reason: "machine mac is offline" });
  hub.clock.offsetMs = -7 * 60_000;
  await untilShown("its clock is 7 min ahead", knock);
  hub.clock.offsetMs = 0;
  await mac.connect();
  expect(await machine("mac")).toMatchObject({ status: "online" });
  mac.cut();
  await waitFor("mac to be offline", async () => (await machine("mac"))?.status === "offline");
  expect((await machine("mac"))?.reason).toBeUndefined();
});

test("one old request sent again and again, another key, and a machine that nobody approved tell nothing", async () => {
  const other = new Peer(hub, "other");
  await other.enrol();
  const pending = new Peer(hub, "pending");
  await pending.join();
  const url = `${hub.hub.url}/api/heartbeat`;
  const signed = await signRequest("mac", mac.key, { method: "POST", url, body: Buffer.from("{}") });
  const again = { method: "POST", body: "{}", headers: { ...signed, "content-type": "application/json" } };
  hub.clock.offsetMs = 10 * 60_000;
  // in the time in which the true one is believed
  await waitFor("the other one to be believed", async () => {
    expect(await (await fetch(url, again)).json()).toMatchObject({ error: { code: "clock_skew" } });
    const stranger = await new Peer(hub, "mac").http("POST", "/api/heartbeat", {});
    expect(stranger.body.error.code).toBe("unauthenticated");
    await knock(pending);
    await knock(other);
    return (await machine("other"))?.reason === "its clock is 10 min behind";
  });
  for (const id of ["mac", "pending"]) expect((await machine(id))?.reason).toBeUndefined();
});
