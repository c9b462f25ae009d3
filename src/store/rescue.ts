// A damaged database becomes one that can be used again, at the hub's start and under its lock: the file is kept as it
// was, what can be read of it goes into a new one, and only a whole one takes its place. Killed at any step, the next
// start does it again or finds it done.
import { Database } from "bun:sqlite";
import { closeSync, constants, openSync, statfsSync } from "node:fs";
import { basename, dirname } from "node:path";
import { IntercomError } from "../protocol/errors.ts";
import { crashPoint } from "../system/crash-point.ts";
import { fileSize, unlinkIfPresent } from "../system/files.ts";
import { log } from "../system/log.ts";
import { syncFile } from "./backup.ts";
import { isDiskTrouble, unusable } from "./integrity.ts";
import { mend } from "./mend.ts";
import { emptyDatabase } from "./migrations.ts";
import {
  forgetReport,
  freshIn,
  isPlaced,
  keepAsItWas,
  type Marker,
  newDirectory,
  place,
  type Report,
  readMarker,
  removeMarker,
  rescuesBeside,
  writeMarker,
  writeReport,
} from "./rescue-files.ts";
import { type Gap, type Row, readTable, type Shape, shapeOf } from "./salvage.ts";

/** of the damaged file: a new one is filled less densely */
const roomFactor = 1.25;
/** rows between two lines in the log */
const progressRows = 50_000;
/** gaps of a table that are named; the rest are counted */
const namedGaps = 50;
/** ms in which a second rescue is not begun by itself: a disk that goes on failing would be filled with copies */
const restMs = 10 * 60 * 1000;

/**
 * Does what the marker beside `path` asks for, or goes on where the last start was interrupted; without one, nothing.
 * The caller holds the database's lock. Throws `unparsable_file` where nothing can be rescued and `unsafe_file` where
 * there is no room: then the database is as it was.
 */
export function rescueIfMarked(path: string): void {
  const marker = readMarker(path);
  if (marker) rescue(path, marker);
}

/** As `rescueIfMarked`, for damage that was met while the file was opened. */
export function rescueDamaged(path: string, error: Error): void {
  rescue(path, readMarker(path) ?? { at: new Date().toISOString(), error: error.message });
}

