// Parts of the daemon by themselves: its outbox, its projects, its memory.
import { expect, test } from "bun:test";
import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { Outbox, type OutboxEntry } from "../../src/daemon/outbox.ts";
import { Projects } from "../../src/daemon/projects.ts";
import { DaemonState } from "../../src/daemon/state.ts";

const scratch = () => mkdtempSync("/tmp/aii-dmn-");

const route = (n: number): OutboxEntry => ({
  kind: "route",
  session_id: "s-1",
  at: "2026-11-22T00:00:00.000Z",
  input: {
    from_agent: "a/b@s-1",
    to_agent: "c/d",
    type: "chat",
    payload: {
      message: `m${n}`,
      message_id: `msg-${n}`,
      new_thread_id: "t-0123456789ab",
      if_no_session: "fail",
      priority: "normal",
    },
  },
});
const receipt = (n: number): OutboxEntry => ({
  kind: "receipt",
  receipt: { message_id: `msg-${n}`, session_id: "s-1", state: "offered", at: "2026-11-22T00:00:00.000Z" },
});
const drain = (outbox: Outbox): OutboxEntry[] => {
  const all: OutboxEntry[] = [];
  for (let head = outbox.head(); head.length > 0; head = outbox.head()) {
    all.push(...head);
    outbox.drop(head.length);
  }
  return all;
};

test("outbox: first in, first out, across restarts; receipts travel together, messages alone", () => {
  const path = `${scratch()}/outbox.jsonl`;
  const outbox = Outbox.open(path);
  outbox.add([receipt(1), receipt(2), route(3), route(4), receipt(5)], { durable: true });
  outbox.close();
  const again = Outbox.open(path);
  expect(again.routes).toBe(2);
  expect(again.find("msg-4")?.input.payload.message).toBe("m4");
  expect(again.head()).toEqual([receipt(1), receipt(2)]);
  again.drop(2);
  expect(again.head()).toEqual([route(3)]);
  expect(drain(again)).toEqual([route(3), route(4), receipt(5)]);
  expect(readFileSync(path, "utf8")).toBe("");
});

test("outbox: cut at every byte of its tail, whole entries stay and nothing else is found", () => {
  const root = scratch();
  const whole = `${root}/whole`;
  Outbox.open(whole).add([route(1), route(2), route(3)], { durable: true });
  const bytes = readFileSync(whole);
  const lineEnds = [...bytes.toString().matchAll(/\n/g)].map((match) => match.index + 1);
  for (let length = bytes.length; length >= 0; length -= 7) {
    const path = `${root}/cut`;
    writeFileSync(path, bytes);
    truncateSync(path, length);
    const complete = lineEnds.filter((end) => end <= length + 1).length;
    const cut = Outbox.open(path);
    expect(cut.size).toBe(complete);
    cut.add([route(9)], { durable: true });
    cut.close();
    expect(drain(Outbox.open(path)).length).toBe(complete + 1);
  }
});

test("outbox: an unreadable line is kept beside, the rest goes on", () => {
  const path = `${scratch()}/outbox.jsonl`;
  Outbox.open(path).add([route(1)], { durable: true });
  appendFileSync(path, '{"kind":"route"\n\0\0\0\n');
  Outbox.open(path).add([route(2)], { durable: true });
  expect(drain(Outbox.open(path))).toEqual([route(1), route(2)]);
  expect(readFileSync(`${path}.corrupt`, "utf8")).toBe('{"kind":"route"\n');
});

test("outbox: a lost newline or a changed byte takes no other entry with it", () => {
  const path = `${scratch()}/outbox.jsonl`;
  const quoting = route(2);
  if (quoting.kind === "route") quoting.input.payload.message = '{"kind":"route"} é';
  Outbox.open(path).add([route(1), quoting, route(3)], { durable: true });
  const bytes = readFileSync(path);
  const lost = Buffer.from(bytes);
  lost[bytes.indexOf("\n")] = 0;
  writeFileSync(path, lost);
  expect(drain(Outbox.open(path))).toEqual([route(1), quoting, route(3)]);
  const changed = Buffer.from(bytes);
  changed[bytes.indexOf("é")] = 0xff;
  writeFileSync(path, changed);
  expect(drain(Outbox.open(path))).toEqual([route(1), route(3)]);
  expect(readFileSync(`${path}.corrupt`).includes("msg-2")).toBe(true);
});

