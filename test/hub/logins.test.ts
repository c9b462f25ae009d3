// A person on a joined machine: logged in with a code from the hub, for a time, on that machine only.
import { afterAll, beforeAll, expect, test } from "bun:test";
import type { Invite, Login } from "../../src/protocol/hub-api.ts";
import { hubOperations } from "../../src/protocol/hub-api.ts";
import type { ApprovalDecided, ApprovalList } from "../../src/protocol/mission.ts";
import { ask, Launcher } from "./launcher.ts";
import { Peer, refusal, routeInput } from "./peer.ts";
import { startHub, type TestHub } from "./rig.ts";

let hub: TestHub;
let mac: Peer;
let limn: Launcher;
beforeAll(async () => {
  hub = await startHub();
  mac = await Peer.online(hub, "mac", "web@s-a");
  limn = await Launcher.online(hub);
});
afterAll(() => hub.hub.stop());

const newCode = async () => (await hub.person("POST", "/api/login-codes", {})).body as unknown as Invite;
const login = async (peer: Peer, name = "ann") =>
  peer.request<Login>("login", { code: (await newCode()).code, name });
const as = <T = unknown>(peer: Peer, token: string, op: string, input: unknown = {}) =>
  peer.request<T>("as_person", { token, op, input });

test("a code becomes a login once; its acts are the person's, by name and machine", async () => {
  const { code, expires_at } = await newCode();
  expect(code).toMatch(/^[0-9A-Z]{4}(-[0-9A-Z]{4}){3}$/);
  expect(Date.parse(expires_at) - Date.now()).toBeWithin(590_000, 600_001);
  const one = await mac.request<Login>("login", { code: ` ${code.toLowerCase()}`, name: "ann\u0007 @root" });
  expect(one).toMatchObject({ name: "ann root@mac" });
  expect(await refusal(mac.request("login", { code, name: "bob" }))).toMatchObject({ code: "login_invalid" });
  limn.level = "once";
  await ask(mac, "web@s-a", "x");
  const { approvals } = await as<ApprovalList>(mac, one.token, "approvals");
  const decision = { id: approvals[0]?.id, decision: "approve" };
  expect(await as<ApprovalDecided>(mac, one.token, "approval_decide", decision)).toMatchObject({
    approval: { status: "approved", decided_by: "ann root@mac" },
    mission: { status: "running" },
  });
  const words = routeInput("human", "mac/web@s-a", "it is me");
  expect(await as(mac, one.token, "route", words)).toMatchObject({ status: "delivered" });
  expect(await as(mac, one.token, "machines")).toMatchObject({ machines: [{ id: "limn" }, { id: "mac" }] });
});

test("another's, a wrong or an old token is none", async () => {
  const { token } = await login(mac);
  for (const [peer, wrong] of [
    [limn.peer, token],
    [mac, `${token}x`],
    [mac, ""],
  ] as const)
    expect(await refusal(as(peer, wrong, "approvals"))).toMatchObject({ code: "not_logged_in" });
  hub.clock.offsetMs = 30 * 24 * 3600 * 1000 + 1000;
  expect(await refusal(as(mac, token, "approvals"))).toMatchObject({ code: "not_logged_in" });
  hub.clock.offsetMs = 0;
  expect(await as(mac, token, "approvals")).toMatchObject({ approvals: [] });
  await limn.peer.request("logout", { token });
  expect(await as(mac, token, "approvals")).toMatchObject({ approvals: [] });
  await mac.request("logout", { token });
  expect(await refusal(as(mac, token, "approvals"))).toMatchObject({ code: "not_logged_in" });
});

test("a login runs what a person may, and nothing that is a machine's; none inside another", async () => {
  const { token } = await login(mac);
  for (const [op, { who }] of Object.entries(hubOperations)) {
    if (who !== "machine") continue;
    const input = op === "as_person" ? { token, op: "approvals", input: {} } : {};
    expect([op, (await refusal(as(mac, token, op, input))).code]).toEqual([op, "forbidden"]);
  }
  expect(await refusal(as(mac, token, "nothing"))).toMatchObject({ code: "not_found" });
  expect(await refusal(as(mac, token, "machine_decide", { id: "x" }))).toMatchObject({ code: "bad_request" });
});

test("without a login a machine runs nothing of a person's", async () => {
  const inputs: Record<string, unknown> = {
    machine_decide: { id: "mac", decision: "revoke" },
    release: { id: "t-000000000000" },
    approval_decide: { id: "a-000000000000", decision: "approve" },
    grant_revoke: { id: "g-000000000000" },
  };
  const persons = Object.entries(hubOperations).filter(([, { who }]) => who === "person");
  expect(persons.length).toBeGreaterThan(8);
  for (const [op] of persons)
    expect([op, (await refusal(mac.request(op, inputs[op] ?? {}))).code]).toEqual([op, "person_only"]);
  expect(await refusal(mac.request("route", routeInput("human", "mac/web", "x")))).toMatchObject({
    code: "forbidden",
  });
});

test("codes end after ten minutes, and guessing is slowed down", async () => {
  const { code } = await newCode();
  hub.clock.offsetMs = 600_001;
  expect(await refusal(mac.request("login", { code, name: "ann" }))).toMatchObject({ code: "login_invalid" });
  for (let n = 0; n < 9; n++)
    expect((await refusal(mac.request("login", { code: "nonsense", name: "ann" }))).code).toBe(
      "login_invalid",
    );
  expect(await refusal(login(mac))).toMatchObject({ code: "rate_limited" });
  expect(await login(limn.peer)).toMatchObject({ name: "ann@limn" });
  hub.clock.offsetMs = 0;
});

test("a revoked machine comes back without its logins", async () => {
  const bare = await Peer.online(hub, "bare", "x@s-x");
  const { token } = await login(bare);
  await hub.person("POST", "/api/machines/bare/revoke", {});
  const back = bare.twin();
  await back.enrol();
  await back.connect();
  expect(await refusal(as(back, token, "approvals"))).toMatchObject({ code: "not_logged_in" });
});
