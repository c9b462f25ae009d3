// The way back to the copy from before a schema changed (`backup.ts`), for an older program. What came since stays in
// a file of its own, and what in it still waited for somebody is named: nobody else would ever tell.
import { Database } from "bun:sqlite";
import { copyFileSync, existsSync, linkSync, renameSync } from "node:fs";
import { dirname } from "node:path";
import { IntercomError } from "../protocol/errors.ts";
import { syncDirectory, unlinkIfPresent } from "../system/files.ts";
import { takeLock } from "../system/lock.ts";
import { copyFor, schemaOf, syncFile } from "./backup.ts";

/** A message whose recipient has not got it, or a mission that has not ended. */
type LeftBehind = { id: string; from: string; to: string; state: string };

type StepBack = {
  /** the database is now what this file holds */
  copy: string;
  /** what the database was until now */
  kept: string;
  /** what the copy does not know and was still on its way; undefined: the newer schema cannot be read here */
  waiting: LeftBehind[] | undefined;
};

/**
 * Makes the database at `path` one that a program which knows schemas up to `known` can use; undefined: it is already.
 * Throws `conflict` while a hub has it or where there is no copy, `unsafe_file` where the copy cannot be put in place;
 * then nothing was changed.
 */
export function stepBack(path: string, known: number): StepBack | undefined {
  const lock = takeLock(`${path}.lock`, "hub", "uses this database");
  try {
    const schema = schemaOf(path) ?? 0;
    if (schema <= known) return undefined;
    const copy = copyFor(path, known);
    if (copy === undefined)
      throw new IntercomError(
        "conflict",
        `there is no copy of ${path} from before schema ${schema} that schema ${known} can use`,
        { hint: "run the newer version, or name another file in hub.store" },
      );
    const waiting = settleLog(path, () => leftBehind(path, copy));
    return { copy, kept: exchange(path, copy), waiting };
  } finally {
    lock.release();
  }
}

/** Brings the write-ahead log into its file: beside the older copy SQLite would play it into that. */
function settleLog<T>(path: string, look: () => T): T {
  const db = new Database(path, { readwrite: true });
  try {
    const found = look();
    const [state] = db.query<{ busy: number }, []>("PRAGMA wal_checkpoint(TRUNCATE)").all();
    if (state?.busy !== 0) throw new Error("another process reads it");
    return found;
  } catch (cause) {
    throw new IntercomError("unsafe_file", `${path} cannot be closed: ${String(cause)}`, {
      hint: `end whatever reads it, and make room: df -h ${dirname(path)}; nothing was changed`,
      cause,
    });
  } finally {
    db.close();
  }
}

/** The path never names no database: a hub that starts meanwhile would make an empty one. Returns the other's name. */
function exchange(path: string, copy: string): string {
  const kept = freeName(`${path}.newer-${new Date().toISOString().replace(/[-:]|\.\d+/g, "")}`);
  const temporary = `${path}.back.${process.pid}.tmp`;
  try {
    unlinkIfPresent(temporary);
    copyFileSync(copy, temporary); // the copy stays a copy
    syncFile(temporary);
    linkSync(path, kept);
    for (const log of [`${path}-wal`, `${path}-shm`]) unlinkIfPresent(log);
    renameSync(temporary, path);
    syncDirectory(dirname(path));
    return kept;
  } catch (cause) {
    unlinkIfPresent(temporary);
    throw new IntercomError("unsafe_file", `${copy} cannot be put in place of ${path}`, {
      hint: `make room for a second copy of it: df -h ${dirname(path)}; nothing was changed`,
      cause,
    });
  }
}

function freeName(wanted: string): string {
  for (let name = wanted, n = 2; ; name = `${wanted}-${n++}`) if (!existsSync(name)) return name;
}

/** What waits in the newer file and does not in the older one. */
function leftBehind(path: string, copy: string): LeftBehind[] | undefined {
  try {
    const known = new Set(waitingIn(copy).map(keyOf));
    return waitingIn(path).filter((one) => !known.has(keyOf(one)));
  } catch {
    return undefined; // another schema than this program's
  }
}

const keyOf = ({ id, to }: LeftBehind) => `${id} ${to}`;

/** The person's inbox is the hub: what is delivered there waits as well. */
function waitingIn(path: string): LeftBehind[] {
  using db = new Database(path, { readonly: true });
  const messages = db.query<LeftBehind, []>(
    `SELECT m.id, m.from_agent AS "from", d.address AS "to", d.state
     FROM deliveries d JOIN messages m ON m.id = d.message_id
     WHERE d.state IN ('accepted', 'queued', 'held') OR (d.kind = 'human' AND d.state = 'delivered') ORDER BY d.seq`,
  );
  const missions = db.query<LeftBehind, []>(
    `SELECT r.mission_id AS id, r.from_agent AS "from", m.machine_id || '/' || m.project_id AS "to", r.status AS state
     FROM mission_runs r JOIN missions m ON m.id = r.mission_id
     WHERE r.status IN ('pending_approval', 'queued', 'running') OR r.response_owed = 1 ORDER BY m.seq`,
  );
  return [...messages.all(), ...missions.all()];
}
