// From an address to who gets the message: the session meant, a list to choose from, or why there is none.
import { type Address, formatAddress, nearMatches } from "../protocol/address.ts";
import { IntercomError } from "../protocol/errors.ts";
import type { SessionChoice } from "../protocol/message.ts";
import type { Mission } from "../store/mission-store.ts";
import type { Recipient, Sender, Session } from "../store/store.ts";
import { missionWithoutSession } from "./ended-mission.ts";
import { isoAt, keepForSessionMs, type Parts } from "./parts.ts";

type SessionAddress = Extract<Address, { kind: "session" }>;
type ProjectAddress = Extract<Address, { kind: "project" }>;

export type Resolved =
  | { status: "found"; recipient: Recipient }
  | { status: "no_active_session"; reason: string }
  | { status: "ambiguous"; sessions: SessionChoice[] };

/** For a new chat. Throws `unknown_machine`, `unknown_project` and `unknown_session` with names that look alike. */
export async function resolve(
  parts: Parts,
  from: Sender,
  to: Address,
  ifNoSession: "fail" | "queue",
): Promise<Resolved> {
  if (to.kind === "human") return { status: "found", recipient: to };
  await requireMachine(parts, to.machine);
  if (to.kind === "project") return resolveProject(parts, from, to, ifNoSession);
  const session = await requireSession(parts, to);
  if (session.ended_at !== null && ifNoSession === "fail")
    return { status: "no_active_session", reason: `the session ${formatAddress(to)} has ended` };
  return { status: "found", recipient: reached(parts, session) };
}

/** For mail whose recipient is certain (a reply, a notice): an ended session or an absent machine only delays it. */
export async function recipientAt(parts: Parts, address: Address): Promise<Recipient> {
  if (address.kind === "human") return address;
  if (address.kind === "project") return { ...address, wait: noSession(parts, address) };
  const mission = await missionWithoutSession(parts, address);
  if (mission?.finished_at === null) return { ...address, wait: notBegun(parts, mission) };
  const session = await parts.store.session(address.machine, address.session);
  if (!session) return { ...address, wait: ended(parts) };
  // Under the name that the thread knows, whatever project the session is in now: one member, one copy.
  return { ...reached(parts, session), ...address };
}

export async function requireMachine({ store }: Parts, machine: string): Promise<void> {
  const known = await store.machine(machine);
  if (known?.status === "approved") return;
  const names = (await store.machines()).filter(({ status }) => status === "approved").map(({ id }) => id);
  throw unknown("unknown_machine", `no machine named "${machine}" is enrolled`, nearMatches(machine, names));
}

async function resolveProject(
  parts: Parts,
  from: Sender,
  to: ProjectAddress,
  ifNoSession: "fail" | "queue",
): Promise<Resolved> {
  const { machine, project } = to;
  await requireProject(parts, to);
  const isSender = ({ machine_id, session_id }: Session) =>
    from.kind === "session" && from.machine === machine_id && from.session === session_id;
  const open = await parts.store.openSessions({ machine, project });
  const candidates = open.filter((session) => session.mission_id === undefined && !isSender(session));
  const [only, ...more] = candidates;
  if (only && more.length === 0) return { status: "found", recipient: reached(parts, only) };
  if (only) return { status: "ambiguous", sessions: candidates.map(choice) };
  const wait = noSession(parts, to, open.some(isSender));
  if (ifNoSession === "queue") return { status: "found", recipient: { ...to, wait } };
  return { status: "no_active_session", reason: wait.reason };
}

export async function requireProject({ store }: Parts, { machine, project }: ProjectAddress): Promise<void> {
  const projects = await store.projects();
  if (projects.some((known) => known.machine_id === machine && known.project_id === project)) return;
  const names = projects.map((known) => `${known.machine_id}/${known.project_id}`);
  const here = names.filter((name) => name.startsWith(`${machine}/`));
  const elsewhere = names.filter((name) => name.endsWith(`/${project}`));
  const near = [...new Set([...nearMatches(`${machine}/${project}`, here), ...elsewhere])].slice(0, 3);
  throw unknown("unknown_project", `machine ${machine} has no project named "${project}"`, near);
}

async function requireSession({ store }: Parts, to: SessionAddress): Promise<Session> {
  const session = await store.session(to.machine, to.session);
  if (session?.project_id === to.project) return session;
  const open = await store.openSessions({ machine: to.machine });
  const here = open.filter(({ project_id }) => project_id === to.project);
  const near = (here.length > 0 ? here : open).slice(0, 3).map(addressOf);
  throw unknown("unknown_session", `there is no session ${formatAddress(to)}`, near);
}

function reached(parts: Parts, session: Session): Recipient {
  const { machine_id: machine, project_id: project, session_id, ended_at } = session;
  const address: SessionAddress = { kind: "session", machine, project, session: session_id };
  if (ended_at !== null) return { ...address, wait: ended(parts) };
  const { links } = parts;
  if (!links.isLinked(machine)) return { ...address, wait: { reason: links.offlineReason(machine) } };
  const reason = links.refusal(machine, session_id);
  return reason === undefined ? address : { ...address, wait: { reason } };
}

function ended({ now }: Parts) {
  return {
    reason: "session ended; delivered if it resumes",
    expires_at: isoAt(now() + keepForSessionMs),
  };
}

function notBegun({ now }: Parts, { mission_id, status }: Mission) {
  return {
    reason: `mission ${mission_id} is ${status}; delivered when its agent's session is open`,
    expires_at: isoAt(now() + keepForSessionMs),
  };
}

function noSession({ now }: Parts, { machine, project }: ProjectAddress, onlySender = false) {
  return {
    reason: `no ${onlySender ? "other " : ""}session of ${machine}/${project} is open`,
    expires_at: isoAt(now() + keepForSessionMs),
  };
}

function choice(session: Session): SessionChoice {
  const { session_id, agent, status, summary } = session;
  return { session_id, address: addressOf(session), agent, status, summary };
}

function addressOf({ machine_id, project_id, session_id }: Session): string {
  return formatAddress({ kind: "session", machine: machine_id, project: project_id, session: session_id });
}

function unknown(
  code: "unknown_machine" | "unknown_project" | "unknown_session",
  message: string,
  near: string[],
): IntercomError {
  const hint = near.length > 0 ? `did you mean ${near.join(" or ")}?` : undefined;
  return new IntercomError(code, message, { hint });
}
