// What agents and persons say about this product: stored with who said it, read by the person.
import { formatAddress } from "../protocol/address.ts";
import type { Caller, HubParsed } from "../protocol/hub-api.ts";
import type { StoredFeedback } from "../protocol/mission.ts";
import { callerAddress } from "./callers.ts";
import { isoAt, type Parts } from "./parts.ts";

export async function takeFeedback(
  parts: Parts,
  caller: Caller,
  { from_agent, type, description, context }: HubParsed<"feedback">,
): Promise<{ status: "stored"; timestamp: string }> {
  const from = formatAddress(await callerAddress(parts, from_agent, caller));
  const timestamp = isoAt(parts.now());
  await parts.store.addFeedback({ type, description, context, from_agent: from, timestamp });
  return { status: "stored", timestamp };
}

export async function listFeedback(
  { store }: Parts,
  { limit }: HubParsed<"feedback_list">,
): Promise<{ feedback: StoredFeedback[] }> {
  return { feedback: await store.feedback(limit) };
}
