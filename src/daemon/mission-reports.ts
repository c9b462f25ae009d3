// Tells the hub what runs do: steps and output as they come, the end only after everything else was taken. The hub's
// answer says what it has; what it does not have is sent again, over the next link too.
import { IntercomError } from "../protocol/errors.ts";
import type { HubInput } from "../protocol/hub-api.ts";
import { MissionReportAnswer } from "../protocol/mission.ts";
import { crashPoint } from "../system/crash-point.ts";
import { log } from "../system/log.ts";
import { background, backoff, delay } from "../system/wait.ts";
import type { MissionRun } from "./mission-run.ts";

type Report = HubInput<"mission_report">;
export type ReportParts = {
  isLinked: () => boolean;
  send: (report: Report) => Promise<unknown>;
  /** the hub has all of it */
  onTold: (run: MissionRun) => void;
  /** the hub knows no such run, or it ended otherwise */
  onUnwanted: (run: MissionRun) => void;
};

/** what the hub has of a run */
type Position = { entries: number; output: number; running: boolean };
type Shipment = { run: MissionRun; at: Position; busy: boolean };

/** UTF-16 units of output, and entries, of one report: six bytes for each unit at worst, in a frame of 1 MiB */
const outputUnits = 64 * 1024;
const maxEntries = 100;
const firstPauseMs = 200;
const longestPauseMs = 10_000;

export class MissionReports {
  readonly #parts: ReportParts;
  readonly #shipments = new Map<string, Shipment>();
  readonly #stopped = new AbortController();

  constructor(parts: ReportParts) {
    this.#parts = parts;
  }

  /** There may be something new of this run. */
  tell(run: MissionRun): void {
    const shipment = this.#shipments.get(run.key) ?? {
      run,
      at: { entries: 0, output: 0, running: false },
      busy: false,
    };
    this.#shipments.set(run.key, shipment);
    this.#ship(shipment);
  }

  /** A new link: what the last one did not take. */
  linked(): void {
    for (const shipment of this.#shipments.values()) this.#ship(shipment);
  }

  stop(): void {
    this.#stopped.abort();
  }

  #ship(shipment: Shipment): void {
    if (shipment.busy || !this.#parts.isLinked()) return;
    shipment.busy = true;
    background("mission reports", async () => {
      try {
        await this.#shipAll(shipment);
      } finally {
        shipment.busy = false;
      }
    });
  }

  async #shipAll(shipment: Shipment): Promise<void> {
    const pauses = backoff(firstPauseMs, longestPauseMs);
    while (this.#parts.isLinked() && !this.#stopped.signal.aborted) {
      const report = nextReport(shipment);
      if (!report) return;
      try {
        const answer = MissionReportAnswer.parse(await this.#parts.send(report));
        crashPoint("launcher.reported");
        if (this.#stopped.signal.aborted || this.#take(shipment, report, answer)) return;
        if (
          answer.entries > shipment.at.entries ||
          answer.output > shipment.at.output ||
          !hasContent(report)
        ) {
          shipment.at = { ...shipment.at, entries: answer.entries, output: answer.output };
          continue;
        }
        // taken and nothing gained: the hub has less than was sent, or cannot keep it now
        shipment.at = { ...shipment.at, entries: answer.entries, output: answer.output };
      } catch (error) {
        if (error instanceof IntercomError && error.code === "hub_unreachable") return;
        log.warn("the hub did not take a report of a mission; it is sent again", {
          mission: shipment.run.key,
          error,
        });
      }
      await delay(pauses.next().value, this.#stopped.signal);
    }
  }

  /** True when nothing more is to be told. */
  #take(shipment: Shipment, { change }: Report, { unwanted }: MissionReportAnswer): boolean {
    const { run } = shipment;
    if (unwanted) {
      this.#shipments.delete(run.key);
      this.#parts.onUnwanted(run);
      return true;
    }
    if (change?.status === "running") shipment.at.running = true;
    else if (change) {
      this.#shipments.delete(run.key);
      this.#parts.onTold(run);
      return true;
    }
    return false;
  }
}

const hasContent = ({ entries, output }: Report): boolean =>
  (entries?.length ?? 0) > 0 || output !== undefined;

/** What the hub lacks, in order: that it runs, its steps and output, its end. */
function nextReport({ run, at }: Shipment): Report | undefined {
  const { record, story } = run;
  const { mission_id, run: number } = record.order;
  const base = { mission_id, run: number };
  if (record.state === "queued") return undefined;
  if (!at.running && record.process && record.started_at !== undefined)
    return { ...base, change: { status: "running", at: record.started_at } };
  const entries = story.entries.slice(at.entries, at.entries + maxEntries);
  const text = sliceWhole(story.output, at.output, outputUnits);
  if (entries.length > 0 || text !== "")
    return {
      ...base,
      ...(entries.length > 0 ? { entries } : {}),
      ...(text === "" ? {} : { output: { offset: at.output, text } }),
    };
  return record.end ? { ...base, change: record.end } : undefined;
}

/** A pair of surrogates is not cut in two: half of one is no text. */
function sliceWhole(text: string, from: number, length: number): string {
  const end = from + length;
  const splits =
    end < text.length && text.charCodeAt(end - 1) >= 0xd800 && text.charCodeAt(end - 1) <= 0xdbff;
  return text.slice(from, splits ? end - 1 : end);
}
