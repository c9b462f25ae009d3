// The SQLite engine: the contract, its files, and what survives a kill -9.
import { Database } from "bun:sqlite";
import { describe, expect, spyOn, test } from "bun:test";
import { chmodSync, mkdtempSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { openStore } from "../../src/store/open.ts";
import { log } from "../../src/system/log.ts";
import { storeContract } from "./contract.ts";
import { damage, pageWith } from "./damaging.ts";
import { at, b, furnish, newMessage, roomy } from "./fixtures.ts";

const newPath = () => join(mkdtempSync("/tmp/aii-store-"), "hub.db");

storeContract("sqlite", async () => {
  const path = newPath();
  const engine = {
    store: openStore(path),
    reopen: async () => {
      await engine.store.close();
      engine.store = openStore(path);
    },
    dispose: () => engine.store.close(),
  };
  return engine;
});

describe("the file", () => {
  test("is private, and refused when it is not", async () => {
    const path = newPath();
    const store = openStore(path);
    await store.check();
    for (const file of [path, `${path}-wal`, `${path}-shm`]) expect(statSync(file).mode & 0o777).toBe(0o600);
    await store.close();
    chmodSync(path, 0o644);
    expect(() => openStore(path)).toThrow("can be used by other users");
    chmodSync(path, 0o600);
    symlinkSync(path, `${path}.link`);
    expect(() => openStore(`${path}.link`)).toThrow("not a regular file");
  });

  test("durable settings hold on the connection", () => {
    const path = newPath();
    openStore(path);
    const db = new Database(path);
    expect(db.query("PRAGMA journal_mode").get()).toEqual({ journal_mode: "wal" });
    db.close();
  });

  test("of a newer version is refused and left as it is", async () => {
    const path = newPath();
    await openStore(path).close();
    const db = new Database(path);
    db.run("PRAGMA user_version = 99");
    db.close();
    expect(() => openStore(path)).toThrow(/newer ai-intercom \(schema 99/);
    expect(new Database(path).query("PRAGMA user_version").get()).toEqual({ user_version: 99 });
  });

  test("a page of delivered copies looks at 10,000 of a long history, and the next goes on there", async () => {
    const path = newPath();
    let store = openStore(path);
    await furnish(store);
    const sent: string[] = [];
    const deliver = async (n: number) => {
      const message = newMessage(`word ${n}`);
      const { id } = message;
      await store.accept(message, [b], roomy);
      const receipt = { message_id: id, session_id: "s-b", state: "delivered" as const, at: at(n) };
      await store.applyReceipts("limn", [receipt], { at: at(n), expires_at: at(100) });
      sent.push(id);
    };
    await deliver(1);
    await store.close();
    const db = new Database(path);
    db.run("UPDATE sqlite_sequence SET seq = 25000 WHERE name = 'deliveries'");
    db.close();
    store = openStore(path);
    await deliver(2);
    const pages = [];
    for (let after: number | undefined = 0; after !== undefined; after = pages.at(-1)?.next)
      pages.push(await store.deliveredCopies("limn", "s-b", after));
    expect(pages.map(({ next }) => next)).toEqual([10_000, 20_000, undefined]);
    expect(pages.map(({ copies }) => copies.map(({ message_id }) => message_id))).toEqual([
      sent.slice(0, 1),
      [],
      sent.slice(1),
    ]);
    await store.close();
  });

  test("that is no database is refused and left as it is", async () => {
    const path = newPath();
    writeFileSync(path, "notes of mine, not a database".repeat(100), { mode: 0o600 });
    expect(() => openStore(path)).toThrow("cannot be opened as a SQLite database");
    expect(await Bun.file(path).text()).toStartWith("notes of mine");
  });

  test("once a damaged page was met the store is not well, and that is logged once, with the file", async () => {
    const path = newPath();
    let store = openStore(path);
    await furnish(store);
    const sent = Array.from({ length: 100 }, (_, n) => newMessage(`word ${n} ${"x".repeat(300)}`));
    await Promise.all(sent.map((message) => store.accept(message, [b], roomy)));
    await store.close();
    damage(path, [pageWith(path, "messages", "word 50 xxx")]);
    const told = spyOn(log, "error").mockImplementation(Object.assign(() => {}, { raw: () => {} }));
    try {
      store = openStore(path);
      await store.check();
      const damaged = { code: "internal", message: "the hub's database is damaged" };
      for (let n = 0; n < 2; n++)
        await expect(store.message(sent[50]?.id ?? "")).rejects.toMatchObject(damaged);
      await expect(store.check()).rejects.toMatchObject(damaged);
      expect(await store.message(sent[0]?.id ?? "")).toMatchObject({ message: sent[0]?.text });
      expect(told.mock.calls).toEqual([[damaged.message, expect.objectContaining({ path })]]);
    } finally {
      told.mockRestore();
      await store.close();
    }
  });

  test("a server's address is refused by name", () => {
    expect(() => openStore("postgres://hub@db/intercom")).toThrow("postgres:// address");
  });
});

describe("kill -9 of a writer: what was accepted is there, whole", () => {
  const entry = Bun.fileURLToPath(import.meta.resolve("./writer.ts"));
  async function run(
    path: string,
    round: string,
    env: Record<string, string>,
    enough: number,
  ): Promise<string[]> {
    const child = Bun.spawn([process.execPath, entry, path, round], {
      env: { ...process.env, ...env },
      stdout: "pipe",
    });
    let text = "";
    for await (const chunk of child.stdout) {
      text += new TextDecoder().decode(chunk);
      if (text.split("\n").length > enough) child.kill("SIGKILL");
    }
    await child.exited;
    expect(child.signalCode).toBe("SIGKILL");
    // the last line may be cut off by the kill
    return text.split("\n").slice(0, -1);
  }

  test.each([
    ["at once", {}, 1],
    ["after some", {}, 333],
    ["after many", {}, 1500],
    ["before a commit", { AI_INTERCOM_CRASH: "store.before-commit:20" }, 1e9],
    ["after a commit", { AI_INTERCOM_CRASH: "store.after-commit:20" }, 1e9],
  ])("%s", async (name, env, enough) => {
    const path = newPath();
    const first = openStore(path);
    await furnish(first);
    await first.close();
    const accepted = await run(path, name.replaceAll(" ", "-"), env, enough);
    expect(accepted.length).toBeGreaterThan(0);
    const store = openStore(path);
    const stored = await store.undelivered("limn", 0, 1_000_000);
    const ids = stored.map(({ message }) => message.id);
    expect(new Set(ids).size).toBe(ids.length);
    expect(accepted.filter((id) => !ids.includes(id))).toEqual([]);
    for (const id of ids.slice(-50))
      expect(await store.message(id)).toMatchObject({ deliveries: [{ state: "accepted" }] });
    await store.close();
    const db = new Database(path);
    expect(db.query("PRAGMA integrity_check").get()).toEqual({ integrity_check: "ok" });
    expect(db.query("PRAGMA foreign_key_check").all()).toEqual([]);
    db.close();
  });
});
