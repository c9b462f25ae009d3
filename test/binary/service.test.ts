// `service` with a real systemd: installed, started, started again when killed, removed without a trace; and the
// definitions themselves under systemd's own judgement.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { copyFileSync, existsSync, mkdirSync, readdirSync, readlinkSync, writeFileSync } from "node:fs";
import { binary } from "../rig/binary";
import { Fleet, type Machine } from "../rig/fleet";
import { systemdMissing, UserSystemd } from "../rig/systemd";
import { waitFor } from "../rig/wait";

let fleet: Fleet;
beforeAll(async () => {
  fleet = await Fleet.start([]);
});
afterAll(() => fleet[Symbol.asyncDispose]());

if (systemdMissing) console.log(`skip: ${systemdMissing}`);

const definition = async (machine: Machine, ...words: string[]) => {
  const { out, code, err } = await machine.run(["service", "install", "--dry-run", ...words]);
  if (code !== 0) throw new Error(err);
  return out.slice(out.indexOf("\n") + 1);
};

describe.skipIf(systemdMissing !== undefined)("systemd", () => {
  for (const [kind, words] of [
    ["--user", []],
    ["--system", ["--system"]],
  ] as const)
    test(`${kind}: the unit is valid, without a warning, and hardened`, async () => {
      const machine = fleet.add(`unit${kind}`);
      const directory = machine.directory("units");
      mkdirSync(directory, { recursive: true });
      const file = `${directory}/ai-intercom.service`;
      writeFileSync(file, await definition(machine, ...words));
      const verify = Bun.spawnSync(["systemd-analyze", "verify", kind, file], {
        env: { ...process.env, XDG_RUNTIME_DIR: directory },
      });
      expect({ code: verify.exitCode, said: verify.stderr.toString() }).toEqual({ code: 0, said: "" });
      const { stdout } = Bun.spawnSync(["systemd-analyze", "security", kind, "--offline=yes", file], {
        env: { ...process.env, XDG_RUNTIME_DIR: directory },
      });
      const exposure = Number(
        /exposure level for ai-intercom.service: ([\d.]+)/.exec(stdout.toString())?.[1],
      );
      expect(exposure).toBeLessThan(kind === "--system" ? 6 : 8.7);
    });

  test("a home with a space, a quote, a percent sign and a dollar stays one word", async () => {
    const odd = fleet.add(`odd`, { AI_INTERCOM_HOME: '/tmp/a b"c%h$x' });
    expect(await definition(odd)).toContain('Environment="AI_INTERCOM_HOME=/tmp/a b\\"c%%h$x"');
  });

  test("home and program with all that systemd reads otherwise: the unit is valid, and the service runs from there", async () => {
    await using systemd = await UserSystemd.start();
    // the program's own path may hold neither quotes nor a backslash: systemd takes such a name for none
    const plain = ["a b%h$x", "{y}$$;"].join("$");
    const odd = `${plain}"c'\\n`;
    const home = `${systemd.env.HOME}/h ${odd}`;
    const machine = fleet.add("odd-home", { ...systemd.env, AI_INTERCOM_HOME: home });
    const bin = `${systemd.env.HOME}/bin ${plain}`;
    mkdirSync(bin);
    copyFileSync(binary, `${bin}/ai-intercom`);
    machine.program = `${bin}/ai-intercom`;
    mkdirSync(home, { mode: 0o700 });
    writeFileSync(`${home}/config.yml`, "machine:\n  id: odd\nhub:\n  listen: 127.0.0.1:0\n");
    const { pid } = await machine.json("service", "install");
    await machine.linked();
    expect((await machine.json("status")).pid).toBe(pid);
    expect(readlinkSync(`/proc/${pid}/exe`)).toBe(`${bin}/ai-intercom`);
    const file = `${systemd.env.HOME}/.config/systemd/user/ai-intercom.service`;
    const verify = Bun.spawnSync(["systemd-analyze", "verify", "--user", file], { env: systemd.env });
    expect({ code: verify.exitCode, said: verify.stderr.toString() }).toEqual({ code: 0, said: "" });
    // it is known again as this home's
    expect((await machine.json("uninstall", "--all", "--yes")).services).toEqual([file]);
  }, 60_000);

  test("installed, it runs; killed, it runs again; uninstalled, nothing is left", async () => {
    await using systemd = await UserSystemd.start();
    const machine = fleet.add("served", { ...systemd.env, AI_INTERCOM_HUB_LISTEN: "127.0.0.1:0" });
    // a service has no such variables: what it needs stands in its configuration
    mkdirSync(machine.home, { recursive: true, mode: 0o700 });
    writeFileSync(`${machine.home}/config.yml`, "machine:\n  id: served\nhub:\n  listen: 127.0.0.1:0\n");

    expect(await machine.json("service", "status")).toMatchObject({ installed: false, running: false });
    const installed = await machine.json("service", "install");
    expect(installed).toMatchObject({ installed: true, running: true, enabled: true, mode: "standalone" });
    await machine.linked();
    expect((await machine.json("status")).pid).toBe(installed.pid);

    process.kill(installed.pid, "SIGKILL");
    const again = await waitFor("systemd to start it again", async () => {
      const { running, pid } = await machine.json("service", "status");
      return running && pid !== null && pid !== installed.pid ? pid : undefined;
    });
    await machine.linked();
    expect((await machine.json("status")).pid).toBe(again);
    expect((await machine.run(["logs"])).out).toContain("link linked");

    const repeated = await machine.json("service", "install");
    expect(repeated.running).toBe(true);
    expect(await machine.json("service", "uninstall")).toMatchObject({ removed: true });
    expect(existsSync(`/proc/${repeated.pid}`)).toBe(false);
    expect(systemd.systemctl("list-unit-files", "ai-intercom.service", "--no-legend")).toBe("");
    expect(readdirSync(`${systemd.env.HOME}/.config/systemd/user`)).toEqual([]);
    expect(await machine.json("service", "uninstall")).toMatchObject({ removed: false });
  });

  test("a daemon in a terminal is not fought with", async () => {
    await using systemd = await UserSystemd.start();
    const machine = fleet.add("busy", systemd.env);
    await machine.serve("standalone", "--listen", "127.0.0.1:0");
    const { code, err } = await machine.run(["service", "install"]);
    expect({ code, err }).toEqual({
      code: 1,
      err: expect.stringMatching(
        /^error: a daemon of this home runs already, as process \d+\ntry: .*kill \d+\n$/,
      ),
    });
    expect(existsSync(`${systemd.env.HOME}/.config/systemd`)).toBe(false);
  });
});

test("without systemd: a clear error, nothing written", async () => {
  const machine = fleet.add("none", { XDG_RUNTIME_DIR: "/nonexistent" });
  const { code, err } = await machine.run(["service", "install"]);
  expect(code).toBe(1);
  expect(err).toMatch(/^error: systemd does not answer here.*\ntry: .*ai-intercom standalone\n$/);
  expect(existsSync(`${machine.env.HOME}/.config/systemd`)).toBe(false);
});

test("what may be written is said where it is wrong", async () => {
  const { code, err } = await fleet.add("wrong").run(["service", "instal"]);
  expect({ code, err }).toEqual({
    code: 2,
    err: 'error: "instal" is not install, uninstall, status or restart\ntry: ai-intercom service --help\n',
  });
});
