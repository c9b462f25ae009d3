// What can be asked of a hub. Each operation is one name with one input schema; it is reached by a link frame
// (`op` = the name) or by HTTP (the route table below). Both run the same handler with the same caller.
import { z } from "zod";
import { Name, SessionId } from "./address.ts";
import { Canary } from "./checkup.ts";
import { MessageId, newMessageId, ThreadId } from "./ids.ts";
import { MessageState, MessageType, Priority, Timestamp } from "./message.ts";
import {
  ApprovalDecision,
  ApprovalStatus,
  Feedback,
  GrantId,
  MissionEntry,
  MissionId,
  MissionReport,
  MissionRequest,
  MissionStatus,
} from "./mission.ts";
import { PermissionAsk } from "./permission.ts";
import { AgentFilter, ProjectReport, SessionReport } from "./session.ts";
import { MachineUpgrade } from "./upgrade.ts";

/** 5 s to 7 days */
export const ReplySeconds = z
  .number()
  .int()
  .min(5)
  .max(7 * 24 * 3600);

/**
 * Who asks: an enrolled machine (by its signature) or a person (on the hub's own host, or logged in elsewhere).
 * `name`: who a decision is recorded under.
 */
export type Caller = { kind: "machine"; machine: string } | { kind: "person"; name: string };

/** A machine's report about one message in one of its sessions. Never a state its daemon cannot prove. */
export const Receipt = z.object({
  message_id: MessageId,
  session_id: SessionId,
  /** `queued` = given back because the session ended with it unread */
  state: z.enum(["delivered", "offered", "seen", "queued", "failed"]),
  at: Timestamp,
  reason: z.string().max(500).optional(),
  /**
   * Only while this is the number of the copy's latest state (`delivered_copies`): whatever happened to it since
   * outweighs the receipt. A hub that does not know the field drops it and may call failed what was offered; one that
   * never told a number gets no such receipt, unless it was replaced by an older one while the receipt was on its way.
   */
  state_no: z.number().int().nonnegative().optional(),
});
export type Receipt = z.infer<typeof Receipt>;

/** One page of a session's copies that the hub counts as exactly `delivered`. */
export const DeliveredCopies = z.object({
  copies: z.array(z.object({ message_id: MessageId, state_no: z.number().int().nonnegative() })),
  /** `after` of the next page; absent on the last. A page may be empty and not the last. */
  next: z.number().int().positive().optional(),
});
export type DeliveredCopies = z.infer<typeof DeliveredCopies>;

export const RouteInput = z.object({
  /** must be a session of the calling machine, or `human` for the person; checked, never believed */
  from_agent: z.string().max(256),
  /**
   * may be absent for a message in an existing thread: it goes to the other end. `send` takes many, with the
   * patterns `machine/*`, `*` + `/project` and `*`.
   */
  to_agent: z.union([z.string().max(256), z.array(z.string().max(256)).min(1).max(1000)]).optional(),
  type: MessageType,
  payload: z.object({
    message: z.string(),
    /** made by the caller, so that its retries are known as such */
    message_id: MessageId.default(newMessageId),
    /** an existing thread (a reply) */
    thread_id: ThreadId.optional(),
    /** proposed id of the thread that a new chat opens */
    new_thread_id: ThreadId.optional(),
    if_no_session: z.enum(["fail", "queue"]).default("fail"),
    /** answer as soon as it is stored: nobody waits to be told `delivered` */
    await_delivery: z.boolean().optional(),
    /** seconds: remind the recipient once, then tell the sender and the person that no answer came */
    expect_reply_within: ReplySeconds.optional(),
    /** `send` */
    priority: Priority.default("normal"),
    /** `ask` and `start_agent` */
    mission: MissionRequest.optional(),
  }),
});
export type RouteInput = z.infer<typeof RouteInput>;

export const Presence = z.object({
  sessions: z.array(SessionReport).max(2000),
  projects: z.array(ProjectReport).max(5000),
  /** runs this machine has queued or running; what the hub believes there and is not named is lost */
  missions: z
    .array(z.object({ mission_id: MissionId, run: z.number().int().positive() }))
    .max(10_000)
    .optional(),
});
export type Presence = z.infer<typeof Presence>;

export const JoinInput = z.object({
  machine_id: Name,
  display_name: z.string().max(128).default(""),
  description: z.string().max(2000).default(""),
  /** raw Ed25519 public key, base64url, 32 bytes */
  public_key: z.string().regex(/^[A-Za-z0-9_-]{43}$/, "an Ed25519 public key in base64url has 43 characters"),
  /** invite secret; without one the request waits for a person */
  code: z.string().max(128).optional(),
});
export type JoinInput = z.infer<typeof JoinInput>;

