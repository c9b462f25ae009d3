// The diary on disk: one file per role under `logs/`, kept small by turning it over. It never stops the program: what
// cannot be written is lost here, and still stands on stderr.
import { closeSync, fstatSync, openSync, renameSync, writeSync } from "node:fs";
import { privateDirectory } from "./files.ts";
import { log, logLine } from "./log.ts";

/** bytes after which a file is turned over, and how many old ones are kept beside it as NAME.1 (newest), NAME.2, … */
const fullBytes = 5 * 1024 * 1024;
const keptFiles = 4;

/** Writes everything that is logged from now on into `directory`/`role`.log as well. */
export function keepLog(directory: string, role: string): void {
  try {
    privateDirectory(directory);
  } catch (error) {
    log.warn("the log is not kept on disk", { directory, error });
    return;
  }
  const file = new LogFile(`${directory}/${role}.log`, fullBytes);
  log.addReporter({ log: (entry) => file.write(logLine(entry)) });
}

export class LogFile {
  readonly #path: string;
  readonly #fullBytes: number;
  #descriptor: number | undefined;
  #bytes = 0;

  constructor(path: string, fullBytes: number) {
    this.#path = path;
    this.#fullBytes = fullBytes;
  }

  write(line: string): void {
    try {
      if (this.#bytes >= this.#fullBytes) this.#turnOver();
      this.#descriptor ??= this.#open();
      this.#bytes += writeSync(this.#descriptor, line);
    } catch {
      this.close(); // a full disk, say; the next line tries anew
    }
  }

  close(): void {
    if (this.#descriptor !== undefined) closeSync(this.#descriptor);
    this.#descriptor = undefined;
  }

  #open(): number {
    const descriptor = openSync(this.#path, "a", 0o600);
    this.#bytes = fstatSync(descriptor).size;
    return descriptor;
  }

  #turnOver(): void {
    this.close();
    for (let age = keptFiles; age >= 1; age--)
      moveIfThere(age === 1 ? this.#path : `${this.#path}.${age - 1}`, `${this.#path}.${age}`);
    this.#bytes = 0;
  }
}

function moveIfThere(from: string, to: string): void {
  try {
    renameSync(from, to);
  } catch {
    // there is none of that age yet
  }
}
