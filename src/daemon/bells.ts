// `inbox/bell/<agent pid>`: a pipe at which a hook of an agent without a messaging socket waits until it is rung. The
// hook is a shell that the agent starts anyway; only where the pipe is there does it wait. Pipes outlive a daemon, so
// that who waits goes on waiting while it is started again.
import { readdirSync } from "node:fs";
import { makeFifo, removeFifo, writeToFifo } from "../system/fifo.ts";
import { privateDirectory } from "../system/files.ts";
import { log } from "../system/log.ts";

export class Bells {
  readonly #directory: string;
  /** names in the directory */
  readonly #hung: Set<string>;

  constructor(directory: string) {
    privateDirectory(directory);
    this.#directory = directory;
    this.#hung = new Set(readdirSync(directory));
  }

  /** From now on there are pipes for exactly these agents; a shell that waited for another one ends. */
  hangFor(pids: readonly number[]): void {
    const wanted = new Set(pids.map(String));
    for (const name of this.#hung) if (!wanted.has(name)) this.#takeDown(name);
    for (const name of wanted) if (!this.#hung.has(name)) this.#hang(name);
  }

  /** Ends the wait of one shell with this line; false when none waits, and then the line is not asked for. */
  ring(pid: number, line: () => string): boolean {
    return writeToFifo(this.#path(String(pid)), () => `${line()}\n`);
  }

  /** A full disk costs the bell only; the next change of any session tries again. */
  #hang(name: string): void {
    try {
      makeFifo(this.#path(name));
      this.#hung.add(name);
    } catch (error) {
      log.warn("an agent cannot be woken", { pid: name, error });
    }
  }

  #takeDown(name: string): void {
    try {
      removeFifo(this.#path(name));
      this.#hung.delete(name);
    } catch (error) {
      log.warn("the bell of an ended agent cannot be removed", { pid: name, error });
    }
  }

  #path(name: string): string {
    return `${this.#directory}/${name}`;
  }
}
