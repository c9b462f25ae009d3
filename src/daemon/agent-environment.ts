// The environment of an agent that a mission starts: this daemon's own, so that it finds its programs and its account,
// without any secret of ours and without what ties a process to another agent's session.
import { createHash } from "node:crypto";
import { realpathSync } from "node:fs";
import { isSessionVariable } from "../integrations/integration.ts";
import { missionRunVariable } from "../protocol/mission.ts";

/** change how a runtime behaves, or speak to our service manager */
const foreign =
  /^(TELEGRAM_.*|HUB_URL|BUN_OPTIONS|BUN_BE_BUN|BUN_INSPECT.*|NODE_OPTIONS|NODE_CHANNEL_.*|NOTIFY_SOCKET|LISTEN_(PID|FDS|FDNAMES)|WATCHDOG_(PID|USEC)|INVOCATION_ID|JOURNAL_STREAM|OLDPWD|_)$/;

export function agentEnvironment(
  env: Record<string, string | undefined>,
  options: { home: string; mark: string; directory: string },
): Record<string, string> {
  const kept = Object.entries(env).filter(
    ([name, value]) =>
      value !== undefined &&
      !name.startsWith("AI_INTERCOM_") &&
      !foreign.test(name) &&
      !isSessionVariable(name),
  );
  return {
    ...(Object.fromEntries(kept) as Record<string, string>), // undefined values were filtered
    PWD: options.directory,
    AI_INTERCOM_HOME: options.home,
    [missionRunVariable]: options.mark,
  };
}

/** The value of that variable: the run, and whose it is, for several homes of one computer may know the same run. */
export const markOf = (runKey: string, home: string): string =>
  `${runKey}.${createHash("sha256").update(realpathSync(home)).digest("hex").slice(0, 8)}`;

/** How it stands in a process's environment; compared as a whole entry. */
export const markEntry = (mark: string): string => `${missionRunVariable}=${mark}`;
