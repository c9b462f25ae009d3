// The way back to the copy from before a schema: what is put where, what is named, and what changes nothing.
import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { dirname } from "node:path";
import { backUp } from "../../src/store/backup.ts";
import { knownSchema, migrate } from "../../src/store/migrations.ts";
import { stepBack } from "../../src/store/step-back.ts";
import { takeLock } from "../../src/system/lock.ts";

/** A database one schema ahead, with a row in its write-ahead log and a copy from before. */
function newerFile(step = "CREATE TABLE later (x TEXT) STRICT") {
  const path = `${mkdtempSync("/tmp/aii-back-")}/hub.db`;
  const db = new Database(path);
  db.run("PRAGMA journal_mode = WAL");
  migrate(db, path);
  message(db, "m-old", "queued");
  backUp(db, path, { from: knownSchema, to: knownSchema + 1 });
  db.run(step);
  db.run(`PRAGMA user_version = ${knownSchema + 1}`);
  return { path, db, copy: `${path}.before-${knownSchema + 1}` };
}

function message(db: Database, id: string, state: string, kind = "project"): void {
  db.run("INSERT OR IGNORE INTO threads (id, created_at) VALUES ('t-1', '')");
  db.run(
    "INSERT INTO messages (id, hash, thread_id, type, from_agent, to_agent, message, timestamp) VALUES (?, '', 't-1', 'chat', 'a/b', 'c/d', '', '')",
    [id],
  );
  db.run(
    "INSERT INTO deliveries (message_id, thread_id, kind, address, state) VALUES (?, 't-1', ?, 'c/d', ?)",
    [id, kind, state],
  );
}

const ids = (path: string) =>
  new Database(path, { readonly: true }).query("SELECT id FROM messages ORDER BY seq").values().flat();

test("the copy is in place, stays a copy, and what came since is kept whole, the write-ahead log included", () => {
  const { path, db, copy } = newerFile();
  message(db, "m-since", "delivered"); // still in the log: nothing closes this database
  const back = stepBack(path, knownSchema);
  expect(back).toMatchObject({ copy, waiting: [] });
  db.close();
  expect([ids(path), ids(copy), ids(back?.kept ?? "")]).toEqual([["m-old"], ["m-old"], ["m-old", "m-since"]]);
  new Database(path).run("DELETE FROM deliveries");
  expect(new Database(copy).query("SELECT count(*) FROM deliveries").values()).toEqual([[1]]);
  expect(stepBack(path, knownSchema)).toBeUndefined();
});

test("named is what waits in it and not in the copy: for agents, held, for the person; and what was given back since", () => {
  const { path, db } = newerFile();
  for (const state of ["accepted", "queued", "held", "seen", "failed"]) message(db, `m-${state}`, state);
  message(db, "m-human", "delivered", "human");
  db.run("UPDATE deliveries SET state = 'delivered' WHERE message_id = 'm-old'");
  db.close();
  const waiting = stepBack(path, knownSchema)?.waiting ?? [];
  expect(waiting.map(({ id }) => id)).toEqual(["m-accepted", "m-queued", "m-held", "m-human"]);
  expect(waiting[0]).toEqual({ id: "m-accepted", from: "a/b", to: "c/d", state: "accepted" });
});

test("a schema that this program cannot read: gone back all the same, and said", () => {
  const { path, db } = newerFile("DROP TABLE mission_runs");
  db.close();
  expect(stepBack(path, knownSchema)?.waiting).toBeUndefined();
  expect(ids(path)).toEqual(["m-old"]);
});

test("nothing is changed while a hub has it, nor without a copy", () => {
  const { path, db, copy } = newerFile();
  db.close();
  const hub = takeLock(`${path}.lock`, "hub");
  expect(() => stepBack(path, knownSchema)).toThrow("another hub already uses this database");
  hub.release();
  rmSync(copy);
  expect(() => stepBack(path, knownSchema)).toThrow(/there is no copy of .* that schema \d+ can use/);
  expect(ids(path)).toEqual(["m-old"]);
  expect(readdirSync(dirname(path)).filter((name) => !/-(wal|shm)$|\.lock$/.test(name))).toEqual(["hub.db"]);
});
