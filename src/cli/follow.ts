// Following a mission to its end: its changes and what it does as they happen, then its output. Only looks: the mission
// goes on whether anybody follows it or not.
import { IntercomError } from "../protocol/errors.ts";
import { MissionDetail, type MissionEntry, MissionHistory, type MissionStatus } from "../protocol/mission.ts";
import { delay } from "../system/wait.ts";
import { askFacts } from "./access.ts";
import { entryLine, timesOf, wholeMission } from "./missions.ts";
import { dim, oneLine, plain, print, wholeReason } from "./output.ts";

type Entry = Omit<MissionEntry, "seq">;

/** ms between looks */
const lookMs = 250;
/** ms that a hub or daemon may be away meanwhile */
const patienceMs = 120_000;

/** The mission at its end; undefined when the person stopped following (Ctrl-C). `live`: shows its progress, from what was `told` on. */
export async function follow(
  id: string,
  live: boolean,
  told?: MissionStatus,
): Promise<MissionDetail | undefined> {
  const stop = new AbortController();
  const onSignal = () => stop.abort();
  process.once("SIGINT", onSignal).once("SIGTERM", onSignal);
  try {
    const mission = await untilOver(id, live, told, stop.signal);
    if (live && mission) print(`\n${plain(mission.output).trimEnd() || dim("(no output)")}`);
    if (!mission)
      process.stderr.write(
        `${id} goes on\nlook:   ai-intercom missions show ${id}\ncancel: ai-intercom missions cancel ${id}\n`,
      );
    return mission;
  } finally {
    process.off("SIGINT", onSignal).off("SIGTERM", onSignal);
  }
}

async function untilOver(
  id: string,
  live: boolean,
  first: MissionStatus | undefined,
  signal: AbortSignal,
): Promise<MissionDetail | undefined> {
  const course = new Course(id);
  let told = first;
  let awaySince: number | undefined;
  while (!signal.aborted) {
    try {
      // first the status: what came before an end is then read whole
      const mission = MissionDetail.parse(await askFacts("mission", { id }));
      if (live) told = show(mission, await course.fresh(mission.run), told);
      awaySince = undefined;
      if (isOver(mission.status)) return await wholeMission(id);
    } catch (error) {
      awaySince = passing(error, awaySince);
    }
    await delay(lookMs, signal);
  }
  return undefined;
}

/** Prints what is new, `running` before what it does and an end after it. Gives the status that was told. */
function show(mission: MissionDetail, entries: Entry[], told: MissionStatus | undefined): MissionStatus {
  const begun = told === "running" || entries.length === 0;
  if (!begun) print("running"); // it began after its status was read, or is over already
  for (const entry of entries) print(entryLine(entry));
  const now = begun ? told : "running";
  const isOld = entries.length > 0 && !isOver(mission.status);
  if (isOld || mission.status === now) return now ?? mission.status;
  print(statusLine(mission));
  return mission.status;
}

/** What a mission did, each entry once. */
class Course {
  readonly #id: string;
  #after: string | undefined;

  constructor(id: string) {
    this.#id = id;
  }

  async fresh(run: number): Promise<Entry[]> {
    const entries: Entry[] = [];
    for (;;) {
      const given = { id: this.#id, limit: 500, after: this.#after };
      const page = MissionHistory.parse(await askFacts("mission_history", given));
      for (const one of page.messages) {
        if ("from_agent" in one) continue;
        this.#after = one.id;
        if (one.run === run) entries.push({ timestamp: one.timestamp, kind: one.kind, summary: one.message });
      }
      if (page.next === undefined) return entries;
      this.#after = page.next;
    }
  }
}

function isOver(status: MissionStatus): boolean {
  return status !== "pending_approval" && status !== "queued" && status !== "running";
}

function statusLine(mission: MissionDetail): string {
  const { status, reason } = mission;
  const time = isOver(status) ? timesOf(mission) : "";
  return `${status}${reason ? ` (${oneLine(reason, wholeReason)})` : ""}${time ? `  ${dim(time)}` : ""}`;
}

/** A hub or daemon that restarts is waited for; returns since when it is away. */
function passing(error: unknown, awaySince = Date.now()): number {
  const away =
    error instanceof IntercomError &&
    (error.code === "hub_unreachable" || error.code === "daemon_unreachable");
  if (!away || Date.now() - awaySince > patienceMs) throw error;
  return awaySince;
}