/** Why nothing could be rescued now; undefined: a restart does. */
export function rescueObstacle(path: string): string | undefined {
  try {
    schemaIn(path);
    requireRoom(path);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** Whether it was rescued a moment ago: then a person should look at the disk before it is again. */
export function isRescuedLately(path: string): boolean {
  const last = rescuesBeside(path).at(-1);
  return last !== undefined && Date.now() - Date.parse(last.at) < restMs;
}

function rescue(path: string, marker: Marker): void {
  if (marker.directory === undefined) schemaIn(path);
  const directory = marker.directory ?? newDirectory(path, new Date().toISOString());
  if (!isPlaced(directory)) {
    requireRoom(path, directory);
    writeMarker(path, { ...marker, directory });
    crashPoint("rescue.marked");
    const kept = keepAsItWas(path, directory);
    crashPoint("rescue.kept");
    log.error("the hub's database is damaged; what can be read is rescued", { path, directory });
    const report = build(kept, directory);
    crashPoint("rescue.built");
    place(path, directory);
    crashPoint("rescue.placed");
    tell(directory, report);
  }
  removeMarker(path);
  crashPoint("rescue.done");
}

/** Makes the new file, whole and on disk, and the report on it. */
function build(kept: string, directory: string): Report {
  const fresh = freshIn(directory);
  forgetReport(directory);
  for (const old of [fresh, `${fresh}-journal`]) unlinkIfPresent(old);
  closeSync(openSync(fresh, constants.O_CREAT | constants.O_EXCL | constants.O_WRONLY, 0o600));
  const schema = schemaIn(kept);
  const at = new Date().toISOString();
  const from = new Database(kept, { readonly: true, strict: true });
  const db = new Database(fresh, { readwrite: true, strict: true });
  try {
    // thrown away if the process dies: it needs no log, and one fsync at the end
    for (const setting of ["journal_mode = MEMORY", "synchronous = OFF", "cache_size = -65536"])
      db.run(`PRAGMA ${setting}`);
    from.run("PRAGMA cell_size_check = ON");
    const tables = copy(from, db, schema);
    const { mended, messages } = mend(db, from, { at, lost: lostIn(tables) });
    db.run(`PRAGMA user_version = ${schema.version}`);
    requireWhole(db);
    db.close();
    syncFile(fresh);
    const report = { at, tables: Object.fromEntries(tables), mended, messages };
    writeReport(directory, report);
    return report;
  } catch (error) {
    db.close();
    unlinkIfPresent(fresh);
    throw error;
  } finally {
    from.close();
  }
}

type Tables = Map<string, { kept: number; lost: string[] }>;

function copy(from: Database, to: Database, { rows }: Schema): Tables {
  const tables: Tables = new Map();
  const named = (type: string) => rows.filter((row) => row.type === type && row.sql !== null);
  for (const { sql } of named("table").filter(({ name }) => name !== "sqlite_sequence")) to.run(sql ?? "");
  for (const { name } of named("table").filter(({ name }) => name !== "sqlite_sequence"))
    tables.set(name, copyTable(from, to, shapeOf(to, name)));
  for (const { sql } of [...named("index"), ...named("trigger")]) to.run(sql ?? "");
  return tables;
}

function copyTable(from: Database, to: Database, shape: Shape): { kept: number; lost: string[] } {
  const { name, columns } = shape;
  const insert = to.query<unknown, Row>(
    `INSERT OR IGNORE INTO ${name} (${columns.join(", ")}) VALUES (${columns.map(() => "?").join(", ")})`,
  );
  let [kept, refused] = [0, 0];
  const takeOne = (row: Row) => {
    try {
      return insert.run(...row).changes;
    } catch (error) {
      if (error instanceof Error && "code" in error && error.code === "SQLITE_CONSTRAINT_DATATYPE") return 0;
      throw error;
    }
  };
  const takeAll = to.transaction((rows: Row[]) => {
    for (const row of rows) {
      if (takeOne(row) === 0) refused += 1;
      else kept += 1;
      if (kept % progressRows === 0) log.info("rescuing the hub's database", { table: name, rows: kept });
    }
  });
  const gaps = readTable(from, shape, (rows) => void takeAll(rows));
  const lost = gaps.slice(0, namedGaps).map((gap) => gapText(gap, shape));
  if (gaps.length > namedGaps) lost.push(`${gaps.length - namedGaps} more places`);
  if (refused > 0) lost.push(`${refused} rows with impossible values`);
  return { kept, lost };
}

/** `101 to 112`, where the key is a number: the rows there are some or all of these. */
function gapText({ after, before }: Gap, { numeric, key }: Shape): string {
  if (after === undefined && before === undefined) return "everything";
  const exact = numeric && key.length === 1;
  if (before === undefined) return `everything behind ${after}`;
  if (after === undefined) return `everything before ${before}`;
  return exact ? `${Number(after) + 1} to ${Number(before) - 1}` : `between ${after} and ${before}`;
}

function lostIn(tables: Tables): ReadonlySet<string> {
  return new Set([...tables].filter(([, { lost }]) => lost.length > 0).map(([name]) => name));
}

type Schema = { version: number; rows: SchemaRow[] };
type SchemaRow = { type: string; name: string; sql: string | null };

/** The schema of the file, which must be exactly what our steps make: nothing of it may be missing. */
function schemaIn(path: string): Schema {
  try {
    using db = new Database(path, { readonly: true, strict: true });
    const { user_version: version = 0 } =
      db.query<{ user_version: number }, []>("PRAGMA user_version").get() ?? {};
    const rows = schemaRows(db);
    using wanted = emptyDatabase(version);
    if (wanted && Bun.deepEquals(rows, schemaRows(wanted))) return { version, rows };
  } catch (error) {
    throw isDiskTrouble(error) ? error : unusable(path, error);
  }
  throw unusable(path, "its schema is not whole");
}

/** Tables and indexes in an order in which they can be made. */
function schemaRows(db: Database): SchemaRow[] {
  return db.query<SchemaRow, []>("SELECT type, name, sql FROM sqlite_master ORDER BY type DESC, name").all();
}

/** Once the old log is gone from beside `path`, the one in `directory` tells how much there is. */
function requireRoom(path: string, directory?: string): void {
  const places = [path, ...(directory === undefined ? [] : [`${directory}/${basename(path)}`])];
  const bytes = Math.max(...places.map((place) => fileSize(place) + fileSize(`${place}-wal`)));
  const needed = bytes * roomFactor + 1024 * 1024;
  const { bavail, bsize } = statfsSync(dirname(path));
  if (bavail * bsize >= needed) return;
  const mb = (bytes: number) => Math.ceil(bytes / 1024 / 1024);
  throw new IntercomError(
    "unsafe_file",
    `${path} is damaged, and there is no room to rescue it: ${mb(needed)} MB are needed, ${mb(bavail * bsize)} MB are free`,
    { hint: `make room, then start the hub again: df -h ${dirname(path)}; nothing was changed` },
  );
}

function requireWhole(db: Database): void {
  const [found] = db.query<{ integrity_check: string }, []>("PRAGMA integrity_check(1)").all();
  const [orphan] = db.query("PRAGMA foreign_key_check").all();
  if (found?.integrity_check === "ok" && orphan === undefined) return;
  throw new IntercomError(
    "internal",
    `the rescued database is not whole: ${JSON.stringify(found ?? orphan)}`,
    {
      hint: "the damaged one is as it was; put a backup in its place",
    },
  );
}

function tell(directory: string, { tables, mended, messages }: Report): void {
  const kept = Object.values(tables).reduce((sum, table) => sum + table.kept, 0);
  const lost = Object.fromEntries(
    Object.entries(tables).flatMap(([name, table]) => (table.lost.length > 0 ? [[name, table.lost]] : [])),
  );
  log.error("the hub's database is rescued", { directory, kept, lost, mended, texts: messages.length });
}
