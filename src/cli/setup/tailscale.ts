// Hubs on this person's tailnet: asks Tailscale who is there, then each of them whether it is a hub.
import { z } from "zod";
import { runTool } from "../service/manager.ts";

export type FoundHub = { name: string; url: string };

/** ms that one machine may take to say that it is a hub */
const probeMs = 1_500;

/** The part of `tailscale status --json` that matters here (tailscale's ipnstate.Status). */
const Status = z.object({
  Peer: z
    .record(
      z.string(),
      z.object({
        HostName: z.string().default(""),
        TailscaleIPs: z.array(z.string()).nullish(),
        Online: z.boolean().default(false),
      }),
    )
    .nullish(),
});

/** None where Tailscale is not installed, not running, or has no hub. */
export async function hubsOnTailnet(port: number): Promise<FoundHub[]> {
  if (Bun.which("tailscale") === null) return [];
  const { code, stdout } = await runTool(["tailscale", "status", "--json"], { quiet: true });
  if (code !== 0) return [];
  const status = Status.safeParse(parsed(stdout));
  const peers = Object.values(status.data?.Peer ?? {}).filter(({ Online }) => Online);
  const found = await Promise.all(
    peers.map(async ({ TailscaleIPs }) => {
      const [address] = TailscaleIPs ?? [];
      return address === undefined
        ? undefined
        : hubAt(`http://${address.includes(":") ? `[${address}]` : address}:${port}`);
    }),
  );
  return found.filter((hub) => hub !== undefined);
}

/** Asks it; undefined where nothing answers, or something that is no hub. */
export async function hubAt(url: string): Promise<FoundHub | undefined> {
  try {
    const response = await fetch(`${url}/api/discover`, { signal: AbortSignal.timeout(probeMs) });
    const answer = z.object({ hub: z.literal(true), name: z.string() }).safeParse(await response.json());
    return answer.success ? { name: answer.data.name, url } : undefined;
  } catch {
    return undefined; // nothing listens there, or something else does
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
