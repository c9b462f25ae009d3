// How machines come in, and how they are turned away.
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { parseInvite } from "../../src/protocol/invite.ts";
import { closeCodes, heartbeatMs } from "../../src/protocol/link.ts";
import { fingerprint, loadOrCreateMachineKey } from "../../src/system/keys.ts";
import { waitFor } from "../rig/wait.ts";
import { Peer } from "./peer.ts";
import { type Reply, startHub, type TestHub } from "./rig.ts";

const codeOf = ({ status, body }: Reply) => [status, body.error?.code];
const invite = async (hub: TestHub) => (await hub.person("POST", "/api/invites", {})).body;

test("an invite is single use, tells its hub, and leaves no secret in the store", async () => {
  await using hub = await startHub();
  const { code, expires_at } = await invite(hub);
  expect(code).toMatch(/^[0-9A-HJKMNP-TV-Z]{4}(-[0-9A-HJKMNP-TV-Z]{4}){3}@http:\/\/127\.0\.0\.1:\d+$/);
  expect(parseInvite(code).url).toBe(hub.hub.url);
  expect(Date.parse(expires_at) - Date.now()).toBeWithin(590_000, 600_001);
  const mac = new Peer(hub, "mac");
  expect((await mac.join({ code })).body).toMatchObject({
    machine_id: "mac",
    status: "approved",
    fingerprint: fingerprint(mac.key.publicKey),
  });
  // the answer got lost: the same machine asks again
  expect((await mac.join({ code })).body.status).toBe("approved");
  expect(codeOf(await new Peer(hub, "thief").join({ code }))).toEqual([403, "invite_invalid"]);
  await hub.hub.stop();
  const { secret } = parseInvite(code);
  const stored = readFileSync(hub.paths.hubDatabase, "latin1");
  expect(stored).not.toContain(secret);
  expect(stored).not.toContain(code);
});

test("a code is read with small letters, other dashes, O for 0 and I or L for 1", () => {
  expect(parseInvite(" abcd efgh-0123--oil0 @ http://h:1/")).toEqual({
    secret: "ABCDEFGH01230110",
    url: "http://h:1",
  });
  expect(parseInvite("ABCDEFGH01230110")).toEqual({ secret: "ABCDEFGH01230110" });
  for (const wrong of [
    "",
    "ABCD",
    "ABCD-EFGH-0123-011U",
    "ABCDEFGH01230110@evil",
    "ABCDEFGH01230110@http://a@b",
  ])
    expect(() => parseInvite(wrong)).toThrow("not an invite code");
});

test("a wrong or malformed code is refused; guessing is slowed down", async () => {
  await using hub = await startHub();
  const { code } = await invite(hub);
  const mac = new Peer(hub, "mac");
  expect(codeOf(await mac.join({ code: "ABCD-EFGH-JKMN-PQRS" }))).toEqual([403, "invite_invalid"]);
  expect(codeOf(await mac.join({ code: "hello" }))).toEqual([403, "invite_invalid"]);
  for (let n = 0; n < 8; n++) await mac.join({ code: "ABCD-EFGH-JKMN-PQRS" });
  expect(codeOf(await mac.join({ code }))).toEqual([429, "rate_limited"]);
  hub.clock.offsetMs = 60_000;
  expect((await mac.join({ code })).body.status).toBe("approved");
});

test("names are not to be had from the join route: a wrong code tells none, and trying them is slowed down", async () => {
  await using hub = await startHub();
  await new Peer(hub, "taken").enrol();
  const wrong = { code: "ABCD-EFGH-JKMN-PQRS" };
  for (const name of ["taken", "free"])
    expect(codeOf(await new Peer(hub, name).join(wrong))).toEqual([403, "invite_invalid"]);
  const waiting = new Peer(hub, "waiting");
  expect((await waiting.join()).body.status).toBe("pending");
  const status = async (name: string) => (await fetch(`${hub.hub.url}/api/join/status/${name}`)).status;
  expect(await status("waiting")).toBe(200);
  for (let n = 0; n < 4; n++)
    expect(codeOf(await new Peer(hub, "taken").join())).toEqual([409, "machine_taken"]);
  for (let n = 0; n < 4; n++) expect(await status(`guess-${n}`)).toBe(404);
  // from here on no name is told apart from another
  for (const name of ["taken", "free", "waiting"]) {
    expect(await status(name)).toBe(429);
    expect(codeOf(await new Peer(hub, name).join())).toEqual([429, "rate_limited"]);
  }
  // who asked before and only asks again is no guesser
  expect((await waiting.join()).body.status).toBe("pending");
  hub.clock.offsetMs = 60_000;
  expect(await status("waiting")).toBe(200);
});

test("a code expires after ten minutes", async () => {
  await using hub = await startHub();
  // requests are signed with the true time, so both looks must be within 300 s of it
  hub.clock.offsetMs = -400_000;
  const { code } = await invite(hub);
  hub.clock.offsetMs = 199_000;
  expect((await new Peer(hub, "mac").join({ code })).body.status).toBe("approved");
  hub.clock.offsetMs = -400_000;
  const late = await invite(hub);
  hub.clock.offsetMs = 201_000;
  expect(codeOf(await new Peer(hub, "limn").join({ code: late.code }))).toEqual([403, "invite_invalid"]);
});

