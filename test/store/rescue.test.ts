// A damaged database is rescued at the next opening: for every page of it in turn, and for what else a bad disk does.
import { Database } from "bun:sqlite";
import { beforeAll, describe, expect, spyOn, test } from "bun:test";
import {
  copyFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { knownSchema } from "../../src/store/migrations.ts";
import { openStore } from "../../src/store/open.ts";
import { markerOf, rescuesBeside } from "../../src/store/rescue-files.ts";
import { log } from "../../src/system/log.ts";
import { damage, fills, pageBytes, pagesOf, pageWith } from "./damaging.ts";
import { at, b, furnish, newMessage, roomy } from "./fixtures.ts";
import { everything, manyMessages } from "./rescue-stage.ts";

const newPath = () => join(mkdtempSync("/tmp/aii-rescue-"), "hub.db");
const mark = (path: string) => writeFileSync(markerOf(path), "");
const keptIn = (path: string) => `${rescuesBeside(path).at(-1)?.directory}/${basename(path)}`;
const silent = () => spyOn(log, "error").mockImplementation(Object.assign(() => {}, { raw: () => {} }));

type Row = Record<string, string | number | null>;
function rowsOf(path: string, sql: string): Row[] {
  using db = new Database(path, { readonly: true });
  return db.query<Row, []>(sql).all();
}
const one = (path: string, sql: string) => Object.values(rowsOf(path, sql)[0] ?? {})[0];

/** Many messages, none of them read; `whole`: a copy of the file as it was. */
async function usedDatabase(count = 200): Promise<{ path: string; ids: string[]; whole: string }> {
  const path = newPath();
  const ids = await manyMessages(path, count);
  copyFileSync(path, `${path}.whole`);
  return { path, ids, whole: `${path}.whole` };
}

describe("a page of messages", () => {
  test("its messages are named, everything else is there, and the file is kept as it was", async () => {
    const { path, ids, whole } = await usedDatabase();
    const damaged = damage(path, [pageWith(path, "messages", "word 100 xxx")]);
    mark(path);
    const told = silent();
    const store = openStore(path);
    expect(told.mock.calls.map(([text]) => text)).toEqual([
      "the hub's database is damaged; what can be read is rescued",
      "the hub's database is rescued",
    ]);
    told.mockRestore();
    expect(readFileSync(keptIn(path)).equals(damaged)).toBe(true);
    expect(existsSync(markerOf(path))).toBe(false);
    expect(readdirSync(dirname(path)).sort()).toEqual(
      [
        "hub.db",
        "hub.db-shm",
        "hub.db-wal",
        "hub.db.lock",
        "hub.db.whole",
        basename(dirname(keptIn(path))),
      ].sort(),
    );
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(one(path, "PRAGMA user_version")).toBe(knownSchema);

    const [rescue] = rescuesBeside(path);
    const lost = new Set(rescue?.messages.map(({ id }) => id));
    expect(lost.size).toBeWithin(3, 20);
    expect(rescue?.tables.messages?.kept).toBe(200 - lost.size);
    const stored = await Promise.all(ids.map((id) => store.message(id)));
    for (const [n, message] of stored.entries())
      expect(message?.message).toMatch(
        lost.has(ids[n] ?? "") ? /^\(the text of this message is lost/ : /^word /,
      );
    const seqs = "SELECT seq, id FROM messages ORDER BY seq";
    expect(rowsOf(path, seqs)).toEqual(rowsOf(whole, seqs));

    // what cannot arrive any more has failed, and its sender is to be told
    const [first = ""] = lost;
    expect((await store.message(first))?.deliveries).toMatchObject([
      { state: "failed", reason: "the hub's database was damaged" },
    ]);
    const notices = await store.dueNotices(1000);
    expect(notices.map(({ message_id }) => message_id).sort()).toEqual([...lost].sort());
    expect(notices[0]).toMatchObject({ about: "failed", from_agent: "mac/web@s-a", to: "limn/api@s-b" });
    // the rest waits, in order
    const waiting = (await store.undelivered("limn", 0, 1000)).map(({ message }) => message.id);
    expect(waiting).toEqual(ids.filter((id) => !lost.has(id)));
    // sent again by an outbox, it is no second one, whatever its text was
    const again = newMessage("word", { id: first });
    expect(await store.accept(again, [b], roomy)).toEqual({ outcome: "duplicate" });
    const fresh = newMessage("after the rescue");
    await store.accept(fresh, [b], roomy);
    expect(one(path, `SELECT seq FROM messages WHERE id = '${fresh.id}'`)).toBe(201);
    await store.close();
  });

  test("damage at both ends and here and there loses these pages only", async () => {
    const { path } = await usedDatabase(600);
    const leaves = pagesOf(path, "messages").filter(({ kind }) => kind === "leaf");
    const chosen = [0, 3, 4, 6, 20, leaves.length - 1].map((n) => leaves[n]?.number ?? 0);
    damage(path, chosen);
    mark(path);
    await openStore(path).close();
    const [rescue] = rescuesBeside(path);
    const perPage = Math.ceil(600 / leaves.length) + 2;
    expect(rescue?.messages.length).toBeWithin(chosen.length, chosen.length * perPage);
    expect(rescue?.tables.messages?.lost).toHaveLength(5);
  });

  test("an interior page takes the pages below it along, and no others", async () => {
    const { path } = await usedDatabase(6_000);
    const pages = pagesOf(path, "messages");
    const inner = pages.map((page, n) => ({ ...page, n })).filter(({ kind }) => kind === "interior");
    expect(inner.length).toBeGreaterThan(2); // the root has interior pages below it
    const victim = inner[1];
    const below = (inner[2]?.n ?? 0) - (victim?.n ?? 0) - 1;
    damage(path, [victim?.number ?? 0]);
    mark(path);
    await openStore(path).close();
    const [rescue] = rescuesBeside(path);
    const share = below / (pages.length - inner.length);
    expect(rescue?.tables.messages?.kept).toBeWithin(6_000 * (1 - share) - 50, 6_000 * (1 - share) + 50);
    expect(one(path, "SELECT count(*) FROM messages")).toBe(6_000);
  }, 60_000);
});

describe("every page", () => {
  let whole: string;
  beforeAll(async () => {
    whole = await everything(newPath());
  });

  const kinds = Object.entries(fills);
  // each page once, by one of the kinds
  test.each(kinds)(
    "%s: in turn, the rest is kept and nothing goes backwards",
    async (kind, spoil) => {
      const noop = Object.assign(() => {}, { raw: () => {} });
      const told = [silent(), spyOn(log, "info").mockImplementation(noop)];
      const count = readFileSync(whole).length / pageBytes;
      const schema = new Set(pagesOf(whole, "sqlite_schema").map(({ number }) => number));
      const before = stateOf(whole);
      const wrong: string[] = [];
      for (let page = 2; page <= count; page++) {
        if (kinds[page % kinds.length]?.[0] !== kind) continue;
        const path = newPath();
        copyFileSync(whole, path);
        const damaged = damage(path, [page], spoil);
        mark(path);
        if (schema.has(page)) {
          expect(() => openStore(path)).toThrow("cannot be opened as a SQLite database");
          expect(readFileSync(path).equals(damaged)).toBe(true);
          continue;
        }
        try {
          const store = openStore(path);
          holds(before, stateOf(path), { exact: kind !== "torn" });
          await isUsable(store);
          await store.close();
        } catch (error) {
          wrong.push(`page ${page}: ${error}`);
        }
      }
      for (const spy of told) spy.mockRestore();
      expect(wrong).toEqual([]);
    },
    300_000,
  );

  type State = {
    messages: Map<string, Row>;
    deliveries: Map<string, Row>;
    sequences: Map<string, number>;
    epochs: Map<string, number>;
    pruned: Set<string>;
  };
  function stateOf(path: string): State {
    const by = (sql: string, key: string) => new Map(rowsOf(path, sql).map((row) => [String(row[key]), row]));
    const numbers = (sql: string) => new Map(rowsOf(path, sql).map(({ k, n }) => [String(k), Number(n)]));
    return {
      messages: by("SELECT * FROM messages", "id"),
      deliveries: by("SELECT *, message_id || ' ' || address AS k FROM deliveries", "k"),
      sequences: numbers("SELECT name AS k, seq AS n FROM sqlite_sequence"),
      epochs: numbers("SELECT id AS k, epoch AS n FROM machines"),
      pruned: new Set(rowsOf(path, "SELECT id FROM pruned_messages").map(({ id }) => String(id))),
    };
  }

  /** Nothing that was said is unknown; and nothing is something else, but where a page read well that was not. */
  function holds(before: State, after: State, { exact }: { exact: boolean }): void {
    const wrong: unknown[] = [];
    for (const [id, row] of before.messages) {
      const now = after.messages.get(id);
      if (now === undefined && !after.pruned.has(id)) wrong.push(["unknown", id]);
      if (exact && now && now.hash !== "lost" && !Bun.deepEquals(now, row)) wrong.push(["other", row, now]);
      if (exact && now && now.seq !== row.seq) wrong.push(["elsewhere", row, now]);
    }
    for (const [key, row] of before.deliveries) {
      const now = after.deliveries.get(key);
      if (!exact && now) continue;
      const isSame = now && ["seq", "state", "session_id", "seen"].every((name) => now[name] === row[name]);
      const isTold =
        now?.state === "failed" && String(now.reason).startsWith("the hub's database was damaged");
      const isAgain = now?.state === "queued" && now.reason === "session ended" && now.seq === row.seq;
      if (!isSame && !isTold && !isAgain && !after.pruned.has(String(row.message_id)))
        wrong.push(["copy", row, now]);
    }
    for (const [name, seq] of before.sequences)
      if ((after.sequences.get(name) ?? 0) < seq) wrong.push(["backwards", name, seq]);
    for (const [id, epoch] of before.epochs)
      if ((after.epochs.get(id) ?? Number.POSITIVE_INFINITY) < epoch) wrong.push(["epoch", id]);
    if (wrong.length > 0) throw new Error(Bun.inspect(wrong.slice(0, 3)));
  }

  /** Everything that a hub does at its start and from then on. */
  async function isUsable(store: ReturnType<typeof openStore>): Promise<void> {
    await store.check();
    for (const { id } of await store.machines())
      await store.queueAccepted(id, `machine ${id} is offline`, at(50));
    await store.enrolLocal({
      id: "hubhost",
      public_key: "k",
      fingerprint: "f",
      display_name: "",
      description: "",
      at: at(50),
    });
    await furnish(store).catch(() => undefined);
    const asked = newMessage("still here?");
    expect((await store.accept(asked, [b], roomy)).outcome).toBe("accepted");
    expect(await store.accept(asked, [b], roomy)).toEqual({ outcome: "duplicate" });
    for (const notice of await store.dueNotices(100)) await store.noticeDone(notice);
    await store.dueDeadlines(at(10_000), 100);
    await store.expire(at(8 * 24 * 3600));
    await store.expireApprovals(at(10_000));
    for (const { mission_id } of await store.missions({ limit: 100 })) {
      await store.missionSteps(mission_id, undefined, 100);
      await store.missionOutput(mission_id, 0, 100_000);
    }
    await store.owedResponses(100, 1000);
    await store.approvals({ all: true, limit: 100 });
    await store.grants();
    await store.projects();
    await store.telegram.open(-100);
    await store.telegram.news(1000);
    await store.telegram.waiting(100);
    await store.telegram.changed(100);
    await store.maintain(at(10_000));
    await store.prune({ before: at(10_000_000), after: 0, limit: 100_000 });
    await store.counts();
  }
});

describe("the log", () => {
  test("what stands only in it is rescued too, and it does not stay beside the new file", async () => {
    const { path } = await usedDatabase();
    const open = openStore(path);
    const last = newMessage("the last word");
    await open.accept(last, [b], roomy);
    const wal = readFileSync(`${path}-wal`);
    await open.close();
    copyFileSync(`${path}.whole`, path);
    damage(path, [pageWith(path, "messages", "word 100 xxx")]);
    writeFileSync(`${path}-wal`, wal, { mode: 0o600 });
    mark(path);
    const store = openStore(path);
    expect(readFileSync(`${keptIn(path)}-wal`).equals(wal)).toBe(true);
    expect(await store.message(last.id)).toMatchObject({
      message: "the last word",
      deliveries: [{ state: "accepted" }],
    });
    await store.close();
  });

  test("that is itself damaged counts up to the damage", async () => {
    const { path } = await usedDatabase();
    const open = openStore(path);
    const words = [newMessage("one"), newMessage("two"), newMessage("three")];
    for (const message of words) await open.accept(message, [b], roomy);
    const wal = readFileSync(`${path}-wal`);
    await open.close();
    copyFileSync(`${path}.whole`, path);
    damage(path, [pageWith(path, "messages", "word 100 xxx")]);
    writeFileSync(`${path}-wal`, wal.fill(0xa5, wal.length - 5000), { mode: 0o600 });
    mark(path);
    const store = openStore(path);
    const found = await Promise.all(words.map(({ id }) => store.message(id)));
    expect(found[0]).toMatchObject({ message: "one" });
    const fresh = newMessage("four");
    expect((await store.accept(fresh, [b], roomy)).outcome).toBe("accepted");
    expect(await store.message(fresh.id)).toMatchObject({ message: "four" });
    await store.close();
  });
});

describe("where nothing can be rescued the file stays as it is", () => {
  test.each([
    ["a damaged header", (path: string) => void damage(path, [1])],
    ["a zeroed header", (path: string) => void damage(path, [1], fills.zeros)],
    ["a file that is no database", (path: string) => writeFileSync(path, "notes of mine ".repeat(1000))],
    [
      "a schema with something missing",
      (path: string) => {
        using db = new Database(path);
        db.run("DROP INDEX deliveries_waiting");
      },
    ],
  ])("%s", async (_, spoil) => {
    for (const marked of [false, true]) {
      const { path } = await usedDatabase();
      spoil(path);
      if (marked) mark(path);
      else if (_.startsWith("a schema")) continue; // nobody would notice
      const before = readFileSync(path);
      expect(() => openStore(path)).toThrow(`${path} cannot be opened as a SQLite database`);
      expect(readFileSync(path).equals(before)).toBe(true);
      expect(readdirSync(dirname(path)).filter((name) => name.includes("damaged-"))).toEqual([]);
    }
  });

  test("no room: it says how much is needed", async () => {
    const { path } = await usedDatabase();
    damage(path, [pageWith(path, "messages", "word 100 xxx")]);
    writeFileSync(`${path}-wal`, "");
    truncateSync(`${path}-wal`, 2 ** 43); // sparse
    mark(path);
    expect(() => openStore(path)).toThrow(/no room to rescue it: \d{7,} MB are needed, \d+ MB are free/);
    expect(readdirSync(dirname(path)).filter((name) => name.includes("damaged-"))).toEqual([]);
  });
});

test("damage that the opening meets is rescued without a marker", async () => {
  const { path } = await usedDatabase();
  {
    using db = new Database(path);
    db.run("PRAGMA user_version = 5"); // the step behind it reads grants
    db.run("ALTER TABLE sessions DROP COLUMN wake");
    db.run("ALTER TABLE message_states DROP COLUMN told_at");
  }
  damage(
    path,
    pagesOf(path, "grants").map(({ number }) => number),
  );
  const told = silent();
  const store = openStore(path);
  told.mockRestore();
  expect(store.rescued?.tables.grants).toEqual({ kept: 0, lost: ["everything"] });
  expect(one(path, "PRAGMA user_version")).toBe(knownSchema);
  await store.close();
});
