// `doctor` on real homes: all is fine, and each thing that can be wrong, made wrong: the code, the fix, the exit code.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { appendFile, chmod, chown, cp, mkdir, mkdtemp, readdir, rm, symlink } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import { binary } from "../rig/binary";
import { type DoctorReport, doctor } from "../rig/doctor";
import { Fleet, type Machine } from "../rig/fleet";
import { waitFor } from "../rig/wait";

let fleet: Fleet;
let tools: string;
let bell: Server;
beforeAll(async () => {
  tools = await mkdtemp("/tmp/aii-tools-");
  await symlink(binary, `${tools}/ai-intercom`);
  bell = createServer().listen(`${tools}/bell.sock`);
  fleet = await Fleet.start(["limn"], {
    PATH: `${tools}:${process.env.PATH}`,
    CLAUDE_CODE_MESSAGING_SOCKET: `${tools}/bell.sock`,
  });
}, 60_000);
afterAll(async () => {
  await fleet[Symbol.asyncDispose]();
  bell.close();
  await rm(tools, { recursive: true, force: true });
});

const limn = () => fleet.machine("limn");
const isRoot = process.getuid?.() === 0;
let made = 0;
/** A home of its own in which nothing runs. */
const newHome = (env: Record<string, string> = {}) => fleet.add(`h${++made}`, env);
async function madeHome(env: Record<string, string> = {}): Promise<Machine> {
  const machine = newHome(env);
  await mkdir(machine.home, { mode: 0o700 });
  return machine;
}

test("all is fine: every line ok, exit 0, one line each", async () => {
  await limn().agent("app");
  await limn().json("install", "claude");
  const report = await doctor(limn());
  expect(report.notOk).toEqual([]);
  expect({ code: report.code, state: report.state }).toEqual({ code: 0, state: "ok" });
  expect(report.codes).toEqual([
    ...["home", "disk", "config", "key", "socket", "program", "daemon", "hub", "clock", "link", "outbox"],
    ...["database", "session", "agent"],
  ]);
  expect(report.text("session")).toMatch(
    /^limn\/app@s-.*: claude, active, hooks seen, woken by its socket, no unread mail$/,
  );
  const { code, out } = await limn().run(["doctor"]);
  const lines = out.trimEnd().split("\n");
  expect({ code, lines: lines.length }).toEqual({ code: 0, lines: report.codes.length });
  for (const line of lines) expect(line).toMatch(/^ok {4}[a-z_]+ +\S/);
});

test("nothing here yet: exit 3 and how to start", async () => {
  const report = await doctor(newHome());
  expect(report.code).toBe(3);
  expect(report.fix("home_missing")).toContain("ai-intercom standalone");
  expect(report.fix("daemon_unreachable")).toContain("ai-intercom standalone");
  expect(report.fix("hub_unreachable")).toContain("ai-intercom standalone");
});

