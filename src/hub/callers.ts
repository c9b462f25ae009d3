// Who asks: an enrolled machine, proved by its signature, or the person on the hub's own host. Nothing fails open.
import { type Address, formatAddress, parseAddress } from "../protocol/address.ts";
import { IntercomError } from "../protocol/errors.ts";
import type { Caller } from "../protocol/hub-api.ts";
import { missionOfMark, missionRunVariable } from "../protocol/mission.ts";
import type { Machine, Store } from "../store/store.ts";
import { ancestry, variableOf } from "../system/process.ts";
import { type HttpRequest, type Signer, signatureWindowSeconds, verifyRequest } from "../system/signature.ts";
import { isoAt, type Parts } from "./parts.ts";

/** header of every request through the hub's own socket: the process that asks */
export const pidHeader = "x-ai-intercom-pid";

/** Checks the signature, then that its nonce is new, then that the machine may be here. */
export async function machineCaller(parts: Parts, request: HttpRequest): Promise<Caller> {
  const { store, now } = parts;
  const nowMs = now();
  const signer = await verifyRequest(
    request,
    async (machine) => {
      const known = await store.machine(machine);
      if (known) return known.public_key;
      throw new IntercomError("unauthenticated", `no machine named "${machine.slice(0, 64)}" is enrolled`);
    },
    nowMs,
    (signer) => noteSkew(parts, signer),
  );
  const machine = await store.machine(signer.machine);
  if (!machine) throw new IntercomError("unauthenticated", "the machine is not enrolled any more");
  refuseUnapproved(machine);
  refuseBeforeRescue(store.rescued, signer.createdMs);
  // Kept until the signature is too old by the hub's own clock, with a margin for the clock being set.
  const forgetAt = isoAt(Math.max(nowMs, signer.createdMs) + 2 * signatureWindowSeconds * 1000);
  if (!(await store.useNonce(signer.machine, signer.nonce, forgetAt)))
    throw new IntercomError("replayed", "this signed request was received before");
  return { kind: "machine", machine: signer.machine };
}

/**
 * On the hub's own socket the caller is this user. What only the person may do is refused when an agent stands
 * among the caller's parent processes. An agent that lies about its pid is the stated limit of security.md.
 */
export async function refuseAgents({ store }: Parts, pid: number): Promise<void> {
  const chain = ancestry(pid);
  if (chain.length === 0) throw new IntercomError("person_only", `no process ${pid} is running here`);
  for (const process of chain) {
    const session = await store.sessionOfProcess(process);
    if (session)
      throw new IntercomError(
        "person_only",
        `process ${pid} was started by the agent of ${session.machine_id}/${session.project_id}@${session.session_id}`,
      );
    // its agent may have no session
    const mission = missionOfMark(variableOf(process.pid, missionRunVariable));
    if (mission !== undefined && (await store.mission(mission)))
      throw new IntercomError("person_only", `process ${pid} was started by mission ${mission}`);
  }
}

export type From = Exclude<Address, { kind: "project" }>;

/** The name must be the caller's own. An ended session counts: its last words may have waited in an outbox. */
export async function callerAddress({ store }: Parts, text: string, caller: Caller): Promise<From> {
  const from = parseAddress(text);
  if (from.kind === "human" && caller.kind === "person") return from;
  if (from.kind === "session" && caller.kind === "machine" && from.machine === caller.machine) {
    const session = await store.session(from.machine, from.session);
    if (session?.project_id === from.project) return from;
  }
  throw new IntercomError("forbidden", `the caller may not write as ${formatAddress(from)}`, {
    hint:
      caller.kind === "person"
        ? "the person writes as human"
        : "a machine writes as one of the sessions that it has reported",
  });
}

export function callerPid(request: Request): number {
  const text = request.headers.get(pidHeader);
  if (text === null)
    throw new IntercomError("unauthenticated", `the header ${pidHeader} is missing`, {
      hint: "send the process id of the program that asks",
    });
  if (!/^[1-9]\d{0,9}$/.test(text))
    throw new IntercomError("bad_request", `${pidHeader} is not a process id`);
  return Number(text);
}

/** Of a machine that could be here otherwise; no stranger can sign for it. */
async function noteSkew({ store, links }: Parts, { machine, createdMs }: Signer): Promise<void> {
  const known = await store.machine(machine);
  if (known?.status === "approved" && !links.isLinked(machine)) links.skews.note(machine, createdMs);
}

/** Which nonces were used before is not known any more. A clock that is behind delays its machine by as much. */
function refuseBeforeRescue(rescued: Store["rescued"], createdMs: number): void {
  if (!rescued?.tables.nonces?.lost.length || createdMs > Date.parse(rescued.at)) return;
  throw new IntercomError("replayed", "the hub's database was rescued after this request was signed");
}

function refuseUnapproved({ id, status }: Machine): void {
  switch (status) {
    case "approved":
      return;
    case "pending":
      throw new IntercomError("machine_pending", `machine ${id} waits for approval`);
    case "denied":
      throw new IntercomError("machine_denied", `machine ${id} was denied`);
    case "revoked":
      throw new IntercomError("machine_revoked", `machine ${id} was revoked`);
    default:
      status satisfies never;
  }
}
