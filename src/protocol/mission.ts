// A mission: an agent that a person's machine starts for one task, and whose answer goes back to who asked. What is
// asked, what the machine would run, what it reports, what a person decides. The one source of these shapes.
import { z } from "zod";
import { Name } from "./address.ts";
import { randomHex, ThreadId } from "./ids.ts";
import { HistoryMessage, ownAnswer, Timestamp } from "./message.ts";

export const MissionId = z
  .string()
  .regex(/^m-\d{8}-[0-9a-f]{6}$/, "a mission id looks like m-20261122-1a2b3c");

/** `m-YYYYMMDD-` (UTC) and 24 random bits; the hub refuses the rare double. */
export const newMissionId = (now = new Date()): string =>
  `m-${now.toISOString().slice(0, 10).replaceAll("-", "")}-${randomHex(3)}`;

/** The mission that an asking message starts: the same for every retry of its call. `at`: when it was first made. */
export const missionIdFor = (messageId: string, at: Date): string =>
  `m-${at.toISOString().slice(0, 10).replaceAll("-", "")}-${new Bun.CryptoHasher("sha256").update(messageId).digest("hex").slice(0, 6)}`;

/**
 * Environment variable that every process of a run carries, unless it drops it; its value begins with the mission's id.
 * It marks what belongs to a run and proves nothing good of anyone. No secret.
 */
export const missionRunVariable = "AI_INTERCOM_MISSION_RUN";
/** The mission that a value of that variable names. */
export const missionOfMark = (mark: string | undefined): string | undefined =>
  /^m-\d{8}-[0-9a-f]{6}/.exec(mark ?? "")?.[0];

/** From asking to end. All but the first, `queued` and `running` are final; a final one can be continued. */
export const MissionStatus = z.enum([
  "pending_approval",
  "queued",
  "running",
  "completed",
  "failed",
  "cancelled",
  "timed_out",
  "lost",
  "denied",
  "expired",
]);
export type MissionStatus = z.infer<typeof MissionStatus>;

export const MissionType = z.enum(["ask", "start_agent"]);
export type MissionType = z.infer<typeof MissionType>;

/** What an asker may wish; the receiving machine's policy decides, `always` can only tighten it. */
export const RequireApproval = z.enum(["auto", "always", "never"]);
export type RequireApproval = z.infer<typeof RequireApproval>;

/** How long one approval is good for (policies.yml): never asked, this run, this mission, this session, for ever. */
export const ApprovalLevel = z.enum(["never", "once", "mission", "session", "always_allow"]);
export type ApprovalLevel = z.infer<typeof ApprovalLevel>;

/** What a person grants; `always` stands for `always_allow`. */
export const GrantScope = z.enum(["once", "mission", "session", "always"]);
export type GrantScope = z.infer<typeof GrantScope>;

/** seconds; 7 days */
export const longestMissionSeconds = 7 * 24 * 3600;
/** characters of one feedback entry's summary */
export const summaryLimit = 500;

/** The mission part of a `route` request of type `ask` or `start_agent`; `message` is the task. */
export const MissionRequest = z.object({
  /** proposed id of a new mission */
  id: MissionId.optional(),
  /** continue this finished mission with a further task */
  continues: MissionId.optional(),
  /** seconds it may run; the receiving machine's own limit stands above it */
  timeout: z.number().int().min(1).max(longestMissionSeconds).optional(),
  require_approval: RequireApproval.default("auto"),
  /** a name from the receiving machine's configuration; empty: its default */
  agent_command: z.string().max(64).default(""),
  /** files to read first, paths in the receiving project */
  files: z.array(z.string().min(1).max(1024)).max(50).default([]),
  /** a thread of the asker whose newest messages go along */
  context_thread: ThreadId.optional(),
});
export type MissionRequest = z.infer<typeof MissionRequest>;

/** What `intercom_ask` and `intercom_start_agent` answer at once. Everything but `error` is an expected outcome. */
export const MissionAnswer = z.object({
  status: z.enum(["launched", "pending_approval", "queued", "denied", "launch_failed", "error"]),
  mission_id: z.string().optional(),
  thread_id: z.string().optional(),
  /** who will be asked, or what is waited for */
  reason: z.string().optional(),
  error: z.string().optional(),
  hint: z.string().optional(),
});
export type MissionAnswer = z.infer<typeof MissionAnswer>;

/** What a cancel answers: how the mission stands a moment later. */
export const Cancelled = z.object({ status: MissionStatus, reason: z.string().optional() });
export type Cancelled = z.infer<typeof Cancelled>;

/** hub → daemon: one run of a mission. Everything that decides what is run stands here. */
export const MissionOrder = z.object({
  mission_id: MissionId,
  /** 1, and one more each time it is continued */
  run: z.number().int().positive(),
  type: MissionType,
  from_agent: z.string().max(256),
  project: Name,
  message: z.string(),
  agent_command: z.string().max(64),
  /** seconds; absent: the machine's own limit */
  timeout: z.number().int().positive().optional(),
  files: z.array(z.string()),
  /** newest messages of the asker's thread, oldest first */
  context: z.array(z.object({ from_agent: z.string(), message: z.string() })),
});
export type MissionOrder = z.infer<typeof MissionOrder>;

