// `doctor` on what runs: hub, daemon, link, sessions, agent CLIs, each in every state that is not fine.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { appendFile, chmod, cp, mkdir, mkdtemp, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { binary } from "../rig/binary";
import { type DoctorReport, doctor } from "../rig/doctor";
import { Fleet, type Machine } from "../rig/fleet";
import { installed } from "../rig/release";
import { waitFor } from "../rig/wait";

let fleet: Fleet;
beforeAll(async () => {
  fleet = await Fleet.start(["limn"]);
}, 60_000);
afterAll(() => fleet[Symbol.asyncDispose]());

const limn = () => fleet.machine("limn");
let made = 0;
/** A home of its own in which nothing runs. */
const newHome = (env: Record<string, string> = {}) => fleet.add(`h${++made}`, env);

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

  test("a hub that hangs: its process, not an address to correct", async () => {
    const machine = newHome();
    const server = await machine.serve("hub", "--listen", "127.0.0.1:0");
    process.kill(server.pid, "SIGSTOP");
    try {
      expect((await doctor(machine)).fix("hub_silent")).toContain(`kill ${server.pid}`);
    } finally {
      process.kill(server.pid, "SIGCONT");
      await server.kill();
    }
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

  test("a standalone without its key joins nobody: its next start makes one and enrols it", async () => {
    const alone = fleet.add(`h${++made}`);
    await alone.serve("standalone", "--listen", "127.0.0.1:0");
    await alone.linked();
    await rm(`${alone.home}/machine.key`);
    const { fix } = await doctor(alone);
    expect(fix("key_missing")).toContain("without one restart ai-intercom standalone, which makes a new one");
    expect(fix("key_missing")).not.toContain("join");
    await alone.crash();
    await alone.serve("standalone", "--listen", "127.0.0.1:0");
    await alone.linked();
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
    // a hub of its own would swallow what waits for the other
    expect(JSON.stringify(report)).not.toContain("standalone");
    const second = await far.run(["standalone"]);
    expect([second.code, second.out]).toEqual([1, ""]);
    expect(second.err).toContain("error: this machine has joined the hub at http://127.0.0.1:");
    expect(second.err).toContain("try: ai-intercom daemon");
    expect(await Bun.file(`${far.home}/hub.db`).exists()).toBe(false);
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
    const report = await reported(limn(), "session_no_hooks", "session_no_server");
    expect(report.text("session_no_hooks")).toContain(`limn/bare@${body.session_id}`);
    expect(report.fix("session_no_hooks")).toContain("ai-intercom install claude");
    expect(report.fix("session_no_server")).toContain("/mcp");
    expect(report.code).toBe(0);
  });

  test("no hooks, and mail: no line says that a prompt brings it", async () => {
    const machine = await fleet.join(`h${++made}`);
    await machine.agent("bare", { hooks: false });
    await limn().json("chat", `${machine.name}/bare`, "are you there?");
    const report = await reported(machine, "session_no_hooks", "session_mail_waits");
    expect(report.text("session_mail_waits")).toContain("1 unread: no hook of ours was seen");
    expect(report.fix("session_mail_waits")).toContain("ai-intercom install claude");
    for (const { text, fix } of report.checks) expect(`${text} ${fix}`).not.toContain("prompt");
  }, 60_000);

  test("a daemon that was just started again: its sessions' servers may take a moment to come back", async () => {
    const machine = await fleet.join(`h${++made}`);
    const agent = await machine.agent("steady");
    const id = await agent.registered();
    await waitFor("it to be older than a new session's grace", async () => {
      const { registered_at } = await agent.session();
      return Date.now() - Date.parse(registered_at) > 5_500;
    });
    const children = await Bun.file(`/proc/${agent.pid}/task/${agent.pid}/children`).text();
    const server = Number(children.trim().split(" ")[0]);
    process.kill(server, "SIGSTOP");
    await machine.crash();
    await machine.serve("daemon");
    const early = await doctor(machine);
    expect(early.codes).not.toContain("session_no_server");
    expect(early.text("session")).toContain(id);
    expect((await reported(machine, "session_no_server")).fix("session_no_server")).toContain("/mcp");
    process.kill(server, "SIGCONT");
    await waitFor(
      "the server to be back",
      async () => !(await doctor(machine)).codes.includes("session_no_server"),
    );
  }, 60_000);

  test("an MCP server that hangs; a messaging socket that is gone", async () => {
    const machine = await fleet.join(`h${++made}`);
    machine.extraEnv.AGENT_SOCKET = `${fleet.root}/nobody.sock`;
    const agent = await machine.agent("lame");
    const lame = await reported(machine, "session_not_woken");
    expect(lame.text("session_not_woken")).toContain("its messaging socket is gone");
    expect(lame.fix("session_not_woken")).toBe("restart that session");
    const children = await Bun.file(`/proc/${agent.pid}/task/${agent.pid}/children`).text();
    const server = Number(children.trim().split(" ")[0]);
    process.kill(server, "SIGSTOP");
    const silent = await doctor(machine);
    process.kill(server, "SIGCONT");
    expect(silent.fix("session_server_silent")).toContain("/mcp");
  }, 60_000);

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
    expect(hindered.code).toBe(1);
    await Bun.write(settings, JSON.stringify(installed).replaceAll(machine.home, "/elsewhere"));
    const outdated = await doctor(machine);
    expect(outdated.text("agent_outdated")).toMatch(
      /^Claude Code: hooks or MCP entry are older than this program \(\d\S+\) or were changed since; install would change \S+settings.json: hooks.UserPromptSubmit: updates the inbox hook; /,
    );
    expect(outdated.fix("agent_outdated")).toBe(
      "ai-intercom install claude; then restart the sessions that run",
    );
    expect(outdated.notOk.find(({ code }) => code === "agent_outdated")?.state).toBe("warn");
    expect(outdated.text("agent_guard_wrong")).toContain(`in /elsewhere, not in ${machine.home}`);
    await Bun.write(settings, "{ broken");
    const unreadable = await doctor(machine);
    expect(unreadable.text("agent_unreadable")).toContain("settings.json");
    expect(unreadable.code).toBe(1);
  }, 60_000);

  test("the MCP entry alone: no mail reaches its sessions, which is a failure; hooks by the plugin are none", async () => {
    const machine = await person("{}");
    await machine.json("install", "claude");
    const settings = `${machine.extraEnv.HOME}/.claude/settings.json`;
    const { hooks } = await Bun.file(settings).json();
    const bells = { Stop: hooks.Stop.slice(1), SessionStart: hooks.SessionStart };
    for (const left of [{}, { hooks: {} }, { hooks: bells }]) {
      await Bun.write(settings, JSON.stringify(left));
      const report = await doctor(machine);
      const check = report.notOk.find(({ code }) => code === "agent_hooks_missing");
      expect([left, check?.state, report.state, report.code]).toEqual([left, "fail", "fail", 1]);
      expect(report.text("agent_hooks_missing")).toContain(`is in ${settings}: no mail reaches its sessions`);
      expect(report.fix("agent_hooks_missing")).toStartWith("ai-intercom install claude");
      expect(report.codes).not.toContain("agent_outdated");
    }
    await Bun.write(settings, JSON.stringify({ enabledPlugins: { "ai-intercom@ai-intercom": true } }));
    expect((await doctor(machine)).codes).not.toContain("agent_hooks_missing");
    await Bun.write(settings, JSON.stringify({ hooks: { Stop: hooks.Stop.slice(0, 1) } }));
    expect((await doctor(machine)).codes).toContain("agent_outdated");
  }, 60_000);

  test("what hooks and server start is gone, does not run, or is of another version", async () => {
    const machine = await person("{}");
    await machine.json("install", "claude");
    const files = [".claude/settings.json", ".claude.json"].map((name) => `${machine.extraEnv.HOME}/${name}`);
    const installed = await Promise.all(files.map((file) => Bun.file(file).text()));
    const other = `${machine.extraEnv.HOME}/other`;
    const starting = async () => {
      for (const [n, file] of files.entries())
        await Bun.write(file, installed[n]?.replaceAll(binary, other) ?? "");
      return doctor(machine);
    };
    const gone = await starting();
    expect(gone.text("agent_program_missing")).toContain(`start ${other}, which does not run`);
    expect([gone.code, gone.codes.filter((code) => code === "agent_program_missing").length]).toEqual([1, 1]);
    await Bun.write(other, "#!/bin/sh\nexit 127\n");
    await chmod(other, 0o755);
    expect((await starting()).codes).toContain("agent_program_missing");
    await Bun.write(other, "#!/bin/sh\necho 0.0.9\n");
    expect((await starting()).text("agent_program_version")).toContain("version 0.0.9; this program is ");
  }, 60_000);

  test("what a killed upgrade left beside the program", async () => {
    const machine = newHome();
    const bin = await installed(machine, binary);
    await Bun.write(`${bin}/ai-intercom.new`, "half");
    expect((await doctor(machine)).fix("stale_file")).toBe(`rm ${bin}/ai-intercom.new`);
  });

  test("not on the PATH, or another one there", async () => {
    const { fix } = await doctor(newHome({ PATH: "/nowhere" }));
    expect(fix("program_not_on_path")).toStartWith(`export PATH=${dirname(binary)}:"$PATH"`);
    const other = await mkdtemp(`${fleet.root}/bin-`);
    await Bun.write(`${other}/ai-intercom`, "#!/bin/sh\n");
    await chmod(`${other}/ai-intercom`, 0o755);
    expect((await doctor(newHome({ PATH: other }))).fix("program_other")).toContain(`${other}/ai-intercom`);
  });
});

async function reported(machine: Machine, ...codes: string[]): Promise<DoctorReport> {
  return waitFor(`${codes.join(" and ")} on ${machine.name}`, async () => {
    const report = await doctor(machine);
    return codes.every((code) => report.codes.includes(code)) ? report : undefined;
  });
}
