// What is left of a mission when it or one of its machines is gone: its thread, its grants, what was asked for.
import { expect, test } from "bun:test";
import type { ChatAnswer } from "../../src/protocol/message.ts";
import { waitFor } from "../rig/wait.ts";
import { ask, decide, detail, Launcher, pending, responded } from "./launcher.ts";
import { Peer, refusal, routeInput } from "./peer.ts";
import { startHub, type TestHub } from "./rig.ts";

async function pair(hub: TestHub) {
  const mac = await Peer.online(hub, "mac", "web@s-a");
  const limn = await Launcher.online(hub);
  return { mac, limn };
}

test("a reply to a mission that is over goes nowhere, and says how it is continued; one that is to begin gets it later", async () => {
  await using hub = await startHub();
  const { mac, limn } = await pair(hub);
  limn.level = "once";
  const { mission_id: id = "", thread_id = "" } = await ask(mac, "web@s-a", "begin");
  const reply = (from: string, more: object = {}) =>
    mac.request<ChatAnswer>("route", routeInput(from, undefined, "and?", { thread_id, ...more }));
  const early = await reply("mac/web@s-a", { await_delivery: false });
  expect(early).toMatchObject({
    status: "queued",
    reason: `mission ${id} is pending_approval; delivered when its agent's session is open`,
  });
  await decide(hub, "approve");
  await limn.end(id);
  limn.level = "never";
  const over = `mission ${id} is completed, and its agent has ended`;
  for (const to of [undefined, `limn/api@${id}`]) {
    const input = routeInput("mac/web@s-a", to, "and now?", { thread_id });
    expect(await mac.request<ChatAnswer>("route", input)).toEqual({
      status: "no_active_session",
      reason: over,
      hint: `intercom_ask(to="limn/api", mission_id="${id}", message="…") continues it`,
    });
  }
  const chat = routeInput("mac/web@s-a", `limn/api@${id}`, "a new thread", {});
  expect((await refusal(mac.request("route", chat))).code).toBe("unknown_session");
  // a person is heard by who asked, and not kept for an agent that is gone
  const said = await hub.person(
    "POST",
    "/api/route",
    routeInput("human", undefined, "well done", { thread_id }),
  );
  expect(said.body as unknown).toMatchObject({ status: "delivered", to: "mac/web@s-a" });
  const alone = routeInput("human", `limn/api@${id}`, "well done", { thread_id });
  expect((await hub.person("POST", "/api/route", alone)).body as unknown).toEqual({
    status: "no_active_session",
    reason: over,
    hint: `ai-intercom ask limn/api "…" --continue ${id}`,
  });
});

test("a revoked machine's missions end", async () => {
  await using hub = await startHub();
  const { mac, limn } = await pair(hub);
  const running = await ask(mac, "web@s-a", "running");
  limn.level = "once";
  const waiting = await ask(mac, "web@s-a", "waiting");
  await hub.person("POST", "/api/machines/limn/revoke", {});
  expect(await detail(hub, running.mission_id)).toMatchObject({
    status: "lost",
    reason: "machine limn was revoked",
  });
  expect(await detail(hub, waiting.mission_id)).toMatchObject({
    status: "failed",
    reason: "machine limn was revoked",
  });
  expect(await pending(hub)).toEqual([]);
  expect(await responded(mac, 2)).toHaveLength(2);
});

test("what a revoked machine asked for ends elsewhere too, running or in the queue; what others asked for goes on", async () => {
  await using hub = await startHub();
  const { mac, limn } = await pair(hub);
  const other = await Peer.online(hub, "mini", "web@s-m");
  const running = await ask(mac, "web@s-a", "running");
  limn.begin = (start) => limn.take(start, "queued");
  const taken = await ask(mac, "web@s-a", "behind others");
  limn.begin = (start) => limn.take(start);
  const foreign = await ask(other, "web@s-m", "of another machine");
  await hub.person("POST", "/api/machines/mac/revoke", {});
  const told = (id: unknown) => limn.cancels.filter(({ mission_id }) => mission_id === id);
  for (const { mission_id: id = "" } of [running, taken]) {
    await waitFor("its machine to be told", () => told(id).length > 0);
    expect(told(id)[0]).toMatchObject({ reason: "machine mac was revoked" });
    await limn.end(id, "cancelled", { reason: "machine mac was revoked" });
    expect(await detail(hub, id)).toMatchObject({ status: "cancelled" });
  }
  expect(await detail(hub, foreign.mission_id)).toMatchObject({ status: "running" });
  expect(told(foreign.mission_id)).toEqual([]);
});

test("a revoked machine's grants and asks end with it: its name, joined again, inherits nothing", async () => {
  await using hub = await startHub();
  const { mac, limn } = await pair(hub);
  limn.level = "once";
  const granted = await ask(mac, "web@s-a", "granted");
  await decide(hub, "approve", "always");
  await limn.end(String(granted.mission_id));
  const waiting = await ask(mac, "web@s-a", "waiting", { mission: { require_approval: "always" } });
  const [approval] = await pending(hub);
  await hub.person("POST", "/api/machines/mac/revoke", {});
  expect(await detail(hub, waiting.mission_id)).toMatchObject({
    status: "failed",
    reason: "machine mac was revoked",
  });
  const late = await hub.person("POST", `/api/approvals/${approval?.id}`, { decision: "approve" });
  expect([late.status, late.body.error.message]).toEqual([409, expect.stringContaining("withdrawn")]);
  const again = await Peer.online(hub, "mac", "web@s-new");
  expect(await ask(again, "web@s-new", "and?")).toMatchObject({ status: "pending_approval" });
  // not even under the old session's name, which it may know
  const other = await Peer.online(hub, "mac2", "web@s-a");
  const refused = (what: Promise<unknown>) => what.then(String, (error) => String(error.code ?? error));
  const { mission_id: id } = granted;
  expect(await refused(again.request("mission", { id }))).toBe(
    await refused(other.request("mission", { id })),
  );
  const { missions } = await again.request<{ missions: { text: string }[] }>("missions", {});
  expect(missions.map(({ text }) => text)).toEqual(["and?"]);
  const goOn = ask(again, "web@s-new", "more", { mission: { continues: id }, to: undefined });
  expect(await refused(goOn)).toBe(await refused(other.request("mission", { id })));
  expect(await refused(goOn)).toBe("unknown_mission");
});
