// What machines report: which sessions they have, and what became of the mail in their inboxes.
import { formatAddress } from "../protocol/address.ts";
import type { Presence, Receipt } from "../protocol/hub-api.ts";
import type { Session } from "../store/store.ts";
import { crashPoint } from "../system/crash-point.ts";
import type { Missions } from "./missions.ts";
import { isoAt, keepForSessionMs, type Parts } from "./parts.ts";

type Telling = Parts & { tellNotices: () => void };
type Heard = { epoch?: number; heardMs?: number };

export async function takePresence(
  parts: Telling & { missions: Missions },
  machine: string,
  snapshot: Presence,
  { epoch, heardMs }: Heard,
): Promise<{ sessions: number }> {
  const { store, events, links } = parts;
  const nowMs = parts.now();
  const { opened, ended, changes } = await store.presence(machine, snapshot, {
    at: isoAt(nowMs),
    expires_at: isoAt(nowMs + keepForSessionMs),
    epoch,
  });
  crashPoint("hub.presence-stored");
  for (const session of opened) tellSession(parts, session, "open");
  for (const session of ended) tellSession(parts, session, "ended");
  events.states(changes);
  links.present(machine);
  if (changes.length > 0) parts.tellNotices();
  await parts.missions.present(machine, snapshot.missions, heardMs ?? nowMs);
  return { sessions: snapshot.sessions.length };
}

export async function takeReceipts(
  parts: Telling,
  machine: string,
  receipts: readonly Receipt[],
): Promise<{ applied: number }> {
  const nowMs = parts.now();
  const changes = await parts.store.applyReceipts(machine, receipts, {
    at: isoAt(nowMs),
    expires_at: isoAt(nowMs + keepForSessionMs),
  });
  crashPoint("hub.receipts-stored");
  parts.events.states(changes);
  if (receipts.some(({ state }) => state === "offered" || state === "seen")) parts.links.inboxRead(machine);
  // given back by a session that may be open again: what came after it must not go first
  if (changes.some(({ state }) => state === "queued")) parts.links.present(machine);
  if (changes.some(({ state }) => state === "queued" || state === "failed")) parts.tellNotices();
  return { applied: changes.length };
}

function tellSession({ events, now }: Parts, session: Session, status: "open" | "ended"): void {
  const { machine_id: machine, project_id: project, session_id } = session;
  const address = formatAddress({ kind: "session", machine, project, session: session_id });
  events.emit({ kind: "session", at: isoAt(now()), address, status });
}
