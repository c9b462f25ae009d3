// self-upgrade, with the built program as the old version and the same source stamped 9.0.0 as the new one: what runs
// goes on, mail waits and arrives, neighbours of both versions talk; and every way to fail leaves the old program.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { chmod, mkdir, mkdtemp, readdir, readlink, rm } from "node:fs/promises";
import { hostTarget } from "../../build/targets.ts";
import { version } from "../../package.json";
import { binary } from "../rig/binary.ts";
import { Fleet, type Machine, type Ran } from "../rig/fleet.ts";
import {
  built,
  foreignPrograms,
  freeAddress,
  installed,
  nobody,
  release,
  serveRelease,
} from "../rig/release.ts";
import { systemdMissing, UserSystemd } from "../rig/systemd.ts";
import { waitFor } from "../rig/wait.ts";

const target = hostTarget().name;
const fileOf = (wanted: string) => `ai-intercom-${wanted}-${target}.gz`;
let shelf = "";
let releases = "";

beforeAll(async () => {
  shelf = await mkdtemp("/tmp/aii-shelf-");
  releases = `${shelf}/releases`;
  await mkdir(releases);
  built("9.0.0", `${shelf}/next`);
  await release(releases, {
    [fileOf("9.0.0")]: await Bun.file(`${shelf}/next`).bytes(),
    [fileOf(version)]: await Bun.file(binary).bytes(),
    "ai-intercom-99.0.0-plan9-mips.gz": "for another machine",
  });
}, 120_000);

afterAll(() => rm(shelf, { recursive: true, force: true }));

/** A hub and daemon with a program of its own, on a port that outlives a restart. */
async function upgradable(fleet: Fleet, env: Record<string, string> = {}) {
  const limn = fleet.add("limn", { AI_INTERCOM_BASE_URL: releases, ...env });
  const bin = await installed(limn, binary);
  const listen = freeAddress();
  const server = await limn.serve("standalone", "--listen", listen);
  await limn.linked();
  return { limn, bin, listen, server };
}

const runs = async (machine: Machine) => (await machine.json("status")).version;
const upgrade = (machine: Machine, ...words: string[]): Promise<Ran> =>
  machine.run(["self-upgrade", ...words]);

test("--check only says; without a newer one nothing is done", async () => {
  await using fleet = await Fleet.empty();
  const limn = fleet.add("limn", { AI_INTERCOM_BASE_URL: releases });
  const bin = await installed(limn, binary);
  expect(await limn.json("self-upgrade", "--check")).toEqual({ version, available: "9.0.0", newer: true });
  await installed(limn, `${shelf}/next`);
  expect((await upgrade(limn)).out).toBe("9.0.0 is the newest\n");
  expect((await readdir(bin)).sort()).toEqual(["ai-intercom"]);
});

test("mail waits, sessions of the old version go on, there and back", async () => {
  await using fleet = await Fleet.empty();
  const { limn, bin, server } = await upgradable(fleet);
  const api = await limn.agent("api");
  const web = await limn.agent("web");
  const say = async (text: string) =>
    expect((await api.call("intercom_chat", { to: "limn/web", message: text })).status).toBe("delivered");
  await say("before");

  const { code, out, err } = await upgrade(limn);
  expect([code, err]).toEqual([0, ""]);
  expect(out).toContain(`hub and daemon: 9.0.0, same process (pid ${server.pid})`);
  expect(out).toContain(`from ${version} to 9.0.0`);
  expect(await runs(limn)).toBe("9.0.0");
  expect((await readdir(bin)).sort()).toEqual(["ai-intercom", "ai-intercom.previous"]);
  await say("in between"); // both MCP servers are of the old version
  // a hook of the old version asks the new daemon; it gives up after 500 ms on a busy machine
  const taken = await waitFor("the hook's mail", async () => (await web.take()) || undefined);
  for (const text of ["before", "in between"]) expect(taken.split(text).length).toBe(2);

  expect((await upgrade(limn, "--version", version)).code).toBe(0);
  expect(await runs(limn)).toBe(version);
  await say("after");
  expect(await web.read()).toEqual(["after"]);
  expect((await web.session()).inbox_pending).toBe(0);
}, 60_000);