describe("a home that is not as it should be", () => {
  type Case = [what: string, wrong: (home: string) => Promise<unknown>, code: string, fix: RegExp];
  const cases: Case[] = [
    ["open to others", (home) => chmod(home, 0o755), "home_open", /^chmod 700 \S+\/h\d+$/],
    [
      "an open inbox",
      async (home) => {
        await mkdir(`${home}/inbox`);
        await chmod(`${home}/inbox`, 0o750);
      },
      "home_open",
      /^chmod 700 \S+\/inbox$/,
    ],
    ["a file in place of run", (home) => Bun.write(`${home}/run`, ""), "home_unusable", /^mv \S+\/run /],
    [
      "an open file",
      (home) => write(`${home}/daemon.json`, "{}", 0o644),
      "file_open",
      /^chmod 600 \S+daemon.json$/,
    ],
    [
      "a readable config.yml with a secret",
      (home) => write(`${home}/config.yml`, "metrics:\n  token: abc\n", 0o644),
      "file_open",
      /^chmod 600 \S+config.yml$/,
    ],
    ["no YAML", (home) => write(`${home}/config.yml`, "a: [b"), "config_invalid", /correct the file/],
    [
      "a wrong value",
      (home) => write(`${home}/config.yml`, "language: de"),
      "config_invalid",
      /correct language in/,
    ],
    [
      "an unknown key",
      (home) => write(`${home}/config.yml`, "langage: fr"),
      "config_unknown_key",
      /write language$/,
    ],
    [
      "an open key",
      (home) => write(`${home}/machine.key`, "x", 0o644),
      "key_unusable",
      /^chmod 600 \S+machine.key$/,
    ],
    ["no key in it", (home) => write(`${home}/machine.key`, "x"), "key_unusable", /ai-intercom join CODE/],
    [
      "lines set aside",
      async (home) => {
        await mkdir(`${home}/inbox`, { mode: 0o700 });
        await write(`${home}/inbox/s-1.corrupt`, "torn");
      },
      "quarantined",
      /^look at it, then remove it: less \S+s-1.corrupt; rm \S+s-1.corrupt$/,
    ],
    [
      "a dead writer's file",
      (home) => write(`${home}/daemon.json.4194304.tmp`, "{"),
      "stale_file",
      /^rm \S+4194304.tmp$/,
    ],
  ];
  for (const [what, wrong, code, fix] of cases)
    test(`${what} → ${code}`, async () => {
      const machine = await madeHome();
      await wrong(machine.home);
      const before = await listing(machine.home);
      const report = await doctor(machine);
      expect(report.codes).toContain(code);
      expect(report.fix(code)).toMatch(fix);
      expect(await listing(machine.home)).toEqual(before);
    });

  test("a config.yml without a secret may be readable", async () => {
    const machine = await madeHome();
    await write(`${machine.home}/config.yml`, "language: fr\n", 0o644);
    expect((await doctor(machine)).codes).not.toContain("file_open");
  });

  test("a path that is too long for a socket", async () => {
    const home = `${fleet.root}/${"long".repeat(30)}`;
    const report = await doctor(newHome({ AI_INTERCOM_HOME: home }));
    expect(report.fix("socket_path_long")).toContain("AI_INTERCOM_HOME");
    expect(report.code).toBe(1);
  });

  test.if(isRoot)("another user's home", async () => {
    const machine = await madeHome();
    await chown(machine.home, 12_345, 12_345);
    expect((await doctor(machine)).fix("home_unusable")).toContain("chown -R");
  });

  const disks: [size: string, option: string, code: string, fix: string][] = [
    ["8m", "rw", "disk_full", "df -h"],
    ["64m", "rw", "disk_low", "df -h"],
    ["200m", "ro", "home_read_only", "remount,rw"],
  ];
  for (const [size, option, code, fix] of disks)
    test.if(isRoot)(`a disk of ${size}, ${option} → ${code}`, async () => {
      const machine = await madeHome();
      await mount(machine.home, `size=${size},mode=0700,${option}`);
      try {
        const report = await doctor(machine);
        expect(report.codes).toContain(code);
        expect(report.fix(code)).toContain(fix);
      } finally {
        await Bun.$`umount ${machine.home}`;
      }
    });
});

describe("the hub as it answers", () => {
  const later = (seconds: number) => ({ date: new Date(Date.now() + seconds * 1000).toUTCString() });
  const about = { hub: true, name: "x", version: "0.1.0" };
  const cases: [what: string, answer: (path: string) => Response, code: string, fix: RegExp][] = [
    ["no hub at all", () => new Response("hello"), "hub_foreign", /correct hub.url in \S+config.yml/],
    ["ten minutes ahead", () => Response.json(about, { headers: later(600) }), "clock_skew", /timedatectl/],
    ["ten minutes behind", () => Response.json(about, { headers: later(-600) }), "clock_skew", /timedatectl/],
    ["two minutes ahead", () => Response.json(about, { headers: later(120) }), "clock_off", /timedatectl/],
    [
      "of another version",
      () => Response.json({ ...about, version: "9.9.9" }),
      "hub_version",
      /same version/,
    ],
    [
      "that cannot write",
      (path) => Response.json(about, { status: path === "/readyz" ? 500 : 200 }),
      "hub_store",
      /on the hub's host/,
    ],
  ];
  for (const [what, answer, code, fix] of cases)
    test(`${what} → ${code}`, async () => {
      await using server = Bun.serve({ port: 0, fetch: ({ url }) => answer(new URL(url).pathname) });
      const report = await doctor(newHome({ HUB_URL: `http://127.0.0.1:${server.port}` }));
      expect(report.codes).toContain(code);
      expect(report.fix(code)).toMatch(fix);
    });

  test("a damaged database", async () => {
    const machine = newHome();
    const server = await machine.serve("standalone", "--listen", "127.0.0.1:0");
    await machine.linked();
    await server.kill();
    expect((await doctor(machine)).codes).toContain("database");
    const file = Bun.file(`${machine.home}/hub.db`);
    const bytes = new Uint8Array(await file.arrayBuffer());
    bytes.fill(0xa5, 8192, 16_384);
    await Bun.write(file, bytes);
    const report = await doctor(machine);
    expect(report.fix("database_damaged")).toContain(".recover");
    expect(report.code).toBe(1);
  });
});

