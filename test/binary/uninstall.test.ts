// `uninstall --all`: after a life of its own with messages, a mission-ready hub and a service, nothing of ours is left;
// what runs, what is not ours and what the person keeps stays.
import { afterAll, beforeAll, expect, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { Fleet, type Machine } from "../rig/fleet";
import { missionFleet, pending, reached } from "../rig/missions";
import { systemdMissing, UserSystemd } from "../rig/systemd";
import { waitFor } from "../rig/wait";

let fleet: Fleet;
beforeAll(async () => {
  fleet = await Fleet.empty();
});
afterAll(() => fleet[Symbol.asyncDispose]());

let made = 0;
const settings = '{\n   "model": "opus"\n}\n';
/** A person who uses Claude Code and has set the product up. */
async function user(env: Record<string, string> = {}): Promise<Machine> {
  const name = `u${++made}`;
  const home = env.HOME ?? fleet.add(name).directory("home");
  mkdirSync(`${home}/.claude`, { recursive: true });
  writeFileSync(`${home}/.claude/settings.json`, settings);
  const machine = fleet.add(name, {
    HOME: home,
    XDG_RUNTIME_DIR: "/nonexistent",
    AI_INTERCOM_HUB_LISTEN: "127.0.0.1:0",
    ...env,
  });
  await machine.json("install", "claude");
  return machine;
}
const claudeOf = (machine: Machine) => readFileSync(`${machine.env.HOME}/.claude/settings.json`, "utf8");

test("after a life with a hub, agents, mail and a permission setting nothing of ours is left", async () => {
  const machine = await user();
  const server = await machine.serve("standalone", "--listen", "127.0.0.1:0");
  await machine.linked();
  const [a, b] = [await machine.agent("a"), await machine.agent("b")];
  await a.call("intercom_chat", { to: `${machine.name}/b`, message: "hello" });
  expect(await b.read()).toEqual(["hello"]);
  await machine.json("permissions", "on");
  await machine.json("permissions", "off");

  const why = `a daemon of ${machine.home} runs, as process ${server.pid}`;
  for (const word of ["--yes", "--keep-data"])
    expect(await machine.run(["uninstall", "--all", word])).toEqual({
      code: 1,
      out: "",
      err: `error: ${why}\ntry: stop it first: kill ${server.pid}\n`,
    });
  const dry = await machine.run(["uninstall", "--all", "--dry-run"]);
  expect([dry.code, dry.err]).toEqual([0, ""]);
  expect(dry.out).toContain(`  ${machine.home}: settings, this machine's key`);
  expect(dry.out).toEndWith(`refused as it is now: ${why}\ntry: stop it first: kill ${server.pid}\n`);
  expect((await machine.json("uninstall", "--all", "--dry-run")).refused).toEqual({
    code: "conflict",
    message: why,
    hint: `stop it first: kill ${server.pid}`,
  });
  expect(claudeOf(machine)).toContain("ai-intercom");
  expect(existsSync(`${machine.home}/machine.key`)).toBe(true);

  await a.close();
  await b.close();
  await server.kill();
  writeFileSync(`${machine.home}/hub.db.before-3`, "a copy");
  const { home, left, dry_run, refused } = await machine.json("uninstall", "--all", "--yes");
  expect({ home, left, dry_run, refused }).toEqual({
    home: machine.home,
    left: [],
    dry_run: false,
    refused: null,
  });
  expect(existsSync(machine.home)).toBe(false);
  expect(claudeOf(machine)).toBe(settings);
  expect(existsSync(`${machine.env.HOME}/.claude.json`)).toBe(false);
  const again = await machine.run(["uninstall", "--all", "--yes"]);
  expect([again.code, again.err]).toEqual([0, ""]);
  expect(again.out).toContain("nothing is left to remove");
  expect(again.out).toContain("next: install.sh --uninstall removes the program too; ");
}, 120_000);

test("a mission that runs is not left alone: refused, with or without the data, until it has ended", async () => {
  await using own = await missionFleet(["limn"], { HOME: fleet.root, XDG_RUNTIME_DIR: "/nonexistent" });
  const machine = own.machine("limn");
  const end = machine.directory("end");
  const { mission_id } = await machine.json("ask", "limn/mnemos", `wait ${end} done`);
  await machine.json("approvals", "approve", (await pending(machine, mission_id)).id);
  const { pid } = await reached(machine, mission_id, "running").then(() => recordOf(machine, mission_id));
  for (const words of [["--keep-data"], ["--yes"]]) {
    if (words[0] === "--yes") await machine.crash(); // the mission outlives its daemon
    const { code, err } = await machine.run(["uninstall", "--all", ...words]);
    expect([words, code, err]).toEqual([
      words,
      1,
      `error: mission ${mission_id} runs, as process ${pid}\ntry: wait for its end, or: ai-intercom missions cancel ${mission_id}; where no daemon runs: kill ${pid}\n`,
    ]);
    expect(existsSync(machine.home)).toBe(true);
  }
  writeFileSync(end, "");
  await waitFor("the mission's end", () => !existsSync(`/proc/${pid}`));
  expect((await machine.json("uninstall", "--all", "--yes")).left).toEqual([]);
}, 60_000);

/** The process of a mission, as its machine wrote it down. */
function recordOf(machine: Machine, mission: string): { pid: number } {
  const [run = ""] = readdirSync(`${machine.home}/missions`).filter((name) => name.startsWith(mission));
  return JSON.parse(readFileSync(`${machine.home}/missions/${run}/record.json`, "utf8")).process;
}

test("nobody to ask: nothing changes; --dry-run neither; --keep-data asks nothing and keeps the home", async () => {
  const machine = await user();
  writeFileSync(`${machine.home}/config.yml`, "language: en\n", { mode: 0o600 });
  const before = readdirSync(machine.home);
  const asked = await machine.run(["uninstall", "--all"]);
  expect(asked.code).toBe(2);
  expect(asked.err).toContain(
    "nobody can answer here\ntry: ai-intercom uninstall --all --yes, or with --keep-data",
  );
  const dry = await machine.run(["uninstall", "--all", "--dry-run"]);
  expect(dry.out).toContain(`${machine.home}: settings, this machine's key`);
  expect(dry.out).toContain(`${machine.env.HOME}/.claude/settings.json: `);
  expect(claudeOf(machine)).toContain("ai-intercom");
  expect(readdirSync(machine.home)).toEqual(before);
  const kept = await machine.run(["uninstall", "--all", "--keep-data"]);
  expect([kept.code, kept.err]).toEqual([0, ""]);
  expect(claudeOf(machine)).toBe(settings);
  expect(readdirSync(machine.home)).toEqual(["config.yml"]);
});

test("words that do not go together", async () => {
  const machine = await user();
  expect((await machine.run(["uninstall", "--keep-data"])).err).toContain("--keep-data belongs to --all");
  expect((await machine.run(["uninstall", "claude", "--all"])).err).toContain(
    "every agent, not claude alone",
  );
  expect(claudeOf(machine)).toContain("ai-intercom");
});

test("what is not ours stays, and is named", async () => {
  const machine = await user();
  writeFileSync(`${machine.home}/config.yml`, "mode: standalone\n");
  writeFileSync(`${machine.home}/diary.txt`, "dear diary");
  mkdirSync(`${machine.home}/runway`);
  const { left } = await machine.json("uninstall", "--all", "--yes");
  expect(left).toEqual(["diary.txt", "runway"]);
  expect(readdirSync(machine.home).sort()).toEqual(["diary.txt", "runway"]);
});

test("a home that is the person's own, is open to others or holds nothing of ours is not touched", async () => {
  const machine = await user();
  chmodSync(machine.env.HOME ?? "", 0o700);
  writeFileSync(`${machine.env.HOME}/config.yml`, "mode: standalone\n");
  mkdirSync(`${machine.env.HOME}/backups`);
  const own = await machine.run(["uninstall", "--all", "--yes"], {
    env: { AI_INTERCOM_HOME: machine.env.HOME ?? "" },
  });
  expect([own.code, own.err]).toEqual([
    1,
    expect.stringContaining("is not a directory of ai-intercom's alone"),
  ]);
  expect(existsSync(`${machine.env.HOME}/backups`)).toBe(true);
  const foreign = machine.directory("foreign");
  mkdirSync(`${foreign}/logs`, { recursive: true, mode: 0o700 });
  chmodSync(foreign, 0o700);
  const none = await machine.run(["uninstall", "--all", "--yes"], { env: { AI_INTERCOM_HOME: foreign } });
  expect([none.code, existsSync(`${foreign}/logs`)]).toEqual([1, true]);
  writeFileSync(`${foreign}/config.yml`, "mode: standalone\n");
  chmodSync(foreign, 0o755);
  const open = await machine.run(["uninstall", "--all", "--yes"], { env: { AI_INTERCOM_HOME: foreign } });
  expect([open.code, open.err]).toEqual([1, expect.stringContaining("can be used by other users")]);
  expect(claudeOf(machine)).toContain("ai-intercom");
});

test("a home behind a link: the link goes too", async () => {
  const machine = await user();
  writeFileSync(`${machine.home}/config.yml`, "mode: standalone\n");
  const link = machine.directory("link");
  symlinkSync(machine.home, link);
  const { code, err } = await machine.run(["uninstall", "--all", "--yes"], {
    env: { AI_INTERCOM_HOME: link },
  });
  expect([code, err]).toEqual([0, ""]);
  expect([existsSync(machine.home), readdirSync(machine.directory("."))]).toEqual([false, ["home"]]);
});

test.skipIf(systemdMissing !== undefined)(
  "the service of this home is stopped and removed; another home's stays",
  async () => {
    await using systemd = await UserSystemd.start();
    const machine = await user(systemd.env);
    writeFileSync(
      `${machine.home}/config.yml`,
      `machine:\n  id: ${machine.name}\nhub:\n  listen: 127.0.0.1:0\n`,
    );
    const { pid } = await machine.json("service", "install");
    await machine.linked();
    const other = fleet.add("other", systemd.env);
    mkdirSync(other.home, { mode: 0o700 });
    writeFileSync(`${other.home}/config.yml`, "mode: standalone\n");
    expect(await other.json("uninstall", "--all", "--yes")).toMatchObject({ services: [], home: other.home });
    expect((await machine.json("service", "status")).running).toBe(true);

    await machine.json("install", "claude");
    const { services } = await machine.json("uninstall", "--all", "--yes");
    expect(services).toHaveLength(1);
    expect([existsSync(`/proc/${pid}`), existsSync(machine.home), existsSync(services[0])]).toEqual([
      false,
      false,
      false,
    ]);
    expect(systemd.systemctl("list-unit-files", "ai-intercom.service", "--no-legend")).toBe("");
  },
  60_000,
);
