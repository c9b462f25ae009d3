// Copies of agents' files as they were before `install`, and what must be known to undo it. Private: such a file can
// hold keys. A lost or damaged record costs exactness, never the undoing.
import { createHash } from "node:crypto";
import { basename } from "node:path";
import { privateDirectory, readTextIfPresent, replaceFile, unlinkIfPresent } from "../system/files.ts";

export type FileRecord = {
  /** there was a file before us */
  existed: boolean;
  /** its copy in the backups directory, and the SHA-256 of that */
  copy: { name: string; digest: string } | null;
  /** directories that we created for it */
  directories: string[];
  /** SHA-256 of what we wrote last; null: the copy must not be put back as it is */
  written: string | null;
};

export function digest(text: string): string {
  return createHash("sha256").update(text, "utf8").digest("hex");
}

export class Backups {
  constructor(private readonly directory: string) {}

  find(target: string): FileRecord | undefined {
    return this.records()[target];
  }

  /** The text before us; undefined where there was none or its copy is lost or changed. */
  read({ copy }: FileRecord): string | undefined {
    const text = copy === null ? undefined : readTextIfPresent(`${this.directory}/${copy.name}`);
    return text !== undefined && digest(text) === copy?.digest ? text : undefined;
  }

  /** Writes a copy, named by file and time. */
  keep(path: string, text: string): FileRecord["copy"] {
    privateDirectory(this.directory);
    const time = new Date().toISOString().replaceAll(":", "-");
    const name = `${basename(path).replace(/^\./, "")}.${time}`;
    replaceFile(`${this.directory}/${name}`, text);
    return { name, digest: digest(text) };
  }

  save(target: string, record: FileRecord): void {
    this.write({ ...this.records(), [target]: record });
  }

  /** Forgets the file; `copy` also deletes its copy, which is of no more use once it is back in its place. */
  drop(target: string, { copy }: { copy: boolean }): void {
    const { [target]: gone, ...rest } = this.records();
    if (!gone) return;
    this.write(rest);
    if (copy && gone.copy !== null) unlinkIfPresent(`${this.directory}/${gone.copy.name}`);
  }

  private get path(): string {
    return `${this.directory}/installed.json`;
  }

  private write(records: Record<string, FileRecord>): void {
    privateDirectory(this.directory);
    if (Object.keys(records).length === 0) unlinkIfPresent(this.path);
    else replaceFile(this.path, `${JSON.stringify({ files: records }, null, 2)}\n`);
  }

  private records(): Record<string, FileRecord> {
    const found = new Map<string, FileRecord>();
    const files = field(parse(readTextIfPresent(this.path)), "files");
    if (typeof files !== "object" || files === null) return {};
    for (const [target, value] of Object.entries(files)) {
      const record = readRecord(value);
      if (record) found.set(target, record);
    }
    return Object.fromEntries(found);
  }
}

function readRecord(value: unknown): FileRecord | undefined {
  const existed = field(value, "existed");
  const directories = field(value, "directories");
  const written = field(value, "written");
  if (typeof existed !== "boolean" || !Array.isArray(directories)) return undefined;
  if (written !== null && typeof written !== "string") return undefined;
  const paths = directories.filter((path) => typeof path === "string");
  return { existed, copy: readCopy(field(value, "copy")), directories: paths, written };
}

/** A name, never a path: the copy lies beside the record. */
function readCopy(value: unknown): FileRecord["copy"] {
  const name = field(value, "name");
  const hash = field(value, "digest");
  return typeof name === "string" && !name.includes("/") && typeof hash === "string"
    ? { name, digest: hash }
    : null;
}

function field(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null && Object.hasOwn(value, name)
    ? Reflect.get(value, name)
    : undefined;
}

function parse(text: string | undefined): unknown {
  try {
    return text === undefined ? undefined : JSON.parse(text);
  } catch {
    return undefined;
  }
}