test("over http, a hub alone and a daemon alone, each its own process", async () => {
  await using fleet = await Fleet.empty();
  await using served = serveRelease(releases);
  const limn = fleet.add("limn", { AI_INTERCOM_BASE_URL: served.url });
  await installed(limn, binary);
  const listen = freeAddress();
  const hub = await limn.serve("hub", "--listen", listen);
  await limn.json("join", (await limn.json("invite")).code);
  const daemon = await limn.serve("daemon");
  await limn.linked();
  const { code, out, err } = await upgrade(limn);
  expect([code, err]).toEqual([0, ""]);
  expect(out).toContain(`hub: 9.0.0, same process (pid ${hub.pid})`);
  expect(out).toContain(`daemon: 9.0.0, same process (pid ${daemon.pid})`);
  await limn.linked();
}, 60_000);

test("machines upgrade: refused unless that machine allows it, never backwards; then done and followed", async () => {
  await using fleet = await Fleet.empty();
  const { limn } = await upgradable(fleet);
  const atlas = fleet.add("atlas", { AI_INTERCOM_BASE_URL: releases });
  await installed(atlas, binary);
  await atlas.json("join", (await limn.json("invite")).code);
  const first = await atlas.serve("daemon");
  await atlas.linked();
  const refused = await limn.run(["machines", "upgrade", "atlas"]);
  expect(refused.code).toBe(1);
  expect(refused.err).toContain("error: machine atlas does not take upgrades from its hub\n");
  expect(refused.err).toContain("upgrade.allowed: true");
  expect(await runs(atlas)).toBe(version);
  await first.kill();

  atlas.extraEnv.AI_INTERCOM_UPGRADE_ALLOWED = "true";
  const daemon = await atlas.serve("daemon");
  await atlas.linked();
  const web = await atlas.agent("web");
  const api = await limn.agent("api");
  const { code, out, err } = await limn.run(["machines", "upgrade", "atlas"]);
  expect([code, err, out]).toEqual([0, "", `atlas runs ${version}; it has begun\natlas runs 9.0.0\n`]);
  expect([await runs(atlas), await runs(limn), daemon.pid]).toEqual([
    "9.0.0",
    version,
    (await atlas.json("status")).pid,
  ]);
  // hub N−1 with daemon N, both ways
  expect((await api.call("intercom_chat", { to: "atlas/web", message: "down" })).status).toBe("delivered");
  expect((await web.call("intercom_chat", { to: "limn/api", message: "up" })).status).toBe("delivered");
  // hub N with daemon N, then N with N−1 on the other side
  expect((await upgrade(limn)).code).toBe(0);
  expect((await upgrade(atlas, "--version", version)).code).toBe(0);
  await atlas.linked();
  expect([await runs(atlas), await runs(limn)]).toEqual([version, "9.0.0"]);
  expect((await api.call("intercom_chat", { to: "atlas/web", message: "down again" })).status).toBe(
    "delivered",
  );
  expect(await web.read()).toEqual(["down", "down again"]);
  expect(await api.read()).toEqual(["up"]);

  const back = await limn.run(["machines", "upgrade", "atlas", "--version", "0.0.9"]);
  expect([back.code, back.err]).toEqual([1, expect.stringContaining("a hub may not take a machine back")]);
  const absent = await limn.run(["machines", "upgrade", "atlas", "--version", "9.9.9", "--json"]);
  expect([absent.code, JSON.parse(absent.err).error.code]).toEqual([1, "upgrade_unwell"]);
  expect(absent.err).toContain("lists no ai-intercom 9.9.9");
  expect(await runs(atlas)).toBe(version);
}, 120_000);

test("an agent cannot upgrade what it runs in, nor restart it", async () => {
  await using fleet = await Fleet.empty();
  const { limn, bin, server } = await upgradable(fleet);
  const api = await limn.agent("api");
  const said = await api.shell(`${limn.program} self-upgrade 2>&1 || true`);
  expect(said).toContain("error: ");
  expect(said).toMatch(/only a person|was started by the agent/);
  const posted = await api.shell(
    `for s in hub daemon; do curl -s --unix-socket "$AI_INTERCOM_HOME/run/$s.sock" -X POST -H "x-ai-intercom-pid: $$" http://x/api/restart; done`,
  );
  expect(posted.match(/person_only/g)?.length).toBe(2);
  expect([(await readdir(bin)).sort(), await runs(limn), server.pid]).toEqual([
    ["ai-intercom"],
    version,
    (await limn.json("status")).pid,
  ]);
}, 60_000);

/** Answers as the new version when it is tried, and does `then` when it is to serve. */
const pretender = (then: string) =>
  `#!/bin/sh\nif [ "$1" = --version ]; then echo '{"version":"9.0.0","target":"${target}"}'; exit 0; fi\n${then}\n`;

