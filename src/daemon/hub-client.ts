// Signed HTTP requests of this machine to its hub: joining, and learning why a link was refused. Everything else
// travels over the link.
import { errorFromBody, IntercomError } from "../protocol/errors.ts";
import { JoinAnswer, type JoinInput } from "../protocol/hub-api.ts";
import type { MachineKey } from "../system/keys.ts";
import { signRequest } from "../system/signature.ts";

export type HubAccess = { url: string; machine: string; key: MachineKey };

/** ms until the hub must have answered */
const requestTimeoutMs = 10_000;

/** JSON in, JSON out; throws the hub's own error, or `hub_unreachable`. */
export async function askHub(
  hub: HubAccess,
  method: "GET" | "POST",
  path: string,
  body?: unknown,
): Promise<unknown> {
  const url = new URL(path, hub.url).href;
  const bytes = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
  const signed = await signRequest(hub.machine, hub.key, { method, url, body: bytes });
  const response = await reach(url, {
    method,
    headers: { ...signed, ...(bytes ? { "content-type": "application/json" } : {}) },
    body: bytes,
    signal: AbortSignal.timeout(requestTimeoutMs),
  });
  const answer: unknown = await response.json().catch(() => undefined);
  if (response.ok) return answer;
  throw (
    errorFromBody(answer) ??
    new IntercomError("hub_unreachable", `${hub.url} answered ${response.status}, not as a hub does`, {
      hint: "check hub.url",
    })
  );
}

/** Asks to be enrolled: at once with an invite's secret, else waiting for a person. */
export async function requestJoin(
  hub: HubAccess,
  input: Omit<JoinInput, "machine_id" | "public_key">,
): Promise<JoinAnswer> {
  const body: JoinInput = { ...input, machine_id: hub.machine, public_key: hub.key.publicKey };
  return JoinAnswer.parse(await askHub(hub, "POST", "/api/join", body));
}

async function reach(url: string, init: RequestInit): Promise<Response> {
  try {
    return await fetch(url, init);
  } catch (cause) {
    const { origin } = new URL(url);
    throw new IntercomError("hub_unreachable", `no hub answers at ${origin}`, {
      hint: `does it run, and listen on an address that this machine reaches? from here: curl ${origin}/api/discover; on its host: ai-intercom doctor`,
      cause,
    });
  }
}
