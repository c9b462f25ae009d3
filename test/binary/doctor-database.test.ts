// A damaged database: what `doctor` says to do is done here, word for word; and what a hub says that meets the damage.
import { Database } from "bun:sqlite";
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdir, readdir } from "node:fs/promises";
import { pidHeaders } from "../../src/protocol/hook.ts";
import { knownSchema } from "../../src/store/migrations.ts";
import { openStore } from "../../src/store/open.ts";
import { doctor } from "../rig/doctor";
import { Fleet, type Machine } from "../rig/fleet";
import { b, furnish, newMessage, roomy } from "../store/fixtures";

/** the command's own part, as on any machine: nothing is lost where it is missing, and nothing rescued */
const rescued = test.skipIf(Bun.which("sqlite3") === null);
let fleet: Fleet;
beforeAll(async () => {
  fleet = await Fleet.empty();
});
afterAll(() => fleet[Symbol.asyncDispose]());

const pageBytes = 4096;
const messages = 200;
let made = 0;

/** A home whose hub has had many messages. */
async function usedHome(): Promise<Machine & { database: string; ids: string[] }> {
  const machine = fleet.add(`h${++made}`);
  await mkdir(machine.home, { recursive: true, mode: 0o700 });
  const database = `${machine.home}/hub.db`;
  const store = openStore(database);
  await furnish(store);
  const sent = Array.from({ length: messages }, (_, n) => newMessage(`word ${n} ${"x".repeat(300)}`));
  await Promise.all(sent.map((message) => store.accept(message, [b], roomy)));
  await store.close();
  return Object.assign(machine, { database, ids: sent.map(({ id }) => id) });
}

/** Overwrites the pages chosen, 1 is the first. */
async function damage(path: string, choose: (page: Buffer, number: number) => boolean): Promise<void> {
  const bytes = Buffer.from(await Bun.file(path).arrayBuffer());
  const all = Array.from({ length: bytes.length / pageBytes }, (_, n) => n + 1);
  const page = (n: number) => bytes.subarray((n - 1) * pageBytes, n * pageBytes);
  const chosen = all.filter((n) => choose(page(n), n));
  expect(chosen).not.toEqual([]);
  for (const n of chosen) page(n).fill(0xa5);
  await Bun.write(path, bytes);
}

/** The leaf that holds the text of message `n`, and nothing but texts of messages. */
const leafOf = (n: number) => (page: Buffer) => page[0] === 0x0d && page.includes(`word ${n} xxx`);

function count(path: string, sql: string): number {
  using db = new Database(path, { readonly: true });
  return Number(Object.values(db.query<Record<string, number>, []>(sql).get() ?? {})[0]);
}

async function fix(machine: Machine): Promise<{ code: number; said: string }> {
  const report = await doctor(machine);
  expect(report.code).toBe(1);
  const [, command = ""] = report.fix("database_damaged").split("stop the hub, then: ");
  const shell = Bun.spawn(["sh", "-c", command], { stdout: "pipe", stderr: "pipe" });
  const [out, err, code] = await Promise.all([shell.stdout.text(), shell.stderr.text(), shell.exited]);
  return { code, said: out + err };
}

rescued(
  "doctor's command keeps the damaged file and puts what can be read in its place",
  async () => {
    const machine = await usedHome();
    const before = await Bun.file(machine.database).bytes();
    await damage(machine.database, leafOf(100));
    const damaged = await Bun.file(machine.database).bytes();
    expect(damaged).not.toEqual(before);

    const { code, said } = await fix(machine);
    expect({ code, said }).toEqual({ code: 0, said: expect.stringContaining("rescued; as it was: ") });
    const kept = /as it was: (.*)/.exec(said)?.[1] ?? "";
    expect(await Bun.file(kept).bytes()).toEqual(damaged);
    expect((await Bun.file(machine.database).stat()).mode & 0o777).toBe(0o600);
    expect(count(machine.database, "PRAGMA user_version")).toBe(knownSchema);
    const rescued = count(machine.database, "SELECT count(*) FROM messages");
    expect(rescued).toBeGreaterThan(messages - 20);
    expect(rescued).toBeLessThan(messages);
    expect(count(machine.database, "SELECT count(*) FROM pragma_foreign_key_check")).toBe(0);

    // the hub starts on it, and doctor is content
    const server = await machine.serve("standalone", "--listen", "127.0.0.1:0");
    await machine.linked();
    expect((await doctor(machine)).codes).toContain("database");
    await server.kill();
  },
  60_000,
);

rescued(
  "what still stands in the write-ahead log is rescued too, and its old file does not stay",
  async () => {
    const machine = await usedHome();
    const store = openStore(machine.database);
    await store.accept(newMessage("the last word"), [b], roomy);
    const log = await Bun.file(`${machine.database}-wal`).bytes();
    await store.close();
    await damage(machine.database, leafOf(100));
    await Bun.write(`${machine.database}-wal`, log);
    expect((await fix(machine)).code).toBe(0);
    expect(await Bun.file(`${machine.database}-wal`).exists()).toBe(false);
    expect(count(machine.database, "SELECT count(*) FROM messages WHERE message = 'the last word'")).toBe(1);
  },
  60_000,
);

rescued(
  "where nothing can be rescued, or while a hub runs, the file stays as it is",
  async () => {
    const machine = await usedHome();
    await damage(machine.database, leafOf(100));
    const damaged = await Bun.file(machine.database).bytes();
    const store = openStore(machine.database);
    const refused = await fix(machine);
    await store.close();
    expect(refused).toEqual({ code: 1, said: expect.stringContaining("stop the hub first") });
    await damage(machine.database, (_, number) => number === 1);
    const first = await Bun.file(machine.database).bytes();
    expect(first).not.toEqual(damaged);
    expect(await fix(machine)).toEqual({ code: 1, said: expect.stringContaining("not rescued") });
    expect(await Bun.file(machine.database).bytes()).toEqual(first);
    expect((await readdir(machine.home)).includes("hub.db")).toBe(true);
  },
  60_000,
);

test("a hub that cannot start on it sends its person to doctor", async () => {
  const machine = await usedHome();
  await damage(machine.database, (_, number) => number === 1);
  const { code, err } = await machine.run(["standalone", "--listen", "127.0.0.1:0"]);
  expect(code).not.toBe(0);
  expect(err).toContain("rescue what can be read of it: ai-intercom doctor");
  expect(err).not.toContain("move this one away");
}, 60_000);

test("a hub that meets the damage while it serves is not ready from then on, and doctor says so", async () => {
  const machine = await usedHome();
  await damage(machine.database, leafOf(100));
  const server = await machine.serve("standalone", "--listen", "127.0.0.1:0");
  try {
    await machine.linked();
    expect((await doctor(machine)).codes).toContain("hub");
    const asked = () =>
      fetch(`http://hub/api/messages/${machine.ids[100]}`, {
        unix: `${machine.home}/run/hub.sock`,
        headers: { [pidHeaders.asker]: String(process.pid) },
      });
    for (const answer of [await asked(), await asked()]) {
      expect(answer.status).toBe(500);
      expect(await answer.json()).toMatchObject({
        error: { message: "the hub's database is damaged", hint: "on the hub's host: ai-intercom doctor" },
      });
    }
    const report = await doctor(machine);
    expect(report.fix("hub_store")).toContain("on the hub's host");
    expect(report.codes).toContain("database_damaged");
  } finally {
    await server.kill();
  }
}, 60_000);