async function folderWith(content: string | Uint8Array): Promise<string> {
  const folder = await mkdtemp(`${shelf}/folder-`);
  await release(folder, { [fileOf("9.0.0")]: content });
  return folder;
}

test("nothing is changed by a wrong checksum, a cut download, a program that does not run or is another", async () => {
  await using fleet = await Fleet.empty();
  const { limn, bin, server } = await upgradable(fleet);
  const tampered = await folderWith("x");
  await Bun.write(`${tampered}/${fileOf("9.0.0")}`, Bun.gzipSync(Buffer.from(pretender("exit 0"))));
  const whole = await folderWith("x".repeat(1000));
  await using cut = serveRelease(whole, fileOf("9.0.0"));
  using closing = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    socket: { data: (socket) => void socket.end() },
  });
  const cases: [string, RegExp][] = [
    [tampered, /is not what SHA256SUMS says/],
    [
      cut.url,
      /^error: the download of http\S+\.gz was cut: \d+ of 1000 bytes were read\ntry: nothing was changed; try again\n$/,
    ],
    [
      `http://127.0.0.1:${closing.port}`,
      /SHA256SUMS cannot be read: the connection was closed before an answer/,
    ],
    [`http://${freeAddress()}`, /SHA256SUMS cannot be read: nobody answers there\n/],
    [
      await folderWith("#!/bin/sh\necho no such\necho library >&2\nexit 127\n"),
      /does not run on this machine: it exits with 127, and says: library\n/,
    ],
    [await folderWith('#!/bin/sh\necho \'{"version":"6.6.6"}\'\n'), /does not say that it is 9\.0\.0 for /],
    [`${shelf}/nowhere`, /SHA256SUMS cannot be read/],
  ];
  for (const [, content, why] of foreignPrograms)
    cases.push([await folderWith(await content()), new RegExp(`does not run on this machine: .*${why}`)]);
  for (const [folder, expected] of cases) {
    const ran = await limn.run(["self-upgrade"], { env: { AI_INTERCOM_BASE_URL: folder } });
    expect([folder, ran.code]).toEqual([folder, 1]);
    expect(ran.err).toMatch(expected);
    expect(ran.err).toMatch(/^error: .*\ntry: .*nothing was changed.*\n$/);
    expect((await readdir(bin)).sort()).toEqual(["ai-intercom"]);
  }
  expect((await limn.json("status")).pid).toBe(server.pid);
}, 60_000);