/** What will run, as the approval card shows it. */
export const LaunchPlan = z.object({
  /** real path */
  directory: z.string(),
  /** without the task, which travels over stdin */
  argv: z.array(z.string()),
  /** argv of a run that continues no conversation, where this one does: what a grant holds for */
  fresh_argv: z.array(z.string()).optional(),
  /** the agent's permission mode in words, `default` where nothing is set */
  permission: z.string(),
  /** sha-256, hex, of the order and the fields above: what was approved is what runs */
  hash: z.string().regex(/^[0-9a-f]{64}$/),
});
export type LaunchPlan = z.infer<typeof LaunchPlan>;

/** Why a machine runs nothing. `denied`: not allowed there; `launch_failed`: allowed and impossible; `error`: wrong. */
const Refusal = z.object({
  verdict: z.literal("refused"),
  status: z.enum(["denied", "launch_failed", "error"]),
  reason: z.string(),
  hint: z.string().optional(),
});

/** Answer to link request `mission_plan` (payload: MissionOrder). */
export const MissionPlanAnswer = z.discriminatedUnion("verdict", [
  Refusal,
  z.object({
    verdict: z.literal("ready"),
    /** the receiving machine's policy for this asker, project and text */
    approval: ApprovalLevel,
    /** of the rule that matched */
    label: z.string().optional(),
    plan: LaunchPlan,
  }),
]);
export type MissionPlanAnswer = z.infer<typeof MissionPlanAnswer>;

/** Link request `mission_start`. A run the daemon has begun already is answered again, never begun twice. */
export const MissionStart = z.object({
  order: MissionOrder,
  hash: LaunchPlan.shape.hash,
  /** who approved it; absent: nobody had to. The daemon refuses what its policy wants approved and nobody did. */
  approved_by: z.string().optional(),
});
export type MissionStart = z.infer<typeof MissionStart>;
export const MissionStartAnswer = z.discriminatedUnion("verdict", [
  Refusal,
  /** `queued`: kept on the machine's disk behind its max_parallel; it reports `running` by itself */
  z.object({ verdict: z.literal("taken"), status: z.enum(["running", "queued"]), at: Timestamp }),
]);
export type MissionStartAnswer = z.infer<typeof MissionStartAnswer>;

/** Link request `mission_cancel`; the end itself is reported. */
export const MissionCancel = z.object({
  mission_id: MissionId,
  run: z.number().int().positive(),
  reason: z.string(),
});
export type MissionCancel = z.infer<typeof MissionCancel>;
export const MissionCancelAnswer = z.object({
  /** `unknown`: this machine has no such run */
  status: z.enum(["stopping", "ended", "unknown"]),
});
export type MissionCancelAnswer = z.infer<typeof MissionCancelAnswer>;

export const MissionEntry = z.object({
  /** 1, 2, … within a run */
  seq: z.number().int().positive(),
  timestamp: Timestamp,
  kind: z.enum(["tool", "file", "command", "text", "error", "status"]),
  summary: z.string().max(summaryLimit),
});
export type MissionEntry = z.infer<typeof MissionEntry>;

/** How a run stands, or ended. */
export const MissionChange = z.object({
  status: z.enum(["running", "completed", "failed", "cancelled", "timed_out", "lost"]),
  at: Timestamp,
  reason: z.string().max(2000).optional(),
  exit_code: z.number().int().optional(),
  turn_count: z.number().int().optional(),
  cost_usd: z.number().optional(),
});
export type MissionChange = z.infer<typeof MissionChange>;

/**
 * daemon → hub operation `mission_report`. What is told twice is taken once: entries by `seq`, output by `offset`
 * (UTF-16 units of the text so far). An end is told only after the hub has all entries and the whole output.
 */
export const MissionReport = z.object({
  mission_id: MissionId,
  run: z.number().int().positive(),
  entries: z.array(MissionEntry).max(500).default([]),
  output: z.object({ offset: z.number().int().nonnegative(), text: z.string() }).optional(),
  change: MissionChange.optional(),
});
export type MissionReport = z.infer<typeof MissionReport>;
export const MissionReportAnswer = z.object({
  /** highest seq the hub has without a gap */
  entries: z.number().int().nonnegative(),
  /** length of the output the hub has */
  output: z.number().int().nonnegative(),
  /** the hub knows no such run, or it ended otherwise: stop it and forget it */
  unwanted: z.boolean(),
});
export type MissionReportAnswer = z.infer<typeof MissionReportAnswer>;

/** A mission in lists (`missions`, `GET /api/missions`). */
export const ListedMission = z.object({
  mission_id: z.string(),
  type: MissionType,
  status: MissionStatus,
  from: z.string(),
  to: z.string(),
  text: z.string(),
  thread_id: z.string(),
  run: z.number(),
  requested_at: Timestamp,
  started_at: Timestamp.nullable(),
  finished_at: Timestamp.nullable(),
  reason: z.string().optional(),
});
export type ListedMission = z.infer<typeof ListedMission>;
export const MissionList = z.object({ missions: z.array(ListedMission) });
export type MissionList = z.infer<typeof MissionList>;

