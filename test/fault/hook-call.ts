// A hook as the daemon sees it, without the program: asks, gives up after the same time, and hands over what an agent
// would take from its output.
import { pidHeaders } from "../../src/protocol/hook.ts";
import { homePaths } from "../../src/system/paths.ts";

/** ms that `check-inbox` gives the daemon */
const hookTimeoutMs = 500;
/** above Linux' highest pid: an asker that has ended */
const endedPid = 4_194_305;

export async function askHook(home: string, agentPid: number, input: string): Promise<string> {
  try {
    const response = await fetch("http://daemon/api/hook", {
      unix: homePaths(home).daemonSocket,
      method: "POST",
      body: input,
      headers: { [pidHeaders.agent]: String(agentPid), [pidHeaders.asker]: String(endedPid) },
      signal: AbortSignal.timeout(hookTimeoutMs),
    });
    return response.status === 200 ? await response.text() : "";
  } catch {
    return ""; // the daemon is away: the mail waits
  }
}

/** Cut-off JSON is dropped by the agent, and so is everything else that is not the form it reads. */
export function contextOf(printed: string): string {
  try {
    const { hookSpecificOutput } = JSON.parse(printed);
    return String(hookSpecificOutput.additionalContext);
  } catch {
    return "";
  }
}