/** An upgrade that waits for what does not come, on a busy machine: the test's own deadline bounds it. */
async function patiently(machine: Machine, env: Record<string, string>, as: string[] = []): Promise<Ran> {
  const child = Bun.spawn([...as, machine.program, "self-upgrade"], {
    env: { ...machine.env, ...env },
    cwd: "/",
    stdio: ["ignore", "pipe", "pipe"],
  });
  const [out, err, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { code, out, err };
}

test.if(process.getuid?.() === 0)(
  "a program that another user owns, in a folder that is read-only or sticky: said before anything is fetched",
  async () => {
    await using fleet = await Fleet.empty();
    await chmod(fleet.root, 0o755);
    const limn = fleet.add("limn");
    const bin = await installed(limn, binary);
    for (const [mode, said] of [
      [0o755, `${bin} cannot be written to`],
      [
        0o1777,
        `${bin}/ai-intercom belongs to another user, in a directory where only that one may replace it`,
      ],
    ] as const) {
      await chmod(bin, mode);
      const env = { AI_INTERCOM_BASE_URL: releases };
      const { code, out, err } = await patiently(limn, env, nobody);
      expect([mode, code, out, err]).toEqual([
        mode,
        1,
        "",
        `error: ${said}; nothing was changed\ntry: run this as whoever installed it: ls -ld ${bin} ${bin}/ai-intercom\n`,
      ]);
      expect((await readdir(bin)).sort()).toEqual(["ai-intercom"]);
    }
  },
);

test("a new program that ends at once: the old one is back and runs as it was started by hand, mail and all", async () => {
  await using fleet = await Fleet.empty();
  const limn = fleet.add("limn", { AI_INTERCOM_UPGRADE_PATIENCE: "5" });
  const bin = await installed(limn, binary);
  const listen = freeAddress();
  const directory = `${fleet.root}/a place`;
  const log = `${directory}/out.log`;
  await mkdir(directory);
  await Bun.write(`${directory}/own.yml`, `hub: {listen: "${listen}"}\n`, { mode: 0o600 });
  const words = ["standalone", "--config", "own.yml"];
  const server = Bun.spawn(["/bin/sh", "-c", 'exec "$@" >out.log 2>&1', "sh", limn.program, ...words], {
    env: { ...limn.env, ONLY_HERE: "a=b c" },
    cwd: directory,
  });
  let again: number | undefined;
  try {
    await waitFor("the hub", async () => (await limn.run(["status"])).code === 0);
    await limn.linked();
    const api = await limn.agent("api");
    const web = await limn.agent("web");
    await api.call("intercom_chat", { to: "limn/web", message: "kept" });
    const ran = await patiently(limn, {
      AI_INTERCOM_BASE_URL: await folderWith(pretender("exit 1")),
    });
    again = Number(/as process (\d+); to end it: kill \1\n/.exec(ran.err)?.[1]);
    expect([ran.code, await server.exited]).toEqual([1, 1]);
    expect(ran.err).toContain("its process has ended; the old program");
    expect(ran.err).toContain("\ntry: the hub and daemon started anew with all it had, as process ");
    expect(await Bun.file(`${bin}/ai-intercom`).bytes()).toEqual(await Bun.file(binary).bytes());
    const { pid, version: now } = await limn.json("status");
    expect([pid, now]).toEqual([again, version]);
    const of = (name: string) => Bun.file(`/proc/${again}/${name}`).text();
    expect((await of("cmdline")).split("\0")).toEqual([limn.program, ...words, ""]);
    expect(await readlink(`/proc/${again}/cwd`)).toBe(directory);
    expect((await of("environ")).split("\0")).toContain("ONLY_HERE=a=b c");
    expect((await Bun.file(log).text()).match(/hub listening on/g)?.length).toBe(2);
    await waitFor("the session again", async () => (await web.session())?.inbox_pending === 1);
    expect(await web.read()).toEqual(["kept"]);
  } finally {
    server.kill("SIGKILL");
    if (again) process.kill(again, "SIGKILL");
  }
}, 120_000);

test.skipIf(systemdMissing !== undefined)(
  "a new program that ends well at once, in a service: systemd lets it be, and the upgrade has it start the old one",
  async () => {
    await using systemd = await UserSystemd.start();
    await using fleet = await Fleet.empty();
    const limn = fleet.add("limn", systemd.env);
    await installed(limn, binary);
    await limn.configure({
      machine: { id: "limn" },
      hub: { listen: freeAddress() },
      upgrade: { patience: 5 },
    });
    const { pid } = await limn.json("service", "install");
    await limn.linked();
    const ran = await patiently(limn, {
      AI_INTERCOM_BASE_URL: await folderWith(pretender("exit 0")),
    });
    expect([ran.code, ran.err]).toEqual([1, expect.stringContaining("try: it runs as before")]);
    const now = await limn.json("service", "status");
    expect([now.running, now.pid === pid, await runs(limn)]).toEqual([true, false, version]);
  },
  120_000,
);

test("a new program that hangs, under a service manager: ended, and the old one runs again", async () => {
  await using fleet = await Fleet.empty();
  const limn = fleet.add("limn", { AI_INTERCOM_BASE_URL: releases, AI_INTERCOM_UPGRADE_PATIENCE: "2" });
  await installed(limn, binary);
  const listen = freeAddress();
  // what Restart=on-failure does
  const manager = Bun.spawn(
    ["/bin/sh", "-c", `while :; do "$0" standalone --listen ${listen}; done`, limn.program],
    { env: limn.env, stdio: ["ignore", "ignore", "ignore"] },
  );
  try {
    await waitFor("the hub", async () => (await limn.run(["status"])).code === 0);
    const { pid } = await limn.json("status");
    const ran = await limn.run(["self-upgrade"], {
      env: { AI_INTERCOM_BASE_URL: await folderWith(pretender("exec sleep 600")) },
    });
    expect(ran.code).toBe(1);
    expect(ran.err).toContain("the old program");
    expect(ran.err).toContain("try: it runs as before; its log says more\n");
    const now = await limn.json("status");
    expect([now.version, now.pid === pid]).toEqual([version, false]);
    const record = await Bun.file(`${limn.home}/run/upgrade.json`).json();
    expect(record).toMatchObject({ status: "rolled_back", from: version });
  } finally {
    manager.kill("SIGKILL");
    const { pid } = await limn.json("status").catch(() => ({ pid: undefined }));
    if (pid) process.kill(pid, "SIGKILL");
    await manager.exited;
  }
}, 60_000);
