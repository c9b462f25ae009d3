// The command line as a person or a script meets it: exit codes, errors in two lines, JSON, help, refusals.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { chmod, mkdir, stat } from "node:fs/promises";
import { Fleet, type Machine } from "../rig/fleet";
import { waitFor } from "../rig/wait";

let fleet: Fleet;
beforeAll(async () => {
  fleet = await Fleet.start(["limn", "atlas"]);
}, 60_000);
afterAll(() => fleet[Symbol.asyncDispose]());

const limn = () => fleet.machine("limn");

test("--version prints one line", async () => {
  const { code, out, err } = await limn().run(["--version"]);
  expect({ code, err }).toEqual({ code: 0, err: "" });
  expect(out).toMatch(/^\d+\.\d+\.\d+\n$/);
});

test("every command has help with examples", async () => {
  const { out } = await limn().run(["--help"]);
  const names = [...out.matchAll(/^ {2}([a-z-]+) {2,}/gm)].map(([, name]) => name ?? "");
  expect(names.length).toBeGreaterThanOrEqual(24);
  expect(names).not.toContain("stand-in");
  for (const name of names) {
    const help = await limn().run([name, "--help"]);
    expect({ name, code: help.code, examples: help.out.includes("EXAMPLES") }).toEqual({
      name,
      code: 0,
      examples: true,
    });
  }
});

const misuse: [string[], RegExp, RegExp][] = [
  [["agnets"], /^error: there is no command "agnets"\n/, /try: ai-intercom agents/],
  [["agents", "--flter", "all"], /unknown option --flter/, /--filter/],
  [["agents", "--filter", "none"], /--filter cannot be "none"/, /all, online, or machine:ID/],
  [["chat", "limn/x"], /missing required positional argument: TEXT/, /chat --help/],
  [["chat", "limn/x", "a", "b"], /too many words: "b"/, /chat --help/],
  [["chat", "nowhere", "hello"], /"nowhere" is not an address/, /machine\/project/],
  [["history", "t-xyz"], /"t-xyz" is not a thread id/, /t- and 12 hex/],
  [["machines", "promote", "atlas"], /"promote" is not approve, deny, revoke or upgrade/, /machines --help/],
  [["install", "emacs"], /no integration for "emacs"/, /claude/],
  [["logs", "-f", "--lines", "x"], /--lines cannot be "x"/, /whole number/],
  [["standalone", "--listen", "foo"], /--listen cannot be "foo"/, /HOST:PORT/],
  [["status", "a b"], /"a b" is neither/, /m-20261122-1a2b3c/],
  [["chat", "limn/x", "--- look"], /unknown option --- look/, /goes behind --/],
  [["logs", "-x"], /unknown option -x/, /try: /],
  [["check-inbox", "--format", "xml"], /--format cannot be "xml"/, /check-inbox --help/],
];
for (const [words, message, hint] of misuse)
  test(`misuse: ${words.join(" ")} → exit 2, what and what to try`, async () => {
    const { code, out, err } = await limn().run(words);
    expect({ code, out }).toEqual({ code: 2, out: "" });
    expect(err).toMatch(message);
    expect(err).toMatch(hint);
    expect(err.trim().split("\n").length).toBe(2);
  });

test("agents of a machine that nobody knows: an error that names the near one", async () => {
  const { code, out, err } = await limn().run(["agents", "--filter", "machine:limm"]);
  expect({ code, out }).toEqual({ code: 1, out: "" });
  expect(err).toMatch(/^error: no machine named "limm" is enrolled\ntry: .*limn/);
});

test("errors as JSON on stderr: code, message, hint", async () => {
  const { code, out, err } = await limn().run(["chat", "limm/x", "hello", "--json"]);
  expect({ code, out }).toEqual({ code: 1, out: "" });
  expect(JSON.parse(err)).toEqual({
    error: {
      code: "unknown_machine",
      message: expect.stringContaining("limm"),
      hint: expect.stringContaining("limn"),
    },
  });
});

