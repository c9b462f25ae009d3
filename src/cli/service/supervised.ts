// Whether a service manager started this very process and starts it again when it fails: only our own service is known
// to. Its variables alone tell nothing: a terminal that is itself a service hands them to every shell in it.
import { readFileSync } from "node:fs";
import type { ServiceManager } from "./manager.ts";
import { servicesOf } from "./this-computer.ts";

/** The service of this home whose process this is. */
export async function supervisor(home: string): Promise<ServiceManager | undefined> {
  if (!isStartedByManager()) return undefined;
  return (await servicesOf(home))[0];
}

/** systemd.exec(5): SYSTEMD_EXEC_PID since 248, INVOCATION_ID before; launchd starts what it runs itself as its child. */
function isStartedByManager(): boolean {
  const { SYSTEMD_EXEC_PID, INVOCATION_ID, XPC_SERVICE_NAME } = process.env;
  if (process.platform === "darwin") return process.ppid === 1 && XPC_SERVICE_NAME !== undefined;
  if (SYSTEMD_EXEC_PID !== undefined) return SYSTEMD_EXEC_PID === String(process.pid);
  return INVOCATION_ID !== undefined && parentName() === "systemd";
}

function parentName(): string {
  try {
    return readFileSync(`/proc/${process.ppid}/comm`, "utf8").trim();
  } catch {
    return "";
  }
}
