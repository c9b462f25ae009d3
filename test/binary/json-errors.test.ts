// Whatever fails with --json: stderr holds one JSON object on one line and nothing else, without line breaks inside its
// texts; stdout is empty or JSON. Every command, misused, in a broken home, with odd words, and where nothing runs.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdir } from "node:fs/promises";
import { Fleet, type Machine } from "../rig/fleet";

let fleet: Fleet;
beforeAll(async () => {
  fleet = await Fleet.empty();
});
afterAll(() => fleet[Symbol.asyncDispose]());

/** Each command with words that it takes, and with some that it cannot mean. */
const calls: string[][] = [
  ...[
    "setup",
    "install claude",
    "install emacs",
    "uninstall --all",
    "invite",
    "machines",
    "machines approve x",
  ],
  ...[
    "join 7K3M-9QXT-2BVN-84HD@http://127.0.0.1:1",
    "join junk",
    "login",
    "login 7K3M-9QXT-2BVN-84HD",
    "logout",
  ],
  ...["agents", "chat a/b c", "reply t-0123456789ab c", "inbox", "history t-0123456789ab", "watch"],
  ...["release t-0123456789ab", "status", "status msg-1", "ask a/b c", "ask a/b c --wait", "missions"],
  ...["missions show m-20261122-1a2b3c", "approvals", "approvals approve a-0123456789ab", "permissions on"],
  ...["feedback", "service install", "service status", "service restart", "logs", "self-upgrade", "doctor"],
  ...["self-upgrade --check", "doctor --canary s-20261122-1a2b3c", "completions bash"],
].map((line) => line.split(" "));
const odd = [
  ["agents", "--filter", "a\nb"],
  ["history", "t-\u001b[31m\r\nx"],
  ["chat", "a\nb/c", "x"],
  ["status", "one\ntwo"],
  ["no\nsuch"],
  ["install", "em\nacs"],
  ["setup", "--machine-id", "a\nb"],
  ["agents", "--fil\nter", "x"],
];

async function home(name: string, config?: string): Promise<Machine> {
  const person = `${fleet.root}/person-${name}`;
  await mkdir(`${person}/.claude`, { recursive: true });
  await Bun.write(`${person}/.claude/settings.json`, '{\n "a": 1,\n "hooks": [ }\n');
  const machine = fleet.add(name, {
    HOME: person,
    XDG_RUNTIME_DIR: "/nonexistent",
    AI_INTERCOM_BASE_URL: "/nowhere",
    AI_INTERCOM_HUB_LISTEN: "127.0.0.1:0",
  });
  await mkdir(machine.home, { mode: 0o700 });
  if (config !== undefined) await Bun.write(`${machine.home}/config.yml`, config, { mode: 0o600 });
  return machine;
}

async function check(machine: Machine, words: string[]): Promise<number> {
  const { code, out, err } = await machine.run([...words, "--json"]);
  if (out !== "") expect(() => JSON.parse(out)).not.toThrow();
  if (err === "" && (code === 0 || out !== "")) return code; // `doctor` fails by what it prints
  const lines = err.split("\n");
  const parsed = { words, lines: lines.length, error: {} as Record<string, string> };
  try {
    parsed.error = JSON.parse(lines[0] ?? "").error;
  } catch {
    throw new Error(`${JSON.stringify(words)} exited ${code} and said: ${JSON.stringify(err)}`);
  }
  expect({ ...parsed, code: code > 0 }).toEqual({
    words,
    lines: 2, // one and the end
    error: {
      code: expect.any(String),
      message: expect.stringMatching(/^\S[^\n\r\u001b]*$/),
      hint: expect.any(String),
    },
    code: true,
  });
  expect(parsed.error.hint).not.toMatch(/[\n\r\u001b]/);
  return code;
}

test("an option that is none, for every command that the help names", async () => {
  const machine = await home("misused");
  const { out } = await machine.run(["--help"]);
  const names = [...out.matchAll(/^ {2}([a-z-]+) {2,}/gm)].map(([, name]) => name ?? "");
  // the hook has no such option, and says nothing to what it does not know
  for (const name of names.filter((one) => one !== "check-inbox"))
    expect([name, await check(machine, [name, "--frobnicate"])]).toEqual([name, 2]);
  const called = new Set(calls.map(([name]) => name));
  const servers = ["standalone", "hub", "daemon", "mcp-server", "check-inbox", "demo"];
  expect(names.filter((name) => !called.has(name) && !servers.includes(name))).toEqual([]);
}, 60_000);

for (const [what, config] of [
  ["nothing runs", undefined],
  ["no YAML", "a: [b\n  c: {\n- d\n"],
  ["a wrong value", "language: |\n  de\n  en\n"],
  ["keys that nobody reads", "langage: fr\nhubb: x\n"],
] as const)
  test(`${what}: every command`, async () => {
    const machine = await home(what.replaceAll(" ", "-"), config);
    for (const words of calls) await check(machine, words);
  }, 60_000);

test("words with line breaks and control characters", async () => {
  const machine = await home("odd");
  for (const words of odd) expect([words, (await check(machine, words)) > 0]).toEqual([words, true]);
}, 60_000);
