import { afterAll, expect, test } from "bun:test";
import { mkdirSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { Marker, removeStaleMarkers } from "../../src/inbox/marker.ts";
import { freshDirectory, removeDirectories } from "./support.ts";

afterAll(removeDirectories);

test("only markers of live processes stay; anything else in the directory goes", () => {
  const directory = freshDirectory();
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const live = { pid: 10, start: "boot-1" };
  new Marker(directory, "s-live").attach(live, true);
  new Marker(directory, "s-dead").attach({ pid: 11, start: "boot-1" }, true);
  new Marker(directory, "s-reused").attach({ pid: 12, start: "boot-0" }, true);
  const pending = `${directory}/pending`;
  writeFileSync(`${pending}/13`, '{"session_id":"s-to');
  writeFileSync(`${pending}/name`, '{"session_id":"s","start":"boot-1"}');
  symlinkSync(`${pending}/10`, `${pending}/14`);
  const asked: unknown[] = [];
  removeStaleMarkers(directory, (agent, sessionId) => {
    asked.push([agent, sessionId]);
    return agent.pid !== 11 && agent.start === "boot-1";
  });
  expect(readdirSync(pending)).toEqual(["10"]);
  expect(asked).toContainEqual([live, "s-live"]);
});

test("without a directory there is nothing to remove", () => {
  const directory = freshDirectory();
  removeStaleMarkers(directory, () => true);
  expect(readdirSync(directory)).toEqual(["pending"]);
});
