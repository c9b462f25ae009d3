// A hub whose database was damaged: it goes on with what can be read, and tells those whom it concerns.
import { expect, test } from "bun:test";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { markerOf, rescuesBeside } from "../../src/store/rescue-files.ts";
import { signRequest } from "../../src/system/signature.ts";
import { waitFor } from "../rig/wait.ts";
import { damage, pagesOf, pageWith } from "../store/damaging.ts";
import { Peer, session } from "./peer.ts";
import { startHub, type TestHub } from "./rig.ts";

async function pair(hub: TestHub) {
  const mac = await Peer.online(hub, "mac", "web@s-a");
  const limn = await Peer.online(hub, "limn", "api@s-b");
  return { mac, limn };
}

/** Stops the hub, spoils these pages, and starts it again as one that had met them. */
async function rescued(
  hub: TestHub,
  choose: (path: string) => number[],
  { marked = true } = {},
): Promise<void> {
  await hub.hub.stop();
  damage(hub.paths.hubDatabase, choose(hub.paths.hubDatabase));
  if (marked) writeFileSync(markerOf(hub.paths.hubDatabase), "");
  await hub.restart();
}

test("agents chat on; who sent what is lost learns it, and the person learns of it once", async () => {
  await using hub = await startHub();
  const { mac, limn } = await pair(hub);
  const said = Array.from({ length: 60 }, (_, n) => `word ${n} ${"x".repeat(300)}`);
  limn.verdict = ({ message }) => (message.message.startsWith("word 5") ? "not_stored" : "delivered");
  const ids = await Promise.all(
    said.map(async (text) =>
      String((await mac.chat("web@s-a", "limn/api", text, { await_delivery: false })).message_id),
    ),
  );
  await waitFor("all to be tried", () => limn.received.length >= 50);
  await rescued(hub, (path) => [pageWith(path, "messages", "word 50 xxx")]);

  const [rescue] = rescuesBeside(hub.paths.hubDatabase);
  const lost = new Set(rescue?.messages.map(({ id }) => id));
  expect(lost.size).toBeGreaterThan(2);
  limn.verdict = () => "delivered";
  const before = limn.received.length;
  await mac.connect();
  await limn.connect();
  await Promise.all([mac.presence(session("web@s-a")), limn.presence(session("api@s-b"))]);
  expect(await mac.chat("web@s-a", "limn/api", "still there?")).toMatchObject({ status: "delivered" });
  const after = limn.received.slice(before).map(({ message }) => message);
  expect(after.filter(({ id }) => lost.has(id))).toEqual([]);
  expect(after.at(-1)?.message).toBe("still there?");
  const waited = ids.filter((_, n) => said[n]?.startsWith("word 5") && !lost.has(ids[n] ?? ""));
  expect(after.filter(({ message }) => message.startsWith("word 5")).map(({ id }) => id)).toEqual(waited);

  // of what had not arrived its sender is told
  const failed = [...lost].filter((id) => said[ids.indexOf(id)]?.startsWith("word 5"));
  for (const id of failed)
    await waitFor(`the notice of ${id}`, () =>
      mac
        .texts("s-a")
        .includes(
          `Your message ${id} to limn/api@s-b could not be delivered: the hub's database was damaged.`,
        ),
    );
  // a receipt for what is lost, and an outbox that sends it again
  const [first = ""] = lost;
  await limn.receipt("s-b", first, "seen");
  const again = await mac.chat("web@s-a", "limn/api", "again", { message_id: first });
  expect(again.message_id).toBe(first);
  expect(limn.texts("s-b")).not.toContain("again");

  const inbox = async () => (await hub.person("GET", "/api/inbox?limit=50")).body.messages;
  const told = (await inbox()).filter(({ id }) => id.startsWith("rescued-"));
  expect(told).toHaveLength(1);
  expect(told[0]?.message).toContain("The hub's database was damaged.");
  expect(told[0]?.message).toContain(rescue?.directory ?? "?");
  await hub.restart();
  expect((await inbox()).filter(({ id }) => id.startsWith("rescued-"))).toHaveLength(1);
});

test("damage that the start itself meets is rescued in the same start", async () => {
  await using hub = await startHub();
  const { mac } = await pair(hub);
  await rescued(hub, (path) => pagesOf(path, "machines").map(({ number }) => number), { marked: false });
  expect(rescuesBeside(hub.paths.hubDatabase)).toHaveLength(1);
  // whoever asks for a lost name waits for a person, and is then whom the person approved
  expect((await mac.http("POST", "/api/heartbeat", {})).body.error).toMatchObject({
    code: "unauthenticated",
  });
  expect((await mac.join()).body).toMatchObject({ status: "pending" });
  await hub.person("POST", "/api/machines/mac/approve", {});
  await mac.connect();
  await mac.presence(session("web@s-a"));
  expect((await hub.person("GET", "/api/agents")).body.agents).toHaveLength(1);
});

test("where the used nonces are lost, what was signed before the rescue is refused", async () => {
  await using hub = await startHub();
  const { mac } = await pair(hub);
  const path = "/api/heartbeat";
  const body = JSON.stringify({});
  const signed = await signRequest("mac", mac.key, {
    method: "POST",
    url: `${hub.hub.url}${path}`,
    body: Buffer.from(body),
  });
  const send = () =>
    fetch(`${hub.hub.url}${path}`, {
      method: "POST",
      body,
      headers: { ...signed, "content-type": "application/json" },
    });
  expect((await send()).status).toBe(200);
  await rescued(hub, (file) => pagesOf(file, "nonces").map(({ number }) => number));
  const again = await send();
  expect(again.status).toBe(401);
  await waitFor(
    "a clock past the second of the rescue",
    async () => (await mac.http("POST", path, {})).status === 200,
  );
});

test("a hub that meets damage leaves a marker, and the directory may go", async () => {
  await using hub = await startHub();
  const { mac } = await pair(hub);
  const { message_id } = await mac.chat("web@s-a", "limn/api", `find me ${"x".repeat(3000)}`);
  for (let n = 0; n < 20; n++) await mac.chat("web@s-a", "limn/api", `word ${n} ${"x".repeat(300)}`);
  await rescued(hub, (path) => [pageWith(path, "messages", "find me")], { marked: false });
  expect((await hub.person("GET", `/api/messages/${message_id}`)).body.error).toMatchObject({
    message: "the hub's database is damaged",
    hint: expect.stringContaining("restart the hub on its host"),
  });
  expect((await fetch(`${hub.hub.url}/readyz`)).status).toBe(500);
  expect(JSON.parse(readFileSync(markerOf(hub.paths.hubDatabase), "utf8"))).toMatchObject({
    error: "database disk image is malformed",
  });
  await hub.restart();
  expect((await fetch(`${hub.hub.url}/readyz`)).status).toBe(200);
  expect((await hub.person("GET", `/api/messages/${message_id}`)).body.status).toBe("delivered");
  rmSync(rescuesBeside(hub.paths.hubDatabase)[0]?.directory ?? "", { recursive: true });
  await hub.restart();
  expect((await fetch(`${hub.hub.url}/readyz`)).status).toBe(200);
});
