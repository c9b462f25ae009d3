// Machines, invites and nonces in SQLite. Every function runs inside a transaction of the caller.
import type { Database } from "bun:sqlite";
import { revokeGrantsOf } from "./approvals.ts";
import { failWaiting } from "./deliveries.ts";
import { endLogins } from "./logins.ts";
import { leaveThreads } from "./messages.ts";
import { endMissionsOf } from "./missions.ts";
import type { Decision, JoinOutcome, JoinRequest, Machine, MachineStatus } from "./store.ts";

const columns =
  "id, public_key, fingerprint, status, epoch, display_name, description, created_at, last_seen";

export function findMachine(db: Database, id: string): Machine | undefined {
  return db.query<Machine, [string]>(`SELECT ${columns} FROM machines WHERE id = ?`).get(id) ?? undefined;
}

export function allMachines(db: Database): Machine[] {
  return db.query<Machine, []>(`SELECT ${columns} FROM machines ORDER BY id`).all();
}

/**
 * Who may come in: the same key again (idempotent), a new name (pending, or approved by an invite), a name whose
 * holder was denied or revoked (by an invite only). A name that another key holds or waits for is taken: else a
 * pending key could be swapped between the look at its fingerprint and the approval.
 */
export function join(db: Database, request: JoinRequest): JoinOutcome {
  const known = findMachine(db, request.id);
  const sameKey = known?.public_key === request.public_key;
  if (known?.status === "approved" && sameKey) return joined(db, known, request, "approved");
  if (request.invite_hash !== undefined) {
    // before the name is looked at: who has no good code learns nothing of names
    if (!isGoodInvite(db, request.invite_hash, request)) return { outcome: "invite_invalid" };
    if (known?.status === "approved") return { outcome: "taken" };
    redeemInvite(db, request.invite_hash, request);
    return joined(db, known, request, "approved");
  }
  if (known?.status === "approved") return { outcome: "taken" };
  if (known?.status === "denied" || known?.status === "revoked") return { outcome: known.status };
  if (known) return sameKey ? joined(db, known, request, "pending") : { outcome: "taken" };
  const { pending = 0 } =
    db
      .query<{ pending: number }, []>("SELECT count(*) AS pending FROM machines WHERE status = 'pending'")
      .get() ?? {};
  if (pending >= request.max_pending) return { outcome: "too_many_pending" };
  return joined(db, undefined, request, "pending");
}

export function enrolLocal(
  db: Database,
  request: Omit<JoinRequest, "invite_hash" | "max_pending">,
): Machine | "taken" {
  const known = findMachine(db, request.id);
  const { local = 0 } =
    db.query<{ local: number }, [string]>("SELECT local FROM machines WHERE id = ?").get(request.id) ?? {};
  const ours = local === 1 || known === undefined || known.public_key === request.public_key;
  if (!ours) return "taken";
  const status = known?.status === "revoked" ? "revoked" : "approved";
  const machine = save(db, known, request, status);
  db.query("UPDATE machines SET local = 1 WHERE id = ?").run(request.id);
  return machine;
}

export function decideMachine(
  db: Database,
  id: string,
  decision: "approve" | "deny" | "revoke",
  at: string,
): Decision {
  const known = findMachine(db, id);
  const [from, to] = decisions[decision];
  if (!known || !from.includes(known.status))
    return { machine: known, changed: false, changes: [], missions: [] };
  db.query("UPDATE machines SET status = ?, epoch = epoch + 1 WHERE id = ?").run(to, id);
  if (to === "approved") return { machine: findMachine(db, id), changed: true, changes: [], missions: [] };
  // another key may join under this name: nothing that was allowed to this one may be left for it
  revokeGrantsOf(db, id, at);
  endLogins(db, id);
  const reason = `machine ${id} was ${to}`;
  const missions = endMissionsOf(db, id, reason, at);
  return { machine: findMachine(db, id), changed: true, changes: failWaiting(db, id, reason, at), missions };
}

/** decision → from which states, to which. Who was turned away comes back by an invite, not by a second look. */
const decisions: Record<"approve" | "deny" | "revoke", [from: MachineStatus[], to: MachineStatus]> = {
  approve: [["pending"], "approved"],
  deny: [["pending"], "denied"],
  revoke: [["approved", "pending", "denied"], "revoked"],
};

export function acquireEpoch(db: Database, machine: string): number {
  return (
    db
      .query<{ epoch: number }, [string]>(
        "UPDATE machines SET epoch = epoch + 1 WHERE id = ? AND status = 'approved' RETURNING epoch",
      )
      .get(machine)?.epoch ?? 0
  );
}

/** True while `epoch` is the newest link of this machine. */
export function isCurrentEpoch(db: Database, machine: string, epoch: number): boolean {
  return findMachine(db, machine)?.epoch === epoch;
}

export function sawMachine(db: Database, machine: string, at: string): void {
  db.query("UPDATE machines SET last_seen = ? WHERE id = ?").run(at, machine);
}

export function createInvite(db: Database, invite: { hash: string; expires_at: string }): void {
  db.query("INSERT INTO invites (hash, expires_at) VALUES (?, ?)").run(invite.hash, invite.expires_at);
}

export function useNonce(db: Database, machine: string, nonce: string, expiresAt: string): boolean {
  const { changes } = db
    .query("INSERT INTO nonces (machine_id, nonce, expires_at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING")
    .run(machine, nonce, expiresAt);
  return changes === 1;
}

export function forgetUsed(db: Database, at: string): void {
  db.query("DELETE FROM nonces WHERE expires_at < ?").run(at);
  db.query("DELETE FROM invites WHERE expires_at < ?").run(at);
}

function isGoodInvite(db: Database, hash: string, { at }: JoinRequest): boolean {
  const query = db.query("SELECT 1 FROM invites WHERE hash = ? AND used_by IS NULL AND expires_at > ?");
  return query.get(hash, at) !== null;
}

function redeemInvite(db: Database, hash: string, { id }: JoinRequest): void {
  db.query("UPDATE invites SET used_by = ? WHERE hash = ?").run(id, hash);
}

function joined(
  db: Database,
  known: Machine | undefined,
  request: JoinRequest,
  status: MachineStatus,
): JoinOutcome {
  // another machine under this name: it is in none of the earlier one's threads and missions
  if (known && known.public_key !== request.public_key) leaveThreads(db, known.id);
  const machine = save(db, known, request, status);
  return { outcome: "joined", machine, fresh: known?.status !== status };
}

/** An empty name or description in the request leaves the known one alone. */
function save(
  db: Database,
  known: Machine | undefined,
  request: Omit<JoinRequest, "invite_hash" | "max_pending">,
  status: MachineStatus,
): Machine {
  const machine: Machine = {
    id: request.id,
    public_key: request.public_key,
    fingerprint: request.fingerprint,
    status,
    epoch: known?.epoch ?? 0,
    display_name: request.display_name || known?.display_name || "",
    description: request.description || known?.description || "",
    created_at: known?.created_at ?? request.at,
    last_seen: known?.last_seen ?? null,
  };
  db.query(
    `INSERT INTO machines (${columns})
     VALUES ($id, $public_key, $fingerprint, $status, $epoch, $display_name, $description, $created_at, $last_seen)
     ON CONFLICT (id) DO UPDATE SET public_key = excluded.public_key, fingerprint = excluded.fingerprint,
       status = excluded.status, display_name = excluded.display_name, description = excluded.description`,
  ).run(machine);
  return machine;
}