test("nothing runs in a home: exit 3 and how to start it", async () => {
  const empty = fleet.add("empty");
  for (const words of [["agents"], ["status"], ["invite"], ["chat", "a/b", "c"], ["watch"], ["inbox"]]) {
    const { code, err } = await empty.run(words);
    expect({ words, code }).toEqual({ words, code: 3 });
    expect(err).toMatch(/^error: .*\ntry: .*ai-intercom standalone/);
  }
});

test("shapes that scripts rely on", async () => {
  const invite = await limn().json("invite");
  expect(Object.keys(invite).sort()).toEqual(["code", "expires_at"]);
  expect(Date.parse(invite.expires_at) - Date.now()).toBeGreaterThan(9 * 60_000);
  const { machines } = await limn().json("machines");
  expect(machines.map((one: { id: string }) => one.id).sort()).toEqual(["atlas", "limn"]);
  expect(machines[0]).toMatchObject({
    id: expect.any(String),
    status: "online",
    last_seen: expect.any(String),
  });
  expect(machines[1].fingerprint).toMatch(/^([0-9a-f]{4}-){7}[0-9a-f]{4}$/);
  expect(await limn().json("agents")).toEqual({ agents: [] });
  // facts are there on a joined machine too, through its daemon
  expect((await fleet.machine("atlas").json("machines")).machines.length).toBe(2);
});

test("a person's acts are refused when a registered agent started the command; facts are shown", async () => {
  const agent = await limn().agent("sly");
  const run = (words: string) => agent.shell(`"$BINARY" ${words} 2>&1; true`);
  const before = (await limn().json("machines")).machines;
  for (const words of [
    "invite",
    "chat limn/sly hi",
    "machines revoke atlas",
    "inbox",
    "reply t-000000000000 x",
  ])
    expect(await run(words)).toContain("was started by the agent of limn/sly@");
  expect(await run("agents")).toContain("limn/sly");
  expect(await agent.call("intercom_list_agents", { filter: "machine:limm" })).toMatchObject({
    error: expect.stringContaining('no machine named "limm"'),
  });
  const after = (await limn().json("machines")).machines;
  expect(after.map((one: { id: string; status: string }) => [one.id, one.status])).toEqual(
    before.map((one: { id: string; status: string }) => [one.id, one.status]),
  );
});

test("a machine without a code waits for a person; approve lets it in, deny and revoke keep it out", async () => {
  const late = fleet.add("late", { HUB_URL: fleet.hubUrl });
  await late.serve("daemon");
  await waitFor("the request", async () => (await late.json("status")).link === "pending");
  const listed = (await limn().json("machines")).machines.find((one: { id: string }) => one.id === "late");
  expect(listed).toMatchObject({ status: "pending", fingerprint: (await late.json("status")).fingerprint });
  const waiting = await late.run(["agents"]);
  expect([waiting.code, waiting.err]).toEqual([
    3,
    expect.stringContaining("a person approves it at the hub"),
  ]);
  expect((await limn().run(["machines", "approve", "late"])).code).toBe(0);
  await late.linked();
  expect((await late.run(["agents"])).code).toBe(0);
  const agent = await late.agent("app");
  expect((await limn().run(["machines", "revoke", "late"])).code).toBe(0);
  await waitFor("the revoked link", async () => (await late.json("status")).link === "revoked");
  const refused = await agent.call("intercom_chat", { to: "limn/anything", message: "hi" });
  expect(refused).toMatchObject({ status: "error" });
  expect((await late.json("status")).outbox).toBe(0);
  expect((await late.run(["agents"])).err).toContain("new invite code, then: ai-intercom join CODE");
  expect((await limn().run(["machines", "approve", "nobody"])).err).toContain('"nobody"');
});

