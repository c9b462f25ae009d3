// kill -9 at each step of a rescue, and at each step of the one that goes on with it: the next start finishes it.
import { Database } from "bun:sqlite";
import { beforeAll, expect, test } from "bun:test";
import { copyFileSync, existsSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { openStore } from "../../src/store/open.ts";
import { markerOf, rescuesBeside } from "../../src/store/rescue-files.ts";
import { damage, pageWith } from "./damaging.ts";
import { b, furnish, newMessage, roomy } from "./fixtures.ts";

const source = await Bun.file(`${import.meta.dir}/../../src/store/rescue.ts`).text();
const files = await Bun.file(`${import.meta.dir}/../../src/store/rescue-files.ts`).text();
const points = [...(source + files).matchAll(/\bcrashPoint\("([^"]+)"\)/g)].map(([, name = ""]) => name);

let damaged: string;
let whole: unknown[];
beforeAll(async () => {
  damaged = await damagedDatabase();
  const path = copyOf(damaged);
  await openStore(path).close();
  whole = contentOf(path);
});

/** One page is damaged, and a message stands in the log only. */
async function damagedDatabase(): Promise<string> {
  const path = newPath();
  let store = openStore(path);
  await furnish(store);
  const sent = Array.from({ length: 100 }, (_, n) => newMessage(`word ${n} ${"x".repeat(300)}`));
  await Promise.all(sent.map((message) => store.accept(message, [b], roomy)));
  await store.close();
  const before = readFileSync(path);
  store = openStore(path);
  await store.accept(newMessage("the last word"), [b], roomy);
  const log = readFileSync(`${path}-wal`);
  await store.close();
  writeFileSync(path, before);
  damage(path, [pageWith(path, "messages", "word 50 xxx")]);
  writeFileSync(`${path}-wal`, log, { mode: 0o600 });
  writeFileSync(markerOf(path), "");
  return path;
}

const newPath = () => join(mkdtempSync("/tmp/aii-rescue-"), "hub.db");

function copyOf(from: string): string {
  const path = newPath();
  for (const end of ["", "-wal", ".damaged"]) copyFileSync(`${from}${end}`, `${path}${end}`);
  return path;
}

/** What is the same whenever it was rescued. */
function contentOf(path: string): unknown[] {
  using db = new Database(path, { readonly: true });
  return ["messages", "deliveries", "sqlite_sequence", "machines", "sessions", "threads"].map((table) =>
    db.query(`SELECT * FROM ${table} ORDER BY 1`).all(),
  );
}

async function open(path: string, crash?: string): Promise<NodeJS.Signals | number | null> {
  const entry = Bun.fileURLToPath(import.meta.resolve("./opener.ts"));
  const child = Bun.spawn([process.execPath, entry, path], {
    env: { ...process.env, ...(crash ? { AI_INTERCOM_CRASH: crash } : {}) },
    stdio: ["ignore", "ignore", "ignore"],
  });
  await child.exited;
  return child.signalCode;
}

test("the points are there", () => expect(points.length).toBeGreaterThanOrEqual(6));

test.each(points)(
  "killed at %s, and at every point of the second try",
  async (point) => {
    for (const second of [undefined, ...points]) {
      const path = copyOf(damaged);
      expect(await open(path, point)).toBe("SIGKILL");
      // a point before the one that the first try came to is not passed again
      if (second) await open(path, second);
      await openStore(path).close();
      expect(existsSync(markerOf(path))).toBe(false);
      expect(existsSync(`${path}-wal`)).toBe(false);
      expect(contentOf(path)).toEqual(whole);
      const [rescue, ...others] = rescuesBeside(path);
      expect(others).toEqual([]);
      expect(readdirSync(dirname(path)).filter((name) => name.includes(".damaged"))).toEqual([
        basename(rescue?.directory ?? ""),
      ]);
      for (const end of ["", "-wal"])
        expect(readFileSync(`${rescue?.directory}/hub.db${end}`)).toEqual(readFileSync(`${damaged}${end}`));
      expect(existsSync(`${rescue?.directory}/new.db`)).toBe(false);
    }
  },
  120_000,
);
