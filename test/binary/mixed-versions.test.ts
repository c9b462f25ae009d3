// Neighbouring versions at work: the built program as N−1, and as N the same source with a link protocol and a
// database schema more (`--next`). Hub and daemon are each of either, mail waits on every side, the way leads up and
// down again, and nothing is lost, doubled, or left behind in silence.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { hostTarget } from "../../build/targets.ts";
import { version } from "../../package.json";
import type { ScriptedAgent } from "../rig/agent.ts";
import { binary } from "../rig/binary.ts";
import { doctor } from "../rig/doctor.ts";
import { Fleet, type Machine } from "../rig/fleet.ts";
import { built, freeAddress, installed, release } from "../rig/release.ts";
import { waitFor } from "../rig/wait.ts";

const fileOf = (wanted: string) => `ai-intercom-${wanted}-${hostTarget().name}.gz`;
const next = "9.0.0";
let releases = "";
let nextProgram = "";

beforeAll(async () => {
  releases = await mkdtemp("/tmp/aii-mixed-");
  nextProgram = built(next, `${releases}/next-program`, "--next");
  await release(releases, {
    [fileOf(next)]: await Bun.file(nextProgram).bytes(),
    [fileOf(version)]: await Bun.file(binary).bytes(),
  });
}, 120_000);
afterAll(() => rm(releases, { recursive: true, force: true }));

async function machine(fleet: Fleet, name: string): Promise<Machine> {
  const added = fleet.add(name, { AI_INTERCOM_BASE_URL: releases });
  await installed(added, binary);
  return added;
}

async function say(
  from: ScriptedAgent,
  to: string,
  message: string,
  expected = "delivered",
): Promise<string> {
  const { status, message_id } = await from.call("intercom_chat", { to, message, if_no_session: "queue" });
  expect([message, status]).toEqual([message, expected]);
  return message_id;
}

async function goTo(one: Machine, wanted: string, ...words: string[]): Promise<string> {
  const { code, out, err } = await one.run(["self-upgrade", "--version", wanted, ...words]);
  expect([one.name, code, err]).toEqual([one.name, 0, ""]);
  return out;
}

const runs = async (one: Machine) => (await one.json("status")).version;
/** of this version's database; the next one has one more */
const schema: number = JSON.parse(Bun.spawnSync([binary, "--version", "--json"]).stdout.toString()).schema;
const before = (one: Machine) => `${one.home}/hub.db.before-${schema + 1}`;

/** What a hook of the agent hands over; it gives up after 500 ms on a busy machine, and is asked again. */
const taken = (agent: ScriptedAgent) =>
  waitFor("the hook's mail", async () => (await agent.take()) || undefined);
const times = (text: string, part: string) => text.split(part).length - 1;

