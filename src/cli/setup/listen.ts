// Whether a hub of this home can listen where the configuration says, found out before `setup` writes anything.
import { listenAddress } from "../../hub/listen.ts";
import { IntercomError } from "../../protocol/errors.ts";
import { loadConfig } from "../../system/config.ts";
import { isErrno } from "../../system/files.ts";
import { homePaths } from "../../system/paths.ts";
import { holderOf } from "../uninstall/in-use.ts";
import { hubAt } from "./tailscale.ts";

/** Throws `conflict` that names the address and what to do. A hub of this home that runs is what shall be there. */
export async function refuseTakenAddress(): Promise<void> {
  const { mode, hub } = loadConfig();
  const { run, config } = homePaths();
  if (mode === "daemon" || holderOf(`${run}/hub.lock`, "hub") !== undefined) return;
  const cause = listenRefusal(hub.listen);
  if (cause === undefined) return;
  const url = `http://${hub.listen}`;
  const other = await hubAt(url);
  const text = `the hub cannot listen on ${hub.listen}`;
  const elsewhere = `another address: hub.listen in ${config}`;
  if (other)
    throw new IntercomError("conflict", `${text}: another hub (${other.name}) does`, {
      hint: `join that one: ai-intercom setup --hub-url ${url}; or choose ${elsewhere}`,
      cause,
    });
  const why = isErrno(cause, "EADDRINUSE") ? "another program does" : cause.message;
  throw new IntercomError("conflict", `${text}: ${why}`, { hint: `choose ${elsewhere}`, cause });
}

/** Listens there as the hub does, for a moment. */
function listenRefusal(listen: string): Error | undefined {
  try {
    const probe = Bun.serve({ ...listenAddress(listen), fetch: () => new Response(null, { status: 503 }) });
    void probe.stop(true);
    return undefined;
  } catch (thrown) {
    return thrown instanceof Error ? thrown : new Error(String(thrown));
  }
}