test("an invite works once; a wrong or used code names the reason", async () => {
  const { code } = await limn().json("invite");
  const one = fleet.add("one");
  expect((await one.run(["join", code])).code).toBe(0);
  const two = fleet.add("two");
  const again = await two.run(["join", code, "--json"]);
  expect(again.code).toBe(1);
  expect(JSON.parse(again.err).error.code).toBe("invite_invalid");
  const nonsense = await two.run(["join", "hello"]);
  expect(nonsense.code).toBe(2);
  expect(nonsense.err).toContain("not an invite code");
  expect((await limn().json("machines")).machines.some(({ id }: { id: string }) => id === "two")).toBe(false);
});

test("a machine with a hub of its own: joining another is refused; its own takes a revoked one back", async () => {
  await using other = await Fleet.start(["elsewhere"]);
  const machine = other.machine("elsewhere");
  const foreign = await machine.run(["join", (await limn().json("invite")).code]);
  expect(foreign.code).toBe(1);
  expect(foreign.err).toMatch(/^error: a hub of its own runs in .*\ntry: .*stop it, then join again\n$/);
  const kept = await machine.run(["machines", "revoke", "elsewhere"]);
  expect(kept.code).toBe(1);
  expect(kept.err).toMatch(/the hub's own.*\ntry: ai-intercom machines revoke elsewhere --force\n$/);
  expect((await machine.run(["machines", "revoke", "elsewhere", "--force"])).code).toBe(0);
  const back = await machine.run(["join", (await machine.json("invite")).code]);
  expect(back).toMatchObject({ code: 0, out: expect.stringContaining("own hub") });
  await machine.linked();
  expect(await Bun.file(`${machine.home}/config.yml`).exists()).toBe(false);
});

test("join keeps the comments and keys of an existing config.yml", async () => {
  const machine = fleet.add("noted");
  await mkdir(machine.home, { recursive: true, mode: 0o700 });
  await Bun.write(`${machine.home}/config.yml`, "# my notes\nlanguage: fr # French\nlimits:\n  rate: 50\n");
  await machine.json("join", (await limn().json("invite")).code);
  const text = await Bun.file(`${machine.home}/config.yml`).text();
  expect(text).toStartWith("# my notes\nlanguage: fr # French\nlimits:\n  rate: 50\n");
  expect(Bun.YAML.parse(text)).toMatchObject({ hub: { url: fleet.hubUrl }, machine: { id: "noted" } });
});

test("a home made by hand is made private at its first start; one with a key, or with things of others, is refused as it is", async () => {
  const byHand = async (name: string, ...files: string[]) => {
    const machine = fleet.add(name);
    await mkdir(machine.home);
    await chmod(machine.home, 0o755);
    for (const file of files) await Bun.write(`${machine.home}/${file}`, "");
    return machine;
  };
  const mode = async ({ home }: Machine) => ((await stat(home)).mode & 0o777).toString(8);
  for (const [words, ...files] of [
    ["standalone --listen 127.0.0.1:0"],
    ["standalone --listen 127.0.0.1:0", "config.yml"],
    ["hub --listen 127.0.0.1:0", "config.yml"],
    ["daemon", "config.yml"],
  ] as const) {
    const machine = await byHand(`by-hand-${[words, ...files].join("-").replace(/\W+/g, "-")}`, ...files);
    const server = await machine.serve(...words.split(" "));
    expect(await mode(machine)).toBe("700");
    await server.kill();
  }
  for (const file of ["machine.key", "notes.txt"]) {
    const machine = await byHand(`open-${file}`, file);
    const { code, err } = await machine.run(["standalone", "--listen", "127.0.0.1:0"]);
    expect([code, err]).toEqual([1, expect.stringContaining(`chmod 700 ${machine.home}`)]);
    expect(await mode(machine)).toBe("755");
  }
});

test("secrets are private: the home, the key and the databases; a key that others can read is refused", async () => {
  const mode = async (path: string) => ((await stat(path)).mode & 0o777).toString(8);
  const { home } = limn();
  expect(await mode(home)).toBe("700");
  expect(await mode(`${home}/run`)).toBe("700");
  expect(await mode(`${home}/machine.key`)).toBe("600");
  expect(await mode(`${home}/hub.db`)).toBe("600");
  const loose = fleet.add("loose");
  await loose.json("join", (await limn().json("invite")).code);
  await chmod(`${loose.home}/machine.key`, 0o644);
  const { code, err } = await loose.run(["daemon"]);
  expect(code).toBe(1);
  expect(err).toContain("can be used by other users");
  expect(err).toContain(`chmod 600 ${loose.home}/machine.key`);
});

test("a wrong configuration value names the key, the value and what is allowed", async () => {
  const { code, err } = await limn().run(["daemon"], {
    env: { AI_INTERCOM_HOME: `${fleet.root}/bad`, AI_INTERCOM_LANGUAGE: "de" },
  });
  expect(code).toBe(1);
  expect(err).toMatch(/AI_INTERCOM_LANGUAGE: language cannot be "de".*en.*fr/);
});

test("keys that nobody knows: one warning each, and standalone runs", async () => {
  await using other = await Fleet.empty();
  const machine = other.add("misspelt");
  await machine.configure({ foo: 1, projects: [{ path: "/srv/a", colour: "red" }] });
  const server = await machine.serve("standalone", "--listen", "127.0.0.1:0");
  expect(server.log().match(/unknown key \S+/g)).toEqual([
    "unknown key foo",
    "unknown key projects.0.colour",
  ]);
});

test("a second daemon or standalone in the same home is refused and disturbs nothing", async () => {
  for (const words of [["daemon"], ["standalone", "--listen", "127.0.0.1:0"]]) {
    const { code, err } = await limn().run(words);
    expect(code).toBe(1);
    expect(err).toMatch(/another (daemon|hub)/);
  }
  expect((await limn().json("status")).link).toBe("linked");
});

test("watch shows a chat and its states as they happen", async () => {
  const reader = await limn().agent("watched");
  const child = Bun.spawn(
    [process.env.AI_INTERCOM_BINARY ?? `${import.meta.dir}/../../dist/ai-intercom`, "watch", "--json"],
    { env: limn().env, stdout: "pipe", stderr: "inherit" },
  );
  const events: { kind: string; state?: string; message?: string; message_id?: string }[] = [];
  const read = (async () => {
    let rest = "";
    const decoder = new TextDecoder();
    for await (const part of child.stdout) {
      const lines = (rest + decoder.decode(part, { stream: true })).split("\n");
      rest = lines.pop() ?? "";
      events.push(...lines.map((line) => JSON.parse(line)));
    }
  })();
  await waitFor("the chat and its state to be shown", async () => {
    const chat = events.find(({ kind }) => kind === "message");
    if (!chat) await limn().json("chat", "limn/watched", "look"); // before it listens, nothing is shown
    return events.some(({ state, message_id }) => state === "delivered" && message_id === chat?.message_id);
  });
  await reader.call("intercom_check_inbox");
  await waitFor("offered", () => events.some(({ state }) => state === "offered"));
  expect(events.find(({ kind }) => kind === "message")?.message).toBe("look");
  child.kill("SIGINT");
  expect(await child.exited).toBe(0);
  await read;
});

test("install and uninstall through the binary: merged in, and gone without a trace", async () => {
  const home = `${fleet.root}/person`;
  await mkdir(`${home}/.claude`, { recursive: true });
  const settings =
    '{\n   "model":"opus" ,\n\t"hooks": {"Stop":[{"hooks":[{"type":"command","command":"echo mine"}]}]}\n}';
  const main = '{"numStartups": 3,"mcpServers":{"other":{"command":"x"}}}\n';
  await Bun.write(`${home}/.claude/settings.json`, settings);
  await Bun.write(`${home}/.claude.json`, main);
  const read = async () => [
    await Bun.file(`${home}/.claude/settings.json`).text(),
    await Bun.file(`${home}/.claude.json`).text(),
  ];
  const run = (...words: string[]) => limn().run(words, { env: { HOME: home } });
  expect((await run("install", "claude", "--dry-run")).out).toContain("would change");
  expect(await read()).toEqual([settings, main]);
  expect((await run("install", "claude")).code).toBe(0);
  const once = await read();
  const hooks = JSON.parse(once[0] ?? "").hooks;
  expect(Object.keys(hooks).sort()).toEqual(["PostToolBatch", "SessionStart", "Stop", "UserPromptSubmit"]);
  expect(hooks.Stop[0]).toEqual({ hooks: [{ type: "command", command: "echo mine" }] });
  expect(JSON.parse(once[1] ?? "").mcpServers["ai-intercom"]).toMatchObject({
    type: "stdio",
    args: ["mcp-server"],
    env: { AI_INTERCOM_HOME: limn().home },
  });
  expect((await run("install", "claude")).out).toContain("nothing to change");
  expect(await read()).toEqual(once);
  expect((await run("uninstall", "claude")).code).toBe(0);
  expect(await read()).toEqual([settings, main]);
  await Bun.write(`${home}/.claude/settings.json`, "{ broken");
  const refused = await run("install", "claude");
  expect(refused.code).toBe(1);
  expect(refused.err).toContain("settings.json");
  expect(await read()).toEqual(["{ broken", main]);
});

test("the demo works anywhere and leaves nothing behind", async () => {
  const before = await Array.fromAsync(
    new Bun.Glob("ai-intercom-demo-*").scan({ cwd: "/tmp", onlyFiles: false }),
  );
  const { code, out } = await limn().run(["demo"]);
  expect(code).toBe(0);
  expect(out).toMatch(/ms {2}limn\/mnemos replies/);
  expect(out).toMatch(/replied +20/);
  const steps = [
    /waits for the person's approval[\s\S]*directory +\/.*limn-projects\/mnemos\n/,
    /the person approves\n/,
    /\+\d+ ms +text +.*README\.md says: The API listens on port 8080\.\n/,
    /ms {2}the mission ran \(a scripted stand-in for an agent, no model\)\n/,
    /ms {2}its answer has come to atlas\/website by itself\n[\s\S]*port 8080/,
  ];
  for (const one of steps) expect(out).toMatch(one);
  const after = await Array.fromAsync(
    new Bun.Glob("ai-intercom-demo-*").scan({ cwd: "/tmp", onlyFiles: false }),
  );
  expect(after).toEqual(before);
});

test("a chat that was not sent: the answer as JSON, exit 1; for a person an error with a hint", async () => {
  const agent = await limn().agent("lonely");
  await agent.kill();
  await waitFor("the session to end", async () => (await agent.session()) === undefined);
  const asJson = await waitFor("no active session", async () => {
    const ran = await limn().run(["chat", "limn/lonely", "hello", "--json"]);
    return ran.code === 1 ? ran : undefined;
  });
  expect(JSON.parse(asJson.out)).toMatchObject({ status: "no_active_session" });
  const shown = await limn().run(["chat", "limn/lonely", "hello"]);
  expect(shown.code).toBe(1);
  expect(shown.err).toMatch(/^error: .*\ntry: .*--queue/);
  expect((await limn().json("chat", "limn/lonely", "later", "--queue")).status).toBe("queued");
});

test("a home whose path is too long for a socket is refused by name", async () => {
  const { code, err } = await limn().run(["daemon"], {
    env: { AI_INTERCOM_HOME: `${fleet.root}/${"long".repeat(30)}` },
  });
  expect(code).toBe(1);
  expect(err).toContain("too long for a Unix socket");
});