test("outbox: what was sent leaves the file when it grows", () => {
  const path = `${scratch()}/outbox.jsonl`;
  const outbox = Outbox.open(path);
  const long: OutboxEntry = {
    kind: "receipt",
    receipt: {
      message_id: "msg-1",
      session_id: "s-1",
      state: "offered",
      at: "2026-11-22T00:00:00.000Z",
      reason: "x".repeat(500),
    },
  };
  for (let at = 0; at < 4_000; at++) {
    outbox.add([long], { durable: false });
    if (outbox.size > 2) outbox.drop(1);
  }
  expect(readFileSync(path).length).toBeLessThan(1_300_000);
  // what was answered may still stand in the file and is sent again after a crash: ids make that harmless
  expect(outbox.size).toBe(2);
  expect(drain(Outbox.open(path)).slice(-2)).toEqual([long, long]);
});

test("outbox: a long one is not written anew for each message that leaves it", () => {
  const path = `${scratch()}/outbox.jsonl`;
  const outbox = Outbox.open(path);
  const many = Array.from({ length: 8_000 }, (_, n) => route(n));
  outbox.add(many, { durable: true });
  outbox.drop(1);
  const { ino } = statSync(path);
  for (let at = 0; at < 100; at++) outbox.drop(1);
  expect(statSync(path).ino).toBe(ino);
  outbox.close();
});

test("projects: configured path, git root, directory; a second path with the same name gets 4 hex digits", () => {
  const root = scratch();
  for (const path of ["git/app/.git", "git/app/src", "other/app", "conf/big/sub", "home/plain"])
    mkdirSync(`${root}/${path}`, { recursive: true });
  mkdirSync(`${root}/conf/big/sub/.git`);
  const state = DaemonState.open(`${root}/daemon.json`);
  const project = { path: `${root}/conf/big`, description: "all of it", capabilities: [], tags: ["x"] };
  const projects = new Projects(state, [{ ...project, id: "monolith" }]);
  expect(projects.nameOf(`${root}/git/app/src`)).toBe("app");
  expect(projects.nameOf(`${root}/git/app`)).toBe("app");
  expect(projects.nameOf(`${root}/conf/big/sub`)).toBe("monolith");
  expect(projects.nameOf(`${root}/home/plain`)).toBe("plain");
  const second = projects.nameOf(`${root}/other/app`);
  expect(second).toMatch(/^app-[0-9a-f]{4}$/);
  projects.describe("app", { description: "the app" });
  projects.describe("app", { tags: ["y"] });
  const again = new Projects(DaemonState.open(`${root}/daemon.json`), [{ ...project, id: "monolith" }]);
  expect(again.nameOf(`${root}/other/app`)).toBe(second);
  expect(again.report().find((one) => one.project_id === "app")).toMatchObject({
    path: `${root}/git/app`,
    description: "the app",
    tags: ["y"],
  });
  expect(again.report().find((one) => one.project_id === "monolith")).toMatchObject({
    description: "all of it",
    tags: ["x"],
  });
});

test("a directory that a session ran in does not swallow the projects below it", () => {
  const root = scratch();
  mkdirSync(`${root}/home/app/.git`, { recursive: true });
  const projects = new Projects(DaemonState.open(`${root}/daemon.json`), []);
  expect(projects.nameOf(`${root}/home`)).toBe("home");
  expect(projects.nameOf(`${root}/home/app`)).toBe("app");
});

test("the daemon's memory: a file that cannot be read is kept beside, and the daemon starts", () => {
  const path = `${scratch()}/daemon.json`;
  writeFileSync(path, "{ cut off");
  const state = DaemonState.open(path);
  state.setRevoked(true);
  expect(DaemonState.open(path).revoked).toBe(true);
  expect(readFileSync(`${path}.corrupt`, "utf8")).toBe("{ cut off");
});
