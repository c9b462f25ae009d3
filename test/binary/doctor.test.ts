// `doctor` on real homes: all is fine, and each thing that can be wrong with a home, made wrong: the code, the fix,
// the exit code. What runs in it: doctor-services.test.ts.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmod, chown, mkdir, mkdtemp, readdir, rm, symlink, utimes } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import { binary } from "../rig/binary";
import { doctor } from "../rig/doctor";
import { Fleet, type Machine, type Server as Running } from "../rig/fleet";

let fleet: Fleet;
let tools: string;
let bell: Server;
beforeAll(async () => {
  tools = await mkdtemp("/tmp/aii-tools-");
  await symlink(binary, `${tools}/ai-intercom`);
  bell = createServer().listen(`${tools}/bell.sock`);
  fleet = await Fleet.start(["limn"], {
    PATH: `${tools}:${process.env.PATH}`,
    AGENT_SOCKET: `${tools}/bell.sock`,
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
    /^limn\/app@s-.*: claude, active, hooks seen, MCP server \d\S+, woken by its socket, no unread mail$/,
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
      "lines of the outbox set aside",
      (home) => write(`${home}/outbox.jsonl.corrupt`, "torn"),
      "outbox_damaged",
      /^read what was meant to go out, .*: less \S+outbox.jsonl.corrupt; rm \S+outbox.jsonl.corrupt$/,
    ],
    [
      "a damaged inbox whose senders are not told",
      async (home) => {
        await mkdir(`${home}/inbox`, { mode: 0o700 });
        await write(`${home}/inbox/s-1.lost`, "0123456789abcdef\n");
      },
      "mail_lost",
      /^start the daemon and let it reach its hub: ai-intercom status; /,
    ],
    [
      "a sender that does not know of a damaged message",
      (home) => write(`${home}/outbox.jsonl.lost`, "{}\n"),
      "sender_not_told",
      /^start the daemon: .*: less \S+outbox.jsonl.lost; rm \S+outbox.jsonl.lost$/,
    ],
    [
      "a dead writer's file",
      (home) => write(`${home}/daemon.json.4194304.tmp`, "{"),
      "stale_file",
      /^rm \S+4194304.tmp$/,
    ],
    [
      "a dead agent's marker",
      async (home) => {
        await mkdir(`${home}/inbox/pending`, { recursive: true, mode: 0o700 });
        await chmod(`${home}/inbox`, 0o700);
        await write(`${home}/inbox/pending/4194304`, "{}");
        await utimes(`${home}/inbox/pending/4194304`, 0, 0);
      },
      "stale_file",
      /^rm \S+pending.4194304 {3}# or start the daemon/,
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

describe("a disk that fails under a hub", () => {
  const fill = (home: string) => Bun.$`dd if=/dev/zero of=${home}/fill bs=1M`.quiet().nothrow();
  const withDatabase = async (use: (machine: Machine, server: Running) => Promise<void>) => {
    const machine = await madeHome();
    await mount(machine.home, "size=32m,mode=0700,rw");
    try {
      const server = await machine.serve("standalone", "--listen", "127.0.0.1:0");
      await machine.linked();
      await use(machine, server);
      await server.kill();
    } finally {
      await machine.crash();
      await Bun.$`umount ${machine.home}`;
    }
  };

  test.if(isRoot)("full while it runs: the disk and the store are named", () =>
    withDatabase(async (machine) => {
      await fill(machine.home);
      const report = await doctor(machine);
      expect(report.fix("disk_full")).toContain("df -h");
      expect(report.fix("hub_store")).toContain("df -h");
      expect(report.codes).not.toContain("database_damaged");
    }),
  );

  for (const [what, spoil] of [
    ["full", fill],
    ["read-only", (home: string) => Bun.$`mount -o remount,ro ${home}`],
  ] as const)
    test.if(isRoot)(`${what} at the start: nobody is told to move a database away that is whole`, () =>
      withDatabase(async (machine, server) => {
        await server.kill();
        await spoil(machine.home);
        const report = await doctor(machine);
        expect(report.codes).not.toContain("database_damaged");
        expect(report.fix("database_unchecked")).toContain("df -h");
        const { code, err } = await machine.run(["standalone", "--listen", "127.0.0.1:0"]);
        expect({ code, says: /full|read-only/.test(err), moves: /move/.test(err) }).toEqual({
          code: 1,
          says: true,
          moves: false,
        });
      }),
    );
});

test("every code is in the help", async () => {
  const { out } = await limn().run(["doctor", "--help"]);
  for (const code of ["home_open", "clock_skew", "link_revoked", "canary_server_gone"])
    expect(out).toContain(`  ${code} `);
});

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

describe("missions", () => {
  const cases: [what: string, files: Record<string, string>, code: string, fix: RegExp][] = [
    [
      "policies that cannot be used",
      { "policies.yml": "rules: [{message_pattern: '(', approval: never}]" },
      "policies_invalid",
      /policies.yml/,
    ],
    [
      "an allowed path that is not there",
      { "config.yml": "agent_launcher: {allowed_paths: [/nonexistent/src]}" },
      "launcher_path_missing",
      /config.yml/,
    ],
    [
      "a default command that nobody knows",
      { "config.yml": "agent_launcher: {allowed_paths: [/tmp], default_command: nope}" },
      "launcher_command_unknown",
      /config.yml/,
    ],
    [
      "a default command without its program",
      {
        "config.yml":
          "agent_launcher: {allowed_paths: [/tmp], default_command: x, commands: {x: {command: nonexistent-agent}}}",
      },
      "launcher_command_missing",
      /default_command/,
    ],
  ];
  for (const [what, files, code, fix] of cases)
    test(`${what} → ${code}`, async () => {
      const machine = await madeHome();
      for (const [name, text] of Object.entries(files))
        await Bun.write(`${machine.home}/${name}`, text, { mode: 0o600 });
      expect((await doctor(machine)).fix(code)).toMatch(fix);
    });

  test("all of it fine: said in a line each", async () => {
    const machine = await madeHome();
    await Bun.write(`${machine.home}/policies.yml`, "rules: []", { mode: 0o600 });
    await Bun.write(
      `${machine.home}/config.yml`,
      "agent_launcher: {allowed_paths: [/tmp], default_command: x, commands: {x: {command: sh}}}",
      { mode: 0o600 },
    );
    expect((await doctor(machine)).codes).toEqual(expect.arrayContaining(["policies", "launcher"]));
  });
});
