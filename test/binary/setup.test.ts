// `setup` on clean homes: what it shows, changes and proves; joining, Tailscale, a real systemd, and what stops it.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { Fleet, type Machine } from "../rig/fleet";
import { newcomerIn } from "../rig/newcomer";
import { systemdMissing, UserSystemd } from "../rig/systemd";

let fleet: Fleet;
beforeAll(async () => {
  fleet = await Fleet.start(["limn"]);
}, 60_000);
afterAll(() => fleet[Symbol.asyncDispose]());

const newcomer = (name: string) => newcomerIn(fleet, name);

const home = (machine: Machine) => machine.env.HOME ?? "";
const steps = [
  "the daemon is linked to its hub",
  "two sessions register",
  "a message reaches the other session's inbox",
  "it is read there, once",
  "the answer comes back",
];

const nothing = { mail: [], sessions: [], projects: [], directory: false };
/** What this machine still has of self-tests, in a home where nothing else ever was. */
function leftOfProofs({ home }: Machine) {
  const { sessions, projects } = JSON.parse(readFileSync(`${home}/daemon.json`, "utf8"));
  const mail = readdirSync(`${home}/inbox`, { recursive: true, withFileTypes: true });
  return {
    mail: mail.filter((one) => !one.isDirectory()).map(({ name }) => name),
    sessions,
    projects,
    directory: existsSync(`${home}/run/ai-intercom-self-test`),
  };
}

test("nobody to ask: it shows what it would do and changes nothing", async () => {
  const machine = newcomer("asked");
  const { code, out, err } = await machine.run(["setup"]);
  expect(code).toBe(2);
  expect(out).toContain(`${home(machine)}/.claude/settings.json: hooks.Stop: adds the inbox hook`);
  expect(out).toContain(`${home(machine)}/.claude.json: mcpServers.ai-intercom: adds the MCP server`);
  expect(err).toBe(
    "error: setup asks before it changes anything, and nobody can answer here\ntry: ai-intercom setup --yes\n",
  );
  expect(existsSync(machine.home)).toBe(false);
  expect(readdirSync(home(machine))).toEqual([".claude"]);
});

test("--yes makes a hub of its own and proves it; a second time there is nothing to do", async () => {
  const machine = newcomer("first");
  const report = await machine.json("setup", "--yes", "--no-service");
  expect(report.mode).toBe("standalone");
  expect(report.self_test.map(({ step }: { step: string }) => step)).toEqual(steps);
  expect(readFileSync(`${machine.home}/config.yml`, "utf8")).toBe(
    "mode: standalone\nmachine:\n  id: first\n",
  );
  expect(
    JSON.parse(readFileSync(`${home(machine)}/.claude.json`, "utf8")).mcpServers["ai-intercom"],
  ).toBeDefined();

  const again = await machine.json("setup", "--yes", "--no-service");
  expect(again.changes).toEqual([]);
  expect(again.self_test).toHaveLength(steps.length);
  expect(leftOfProofs(machine)).toEqual(nothing);
  await machine.serve("standalone");
  await machine.linked();
  expect((await machine.json("agents")).agents).toEqual([]);
});

test("without a service it says what to start, and where no agent CLI is, that there is none", async () => {
  const machine = newcomer("bare");
  const { code, out } = await machine.run(["setup", "-y", "--no-service", "--machine-id", "named"], {
    env: { PATH: "/nonexistent", HOME: fleet.root },
  });
  expect(code).toBe(0);
  expect(out).toMatch(/next:\n {2}ai-intercom standalone .*\n {2}no agent CLI was found/);
  expect(readFileSync(`${machine.home}/config.yml`, "utf8")).toContain("id: named");
});

test("--join enrols at the hub of the code and proves the way through it", async () => {
  const { code } = await fleet.machine("limn").json("invite");
  const machine = newcomer("joiner");
  const report = await machine.json("setup", "--yes", "--no-service", "--join", code);
  expect(report).toMatchObject({ mode: "daemon" });
  expect(report.self_test).toHaveLength(steps.length);
  const { machines } = await fleet.machine("limn").json("machines");
  expect(machines.find(({ id }: { id: string }) => id === "joiner")).toMatchObject({ status: "offline" });
  // the same words again, with a code that is used up: nothing to do, and the same proof
  const again = await machine.json("setup", "--yes", "--no-service", "--join", code);
  expect([again.changes, again.self_test.length]).toEqual([[], steps.length]);
  // turned away meanwhile: the code is asked for anew, and is used up
  await fleet.machine("limn").json("machines", "revoke", "joiner");
  const refused = await machine.run(["setup", "--yes", "--no-service", "--join", code]);
  expect([refused.code, refused.err]).toEqual([1, expect.stringContaining("at the hub: ai-intercom invite")]);
});