/** One mission as `intercom_status(mission_id)` and `GET /api/missions/:id` answer it. */
export const MissionDetail = z.object({
  mission_id: z.string(),
  status: MissionStatus,
  from: z.string(),
  to: z.string(),
  /** where a message reaches the mission's own session while it runs */
  address: z.string(),
  thread_id: z.string(),
  text: z.string(),
  run: z.number(),
  /** from `output_from` on, up to a page */
  output: z.string(),
  output_length: z.number(),
  /** the next `output_from`; absent at the end */
  output_next: z.number().optional(),
  /** newest entries of the current run, oldest first */
  feedback: z.array(MissionEntry.omit({ seq: true })),
  requested_at: Timestamp,
  started_at: Timestamp.nullable(),
  finished_at: Timestamp.nullable(),
  turn_count: z.number(),
  cost_usd: z.number().optional(),
  exit_code: z.number().optional(),
  reason: z.string().optional(),
  ...ownAnswer,
});
export type MissionDetail = z.infer<typeof MissionDetail>;

/** `intercom_history(mission_id)` and `GET /api/missions/:id/history`: what was asked, done and answered, in order. */
export const MissionHistory = z.object({
  mission_id: z.string(),
  thread_id: z.string(),
  messages: z.array(
    z.union([
      HistoryMessage,
      z.object({
        /** also good as `after`: what came behind it */
        id: z.string(),
        run: z.number(),
        kind: MissionEntry.shape.kind,
        message: z.string(),
        timestamp: Timestamp,
      }),
    ]),
  ),
  /** the next `after`; absent at the end */
  next: z.string().optional(),
  ...ownAnswer,
});
export type MissionHistory = z.infer<typeof MissionHistory>;

export const ApprovalId = z.string().regex(/^a-[0-9a-f]{12}$/, "an approval id is a- and 12 hex digits");
export const newApprovalId = (): string => `a-${randomHex(6)}`;
export const GrantId = z.string().regex(/^g-[0-9a-f]{12}$/, "a grant id is g- and 12 hex digits");
export const newGrantId = (): string => `g-${randomHex(6)}`;

export const ApprovalStatus = z.enum(["pending", "approved", "denied", "expired", "withdrawn"]);

/** What a person is asked: the whole text and exactly what would run. */
export const Approval = z.object({
  id: z.string(),
  mission_id: z.string(),
  status: ApprovalStatus,
  from: z.string(),
  to: z.string(),
  type: MissionType,
  text: z.string(),
  /** the policy's level, and so the scope that an approval has unless another is named */
  level: ApprovalLevel,
  label: z.string().optional(),
  plan: LaunchPlan,
  /** what the asker gave along with the text, all of which the agent is told */
  files: MissionOrder.shape.files,
  context: MissionOrder.shape.context,
  timeout: MissionOrder.shape.timeout,
  agent_command: MissionOrder.shape.agent_command,
  requested_at: Timestamp,
  expires_at: Timestamp,
  decided_at: Timestamp.nullable(),
  decided_by: z.string().nullable(),
});
export type Approval = z.infer<typeof Approval>;

/** A standing permission: asks that match it are not put to a person. */
export const Grant = z.object({
  id: z.string(),
  scope: GrantScope.exclude(["once"]),
  /** `machine/project`, `machine/project@session` or `human` */
  from: z.string(),
  to: z.string(),
  type: MissionType,
  /** scope `mission` only */
  mission_id: z.string().nullable(),
  /** argv and permission that were approved: anything else is asked about again */
  command: z.array(z.string()),
  permission: z.string(),
  created_at: Timestamp,
  created_by: z.string(),
});
export type Grant = z.infer<typeof Grant>;

/** `approvals`: what waits for a person, and what was granted. */
export const ApprovalList = z.object({ approvals: z.array(Approval), grants: z.array(Grant) });
export type ApprovalList = z.infer<typeof ApprovalList>;
/** A decision is made once; `decided_by` tells a second hand whose it was. */
export const ApprovalDecision = z.object({
  id: ApprovalId,
  decision: z.enum(["approve", "deny"]),
  scope: GrantScope.optional(),
});
export const ApprovalDecided = z.object({
  approval: Approval,
  grant: Grant.optional(),
  mission: z.object({ mission_id: z.string(), status: MissionStatus, reason: z.string().optional() }),
});
export type ApprovalDecided = z.infer<typeof ApprovalDecided>;

export const Feedback = z.object({
  type: z.enum(["bug", "improvement", "note"]),
  description: z.string().min(1).max(10_000),
  context: z.string().max(10_000).default(""),
});
export const StoredFeedback = Feedback.extend({
  id: z.number(),
  from_agent: z.string(),
  timestamp: Timestamp,
});
export type StoredFeedback = z.infer<typeof StoredFeedback>;
