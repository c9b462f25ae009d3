// Which service manager this computer has, and which services of it are a home's.
import { existsSync } from "node:fs";
import { IntercomError } from "../../protocol/errors.ts";
import { ownProgram } from "../../system/program.ts";
import { launchd } from "./launchd.ts";
import type { ServiceManager } from "./manager.ts";
import { systemd } from "./systemd.ts";

/** Throws `not_supported` where we know none. `system`: for the whole computer (root only). */
export function serviceManager(options: { system: boolean }): ServiceManager {
  switch (process.platform) {
    case "linux":
      return systemd(options);
    case "darwin":
      return launchd();
    default:
      throw new IntercomError("not_supported", `no service manager is known for ${process.platform}`, {
        hint: "run it in a terminal: ai-intercom standalone",
      });
  }
}

/** The service definitions that name this home; another home's is none of ours. */
export async function servicesOf(home: string): Promise<ServiceManager[]> {
  const managers = [() => serviceManager({ system: false })];
  if (process.platform === "linux" && process.getuid?.() === 0)
    managers.push(() => serviceManager({ system: true }));
  const found: ServiceManager[] = [];
  for (const make of managers) {
    if (process.platform !== "linux" && process.platform !== "darwin") break;
    const manager = make();
    if (existsSync(manager.file) && (await Bun.file(manager.file).text()).includes(homeLine(manager, home)))
      found.push(manager);
  }
  return found;
}

/** As the manager writes it, with its own quoting. */
function homeLine(manager: ServiceManager, home: string): string {
  const job = { program: ownProgram(), mode: "standalone", home, searchPath: "" } as const;
  const lines = manager.definition(job).split("\n");
  return lines.find((line) => line.includes("AI_INTERCOM_HOME")) ?? home;
}