test("--hub-url asks; a person must approve, so nothing is proved yet", async () => {
  const { hub_url } = await fleet.machine("limn").json("status");
  const machine = newcomer("petitioner");
  const { code, out } = await machine.run(["setup", "--yes", "--no-service", "--hub-url", hub_url]);
  expect(code).toBe(0);
  expect(out).toContain("ai-intercom machines approve petitioner");
  expect(out).not.toContain("self-test");
});

test("a wrong code stops it before the agents' files are touched", async () => {
  const { hub_url } = await fleet.machine("limn").json("status");
  const machine = newcomer("wrong");
  const { code, err } = await machine.run([
    "setup",
    "--yes",
    "--no-service",
    "--join",
    `AAAA-BBBB-CCCC-DDDD@${hub_url}`,
  ]);
  expect(code).toBe(1);
  expect(err).toStartWith("error: ");
  expect(existsSync(`${home(machine)}/.claude.json`)).toBe(false);
  expect(existsSync(machine.home)).toBe(false);
});

test("a hub that is not there: what to look at, and no key is left; a name that is taken: another one", async () => {
  const machine = newcomer("early");
  const words = ["setup", "--yes", "--no-service", "--hub-url"];
  const away = await machine.run([...words, "http://127.0.0.1:1"]);
  expect([away.code, away.err]).toEqual([
    3,
    "error: no hub answers at http://127.0.0.1:1\ntry: does it run, and listen on an address that this machine reaches? from here: curl http://127.0.0.1:1/api/discover; on its host: ai-intercom doctor\n",
  ]);
  expect(existsSync(machine.home)).toBe(false);
  const { hub_url } = await fleet.machine("limn").json("status");
  const taken = await machine.run([...words, hub_url, "--machine-id", "limn"]);
  expect([taken.code, taken.err]).toEqual([1, expect.stringContaining("--machine-id NAME")]);
  expect(existsSync(machine.home)).toBe(false);
  const { code } = await fleet.machine("limn").json("invite");
  expect((await machine.json("setup", "--yes", "--no-service", "--join", code)).mode).toBe("daemon");
});

test("what cannot be a code or an address is misuse, before anything is shown", async () => {
  const machine = newcomer("junk");
  for (const words of [
    ["--join", "junk"],
    ["--hub-url", "junk"],
    ["--machine-id", "no/name"],
  ]) {
    const { code, out, err } = await machine.run(["setup", "-y", "--no-service", ...words]);
    expect({ words, code, out }).toEqual({ words, code: 2, out: "" });
    expect(err).toContain(words[1] ?? "");
  }
  expect(existsSync(machine.home)).toBe(false);
});

test("an address that another hub or program holds: named, with what to do, before anything is written", async () => {
  const { hub_url } = await fleet.machine("limn").json("status");
  await using other = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response("hello") });
  const machine = newcomer("second-user");
  const elsewhere = `another address: hub.listen in ${machine.home}/config.yml`;
  for (const [listen, said] of [
    [
      new URL(hub_url).host,
      `another hub (limn) does\ntry: join that one: ai-intercom setup --hub-url ${hub_url}; or choose ${elsewhere}`,
    ],
    [other.url.host, `another program does\ntry: choose ${elsewhere}`],
    ["192.0.2.1:7700", `EADDRNOTAVAIL: address not available, listen\ntry: choose ${elsewhere}`],
  ] as const) {
    const env = { AI_INTERCOM_HUB_LISTEN: listen };
    const { code, out, err } = await machine.run(["setup", "--yes", "--no-service"], { env });
    expect([listen, code, out, err]).toEqual([
      listen,
      1,
      "",
      `error: the hub cannot listen on ${listen}: ${said}\n`,
    ]);
    expect(existsSync(machine.home)).toBe(false);
    expect(readdirSync(home(machine))).toEqual([".claude"]);
  }
});

test("its own hub holds the address: that is as it should be, and no one is told to run it again", async () => {
  const machine = newcomer("runs");
  await machine.serve("standalone");
  await machine.linked();
  const { hub_url } = await machine.json("status");
  const env = { AI_INTERCOM_HUB_LISTEN: new URL(hub_url).host };
  const { code, out, err } = await machine.run(["setup", "--yes"], { env });
  expect([code, err]).toEqual([0, ""]);
  expect(out).toContain("the answer comes back");
  expect(leftOfProofs(machine)).toEqual(nothing);
  expect(out).toMatch(/no service: .*; ai-intercom standalone runs already, but is not started at log-in\n/);
  expect(out).not.toContain("run it in a terminal");
});