test("up and down again, one after the other, with mail waiting in an inbox, in an outbox and at the hub", async () => {
  await using fleet = await Fleet.empty();
  const [limn, atlas, mac] = [
    await machine(fleet, "limn"),
    await machine(fleet, "atlas"),
    await machine(fleet, "mac"),
  ];
  const listen = freeAddress();
  const serveHub = () => limn.serve("standalone", "--listen", listen);
  let hub = await serveHub();
  for (const one of [atlas, mac]) {
    await one.json("join", (await limn.json("invite")).code);
    await one.serve("daemon");
    await one.linked();
  }
  await limn.json("install", "claude");
  const [api, web, app] = [await limn.agent("api"), await atlas.agent("web"), await mac.agent("app")];

  // up: mail waits in web's inbox, at the hub for mac, and in atlas's outbox
  await say(api, "atlas/web", "in an inbox");
  await mac.server?.kill();
  await say(api, "mac/app", "at the hub", "queued");
  await hub.kill();
  await say(web, "limn/api", "in an outbox", "queued");
  await goTo(atlas, next);
  expect(await runs(atlas)).toBe(next);

  // hub N−1, daemon N: it dials in the older protocol
  hub = await serveHub();
  await atlas.linked();
  expect(atlas.server?.log()).toContain("the hub is older");
  expect(await waitFor("the outbox's mail", async () => nonEmpty(await api.read()))).toEqual([
    "in an outbox",
  ]);
  await say(api, "atlas/web", "from an older hub");
  await say(web, "limn/api", "to an older hub");

  // hub N, daemon N−1
  await goTo(limn, next);
  expect([await runs(limn), await Bun.file(before(limn)).exists()]).toEqual([next, true]);
  expect((await doctor(limn)).codes).toContain("agent"); // hooks that N−1 wrote are what N would write
  await atlas.linked();
  await mac.serve("daemon");
  await mac.linked();
  expect(await runs(mac)).toBe(version);
  expect(await waitFor("the hub's mail", async () => nonEmpty(await app.read()))).toEqual(["at the hub"]);
  await say(api, "mac/app", "from a newer hub");
  await say(app, "limn/api", "to a newer hub");
  // an agent of N at a daemon of N−1: its MCP server and its hooks
  const newer = await mac.agent("newer", { program: nextProgram });
  expect((await doctor(mac)).text("session_server_version")).toContain(
    `its MCP server is ${next}, this program ${version}`,
  );
  await say(newer, "limn/api", "from a newer server");
  await say(api, "mac/newer", "to a newer hook");
  expect(times(await taken(newer), "to a newer hook")).toBe(1);
  // agents of N−1 at daemons of N, by hook and by tool
  const inbox = await taken(web);
  for (const text of ["in an inbox", "from an older hub"])
    expect([text, times(inbox, text)]).toEqual([text, 1]);
  expect(await api.read()).toEqual(["to an older hub", "to a newer hub", "from a newer server"]);
  expect(await app.read()).toEqual(["from a newer hub"]);

  // down: mail waits everywhere again, and some of it only in the newer database
  await say(api, "atlas/web", "kept in an inbox");
  await mac.server?.kill();
  const lost = await say(api, "mac/app", "for a machine that is away", "queued");
  await say(web, "human", "for the person");
  const refused = await limn.run(["self-upgrade", "--version", version]);
  expect([refused.code, refused.err]).toEqual([
    1,
    expect.stringContaining(
      `error: ${version} cannot use the hub's database: it has schema ${schema + 1}, that version knows ${schema}\ntry: stop the hub (process ${hub.pid}), then go back to the copy from before, ${before(limn)}, without what came since: ai-intercom self-upgrade --version ${version} --restore\n`,
    ),
  ]);
  const served = await limn.run(["self-upgrade", "--version", version, "--restore"]);
  expect([served.code, served.err]).toEqual([1, expect.stringContaining("and the hub uses it now\n")]);
  expect([await runs(limn), (await limn.json("status")).pid]).toEqual([next, hub.pid]);
  await hub.kill();
  await say(web, "limn/api", "in an outbox again", "queued");
  const told = await goTo(limn, version, "--restore");
  expect(told).toContain(`again what ${before(limn)} holds`);
  expect(told).toContain("not delivered to anybody; have it sent again (2):\n");
  expect(told).toMatch(new RegExp(`  ${lost}  limn/api@\\S+ → mac/app\\S*  queued\n`));
  expect(told).toMatch(/ {2}\S+ {2}atlas\/web@\S+ → human {2}delivered\n/);
  const kept = (await readdir(limn.home)).filter((name) => name.startsWith("hub.db.newer-"));
  expect(kept.length).toBe(1);

  hub = await serveHub();
  expect(await runs(limn)).toBe(version);
  await atlas.linked();
  await mac.serve("daemon");
  await mac.linked();
  expect(await waitFor("the outbox's mail", async () => nonEmpty(await api.read()))).toEqual([
    "in an outbox again",
  ]);
  expect(await web.read()).toEqual(["kept in an inbox"]);
  // the copy still had "at the hub" waiting: mac has it already, and its agent does not get it twice
  await say(api, "mac/app", "after");
  expect(await app.read()).toEqual(["after"]);
  await say(api, "atlas/web", "last");
  await goTo(atlas, version);
  await atlas.linked();
  expect(await web.read()).toEqual(["last"]);
}, 120_000);

test("an older program on a newer database says what to do, and that does it", async () => {
  await using fleet = await Fleet.empty();
  const limn = await machine(fleet, "limn");
  const serve = async () => (await limn.serve("standalone", "--listen", "127.0.0.1:0")).kill();
  await serve();
  await installed(limn, nextProgram);
  await serve();
  await installed(limn, binary);
  const { code, err } = await limn.run(["standalone", "--listen", "127.0.0.1:0"]);
  expect([code, err]).toEqual([
    1,
    expect.stringContaining(`was written by a newer ai-intercom (schema ${schema + 1};`),
  ]);
  expect(err).toContain("ai-intercom self-upgrade --restore\n");
  const back = await limn.json("self-upgrade", "--restore");
  expect(back).toEqual({ copy: before(limn), kept: expect.stringContaining("hub.db.newer-"), waiting: [] });
  await serve();
  expect((await limn.run(["self-upgrade", "--restore"])).out).toBe(
    "the hub's database can be used as it is\n",
  );
}, 120_000);

const nonEmpty = <T>(list: T[]): T[] | undefined => (list.length > 0 ? list : undefined);
