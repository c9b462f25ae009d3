// Many writes, one fsync: what is asked for during one turn of the event loop is committed together. Each write
// stands in a savepoint of its own, so one that fails takes no neighbour with it.
import type { Database } from "bun:sqlite";
import { IntercomError } from "../protocol/errors.ts";
import { crashPoint } from "../system/crash-point.ts";
import { Damage, writeError } from "./damage.ts";

/** writes in one transaction; storage.md §3: beyond this the latency grows faster than the throughput */
const maxBatch = 100;

type Job = {
  run(): void;
  resolve(): void;
  reject(error: unknown): void;
};

export class GroupCommit {
  readonly #db: Database;
  readonly #damage: Damage;
  #jobs: Job[] = [];
  #scheduled: NodeJS.Immediate | undefined;
  #closed = false;

  constructor(db: Database, damage = new Damage(db.filename)) {
    this.#db = db;
    this.#damage = damage;
  }

  /** Runs `work` in the next transaction; resolves with its value once that is on disk. `work` is synchronous. */
  write<T>(work: (db: Database) => T): Promise<T> {
    if (this.#closed) return Promise.reject(new IntercomError("internal", "the hub's store is closed"));
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    let keep = () => {};
    this.#jobs.push({
      run: () => {
        const value = work(this.#db);
        keep = () => resolve(value);
      },
      resolve: () => keep(),
      reject,
    });
    if (this.#jobs.length >= maxBatch) this.flush();
    else this.#scheduled ??= setImmediate(() => this.flush());
    return promise;
  }

  /** Commits what waits, and takes nothing more. */
  close(): void {
    this.#closed = true;
    this.flush();
  }

  /** Commits what waits, now. */
  flush(): void {
    clearImmediate(this.#scheduled);
    this.#scheduled = undefined;
    const jobs = this.#jobs;
    this.#jobs = [];
    if (jobs.length === 0) return;
    let done: Job[];
    try {
      this.#db.run("BEGIN IMMEDIATE");
      done = jobs.filter((job) => this.#attempt(job));
      crashPoint("store.before-commit");
      this.#db.run("COMMIT");
      crashPoint("store.after-commit");
    } catch (error) {
      if (this.#db.inTransaction) this.#db.run("ROLLBACK");
      const told = writeError(this.#damage.told(error));
      for (const job of jobs) job.reject(told);
      return;
    }
    for (const job of done) job.resolve();
  }

  /** False when the job failed alone. Throws when SQLite gave up the whole transaction (disk full, I/O error). */
  #attempt(job: Job): boolean {
    this.#db.run("SAVEPOINT job");
    try {
      job.run();
      crashPoint("store.job-done");
      this.#db.run("RELEASE job");
      return true;
    } catch (error) {
      if (!this.#db.inTransaction) throw error;
      this.#db.run("ROLLBACK TO job");
      this.#db.run("RELEASE job");
      job.reject(writeError(this.#damage.told(error)));
      return false;
    }
  }
}