export const JoinAnswer = z.object({
  machine_id: z.string(),
  status: z.enum(["pending", "approved", "denied", "revoked"]),
  fingerprint: z.string(),
});
export type JoinAnswer = z.infer<typeof JoinAnswer>;

/** a query string says `true` or `false` */
const flag = z.union([z.boolean(), z.stringbool()]);
const limit = z.coerce.number().int().min(1).max(1000).default(50);

/** op → input schema. `who`: machines, the person, or both may ask. */
export const hubOperations = {
  presence: { who: "machine", input: Presence },
  receipts: { who: "machine", input: z.object({ receipts: z.array(Receipt).max(1000) }) },
  /** after damage in an inbox: which messages a session must have */
  delivered_copies: {
    who: "machine",
    input: z.object({ session_id: SessionId, after: z.coerce.number().int().nonnegative().default(0) }),
  },
  heartbeat: { who: "machine", input: z.object({}) },
  /** `doctor --canary`: sent back down the machine's link for one of its sessions */
  canary: { who: "machine", input: Canary },
  route: { who: "both", input: RouteInput },
  agents: { who: "both", input: z.object({ filter: AgentFilter.default("all") }) },
  message: { who: "both", input: z.object({ id: MessageId, session_id: SessionId.optional() }) },
  thread: { who: "both", input: z.object({ id: ThreadId, limit, session_id: SessionId.optional() }) },
  machines: { who: "both", input: z.object({}) },
  machine_decide: {
    who: "person",
    input: z.object({ id: Name, decision: z.enum(["approve", "deny", "revoke"]) }),
  },
  /** down the machine's link; its own configuration must allow it */
  machine_upgrade: { who: "person", input: MachineUpgrade },
  machine_upgrade_state: { who: "person", input: z.object({ id: Name }) },
  invite: { who: "person", input: z.object({}) },
  /** lets messages that the loop guard holds go */
  release: { who: "person", input: z.object({ id: ThreadId }) },
  human_inbox: { who: "person", input: z.object({ limit, unread: flag.default(false) }) },

  /** an agent asks whether it may use a tool */
  permission: { who: "machine", input: PermissionAsk },

  mission_report: { who: "machine", input: MissionReport },
  missions: {
    who: "both",
    input: z.object({ status: MissionStatus.optional(), limit, session_id: SessionId.optional() }),
  },
  mission: {
    who: "both",
    input: z.object({
      id: MissionId,
      session_id: SessionId.optional(),
      /** UTF-16 units of the output to leave out */
      output_from: z.coerce.number().int().nonnegative().default(0),
    }),
  },
  mission_history: {
    who: "both",
    input: z.object({
      id: MissionId,
      session_id: SessionId.optional(),
      limit,
      after: z.string().max(64).optional(),
    }),
  },
  /** the asker's own session, or the person */
  mission_cancel: { who: "both", input: z.object({ id: MissionId, session_id: SessionId.optional() }) },
  approvals: { who: "person", input: z.object({ all: flag.default(false), limit }) },
  approval_decide: { who: "person", input: ApprovalDecision },
  grant_revoke: { who: "person", input: z.object({ id: GrantId }) },
  feedback: { who: "both", input: Feedback.extend({ from_agent: z.string().max(256) }) },
  feedback_list: { who: "person", input: z.object({ limit }) },
  /** a code by which a person on a joined machine logs in, once, within 10 minutes */
  login_code: { who: "person", input: z.object({}) },
  login: { who: "machine", input: z.object({ code: z.string().max(128), name: z.string().max(128) }) },
  /** by the token, or by its digest where that is all that was kept */
  logout: {
    who: "machine",
    input: z.object({
      token: z.string().max(128).optional(),
      token_hash: z
        .string()
        .regex(/^[0-9a-f]{64}$/, "a SHA-256 in hexadecimal")
        .optional(),
    }),
  },
  /** any operation of a person, by the login of one on the calling machine */
  as_person: {
    who: "machine",
    input: z.object({ token: z.string().max(128), op: z.string().max(64), input: z.unknown() }),
  },
} as const satisfies Record<string, { who: "machine" | "person" | "both"; input: z.ZodType }>;

export type HubOperation = keyof typeof hubOperations;
/** What a caller may write (before defaults). */
export type HubInput<O extends HubOperation> = z.input<(typeof hubOperations)[O]["input"]>;
/** What a handler gets (after defaults). */
export type HubParsed<O extends HubOperation> = z.output<(typeof hubOperations)[O]["input"]>;

