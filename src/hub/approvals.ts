// What a person decides about missions: a pending approval once, a grant until it is revoked, and what happens when
// nobody decides.
import { IntercomError } from "../protocol/errors.ts";
import type { HubParsed } from "../protocol/hub-api.ts";
import {
  type Approval,
  type ApprovalDecided,
  type ApprovalLevel,
  type ApprovalList,
  type Grant,
  type GrantScope,
  newGrantId,
} from "../protocol/mission.ts";
import type { Mission } from "../store/mission-store.ts";
import { crashPoint } from "../system/crash-point.ts";
import { tellApproval, tellMission } from "./mission-events.ts";
import type { Missions } from "./missions.ts";
import { isoAt, type Parts } from "./parts.ts";
import { firstThatFit } from "./queries.ts";

type Deciding = Parts & { missions: Missions; tellNotices: () => void };

export async function listApprovals(
  { store }: Parts,
  { all, limit }: HubParsed<"approvals">,
): Promise<ApprovalList> {
  const approvals = await store.approvals({ all, limit });
  return { approvals: firstThatFit(approvals), grants: await store.grants() };
}

/** Throws `unknown_approval`; `conflict` names whose decision stands. The same decision again is answered again. */
export async function decideApproval(
  parts: Deciding,
  { id, decision, scope }: HubParsed<"approval_decide">,
  by: string,
): Promise<ApprovalDecided> {
  const { store, now } = parts;
  await expireApprovals(parts);
  const waiting = await store.approval(id);
  const outcome = await store.decideApproval(id, decision, {
    scope: scopeFor(waiting, scope),
    grant_id: newGrantId(),
    by,
    at: isoAt(now()),
  });
  crashPoint("approval.decided");
  if (outcome.outcome === "unknown")
    throw new IntercomError("unknown_approval", `there is no approval ${id}`);
  if (outcome.outcome === "was_decided") return decidedBefore(parts, outcome.approval, decision, by);
  const { approval, grant } = outcome;
  tellApproval(parts, approval);
  tellMission(parts, outcome.mission);
  if (decision === "deny") {
    parts.tellNotices();
    return decided(approval, outcome.mission);
  }
  const { mission } = await parts.missions.attempt(outcome.mission.mission_id);
  return decided(approval, mission, grant);
}

/** Throws `unknown_approval`. */
export async function revokeGrant({ store, now }: Parts, { id }: HubParsed<"grant_revoke">): Promise<Grant> {
  const grant = await store.revokeGrant(id, isoAt(now()));
  if (grant) return grant;
  throw new IntercomError("unknown_approval", `there is no grant ${id}, or it was revoked`);
}

export async function expireApprovals(parts: Parts & { tellNotices: () => void }): Promise<void> {
  const expired = await parts.store.expireApprovals(isoAt(parts.now()));
  for (const { approval, mission } of expired) {
    tellApproval(parts, approval);
    tellMission(parts, mission);
  }
  if (expired.length > 0) parts.tellNotices();
}

async function decidedBefore(
  { store }: Parts,
  approval: Approval,
  decision: "approve" | "deny",
  by: string,
): Promise<ApprovalDecided> {
  const mission = await store.mission(approval.mission_id);
  const same = approval.status === (decision === "approve" ? "approved" : "denied");
  if (mission && same && approval.decided_by === by) return decided(approval, mission);
  const who = approval.decided_by === null ? "" : ` by ${approval.decided_by}`;
  const when = approval.decided_at === null ? "" : ` at ${approval.decided_at}`;
  throw new IntercomError("conflict", `approval ${approval.id} was ${approval.status}${who}${when}`, {
    hint: `ai-intercom missions show ${approval.mission_id}`,
  });
}

function decided(approval: Approval, mission: Mission, grant?: Grant): ApprovalDecided {
  const { mission_id, status, reason } = mission;
  return {
    approval,
    ...(grant ? { grant } : {}),
    mission: { mission_id, status, ...(reason === null ? {} : { reason }) },
  };
}

/**
 * What is granted. A person has no session: a grant for one would hold for ever and for every person, so theirs is for
 * the mission.
 */
function scopeFor(approval: Approval | undefined, wished: GrantScope | undefined): GrantScope {
  const scope = wished ?? scopeOf(approval?.level ?? "once");
  return scope === "session" && approval?.from === "human" ? "mission" : scope;
}

/** What an approval is good for when the person names nothing else: what the machine's policy says. */
function scopeOf(level: ApprovalLevel): GrantScope {
  switch (level) {
    case "never":
    case "once":
      return "once";
    case "mission":
    case "session":
      return level;
    case "always_allow":
      return "always";
    default:
      return level satisfies never;
  }
}
