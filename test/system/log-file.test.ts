import { afterEach, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { keepLog, LogFile } from "../../src/system/log-file.ts";

const directory = mkdtempSync(`${tmpdir()}/aii-log-`);
afterEach(() => rmSync(directory, { recursive: true, force: true }));

test("a full file is turned over; the oldest goes; every line of the kept ones is whole", () => {
  const file = new LogFile(`${directory}/hub.log`, 100);
  for (let i = 0; i < 100; i++) file.write(`line ${String(i).padStart(4, "0")}\n`);
  file.close();
  expect(readdirSync(directory).sort()).toEqual([
    "hub.log",
    "hub.log.1",
    "hub.log.2",
    "hub.log.3",
    "hub.log.4",
  ]);
  const kept = ["hub.log.4", "hub.log.3", "hub.log.2", "hub.log.1", "hub.log"]
    .flatMap((name) => readFileSync(`${directory}/${name}`, "utf8").trimEnd().split("\n"))
    .map((line) => Number(line.slice(5)));
  expect(kept).toEqual(kept.map((_, at) => 100 - kept.length + at));
  expect(kept.length).toBeGreaterThanOrEqual(40);
  expect(statSync(`${directory}/hub.log`).mode & 0o777).toBe(0o600);
});

test("where nothing can be written, the program goes on", () => {
  const file = new LogFile("/proc/none/hub.log", 100);
  expect(() => file.write("x\n")).not.toThrow();
  expect(() => keepLog("/proc/none", "hub")).not.toThrow();
});
