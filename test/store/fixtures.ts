// What the store's tests are made of.
import { newMessageId, newThreadId } from "../../src/protocol/ids.ts";
import { newMissionId } from "../../src/protocol/mission.ts";
import type { SessionReport } from "../../src/protocol/session.ts";
import type { Mission, NewMission } from "../../src/store/mission-store.ts";
import type { JoinRequest, NewMessage, Recipient, Sender, Store } from "../../src/store/store.ts";

/** A time `seconds` after the tests' zero. */
export const at = (seconds: number): string =>
  new Date(Date.UTC(2026, 10, 22) + seconds * 1000).toISOString();

export const joinRequest = (id: string, more: Partial<JoinRequest> = {}): JoinRequest => ({
  id,
  public_key: `key of ${id}`,
  fingerprint: `print of ${id}`,
  display_name: "",
  description: "",
  at: at(0),
  max_pending: 3,
  ...more,
});

export const report = (
  project_id: string,
  session_id: string,
  more: Partial<SessionReport> = {},
): SessionReport => ({
  session_id,
  project_id,
  agent: "claude",
  pid: 100,
  start: `start of ${session_id}`,
  status: "idle",
  summary: "",
  registered_at: at(0),
  inbox_pending: 0,
  ...more,
});

export const a: Extract<Sender, { kind: "session" }> = {
  kind: "session",
  machine: "mac",
  project: "web",
  session: "s-a",
};
export const b: Extract<Recipient, { kind: "session" }> = {
  kind: "session",
  machine: "limn",
  project: "api",
  session: "s-b",
};
export const human = { kind: "human" } as const;

export function newMessage(text: string, more: Partial<NewMessage> = {}): NewMessage {
  return {
    id: newMessageId(),
    hash: `hash of ${text}`,
    thread_id: newThreadId(),
    opens_thread: true,
    type: "chat",
    from: a,
    to_agent: "limn/api",
    text,
    at: at(0),
    ...more,
  };
}

/** Asked for by `a`, to run in limn/api. */
export function newMission(more: Partial<NewMission> = {}): NewMission {
  return {
    mission_id: newMissionId(new Date(at(0))),
    thread_id: newThreadId(),
    type: "ask",
    from: a,
    machine: "limn",
    project: "api",
    text: "the task",
    message_id: newMessageId(),
    hash: "hash of the task",
    request: { require_approval: "auto", agent_command: "", files: ["README.md"], timeout: 60 },
    context: [{ from_agent: "human", message: "as we said" }],
    to_agent: "limn/api",
    at: at(0),
    ...more,
  };
}

export async function created(store: Store, more?: Partial<NewMission>): Promise<Mission> {
  const outcome = await store.createMission(newMission(more));
  if (outcome.outcome === "created") return outcome.mission;
  throw new Error(JSON.stringify(outcome));
}

export const roomy = { max_waiting: 10_000, expires_at: at(7 * 24 * 3600) };

/** Machines mac and limn with the sessions `a` and `b`. */
export async function furnish(store: Store): Promise<void> {
  const ids = ["mac", "limn"];
  await Promise.all(ids.map((id) => store.join(joinRequest(id))));
  await Promise.all(ids.map((id) => store.decideMachine(id, "approve", at(0))));
  const limn = report("api", "s-b", { pid: 200 });
  await Promise.all([present(store, "mac", [report("web", "s-a")]), present(store, "limn", [limn])]);
}

export const present = (store: Store, machine: string, sessions: SessionReport[], seconds = 0) =>
  store.presence(
    machine,
    { sessions, projects: [] },
    { at: at(seconds), expires_at: at(seconds + 7 * 24 * 3600) },
  );
