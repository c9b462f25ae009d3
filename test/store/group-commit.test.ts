// Group commit: many writes, few fsyncs; nobody is told `stored` too early, and nobody pays for a neighbour.
import { Database } from "bun:sqlite";
import { beforeEach, expect, spyOn, test } from "bun:test";
import { GroupCommit } from "../../src/store/group-commit.ts";

let db: Database;
let commit: GroupCommit;
beforeEach(() => {
  db = new Database(":memory:");
  db.run("CREATE TABLE notes (id INTEGER PRIMARY KEY)");
  commit = new GroupCommit(db);
});

const add = (id: number) =>
  commit.write((inside) => {
    inside.query("INSERT INTO notes VALUES (?)").run(id);
    return id;
  });
const stored = () =>
  db
    .query<{ id: number }, []>("SELECT id FROM notes ORDER BY id")
    .all()
    .map(({ id }) => id);

test("a failing write fails alone, and leaves nothing of itself", async () => {
  const results = await Promise.allSettled([
    add(1),
    add(2),
    add(2),
    commit.write((inside) => {
      inside.run("INSERT INTO notes VALUES (3)");
      throw new Error("changed its mind");
    }),
    add(4),
  ]);
  expect(results.map(({ status }) => status)).toEqual([
    "fulfilled",
    "fulfilled",
    "rejected",
    "rejected",
    "fulfilled",
  ]);
  expect(results[2]).toMatchObject({ reason: { message: expect.stringContaining("UNIQUE constraint") } });
  expect(stored()).toEqual([1, 2, 4]);
});

test("writes of one turn share a commit, at most a hundred each", async () => {
  const run = spyOn(db, "run");
  await Promise.all(Array.from({ length: 250 }, (_, id) => add(id)));
  expect(run.mock.calls.filter(([sql]) => sql === "COMMIT")).toHaveLength(3);
  expect(stored()).toHaveLength(250);
});

test("nothing is told before the commit, and everybody when it fails", async () => {
  let told = 0;
  const writes = [add(1), add(2)].map((write) => write.finally(() => told++));
  const real = db.run.bind(db);
  const run = spyOn(db, "run").mockImplementation((sql: string) => {
    if (sql !== "COMMIT") return real(sql);
    expect([told, stored()]).toEqual([0, [1, 2]]);
    throw new Error("the disk is on fire");
  });
  const results = await Promise.allSettled(writes);
  expect(results.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
  run.mockRestore();
  expect(stored()).toEqual([]);
  expect(await add(3)).toBe(3);
  expect(stored()).toEqual([3]);
});

test("when SQLite drops the whole transaction, so is everybody told", async () => {
  const results = await Promise.allSettled([
    add(1),
    commit.write((inside) => {
      inside.run("ROLLBACK"); // what SQLite does by itself on a full disk
      throw new Error("database or disk is full");
    }),
    add(2),
  ]);
  expect(results.map(({ status }) => status)).toEqual(["rejected", "rejected", "rejected"]);
  expect(stored()).toEqual([]);
});

test("closing commits what waits and takes nothing more", async () => {
  const last = add(1);
  commit.close();
  expect(stored()).toEqual([1]);
  expect(await last).toBe(1);
  await expect(add(2)).rejects.toThrow("closed");
});
