// The copy that is made before a schema changes: whole, private, two at most; and none where nothing is at stake.
import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { mkdtempSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { backUp } from "../../src/store/backup.ts";
import { migrate } from "../../src/store/migrations.ts";

const steps = [1, 2, 3, 4, 5].map((n) => `CREATE TABLE t${n} (x) STRICT`.replace("(x)", "(x TEXT)"));

function makeFile() {
  const folder = mkdtempSync("/tmp/aii-before-");
  const path = `${folder}/hub.db`;
  const db = new Database(path);
  db.run("PRAGMA journal_mode = WAL");
  return {
    folder,
    path,
    db,
    files: () =>
      readdirSync(folder)
        .filter((name) => name.includes("before"))
        .sort(),
  };
}

const contents = (path: string, sql: string) => new Database(path, { readonly: true }).query(sql).all();

test("a fresh file has nothing to copy; an up-to-date one neither", () => {
  const { path, db, files } = makeFile();
  migrate(db, path, steps.slice(0, 2));
  migrate(db, path, steps.slice(0, 2));
  expect(files()).toEqual([]);
});

test("the copy holds what was there, the write-ahead log included, is private, and opens by itself", () => {
  const { folder, path, db, files } = makeFile();
  migrate(db, path, steps.slice(0, 2));
  db.run("INSERT INTO t1 VALUES ('kept')"); // only in the -wal file so far
  migrate(db, path, steps.slice(0, 4));
  expect(files()).toEqual(["hub.db.before-4"]);
  const copy = `${folder}/hub.db.before-4`;
  expect(statSync(copy).mode & 0o777).toBe(0o600);
  expect(contents(copy, "SELECT x FROM t1")).toEqual([{ x: "kept" }]);
  expect(contents(copy, "PRAGMA user_version")).toEqual([{ user_version: 2 }]);
  expect(contents(copy, "PRAGMA integrity_check")).toEqual([{ integrity_check: "ok" }]);
  expect(contents(path, "PRAGMA user_version")).toEqual([{ user_version: 4 }]);
  // going back: the older program refuses the file and names the copy, and takes the copy
  expect(() => migrate(db, path, steps.slice(0, 2))).toThrow(
    expect.objectContaining({
      code: "bad_config",
      hint: expect.stringMatching(new RegExp(`${copy}, .* ai-intercom self-upgrade --restore$`)),
    }),
  );
  expect(contents(path, "PRAGMA user_version")).toEqual([{ user_version: 4 }]);
  migrate(new Database(copy), copy, steps.slice(0, 2));
});

test("the newest two are kept; files with other names are nobody's business", () => {
  const { folder, path, db, files } = makeFile();
  writeFileSync(`${folder}/hub.db.before-lunch`, "a person's own");
  for (let n = 1; n <= 5; n++) migrate(db, path, steps.slice(0, n));
  expect(files()).toEqual(["hub.db.before-4", "hub.db.before-5", "hub.db.before-lunch"]);
});

test("a copy that cannot be written stops the migration and changes nothing", () => {
  const { path, db, files } = makeFile();
  migrate(db, path, steps.slice(0, 1));
  db.run("PRAGMA temp_store = MEMORY");
  const full = new Proxy(db, {
    get: (target, name) =>
      name === "query"
        ? (sql: string) => {
            if (sql.startsWith("VACUUM")) throw new Error("database or disk is full");
            return target.query(sql);
          }
        : Reflect.get(target, name),
  });
  expect(() => migrate(full, path, steps.slice(0, 2))).toThrow(
    expect.objectContaining({ code: "unsafe_file", hint: expect.stringContaining("nothing was changed") }),
  );
  expect(contents(path, "PRAGMA user_version")).toEqual([{ user_version: 1 }]);
  expect(files()).toEqual([]);
});

test("a copy that comes after another program's migration is dropped", () => {
  const { path, db, files } = makeFile();
  migrate(db, path, steps.slice(0, 3));
  backUp(db, path, { from: 2, to: 3 });
  expect(files()).toEqual([]);
});
