// The part of the store that remembers missions, approvals, grants, logins and feedback. Same promises as store.ts:
// durable when it resolves, idempotent by key, every change of a state made by compare-and-set.
import type { Address } from "../protocol/address.ts";
import type {
  Approval,
  Grant,
  LaunchPlan,
  MissionChange,
  MissionEntry,
  MissionOrder,
  MissionRequest,
  MissionStatus,
  MissionType,
  StoredFeedback,
} from "../protocol/mission.ts";
import type { StoredMessage } from "./store.ts";

export type Mission = {
  mission_id: string;
  /** 1, and one more each time it is continued */
  run: number;
  /** grows with every change; a transition names the one it saw */
  version: number;
  thread_id: string;
  type: MissionType;
  /** who asked for the current run, and gets its answer */
  from: Exclude<Address, { kind: "project" }>;
  machine: string;
  project: string;
  /** task of the current run, and id and hash of the message that asked for it */
  text: string;
  message_id: string;
  hash: string;
  request: Pick<
    MissionRequest,
    "timeout" | "require_approval" | "agent_command" | "files" | "context_thread"
  >;
  /** messages that go along, as they were when it was asked for: the plan's hash covers them */
  context: MissionOrder["context"];
  status: MissionStatus;
  reason: string | null;
  /** what was approved, or needed no approval; compared at launch */
  plan_hash: string | null;
  approved_by: string | null;
  cancel_requested: boolean;
  /** since when its machine answers for the run; null: it is with the hub */
  taken_at: string | null;
  requested_at: string;
  started_at: string | null;
  finished_at: string | null;
  exit_code: number | null;
  turn_count: number;
  cost_usd: number | null;
  output_length: number;
};

export type NewMission = Pick<
  Mission,
  | "mission_id"
  | "thread_id"
  | "type"
  | "from"
  | "machine"
  | "project"
  | "text"
  | "message_id"
  | "hash"
  | "request"
  | "context"
> & { at: string; to_agent: string };

export type MissionOutcome =
  | { outcome: "created"; mission: Mission }
  /** this very request was taken before */
  | { outcome: "duplicate"; mission: Mission }
  | { outcome: "conflict"; over: "mission" | "message" | "thread" };

export type MissionTransition = Partial<
  Pick<
    Mission,
    | "status"
    | "reason"
    | "plan_hash"
    | "approved_by"
    | "cancel_requested"
    | "taken_at"
    | "started_at"
    | "finished_at"
  >
>;

export type NewApproval = Pick<
  Approval,
  | "id"
  | "mission_id"
  | "from"
  | "to"
  | "type"
  | "text"
  | "level"
  | "label"
  | "plan"
  | "requested_at"
  | "expires_at"
> & { run: number };

export type ApprovalOutcome =
  | { outcome: "decided"; approval: Approval; mission: Mission; grant?: Grant }
  /** somebody was first; the approval says who and how */
  | { outcome: "was_decided"; approval: Approval }
  | { outcome: "unknown" };

/** An end whose answer the asker has not got yet; the mission as that run left it, and the output's beginning. */
export type OwedResponse = { mission: Mission; output: string };

/** One step of a mission, in the order of commits; `place` is where to go on from. */
export type MissionStep = { place: string } & (
  | { kind: "message"; message: StoredMessage }
  | { kind: "entry"; run: number; entry: MissionEntry }
);

/**
 * Whom a `send` meant when it was first made: a retry means the same. `reason`: why one gets nothing. `named`: the words
 * that meant it first, of which the id of its copy is made; else `to`.
 */
export type Target = { to: string; named?: string; reason?: string };