test("without a code a request waits, sees nothing, and comes in when a person approves", async () => {
  await using hub = await startHub();
  const mac = new Peer(hub, "mac");
  const { body } = await mac.join({ display_name: "Laptop" });
  expect(body).toMatchObject({ status: "pending", fingerprint: fingerprint(mac.key.publicKey) });
  expect(codeOf(await mac.http("GET", "/api/agents"))).toEqual([403, "machine_pending"]);
  // nobody slips another key under the fingerprint that the person compares
  expect(codeOf(await new Peer(hub, "mac").join())).toEqual([409, "machine_taken"]);
  expect((await mac.join()).body.status).toBe("pending");
  const listed = await hub.person("GET", "/api/machines");
  expect(listed.body.machines).toMatchObject([
    { id: "mac", status: "pending", display_name: "Laptop", fingerprint: body.fingerprint },
  ]);
  expect(JSON.stringify(listed.body)).not.toContain(mac.key.publicKey);
  expect((await hub.person("POST", "/api/machines/mac/approve")).body.status).toBe("approved");
  expect((await mac.http("GET", "/api/agents")).status).toBe(200);
});

test("a name belongs to its key; a denied or revoked one comes back by an invite only", async () => {
  await using hub = await startHub();
  const mac = new Peer(hub, "mac");
  await mac.join();
  expect((await hub.person("POST", "/api/machines/mac/deny")).body.status).toBe("denied");
  expect(codeOf(await mac.http("GET", "/api/agents"))).toEqual([403, "machine_denied"]);
  expect(codeOf(await mac.join())).toEqual([403, "machine_denied"]);
  expect(codeOf(await hub.person("POST", "/api/machines/mac/approve"))).toEqual([409, "conflict"]);
  await mac.enrol();
  expect((await mac.http("GET", "/api/agents")).status).toBe(200);
  const { code } = await invite(hub);
  const other = new Peer(hub, "mac");
  expect(codeOf(await other.join({ code }))).toEqual([409, "machine_taken"]);
  // the refused attempt did not use the code up
  await hub.person("POST", "/api/machines/mac/revoke");
  expect(codeOf(await mac.join())).toEqual([403, "machine_revoked"]);
  expect((await other.join({ code })).body.status).toBe("approved");
  expect(codeOf(await mac.http("GET", "/api/agents"))).toEqual([401, "unauthenticated"]);
  expect(codeOf(await hub.person("POST", "/api/machines/nobody/revoke"))).toEqual([404, "unknown_machine"]);
});

test("the request must be signed by the key and the name it presents", async () => {
  await using hub = await startHub();
  const mac = new Peer(hub, "mac");
  const stranger = loadOrCreateMachineKey(`${hub.paths.home}/stranger.key`).publicKey;
  expect(codeOf(await mac.join({ public_key: stranger }))).toEqual([401, "unauthenticated"]);
  expect(codeOf(await mac.join({ machine_id: "limn" }))).toEqual([401, "unauthenticated"]);
  expect(codeOf(await mac.join({ public_key: "" }))).toEqual([400, "bad_request"]);
  expect(codeOf(await mac.join({ machine_id: "a/b" }))).toEqual([400, "bad_request"]);
  expect((await hub.person("GET", "/api/machines")).body.machines).toEqual([]);
});

test("at most 50 requests wait; an invite is not held up by them", async () => {
  await using hub = await startHub();
  for (let n = 0; n < 50; n++) expect((await new Peer(hub, `flood-${n}`).join()).body.status).toBe("pending");
  expect(codeOf(await new Peer(hub, "one-more").join())).toEqual([429, "rate_limited"]);
  await new Peer(hub, "invited").enrol();
});

test("revoke closes the link at once with a code of its own, and fails what waits", async () => {
  await using hub = await startHub();
  const mac = await Peer.online(hub, "mac", "web@s-a");
  const limn = await Peer.online(hub, "limn", "api@s-b");
  limn.verdict = () => "inbox_full";
  const { message_id } = await mac.chat("web@s-a", "limn/api", "never read");
  const before = performance.now();
  await hub.person("POST", "/api/machines/limn/revoke");
  await waitFor("the close", () => limn.closeCode === closeCodes.revoked);
  // by itself: a silent machine's link is cut after three heartbeats
  expect(performance.now() - before).toBeLessThan(3 * heartbeatMs);
  await limn.connect();
  expect(limn.closeCode).toBeGreaterThan(1000);
  expect(codeOf(await limn.http("POST", "/api/heartbeat", {}))).toEqual([403, "machine_revoked"]);
  const status = await hub.person("GET", `/api/messages/${message_id}`);
  expect(status.body).toMatchObject({ status: "failed" });
  const [notice] = await mac.arrived(1);
  expect(notice?.message).toMatchObject({ from_agent: "hub", type: "status" });
  expect((await hub.person("GET", "/api/agents")).body.agents.map(({ machine_id }) => machine_id)).toEqual([
    "mac",
  ]);
});

test("the hub enrols its own machine; its new key is taken, another machine's name is not", async () => {
  await using hub = await startHub();
  const key = (name: string) => loadOrCreateMachineKey(`${hub.paths.home}/${name}.key`).publicKey;
  const own = { id: "hubhost", display_name: "", description: "" };
  await hub.hub.enrolLocal({ ...own, public_key: key("first") });
  await hub.hub.enrolLocal({ ...own, public_key: key("second") });
  expect((await hub.person("GET", "/api/machines")).body.machines).toMatchObject([
    { id: "hubhost", status: "offline", fingerprint: fingerprint(key("second")) },
  ]);
  await new Peer(hub, "mac").enrol();
  await expect(hub.hub.enrolLocal({ ...own, id: "mac", public_key: key("first") })).rejects.toThrow(
    "enrolled as mac",
  );
});
