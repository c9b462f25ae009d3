// What the daemon remembers of each run of a mission: a directory of its own with a record and the files that the agent
// reads and writes. The record is on disk before the agent starts, so that a restart finds what is running.
import { mkdirSync, readdirSync, rmSync } from "node:fs";
import { z } from "zod";
import { LaunchPlan, MissionChange, MissionOrder } from "../protocol/mission.ts";
import {
  fileSize,
  privateDirectory,
  readTextIfPresent,
  replaceFile,
  syncDirectory,
} from "../system/files.ts";
import { log } from "../system/log.ts";

export const MissionRecord = z.object({
  order: MissionOrder,
  plan: LaunchPlan,
  prompt: z.enum(["stdin", "argument"]),
  /** name of the integration whose output it is; absent: text that is the answer */
  format: z.string().optional(),
  agent: z.string(),
  approved_by: z.string().optional(),
  taken_at: z.string(),
  /** grows from one run to the next: the order in which they start */
  place: z.number().int().positive(),
  /** `starting`: a process may run of which nothing is known but its environment */
  state: z.enum(["queued", "starting", "running", "ended"]),
  process: z.object({ pid: z.number(), start: z.string() }).optional(),
  started_at: z.string().optional(),
  /** why it is being stopped, and since when */
  stop: z
    .object({ status: z.enum(["cancelled", "timed_out", "failed"]), reason: z.string(), at: z.string() })
    .optional(),
  /** the agent's own id of its conversation */
  native_session_id: z.string().optional(),
  end: MissionChange.optional(),
  /** processes that it left behind may still run */
  unswept: z.literal(true).optional(),
  /** the hub has everything, the end included */
  told_at: z.string().optional(),
});
export type MissionRecord = z.infer<typeof MissionRecord>;

/** ms that the files of a run that the hub has taken are kept (3 days), and its record, by which it can be continued (30) */
const keepFilesMs = 3 * 24 * 3600 * 1000;
const keepRecordMs = 30 * 24 * 3600 * 1000;
/** bytes of all such files together; the oldest go first */
const keepFilesBytes = 256 * 1024 * 1024;

export const runKeyOf = ({ mission_id, run }: { mission_id: string; run: number }): string =>
  `${mission_id}.${run}`;

export class MissionRecords {
  readonly #directory: string;
  readonly #records = new Map<string, MissionRecord>();

  private constructor(directory: string) {
    this.#directory = directory;
  }

  /** One record that cannot be read is told and left as it is; the others are there. */
  static open(directory: string): MissionRecords {
    privateDirectory(directory);
    const records = new MissionRecords(directory);
    for (const name of readdirSync(directory)) {
      const path = `${directory}/${name}/record.json`;
      try {
        const text = readTextIfPresent(path);
        // made, and the daemon ended before the record was written: nothing was started
        if (text === undefined) rmSync(`${directory}/${name}`, { recursive: true, force: true });
        else records.#records.set(name, MissionRecord.parse(JSON.parse(text)));
      } catch (error) {
        log.error("the record of a mission cannot be read", { file: path, error });
      }
    }
    return records;
  }

  /** In the order in which they were taken. */
  all(): MissionRecord[] {
    return [...this.#records.values()].sort((a, b) => a.place - b.place);
  }

  get(run: { mission_id: string; run: number }): MissionRecord | undefined {
    return this.#records.get(runKeyOf(run));
  }

  nextPlace(): number {
    return Math.max(0, ...this.all().map(({ place }) => place)) + 1;
  }

  files({ order }: Pick<MissionRecord, "order">) {
    const directory = `${this.#directory}/${runKeyOf(order)}`;
    return {
      directory,
      record: `${directory}/record.json`,
      prompt: `${directory}/prompt.txt`,
      stdout: `${directory}/stdout`,
      stderr: `${directory}/stderr`,
    };
  }

  /** A new run, on disk when this returns. */
  create(record: MissionRecord): void {
    mkdirSync(this.files(record).directory, { mode: 0o700 });
    this.put(record);
    syncDirectory(this.#directory);
  }

  /** `durable: false` survives the death of any process; enough for what a power cut ends anyway. */
  put(record: MissionRecord, { durable = true } = {}): void {
    replaceFile(this.files(record).record, `${JSON.stringify(record, null, 1)}\n`, { durable });
    this.#records.set(runKeyOf(record.order), record);
  }

  remove(record: MissionRecord): void {
    rmSync(this.files(record).directory, { recursive: true, force: true });
    this.#records.delete(runKeyOf(record.order));
  }

  /** Removes what is old; never what the hub has not taken whole. */
  tidy(now: number): void {
    const told = this.all().filter(
      ({ state, told_at, unswept }) => state === "ended" && told_at !== undefined && !unswept,
    );
    const ageOf = ({ told_at = "" }: MissionRecord) => now - Date.parse(told_at);
    let bytes = 0;
    for (const record of told.sort((a, b) => ageOf(a) - ageOf(b))) {
      if (ageOf(record) > keepRecordMs) {
        this.remove(record);
        continue;
      }
      const { prompt, stdout, stderr } = this.files(record);
      const files = [prompt, stdout, stderr];
      bytes += files.map(fileSize).reduce((sum, size) => sum + size, 0);
      if (ageOf(record) > keepFilesMs || bytes > keepFilesBytes)
        for (const file of files) rmSync(file, { force: true });
    }
  }
}
