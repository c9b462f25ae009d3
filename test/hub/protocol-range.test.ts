// Hub and daemon of neighbouring versions: who speaks what, and who gives way.
import { expect, test } from "bun:test";
import { mkdtempSync } from "node:fs";
import { Link } from "../../src/daemon/link.ts";
import { Hub } from "../../src/hub/hub.ts";
import { closeCodes } from "../../src/protocol/link.ts";
import { commonVersion, linkProtocols, refusedProtocol, takes } from "../../src/protocol/version.ts";
import { Config } from "../../src/system/config.ts";
import { homePaths } from "../../src/system/paths.ts";
import { waitFor } from "../rig/wait.ts";
import { Peer, session } from "./peer.ts";
import { personAt } from "./rig.ts";

async function hubThatSpeaks(oldest: number, newest: number) {
  const paths = homePaths(mkdtempSync("/tmp/aii-hub-"));
  const config = Config.parse({ machine: { id: "hubhost" }, hub: { listen: "127.0.0.1:0" } });
  const hub = await Hub.start({ config, paths, speaks: { oldest, newest } });
  return {
    hub,
    person: personAt(paths.hubSocket),
    [Symbol.asyncDispose]: () => hub.stop(),
  };
}

test("a range takes its ends and what lies between, and no other word", () => {
  const range = { oldest: 2, newest: 4 };
  expect(["1", "2", "3", "4", "5"].map((one) => takes(range, one))).toEqual([false, true, true, true, false]);
  for (const odd of [null, "", " 2", "2.0", "2..4", "0x2", "+3", "00002", "NaN"])
    expect(takes(range, odd)).toBe(false);
});

test("the newest version of both", () => {
  const reason = (oldest: number, newest: number) => refusedProtocol({ oldest, newest });
  expect(commonVersion({ oldest: 1, newest: 2 }, reason(1, 1))).toBe(1);
  expect(commonVersion({ oldest: 1, newest: 3 }, reason(2, 5))).toBe(3);
  expect(commonVersion({ oldest: 3, newest: 4 }, reason(1, 2))).toBeUndefined();
  expect(commonVersion({ oldest: 1, newest: 1 }, "go away")).toBeUndefined();
});

test("this version and the one before it talk: neither end of the range is out of reach of its neighbour", () => {
  expect(linkProtocols.newest - linkProtocols.oldest).toBeLessThanOrEqual(1);
  expect(linkProtocols.oldest).toBeGreaterThanOrEqual(1);
});

test("a newer hub takes the daemon of the version before, and mail goes between old and new", async () => {
  await using hub = await hubThatSpeaks(1, 2);
  const older = await Peer.online(hub, "mac", "web@s-a"); // says 1
  const newer = (await Peer.online(hub, "limn", "api@s-b")).twin();
  await newer.connect("2");
  await newer.presence(session("api@s-b"));
  expect(await older.chat("web@s-a", "limn/api", "from the older")).toMatchObject({ status: "delivered" });
  expect(await newer.chat("api@s-b", "mac/web", "from the newer")).toMatchObject({ status: "delivered" });
  expect([older.texts(), newer.texts()]).toEqual([["from the newer"], ["from the older"]]);
  await newer.connect("3");
  await waitFor("the close", () => newer.closeCode === closeCodes.protocol);
});

/** A daemon's real link at a hub where its machine is enrolled. */
async function dial(
  hub: Awaited<ReturnType<typeof hubThatSpeaks>>,
  speaks: { oldest: number; newest: number },
) {
  const peer = await Peer.online(hub, "limn");
  peer.close();
  const states: string[] = [];
  const link = new Link({
    access: () => ({ url: hub.hub.url, machine: peer.id, key: peer.key }),
    describe: () => ({ display_name: "", description: "" }),
    answer: async () => ({}),
    onLinked: async () => {
      await link.request("presence", { sessions: [], projects: [] });
    },
    onState: (state) => states.push(state),
    speaks,
  });
  link.start();
  return { link, states, [Symbol.asyncDispose]: () => link.stop() };
}

test("a newer daemon gives way to the hub of the version before, and is linked", async () => {
  await using hub = await hubThatSpeaks(1, 1);
  await using daemon = await dial(hub, { oldest: 1, newest: 2 });
  await waitFor("the link", () => daemon.link.linked, { detail: () => daemon.link.reason ?? "" });
  expect(daemon.states).not.toContain("refused");
  expect(await daemon.link.request("agents", {})).toEqual({ agents: expect.anything() });
});

test("too far apart: refused, with both sides' versions in the reason", async () => {
  await using hub = await hubThatSpeaks(1, 1);
  await using daemon = await dial(hub, { oldest: 2, newest: 3 });
  await waitFor("the refusal", () => daemon.link.state === "refused");
  expect(daemon.link.reason).toBe("this hub speaks link protocol 1..1; this daemon speaks 2..3");
});
