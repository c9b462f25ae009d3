// An error instead of a kill at every step that a crash point names: a full or failing disk under a daemon that
// lives on with what it has in memory.
import { afterAll, afterEach, expect, mock, test } from "bun:test";
import { statSync } from "node:fs";
import { dirname } from "node:path";
import { Life, messages, oracle, random, World } from "./crash-scenario.ts";
import {
  drain,
  freshDirectory,
  freshInbox,
  idsOf,
  mail,
  quiet,
  reader,
  removeDirectories,
} from "./support.ts";

afterAll(removeDirectories);

const failure = "input/output error";
let disk: (point: string) => void = () => {};
// stays for the test files that follow; it does nothing there
mock.module("../../src/system/crash-point.ts", () => ({ crashPoint: (name: string) => disk(name) }));
afterEach(() => {
  disk = () => {};
});
const failAt = (point: string) => {
  disk = (name) => {
    if (name === point) throw new Error(failure);
  };
};
quiet(); // failed compactions are told

test("an append that fails appended nothing and can be tried again", () => {
  const inbox = freshInbox();
  inbox.append([mail("a")]);
  const { size } = statSync(inbox.path);
  failAt("inbox.append.written");
  expect(() => inbox.append([mail("b"), mail("c")])).toThrow(failure);
  disk = () => {};
  expect([statSync(inbox.path).size, inbox.unread]).toEqual([size, 1]);
  inbox.append([mail("b"), mail("c")]);
  expect(idsOf(drain(inbox))).toEqual(["a", "b", "c"]);
});

test("a claim that fails is no claim", () => {
  const inbox = freshInbox();
  inbox.append([mail("a")]);
  failAt("replace-file.before-rename");
  expect(() => inbox.claim(reader())).toThrow(failure);
  disk = () => {};
  expect([inbox.unread, inbox.openClaims().length]).toEqual([1, 0]);
  expect(idsOf(drain(inbox))).toEqual(["a"]);
});

test("a disk that fails at any step loses, doubles and disorders nothing", () => {
  const directory = dirname(freshDirectory());
  const sent = messages(150);
  const life = new Life(directory, 9, { markerMayStay: true });
  const dice = random(10);
  const failed = new Set<string>();
  for (let step = 0; step < 1_500; step++) {
    disk = (name) => {
      if (dice() > 0.05) return;
      failed.add(name);
      throw new Error(failure);
    };
    try {
      life.step(sent);
    } catch (error) {
      if (!String(error).includes(failure)) throw error;
      life.recover();
    }
  }
  disk = () => {};
  life.finish(sent);
  expect(failed.size).toBeGreaterThan(15);
  expect(oracle(new World(directory), sent)).toEqual({ lost: [], doubled: [], disordered: [] });
});