test("invite says first how a machine is set up with its code, then how it only enrols", async () => {
  const { out } = await fleet.machine("limn").run(["invite"]);
  const [code = ""] = out.split("\n");
  expect(out).toContain(
    `:\n  ai-intercom setup --join ${code}\nor, to enrol it and no more:\n  ai-intercom join ${code}\n`,
  );
});

test("settings that cannot be parsed stop it, and nothing is changed", async () => {
  const machine = newcomer("broken");
  writeFileSync(`${home(machine)}/.claude/settings.json`, "{ not json");
  const { code, err } = await machine.run(["setup", "--yes", "--no-service"]);
  expect(code).toBe(1);
  expect(err).toContain(`${home(machine)}/.claude/settings.json`);
  expect(existsSync(machine.home)).toBe(false);
});

describe("Tailscale", () => {
  const tailscale = (machine: Machine, answer: string) => {
    const directory = machine.directory("bin");
    mkdirSync(directory, { recursive: true });
    writeFileSync(
      `${directory}/tailscale`,
      `#!/bin/sh\n[ "$*" = "status --json" ] || exit 1\ncat <<'X'\n${answer}\nX\n`,
    );
    chmodSync(`${directory}/tailscale`, 0o755);
    return { PATH: `${directory}:${process.env.PATH}` };
  };

  test("a hub on the tailnet is named; one that is offline or no hub is not", async () => {
    await using _hub = Bun.serve({
      hostname: "127.0.7.7",
      port: 7700,
      fetch: () => Response.json({ hub: true, name: "atlas", version: "1" }),
    });
    await using _other = Bun.serve({ hostname: "127.0.7.8", port: 7700, fetch: () => new Response("hello") });
    const machine = newcomer("tailed");
    const peers = { a: ["127.0.7.8", true], b: ["127.0.7.7", true], c: ["127.0.7.9", false] };
    const status = {
      Peer: Object.fromEntries(
        Object.entries(peers).map(([name, [address, Online]]) => [
          name,
          { HostName: name, TailscaleIPs: [address], Online },
        ]),
      ),
    };
    const env = tailscale(machine, JSON.stringify(status));
    const { out } = await machine.run(["setup", "--yes", "--no-service"], { env });
    expect(out).toStartWith(
      "note: atlas runs a hub at http://127.0.7.7:7700 on your tailnet; to join it: ai-intercom setup --hub-url http://127.0.7.7:7700\n",
    );
  });

  for (const [what, answer] of [
    ["nonsense", "no"],
    ["no peers", "{}"],
  ])
    test(`${what}: goes on without it`, async () => {
      const machine = newcomer(`tail-${what === "nonsense" ? 1 : 2}`);
      const { code } = await machine.run(["setup", "--yes", "--no-service"], {
        env: tailscale(machine, answer ?? ""),
      });
      expect(code).toBe(0);
    });
});

if (systemdMissing) console.log(`skip: ${systemdMissing}`);
test.skipIf(systemdMissing !== undefined)(
  "with a systemd the service runs, and the proof goes through it",
  async () => {
    await using systemd = await UserSystemd.start();
    mkdirSync(`${systemd.env.HOME}/.claude`);
    const machine = fleet.add("complete", systemd.env);
    mkdirSync(machine.home, { mode: 0o700 });
    writeFileSync(
      `${machine.home}/config.yml`,
      "mode: standalone\nmachine:\n  id: complete\nhub:\n  listen: 127.0.0.1:0\n",
    );
    const report = await machine.json("setup", "--yes");
    expect(report.self_test).toHaveLength(steps.length);
    expect(await machine.json("service", "status")).toMatchObject({
      installed: true,
      running: true,
      enabled: true,
    });
    expect((await machine.json("setup", "--yes")).changes).toEqual([]);
  },
);

test("without a systemd it goes on and says how to run it; what it will not do is not listed", async () => {
  const { code, out } = await newcomer("bare").run(["setup", "--yes"]);
  expect(code).toBe(0);
  expect(out).not.toContain("ai-intercom.service: runs");
  expect(out).toContain("service: cannot be had here\n");
  expect(out).toMatch(
    /note: no service: systemd does not answer here.*run it in a terminal: ai-intercom standalone/,
  );
  expect(out).toContain("the answer comes back");
});
