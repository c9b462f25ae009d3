// Which service manager this computer has.
import { IntercomError } from "../../protocol/errors.ts";
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
