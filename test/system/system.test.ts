// This machine: configuration, private files, process identity, keys, signatures, locks, sockets.
import { expect, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { describeConfig, inspectConfig, loadConfig } from "../../src/system/config.ts";
import { setConfigKeys } from "../../src/system/config-edit.ts";
import { privateDirectory, readSecret, replaceFile } from "../../src/system/files.ts";
import { fingerprint, loadOrCreateMachineKey } from "../../src/system/keys.ts";
import { takeLock } from "../../src/system/lock.ts";
import { ageOf, ancestry, identify, isAlive } from "../../src/system/process.ts";
import { signRequest, verifyRequest } from "../../src/system/signature.ts";
import { freeSocketPath } from "../../src/system/socket.ts";
import { backoff } from "../../src/system/wait.ts";
import { waitFor } from "../rig/wait.ts";

const scratch = () => mkdtempSync("/tmp/aii-sys-");
const failing = (code: string, text: string) =>
  expect.objectContaining({ code, message: expect.stringContaining(text) });

test("config: defaults, file, environment over file", () => {
  const file = `${scratch()}/config.yml`;
  writeFileSync(file, "machine:\n  id: limn\nlimits:\n  rate: 7\nhub:\n  allow_plain_http: true\n");
  const config = loadConfig({
    file,
    env: {
      AI_INTERCOM_LIMITS_RATE: "9",
      HUB_URL: "http://h:1",
      AI_INTERCOM_HUB_ALLOWED_HOSTS: "a, b",
      AI_INTERCOM_HUB_ALLOW_PLAIN_HTTP: "false",
    },
  });
  expect(config.machine.id).toBe("limn");
  expect(config.limits).toMatchObject({ rate: 9, burst: 100, message_bytes: 65_536 });
  expect(config.hub).toMatchObject({
    url: "http://h:1",
    listen: "127.0.0.1:7700",
    allowed_hosts: ["a", "b"],
    allow_plain_http: false,
  });
  expect(loadConfig({ env: {} }).machine.id).toMatch(/^[A-Za-z0-9]/);
});

test("config: Telegram's variables; the owner is one more on the list", () => {
  const file = `${scratch()}/config.yml`;
  writeFileSync(file, "telegram:\n  supergroup_id: -5\n  security:\n    allowed_users: [7]\n");
  const named = { TELEGRAM_BOT_TOKEN: "12:a_b-c", TELEGRAM_SUPERGROUP_ID: "-1001", TELEGRAM_OWNER_ID: "42" };
  expect(loadConfig({ file, env: named }).telegram).toMatchObject({
    bot_token: "12:a_b-c",
    supergroup_id: -1001,
    api_root: "https://api.telegram.org",
    security: { allowed_users: [7, 42], restrict_to_supergroup: true, ignore_private_messages: true },
  });
  expect(loadConfig({ env: { TELEGRAM_OWNER_ID: "42" } }).telegram.security.allowed_users).toEqual([42]);
  expect(loadConfig({ file, env: {} }).telegram.bot_token).toBeUndefined();
});

test("config: a file with a token that others can read is refused; in a private directory it is not", () => {
  const directory = scratch();
  const file = `${directory}/config.yml`;
  writeFileSync(file, "telegram:\n  bot_token: 12:abc\n");
  chmodSync(file, 0o644);
  chmodSync(directory, 0o755);
  expect(() => loadConfig({ file, env: {} })).toThrow("can be used by other users");
  chmodSync(directory, 0o700);
  expect(loadConfig({ file, env: {} }).telegram.bot_token).toBe("12:abc");
  chmodSync(directory, 0o755);
  chmodSync(file, 0o600);
  expect(loadConfig({ file, env: {} }).telegram.bot_token).toBe("12:abc");
});

const badConfigs: [string, string, string][] = [
  ["hub:\n  listen: 99", "hub.listen", "99"],
  ["hub:\n  listen: 127.0.0.1:99999", "hub.listen", "65535"],
  ["hub:\n  url: ftp://x", "hub.url", "http://"],
  ["limits:\n  rate: -1", "limits.rate", "-1"],
  ["language: de", "language", "en"],
  ["telegram:\n  bot_token: hunter2", "telegram.bot_token", "its value"],
  ["dispatcher:\n  target: me@you", "dispatcher.target", "machine/project"],
  ["machine:\n  id: a/b", "machine.id", "a/b"],
  ["projects: 3", "projects", "3"],
  ["discovery:\n  enabled: maybe", "discovery.enabled", 'cannot be "maybe": write true or false'],
  [
    "telegram:\n  security:\n    restrict_to_supergroup: abc",
    "telegram.security.restrict_to_supergroup",
    'cannot be "abc": write true or false',
  ],
  ["telegram:\n  supergroup_id: abc", "telegram.supergroup_id", 'cannot be "abc": write a whole number'],
  ["telegram:\n  api_root: abc", "telegram.api_root", 'cannot be "abc": write a URL'],
  ["limits:\n  rate: abc", "limits.rate", 'cannot be "abc": write a whole number'],
  ["telegram: 12:abc", "telegram", "cannot be its value"],
  ["metrics:\n  token: [a]", "metrics.token", "its value"],
  ["hub:\n  store: [postgres://me:pw@h/db]", "hub.store", "its value"],
  ["- a list", "", "keys and values"],
  ["a: [", "", "not valid YAML"],
];
for (const [yaml, key, text] of badConfigs)
  test(`config: ${JSON.stringify(yaml)} is refused by name`, () => {
    const file = `${scratch()}/config.yml`;
    writeFileSync(file, yaml);
    expect(() => loadConfig({ file, env: {} })).toThrow(failing("bad_config", key));
    expect(() => loadConfig({ file, env: {} })).toThrow(failing("bad_config", text));
  });

test("config: keys that nobody knows are named wherever they stand, and stop nothing", () => {
  const file = `${scratch()}/config.yml`;
  writeFileSync(
    file,
    `foo: 1
hub: { bar: 2 }
projects: [{ path: /a }, { path: /b, capabilites: [x] }]
agent_launcher: { commands: { mine: { command: sh, promt: stdin } } }
`,
  );
  const { config, unknown } = inspectConfig({ file, env: {} });
  expect(unknown).toEqual(["foo", "hub.bar", "projects.1.capabilites", "agent_launcher.commands.mine.promt"]);
  expect(config.projects.map(({ path }) => path)).toEqual(["/a", "/b"]);
});

test("config: the help says of every key what it is", () => {
  expect(describeConfig().filter(({ text }) => text === "")).toEqual([]);
});

test("config edits keep comments and order, and write only on change", () => {
  const file = `${scratch()}/config.yml`;
  writeFileSync(file, "# mine\nhub:\n  url: http://a:1 # old\nlanguage: fr\n");
  setConfigKeys(file, { "hub.url": "http://b:2" });
  expect(readFileSync(file, "utf8")).toBe("# mine\nhub:\n  url: http://b:2 # old\nlanguage: fr\n");
  const before = statSync(file).mtimeMs;
  setConfigKeys(file, { "hub.url": "http://b:2" });
  expect(statSync(file).mtimeMs).toBe(before);
  writeFileSync(file, "a: [");
  expect(() => setConfigKeys(file, { "hub.url": "x" })).toThrow(failing("unparsable_file", file));
  expect(readFileSync(file, "utf8")).toBe("a: [");
});

test("private directories and secrets: created 0700 and 0600, refused when others may use them", () => {
  const root = scratch();
  privateDirectory(`${root}/a/b`);
  expect(statSync(`${root}/a/b`).mode & 0o777).toBe(0o700);
  mkdirSync(`${root}/open`, { mode: 0o755 });
  chmodSync(`${root}/open`, 0o755);
  expect(() => privateDirectory(`${root}/open`)).toThrow(failing("unsafe_file", `${root}/open`));
  symlinkSync(`${root}/a`, `${root}/link`);
  expect(() => privateDirectory(`${root}/link`)).toThrow(failing("unsafe_file", "not a directory"));
  replaceFile(`${root}/secret`, "x");
  expect(readSecret(`${root}/secret`)).toBe("x");
  chmodSync(`${root}/secret`, 0o640);
  expect(() => readSecret(`${root}/secret`)).toThrow(failing("unsafe_file", "other users"));
  symlinkSync(`${root}/secret`, `${root}/secret-link`);
  expect(() => readSecret(`${root}/secret-link`)).toThrow(failing("unsafe_file", "regular file"));
  expect(readSecret(`${root}/none`)).toBeUndefined();
});

test("a replaced file is whole, and leaves no temporary beside it", () => {
  const root = scratch();
  replaceFile(`${root}/f`, "one");
  replaceFile(`${root}/f`, "two");
  expect(readFileSync(`${root}/f`, "utf8")).toBe("two");
  expect(readdirSync(root)).toEqual(["f"]);
});

test("a process is its pid and its start: another process with the pid is another", async () => {
  const me = identify(process.pid);
  expect(me && isAlive(me)).toBe(true);
  expect(isAlive({ pid: process.pid, start: "other" })).toBe(false);
  const child = Bun.spawn(["sleep", "60"]);
  const identity = identify(child.pid);
  expect(
    ancestry(child.pid)
      .map(({ pid }) => pid)
      .slice(0, 2),
  ).toEqual([child.pid, process.pid]);
  child.kill("SIGKILL");
  await child.exited;
  expect(identity && isAlive(identity)).toBe(false);
  for (const pid of [0, -1, 1.5, Number.NaN, 2 ** 40]) expect(identify(pid)).toBeUndefined();
});

test("the age of a process is the time since it was started; where its start tells none, it is not known", async () => {
  const before = performance.now();
  const child = Bun.spawn(["sleep", "60"]);
  const started = performance.now();
  const identity = identify(child.pid) ?? { pid: 0, start: "gone" };
  await waitFor("an age that shows", () => performance.now() - started > 300);
  // a start is known to a tick of 10 ms
  const [least, age, most] = [performance.now() - started, ageOf(identity), performance.now() - before];
  child.kill();
  expect(age).toBeGreaterThanOrEqual(least - 10);
  expect(age).toBeLessThanOrEqual(most + 20);
  const ps = ageOf({ pid: 1, start: `ps-${Math.floor(Date.now() / 1_000) - 7}` });
  expect(ps).toBeGreaterThanOrEqual(7_000);
  expect(ps).toBeLessThan(9_000);
  expect(ageOf({ pid: 1, start: "gone" })).toBeUndefined();
});

test("where nobody can look, nobody is said to be gone: a process without a free descriptor", async () => {
  const code = `
    const { ancestry, identify, isAlive } = await import(${JSON.stringify(`${import.meta.dir}/../../src/system/process.ts`)});
    const { openSync } = await import("node:fs");
    const parent = identify(process.ppid);
    try { for (;;) openSync("/dev/null"); } catch {}
    const tried = [() => isAlive(parent), () => identify(process.ppid), () => ancestry(process.pid)];
    console.log(tried.map((look) => { try { return String(look()); } catch (error) { return error.code; } }).join());`;
  const child = Bun.spawnSync(["sh", "-c", 'ulimit -n 40; exec "$0" -e "$1"', process.execPath, code]);
  expect([child.stdout.toString(), child.stderr.toString()]).toEqual(["EMFILE,EMFILE,EMFILE\n", ""]);
});

test("the machine key is made once, private, and its fingerprint is stable", () => {
  const path = `${scratch()}/machine.key`;
  const key = loadOrCreateMachineKey(path);
  expect(loadOrCreateMachineKey(path).publicKey).toBe(key.publicKey);
  expect(key.publicKey).toMatch(/^[A-Za-z0-9_-]{43}$/);
  expect(fingerprint(key.publicKey)).toMatch(/^([0-9a-f]{4}-){7}[0-9a-f]{4}$/);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  writeFileSync(path, "nonsense");
  expect(() => loadOrCreateMachineKey(path)).toThrow(failing("unparsable_file", path));
});

const body = Buffer.from('{"a":1}');
const url = "http://hub:7700/api/route?x=1";
const key = loadOrCreateMachineKey(`${scratch()}/key`);
const signed = await signRequest("limn", key, { method: "POST", url, body });
const other = await signRequest("limn", key, { method: "POST", url, body: Buffer.from("{}") });
type Change = Partial<{
  method: string;
  url: string;
  body: Buffer;
  headers: Record<string, string>;
  now: number;
  publicKey: string;
}>;
const verify = (change: Change = {}) =>
  verifyRequest(
    {
      method: change.method ?? "POST",
      url: change.url ?? url,
      headers: new Headers(change.headers ?? signed),
      body: change.body ?? body,
    },
    async () => change.publicKey ?? key.publicKey,
    change.now ?? Date.now(),
  );

test("a signed request is its machine's", async () => {
  expect(await verify()).toMatchObject({ machine: "limn", nonce: expect.stringMatching(/^[0-9a-f]{32}$/) });
  // another authority changes nothing: a proxy may stand between
  expect(await verify({ url: url.replace("hub:7700", "proxy") })).toMatchObject({ machine: "limn" });
});

const input = signed["Signature-Input"] ?? "";
const forgeries: [string, Change, string][] = [
  ["another method", { method: "PUT" }, "unauthenticated"],
  ["another path", { url: url.replace("route", "join") }, "unauthenticated"],
  ["another query", { url: url.replace("x=1", "x=2") }, "unauthenticated"],
  ["no query", { url: url.replace("?x=1", "") }, "unauthenticated"],
  ["another body", { body: Buffer.from('{"a":2}') }, "unauthenticated"],
  [
    "another body with its own digest",
    { body: Buffer.from("{}"), headers: { ...signed, "Content-Digest": other["Content-Digest"] ?? "" } },
    "unauthenticated",
  ],
  ["no headers", { headers: {} }, "unauthenticated"],
  ["no signature", { headers: { ...signed, Signature: "" } }, "unauthenticated"],
  [
    "no digest",
    { headers: { Signature: signed.Signature ?? "", "Signature-Input": input } },
    "unauthenticated",
  ],
  [
    "a signature of another request",
    { headers: { ...signed, Signature: other.Signature ?? "" } },
    "unauthenticated",
  ],
  [
    "another key id",
    { headers: { ...signed, "Signature-Input": input.replace("limn", "atlas") } },
    "unauthenticated",
  ],
  [
    "another nonce",
    {
      headers: {
        ...signed,
        "Signature-Input": input.replace(/nonce="(.)/, (_, first) => `nonce="${first === "0" ? "1" : "0"}`),
      },
    },
    "unauthenticated",
  ],
  [
    "another algorithm",
    { headers: { ...signed, "Signature-Input": input.replace("ed25519", "hmac-sha256") } },
    "unauthenticated",
  ],
  [
    "another time",
    {
      headers: {
        ...signed,
        "Signature-Input": input.replace(/created=(\d+)/, (_, created) => `created=${Number(created) - 1}`),
      },
    },
    "unauthenticated",
  ],
  [
    "fewer components",
    { headers: { ...signed, "Signature-Input": input.replace(' "@query"', "") } },
    "unauthenticated",
  ],
  [
    "a wrong enrolled key",
    { publicKey: loadOrCreateMachineKey(`${scratch()}/k2`).publicKey },
    "unauthenticated",
  ],
  ["garbage", { headers: { ...signed, "Signature-Input": "))((", Signature: "))((" } }, "unauthenticated"],
  ["301 s late", { now: Date.now() + 302_000 }, "clock_skew"],
  ["301 s early", { now: Date.now() - 302_000 }, "clock_skew"],
];
for (const [what, change, code] of forgeries)
  test(`refused: ${what}`, async () => {
    expect(await verify(change).catch((error) => error)).toMatchObject({ name: "IntercomError", code });
  });

test("two signatures in one request are refused", async () => {
  const headers = {
    ...signed,
    "Signature-Input": `${input}, ${input.replace("sig1", "sig2")}`,
    Signature: `${signed.Signature}, ${signed.Signature?.replace("sig1", "sig2")}`,
  };
  expect(await verify({ headers }).catch((error) => error)).toMatchObject({ code: "unauthenticated" });
});

test("one lock a home: the second holder is refused until the first is gone, kill -9 included", async () => {
  const path = `${scratch()}/lock`;
  const code = `const { takeLock } = await import(${JSON.stringify(`${import.meta.dir}/../../src/system/lock.ts`)}); takeLock(${JSON.stringify(path)}, "daemon"); console.log("held"); setInterval(() => {}, 1000);`;
  const holder = Bun.spawn([process.execPath, "-e", code], { stdout: "pipe", stderr: "inherit" });
  for await (const _ of holder.stdout) break;
  expect(() => takeLock(path, "daemon")).toThrow(failing("conflict", String(holder.pid)));
  holder.kill("SIGKILL");
  await holder.exited;
  takeLock(path, "daemon").release();
});

test("a socket path: a dead one is freed, a living one and a foreign file are refused", async () => {
  const path = `${scratch()}/s.sock`;
  await freeSocketPath(path, "daemon");
  const server = Bun.serve({ unix: path, fetch: () => new Response("x") });
  expect(await freeSocketPath(path, "daemon").catch((error) => error)).toMatchObject({ code: "conflict" });
  await server.stop(true);
  const code = `Bun.serve({ unix: ${JSON.stringify(path)}, fetch: () => new Response("x") }); console.log("up");`;
  const dying = Bun.spawn([process.execPath, "-e", code], { stdout: "pipe" });
  for await (const _ of dying.stdout) break;
  dying.kill("SIGKILL");
  await dying.exited;
  expect(existsSync(path)).toBe(true);
  // on a machine so busy that this process does not get its turn
  const freed = freeSocketPath(path, "daemon");
  Bun.sleepSync(1_300);
  await freed;
  expect(existsSync(path)).toBe(false);
  writeFileSync(path, "a file");
  expect(await freeSocketPath(path, "daemon").catch((error) => error)).toMatchObject({ code: "unsafe_file" });
  expect(readFileSync(path, "utf8")).toBe("a file");
});

test("backoff doubles up to its limit, with jitter around it", () => {
  const pauses = backoff(100, 1_000);
  const limits = [100, 200, 400, 800, 1_000, 1_000];
  for (const limit of limits) {
    const pause = pauses.next().value;
    expect(pause).toBeGreaterThanOrEqual(limit * 0.5);
    expect(pause).toBeLessThanOrEqual(limit * 1.5);
  }
});