describe("machines of a hub", () => {
  test("waiting, denied, let in, revoked: the state of the link and what to do", async () => {
    const late = newHome({ HUB_URL: fleet.hubUrl });
    await late.serve("daemon");
    const pending = await reported(late, "link_pending");
    expect(pending.code).toBe(1);
    expect(pending.fix("link_pending")).toContain(`ai-intercom machines approve ${late.name}`);
    expect(pending.text("link_pending")).toContain((await late.json("status")).fingerprint);
    await limn().run(["machines", "deny", late.name]);
    expect((await reported(late, "link_denied")).fix("link_denied")).toContain("ai-intercom join CODE");
    const other = await fleet.join(`h${++made}`);
    await limn().run(["machines", "revoke", other.name]);
    const revoked = await reported(other, "link_revoked");
    expect(revoked.fix("link_revoked")).toContain("ai-intercom invite");
    expect(revoked.code).toBe(1);
  }, 60_000);

  test("a copied key: two daemons take the link from each other", async () => {
    const first = await fleet.join(`h${++made}`);
    const copy = newHome({ AI_INTERCOM_MACHINE_ID: first.name, HUB_URL: fleet.hubUrl });
    await mkdir(copy.home, { mode: 0o700 });
    await cp(`${first.home}/machine.key`, `${copy.home}/machine.key`);
    await chmod(`${copy.home}/machine.key`, 0o600);
    await copy.serve("daemon");
    expect((await reported(first, "daemon_second")).fix("daemon_second")).toContain("stop the other daemon");
    await copy.crash();
  }, 60_000);

  test("a daemon that hangs, is gone, lost its key, or is not the holder of the lock", async () => {
    const machine = await fleet.join(`h${++made}`);
    const { pid } = await machine.json("status");
    process.kill(pid, "SIGSTOP");
    const silent = await doctor(machine);
    process.kill(pid, "SIGCONT");
    expect(silent.fix("daemon_silent")).toContain(`kill ${pid}`);
    await appendFile(`${machine.home}/run/daemon.lock`, `${process.pid}\n`);
    await rm(`${machine.home}/machine.key`);
    const running = await doctor(machine);
    expect(running.fix("daemon_second")).toContain(`kill ${process.pid}`);
    expect(running.fix("key_missing")).toContain("from a backup");
    await Bun.write(`${machine.home}/run/daemon.lock`, "");
    await machine.crash();
    const gone = await doctor(machine);
    expect(gone.code).toBe(1); // the hub can be reached
    expect(gone.fix("daemon_unreachable")).toContain("ai-intercom daemon");
  }, 60_000);

  test("the hub is away: what waits here, and that it is not lost", async () => {
    await using own = await Fleet.start(["hub", "far"]);
    const far = own.machine("far");
    const agent = await far.agent("app");
    await own.machine("hub").crash();
    await waitFor("the link to break", async () => (await far.json("status")).link === "connecting");
    await agent.call("intercom_chat", { to: "hub/anything", message: "hello" });
    const report = await doctor(far);
    expect(report.code).toBe(1);
    expect(report.fix("hub_unreachable")).toContain("hub.url");
    expect(report.fix("link_connecting")).toContain("start the hub");
    expect(report.fix("outbox_waiting")).toContain("nothing is lost");
  }, 60_000);
});