/**
 * HTTP form of the operations. `:id` and the query string become fields of the input, a JSON body too.
 * `fixed` fields come from the path. Not listed here: discover, join, link, events, livez, readyz (hub/server.ts).
 */
export const hubRoutes: readonly {
  method: "GET" | "POST";
  path: string;
  op: HubOperation;
  fixed?: Record<string, string>;
}[] = [
  { method: "POST", path: "/api/route", op: "route" },
  { method: "POST", path: "/api/heartbeat", op: "heartbeat" },
  { method: "POST", path: "/api/register", op: "presence" },
  { method: "POST", path: "/api/receipts", op: "receipts" },
  { method: "GET", path: "/api/delivered-copies", op: "delivered_copies" },
  { method: "GET", path: "/api/agents", op: "agents" },
  { method: "GET", path: "/api/machines", op: "machines" },
  { method: "POST", path: "/api/machines/:id/approve", op: "machine_decide", fixed: { decision: "approve" } },
  { method: "POST", path: "/api/machines/:id/deny", op: "machine_decide", fixed: { decision: "deny" } },
  { method: "POST", path: "/api/machines/:id/revoke", op: "machine_decide", fixed: { decision: "revoke" } },
  { method: "POST", path: "/api/machines/:id/upgrade", op: "machine_upgrade" },
  { method: "GET", path: "/api/machines/:id/upgrade", op: "machine_upgrade_state" },
  { method: "POST", path: "/api/invites", op: "invite" },
  { method: "GET", path: "/api/threads/:id", op: "thread" },
  { method: "POST", path: "/api/threads/:id/release", op: "release" },
  { method: "GET", path: "/api/messages/:id", op: "message" },
  { method: "GET", path: "/api/inbox", op: "human_inbox" },
  { method: "GET", path: "/api/missions", op: "missions" },
  { method: "GET", path: "/api/missions/:id", op: "mission" },
  { method: "GET", path: "/api/missions/:id/history", op: "mission_history" },
  { method: "POST", path: "/api/missions/:id/cancel", op: "mission_cancel" },
  { method: "POST", path: "/api/mission-reports", op: "mission_report" },
  { method: "GET", path: "/api/approvals", op: "approvals" },
  { method: "POST", path: "/api/approvals/:id", op: "approval_decide" },
  { method: "POST", path: "/api/grants/:id/revoke", op: "grant_revoke" },
  { method: "POST", path: "/api/feedback", op: "feedback" },
  { method: "GET", path: "/api/feedback", op: "feedback_list" },
  { method: "POST", path: "/api/login-codes", op: "login_code" },
  { method: "POST", path: "/api/login", op: "login" },
  { method: "POST", path: "/api/logout", op: "logout" },
  { method: "POST", path: "/api/as-person", op: "as_person" },
];

export const Invite = z.object({ code: z.string(), expires_at: Timestamp });
export type Invite = z.infer<typeof Invite>;

/** A person's login on a joined machine: kept there in a file of its own, 0600. */
export const Login = z.object({ token: z.string(), name: z.string(), expires_at: Timestamp });
export type Login = z.infer<typeof Login>;

/** One event of `ai-intercom watch`, newline-delimited JSON on `GET /api/events`. */
export const HubEvent = z.discriminatedUnion("kind", [
  z.object({
    kind: z.literal("message"),
    at: Timestamp,
    message_id: z.string(),
    thread_id: z.string(),
    type: MessageType,
    from_agent: z.string(),
    to_agent: z.string(),
    message: z.string(),
  }),
  z.object({
    kind: z.literal("state"),
    at: Timestamp,
    message_id: z.string(),
    thread_id: z.string(),
    to: z.string(),
    state: MessageState,
    reason: z.string().optional(),
  }),
  z.object({ kind: z.literal("machine"), at: Timestamp, machine_id: z.string(), status: z.string() }),
  z.object({
    kind: z.literal("session"),
    at: Timestamp,
    address: z.string(),
    status: z.enum(["open", "ended"]),
  }),
  z.object({
    kind: z.literal("mission"),
    at: Timestamp,
    mission_id: z.string(),
    thread_id: z.string(),
    run: z.number(),
    status: MissionStatus,
    from: z.string(),
    to: z.string(),
    reason: z.string().optional(),
  }),
  z.object({
    kind: z.literal("mission_entry"),
    at: Timestamp,
    mission_id: z.string(),
    run: z.number(),
    entry: MissionEntry,
  }),
  z.object({
    kind: z.literal("approval"),
    at: Timestamp,
    id: z.string(),
    mission_id: z.string(),
    status: ApprovalStatus,
    by: z.string().optional(),
  }),
]);
export type HubEvent = z.infer<typeof HubEvent>;
