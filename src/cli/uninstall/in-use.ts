// Who still uses a home that is to be removed: a daemon or a hub that no service will stop, a mission's agent.
import { readdirSync } from "node:fs";
import { MissionRecord } from "../../daemon/mission-record.ts";
import { IntercomError, toIntercomError } from "../../protocol/errors.ts";
import { readTextIfPresent } from "../../system/files.ts";
import { lockHolder, takeLock } from "../../system/lock.ts";
import type { HomePaths } from "../../system/paths.ts";
import { isAlive } from "../../system/process.ts";
import type { ServiceManager } from "../service/manager.ts";

/** Throws `conflict`: a mission's agent would go on with nobody to answer to, whether the home stays or not. */
export function refuseMissions({ missions }: HomePaths): void {
  const [mission, ...more] = runningMissions(missions);
  if (!mission) return;
  const others = more.length > 0 ? ` (and ${more.length} more)` : "";
  throw new IntercomError("conflict", `mission ${mission.id} runs, as process ${mission.pid}${others}`, {
    hint: `wait for its end, or: ai-intercom missions cancel ${mission.id}; where no daemon runs: kill ${mission.pid}`,
  });
}

/** Throws `conflict` that says how to end it, whether the home stays or not. What the services run is theirs to stop. */
export async function refuseInUse(paths: HomePaths, services: readonly ServiceManager[]): Promise<void> {
  const served = await Promise.all(services.map(async (manager) => (await manager.status()).pid));
  for (const role of ["daemon", "hub"]) {
    const pid = holderOf(`${paths.run}/${role}.lock`, role);
    if (pid !== undefined && !served.includes(pid))
      throw new IntercomError("conflict", `a ${role} of ${paths.home} runs, as process ${pid}`, {
        hint: `stop it first: kill ${pid}`,
      });
  }
}

/** Who runs as `role`. The lock tells, not the number in it: a pid is used again. */
export function holderOf(path: string, role: string): number | undefined {
  const pid = lockHolder(path);
  if (pid === undefined) return undefined;
  try {
    takeLock(path, role).release();
    return undefined;
  } catch (thrown) {
    if (toIntercomError(thrown).code !== "conflict") throw thrown;
    return pid;
  }
}

function runningMissions(directory: string): { id: string; pid: number }[] {
  return namesIn(directory).flatMap((name) => {
    const text = readTextIfPresent(`${directory}/${name}/record.json`);
    const record = text === undefined ? undefined : parsed(text);
    if (record?.state !== "running" || record.process === undefined || !isAlive(record.process)) return [];
    return [{ id: record.order.mission_id, pid: record.process.pid }];
  });
}

function parsed(text: string): MissionRecord | undefined {
  try {
    return MissionRecord.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined; // damaged: nothing in it says that something runs
  }
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return []; // there never was a mission
  }
}