describe("sessions", () => {
  test("no hooks, no server: after a moment of grace", async () => {
    await using child = Bun.spawn(["sleep", "600"]);
    const { body } = await limn().local("POST", "/api/session/register", {
      project: "bare",
      pid: child.pid,
      agent: "claude",
    });
    const report = await reported(limn(), "session_no_hooks");
    expect(report.text("session_no_hooks")).toContain(`limn/bare@${body.session_id}`);
    expect(report.fix("session_no_hooks")).toContain("ai-intercom install claude");
    expect(report.fix("session_no_server")).toContain("/mcp");
    expect(report.code).toBe(0);
  });

  test("no messaging socket; mail that waits behind a dialog", async () => {
    const machine = await fleet.join(`h${++made}`);
    const agent = await machine.agent("quiet");
    expect((await doctor(machine)).fix("session_not_woken")).toBe(
      "update Claude Code, then restart that session",
    );
    await mkdir(`${fleet.root}/.claude/sessions`, { recursive: true });
    const registry = `${fleet.root}/.claude/sessions/${agent.pid}.json`;
    await Bun.write(
      registry,
      JSON.stringify({ pid: agent.pid, status: "waiting", statusUpdatedAt: Date.now() }),
    );
    await limn().json("chat", `${machine.name}/quiet`, "are you there?");
    const waits = await reported(machine, "session_mail_waits");
    expect(waits.text("session_mail_waits")).toContain("1 unread: its agent waits for its person");
    expect(waits.fix("session_mail_waits")).toContain("answer the dialog");
  }, 60_000);
});

describe("agent CLIs and the program itself", () => {
  async function person(settings: string): Promise<Machine> {
    const machine = newHome();
    const home = `${fleet.root}/person-${machine.name}`;
    await mkdir(`${home}/.claude`, { recursive: true });
    await Bun.write(`${home}/.claude/settings.json`, settings);
    machine.extraEnv.HOME = home;
    return machine;
  }

  test("not installed, installed, switched off, outdated, unreadable", async () => {
    const machine = await person("{}");
    expect((await doctor(machine)).fix("agent_not_installed")).toBe("ai-intercom install claude");
    await machine.json("install", "claude");
    expect((await doctor(machine)).codes).toContain("agent");
    const settings = `${machine.extraEnv.HOME}/.claude/settings.json`;
    const installed = await Bun.file(settings).json();
    await Bun.write(settings, JSON.stringify({ ...installed, disableAllHooks: true }));
    const hindered = await doctor(machine);
    expect(hindered.text("agent_hindered")).toContain('"disableAllHooks" is true');
    await Bun.write(settings, JSON.stringify(installed).replaceAll(machine.home, "/elsewhere"));
    const outdated = await doctor(machine);
    expect(outdated.text("agent_outdated")).toContain("updates the inbox hook");
    expect(outdated.fix("agent_outdated")).toBe("ai-intercom install claude");
    await Bun.write(settings, "{ broken");
    const unreadable = await doctor(machine);
    expect(unreadable.text("agent_unreadable")).toContain("settings.json");
    expect(unreadable.code).toBe(1);
  }, 60_000);

  test("not on the PATH, or another one there", async () => {
    expect((await doctor(newHome({ PATH: "/nowhere" }))).fix("program_not_on_path")).toContain("ln -sf");
    const other = await mkdtemp(`${fleet.root}/bin-`);
    await Bun.write(`${other}/ai-intercom`, "#!/bin/sh\n");
    await chmod(`${other}/ai-intercom`, 0o755);
    expect((await doctor(newHome({ PATH: other }))).fix("program_other")).toContain(`${other}/ai-intercom`);
  });
});

test("every code is in the help", async () => {
  const { out } = await limn().run(["doctor", "--help"]);
  for (const code of ["home_open", "clock_skew", "link_revoked", "canary_server_gone"])
    expect(out).toContain(`  ${code} `);
});

async function reported(machine: Machine, code: string): Promise<DoctorReport> {
  return waitFor(`${code} on ${machine.name}`, async () => {
    const report = await doctor(machine);
    return report.codes.includes(code) ? report : undefined;
  });
}

async function write(path: string, text: string, mode = 0o600): Promise<void> {
  await Bun.write(path, text);
  await chmod(path, mode);
}

async function listing(home: string): Promise<string[]> {
  return (await readdir(home, { recursive: true })).sort();
}

async function mount(path: string, options: string): Promise<void> {
  await Bun.$`mount -t tmpfs -o ${options} tmpfs ${path}`;
}
