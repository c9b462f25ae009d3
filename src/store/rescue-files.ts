// The files of a rescue, beside the database `hub.db`: the marker `hub.db.damaged`, which asks for one at the next start
// and says how far it has come, and the directory `hub.db.damaged-TIME`, which keeps the file as it was and tells what
// became of it. A person removes the directory, nobody else.
import { existsSync, linkSync, mkdirSync, readdirSync, renameSync } from "node:fs";
import { basename, dirname } from "node:path";
import { z } from "zod";
import { crashPoint } from "../system/crash-point.ts";
import { readTextIfPresent, replaceFile, syncDirectory, unlinkIfPresent } from "../system/files.ts";

/** An empty file is a marker too: `touch hub.db.damaged`. */
const Marker = z.object({
  at: z.string(),
  /** what SQLite said */
  error: z.string().default(""),
  /** how to start again the hub that met it */
  restart: z.string().optional(),
  /** where the rescue that was begun keeps the file */
  directory: z.string().optional(),
});
export type Marker = z.infer<typeof Marker>;

const Report = z.object({
  at: z.string(),
  /** table → rows that were read, and where rows could not be */
  tables: z.record(z.string(), z.object({ kept: z.number(), lost: z.array(z.string()) })),
  /** what was done so that the rest holds together; counts */
  mended: z.record(z.string(), z.number()),
  /** messages whose text is gone */
  messages: z.array(z.object({ id: z.string(), thread_id: z.string(), to: z.string() })),
});
export type Report = z.infer<typeof Report>;

/** A rescue whose directory still lies beside the database. */
export type Rescue = Report & { directory: string };

const reportName = "report.json";

export function markerOf(path: string): string {
  return `${path}.damaged`;
}

export function readMarker(path: string): Marker | undefined {
  const text = readTextIfPresent(markerOf(path));
  if (text === undefined) return undefined;
  const marker = Marker.safeParse(parsed(text));
  return marker.success ? marker.data : { at: new Date().toISOString(), error: "" };
}

export function writeMarker(path: string, marker: Marker): void {
  replaceFile(markerOf(path), `${JSON.stringify(marker)}\n`);
}

export function removeMarker(path: string): void {
  unlinkIfPresent(markerOf(path));
  syncDirectory(dirname(path));
}

/** A name that no directory has yet. */
export function newDirectory(path: string, at: string): string {
  const wanted = `${markerOf(path)}-${at.replace(/[-:]|\.\d+/g, "")}`;
  for (let name = wanted, n = 2; ; name = `${wanted}-${n++}`) if (!existsSync(name)) return name;
}

/** Database and log under a second name in `directory`; what lies there already stays. Nothing is moved or copied. */
export function keepAsItWas(path: string, directory: string): string {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const kept = `${directory}/${basename(path)}`;
  for (const log of ["-wal", ""])
    if (existsSync(`${path}${log}`) && !existsSync(`${kept}${log}`))
      linkSync(`${path}${log}`, `${kept}${log}`);
  syncDirectory(directory);
  syncDirectory(dirname(path));
  return kept;
}

export const freshIn = (directory: string): string => `${directory}/new.db`;

/** Whether the new file has taken its place: only the marker is left to go. */
export function isPlaced(directory: string): boolean {
  return existsSync(`${directory}/${reportName}`) && !existsSync(freshIn(directory));
}

/** The new file takes the old one's place. The old log must not lie beside it: SQLite would play it in. */
export function place(path: string, directory: string): void {
  for (const log of [`${path}-wal`, `${path}-shm`]) unlinkIfPresent(log);
  syncDirectory(dirname(path));
  crashPoint("rescue.log-gone");
  renameSync(freshIn(directory), path);
  syncDirectory(directory);
  syncDirectory(dirname(path));
}

export function writeReport(directory: string, report: Report): void {
  replaceFile(`${directory}/${reportName}`, `${JSON.stringify(report, null, 1)}\n`);
}

export function forgetReport(directory: string): void {
  unlinkIfPresent(`${directory}/${reportName}`);
}

/** Those that still lie beside the database, the newest last. */
export function rescuesBeside(path: string): Rescue[] {
  const start = `${basename(markerOf(path))}-`;
  const names = readdirSync(dirname(path)).filter((name) => name.startsWith(start));
  return names
    .flatMap((name) => {
      const directory = `${dirname(path)}/${name}`;
      const report = isPlaced(directory) ? Report.safeParse(readReport(directory)) : undefined;
      return report?.success ? [{ ...report.data, directory }] : [];
    })
    .sort((one, other) => one.at.localeCompare(other.at));
}

function readReport(directory: string): unknown {
  return parsed(readTextIfPresent(`${directory}/${reportName}`) ?? "");
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
