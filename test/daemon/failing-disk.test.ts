// A disk that takes nothing under a daemon that lives on: whoever reads is told so, the agent is not rung for what it
// could not be given, what waits for the hub goes out all the same, and everything goes on by itself afterwards.
import { afterAll, afterEach, expect, mock, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { Daemon } from "../../src/daemon/daemon.ts";
import { Outbox, type OutboxEntry } from "../../src/daemon/outbox.ts";
import { pidHeaders } from "../../src/protocol/hook.ts";
import { Config } from "../../src/system/config.ts";
import { diskFault } from "../../src/system/files.ts";
import { log } from "../../src/system/log.ts";
import { homePaths } from "../../src/system/paths.ts";
import { identify } from "../../src/system/process.ts";
import { waitFor } from "../rig/wait.ts";

const root = mkdtempSync("/tmp/aii-disk-");
afterAll(() => rmSync(root, { recursive: true }));
log.level = 0;

let disk: (point: string) => void = () => {};
// stays for the test files that follow; it does nothing there
mock.module("../../src/system/crash-point.ts", () => ({ crashPoint: (name: string) => disk(name) }));
afterEach(() => {
  disk = () => {};
});
/** At these steps the disk answers this. */
function failWith(code: string, ...points: string[]): void {
  disk = (name) => {
    if (points.includes(name)) throw Object.assign(new Error(`${code}: no`), { code });
  };
}

const receipt = (n: number, reason?: string): OutboxEntry => ({
  kind: "receipt",
  receipt: {
    message_id: `msg-${n}`,
    session_id: "s-1",
    state: "delivered",
    at: "2026-11-23T00:00:00.000Z",
    reason,
  },
});
const route = (n: number): OutboxEntry => ({
  kind: "route",
  session_id: "s-1",
  at: "2026-11-23T00:00:00.000Z",
  input: {
    from_agent: "atlas/p@s-1",
    to_agent: "limn/api",
    type: "chat",
    payload: { message: `m${n}`, message_id: `msg-${n}`, if_no_session: "fail", priority: "normal" },
  },
});

test("receipts go out without the disk, messages are refused; neither stands there afterwards", () => {
  const path = `${root}/outbox.jsonl`;
  const outbox = Outbox.open(path);
  outbox.add([route(1)], { durable: true });
  const before = readFileSync(path, "utf8");
  failWith("ENOSPC", "outbox.written");
  outbox.add([receipt(2, "the disk is full")], { durable: false });
  expect(() => outbox.add([route(3)], { durable: true })).toThrow("cannot keep the message on disk");
  expect(readFileSync(path, "utf8")).toBe(before);
  expect([outbox.size, outbox.routes, outbox.find("msg-3")]).toEqual([2, 1, undefined]);
  outbox.drop(1);
  expect(outbox.head()).toEqual([receipt(2, "the disk is full")]);
  outbox.drop(1);
  disk = () => {};
  outbox.add([route(4)], { durable: true });
  outbox.close();
  expect(Outbox.open(path).head()).toEqual([route(4)]);
});

test("what went out is gone although its file cannot be shortened; a restart sends it once more", () => {
  const path = `${root}/longer.jsonl`;
  const outbox = Outbox.open(path);
  outbox.add([route(1), receipt(2)], { durable: true });
  failWith("EROFS", "outbox.emptied");
  outbox.drop(1);
  outbox.drop(1);
  expect(outbox.size).toBe(0);
  disk = () => {};
  outbox.add([route(3)], { durable: true });
  outbox.close();
  expect(Outbox.open(path).find("msg-3")).toEqual(route(3) as never);
});

test("which errors are the disk's, by whomever they were passed on", () => {
  const errno = (code: string) => Object.assign(new Error("no"), { code });
  for (const [code, fault] of [
    ["ENOSPC", "full"],
    ["EDQUOT", "full"],
    ["EROFS", "read_only"],
    ["EACCES", "failing"],
    ["EIO", "failing"],
    ["ENOENT", undefined],
    ["EMFILE", undefined],
  ] as const) {
    expect(diskFault(errno(code))).toBe(fault as never);
    expect(diskFault(new Error("passed on", { cause: errno(code) }))).toBe(fault as never);
  }
  expect(diskFault("ENOSPC")).toBeUndefined();
});

test("mail in an inbox that cannot be handed out: the reader, the hook and the ring, and what comes afterwards", async () => {
  const paths = homePaths(`${root}/home`);
  const config = Config.parse({ machine: { id: "atlas" }, hub: { url: "http://127.0.0.1:9" } });
  await using _daemon = await Daemon.start({ config, paths });
  const child = Bun.spawn(["sleep", "100"]);
  try {
    const pid = child.pid;
    const claude = `${root}/.claude`;
    mkdirSync(`${claude}/sessions`, { recursive: true });
    const procStart = identify(pid)?.start.split("-").at(-1);
    const entry = { pid, sessionId: "n-1", procStart, status: "idle", statusUpdatedAt: Date.now() };
    writeFileSync(`${claude}/sessions/${pid}.json`, JSON.stringify(entry));
    const headers = { [pidHeaders.agent]: String(pid), [pidHeaders.asker]: String(pid) };
    const ask = async (method: string, path: string, body?: unknown) => {
      const text = body === undefined ? {} : { body: JSON.stringify(body) };
      return fetch(`http://daemon${path}`, { unix: paths.daemonSocket, method, headers, ...text });
    };
    const about = { agent: "claude", config_directory: claude, native_session_id: "n-1", wake: "socket" };
    const registered = await ask("POST", "/api/session/register", { pid, project: "p", ...about });
    const { session_id } = (await registered.json()) as { session_id: string };
    const rings = await listen(await ask("GET", `/api/session/${session_id}/events`));
    const deliver = (id: string, thread_id: string) =>
      ask("POST", "/api/session/deliver", {
        ...{ session_id, thread_id, id, from_agent: "a/b" },
        message: `text of ${id}`,
        timestamp: "2026-11-23T00:00:00.000Z",
      });
    const read = async () => {
      const answer = await ask("POST", "/api/tool/intercom_check_inbox", { pid, arguments: {} });
      return ((await answer.json()) as { result: Record<string, unknown> }).result;
    };
    const waits = async () => {
      const { sessions } = (await (await ask("GET", "/api/checkup")).json()) as {
        sessions: { waits?: string }[];
      };
      return sessions[0]?.waits;
    };
    await deliver("one", "t-00000000000a");
    await waitFor("the first ring", () => rings() === 1);
    failWith("EROFS", "replace-file.before-rename");
    const refused = {
      status: "error",
      error: "1 message waits and cannot be handed out: this machine's disk is read-only",
      hint: expect.stringContaining(`df -h ${paths.inbox}`),
      messages: [],
      count: 0,
      waiting: 1,
      inbox_waiting: 1,
    };
    expect(await read()).toEqual(refused);
    expect(await waits()).toContain("its machine's disk is read-only");
    const input = { session_id: "n-1", hook_event_name: "UserPromptSubmit", cwd: "/", prompt: "go on" };
    const hook = await ask("POST", "/api/hook", input);
    expect([hook.status, await hook.text()]).toEqual([500, expect.stringContaining("disk is read-only")]);
    failWith("ENOSPC", "replace-file.before-rename");
    await deliver("two", "t-00000000000b");
    expect((await read()).error).toBe(
      "2 messages wait and cannot be handed out: this machine's disk is full",
    );
    expect(await waits()).toContain("its machine's disk is full");
    expect(rings()).toBe(1);
    disk = () => {};
    await waitFor("a ring for what can be handed out again", () => rings() === 2);
    expect(await waits()).toBeUndefined();
    const { messages, waiting, status } = await read();
    expect((messages as { id: string }[]).map(({ id }) => id)).toEqual(["one", "two"]);
    expect([waiting, status]).toEqual([0, undefined]);
  } finally {
    child.kill();
  }
}, 30_000);

/** Counts the rings in a session's event stream. */
async function listen(stream: Response): Promise<() => number> {
  let text = "";
  const decoder = new TextDecoder();
  void (async () => {
    for await (const part of stream.body ?? []) text += decoder.decode(part, { stream: true });
  })().catch(() => undefined); // it ends with the daemon
  await waitFor("the stream to begin", () => text.includes("\n"));
  return () => text.split('"event":"ring"').length - 1;
}