export interface MissionStore {
  // missions.ts
  /** Opens its thread with both ends as members and the asking message in it, in one transaction. */
  createMission(mission: NewMission): Promise<MissionOutcome>;
  /** A further run of a final mission: status `queued`, run + 1, output and feedback of the run empty. */
  continueMission(
    id: string,
    version: number,
    next: Pick<Mission, "from" | "text" | "message_id" | "hash" | "request" | "context"> & {
      at: string;
      to_agent: string;
    },
  ): Promise<MissionOutcome | { outcome: "stale" }>;
  mission(id: string): Promise<Mission | undefined>;
  missionOfMessage(messageId: string): Promise<Mission | undefined>;
  /** Newest first. `machine`: asked for or run there; `session`: asked for by it, or its own. */
  missions(where: {
    status?: MissionStatus;
    machine?: string;
    session?: string;
    limit: number;
  }): Promise<Mission[]>;
  /** Those that have not ended, oldest first. */
  liveMissions(machine?: string): Promise<Mission[]>;
  /**
   * undefined: it has changed since `version`, or is final. A final status also writes that its answer is owed; an
   * approval that waited for it is withdrawn.
   */
  moveMission(
    id: string,
    version: number,
    change: MissionTransition,
    at: string,
  ): Promise<Mission | undefined>;
  /**
   * What the machine reports of a run. Only a run that is queued or running takes anything; an end waits until
   * nothing of the same report is missing. The end told again is taken again.
   */
  reportMission(
    machine: string,
    report: {
      mission_id: string;
      run: number;
      entries: readonly MissionEntry[];
      output?: { offset: number; text: string };
      change?: MissionChange;
    },
    at: string,
  ): Promise<
    | {
        outcome: "taken";
        mission: Mission;
        fresh: MissionEntry[];
        changed: boolean;
        entries: number;
        output: number;
      }
    | { outcome: "unwanted"; mission: Mission | undefined }
  >;
  /** Of the current run; `from` and `length` in UTF-16 units. */
  missionOutput(id: string, from: number, length: number): Promise<string>;
  /** The newest `limit` of the current run, oldest first. */
  missionEntries(id: string, limit: number): Promise<MissionEntry[]>;
  /** Messages and entries of all runs after `place`, in the order of commits. */
  missionSteps(id: string, after: string | undefined, limit: number): Promise<MissionStep[]>;
  /** `length`: UTF-16 units of output to bring along. */
  owedResponses(limit: number, length: number): Promise<OwedResponse[]>;
  responseSent(id: string, run: number): Promise<void>;

  // approvals.ts
  /** With the mission's move to pending_approval in one transaction; undefined: the mission changed since. */
  requestApproval(
    approval: NewApproval,
    version: number,
  ): Promise<{ approval: Approval; mission: Mission } | undefined>;
  approval(id: string): Promise<Approval | undefined>;
  /** Newest first; without `all` only those that wait. */
  approvals(where: { all: boolean; mission_id?: string; limit: number }): Promise<Approval[]>;
  /** Decision, grant and the mission's next state in one transaction: once. */
  decideApproval(
    id: string,
    decision: "approve" | "deny",
    how: { scope: Grant["scope"] | "once"; grant_id: string; by: string; at: string },
  ): Promise<ApprovalOutcome>;
  /** Approvals nobody decided in time expire, and their missions with them. */
  expireApprovals(at: string): Promise<{ approval: Approval; mission: Mission }[]>;
  grants(): Promise<Grant[]>;
  matchingGrant(ask: {
    from: Mission["from"];
    machine: string;
    project: string;
    type: MissionType;
    mission_id: string;
    plan: LaunchPlan;
  }): Promise<Grant | undefined>;
  /** undefined: there is none, or it was revoked. */
  revokeGrant(id: string, at: string): Promise<Grant | undefined>;

  // logins.ts
  createLoginCode(code: { hash: string; expires_at: string }): Promise<void>;
  /** False: no such code, used, or too old. */
  useLoginCode(
    codeHash: string,
    login: { token_hash: string; machine: string; name: string; expires_at: string; at: string },
  ): Promise<boolean>;
  /** The person's name; undefined: no such login on this machine, or ended. */
  login(tokenHash: string, machine: string, at: string): Promise<string | undefined>;
  endLogin(tokenHash: string, machine: string): Promise<void>;

  // sends.ts
  /** The first time only. */
  keepTargets(
    send: { message_id: string; hash: string; at: string },
    targets: readonly Target[],
  ): Promise<void>;
  /** undefined: no `send` of this id was made. */
  targets(messageId: string): Promise<{ hash: string; targets: readonly Target[] } | undefined>;

  // feedback.ts
  addFeedback(feedback: Omit<StoredFeedback, "id">): Promise<StoredFeedback>;
  feedback(limit: number): Promise<StoredFeedback[]>;
}
