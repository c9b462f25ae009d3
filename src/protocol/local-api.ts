// The daemon's local API: HTTP over the Unix socket `run/daemon.sock`, for this user's MCP servers, hooks,
// CLI and scripts. Shapes of the seed routes are public (contract.md).
import { z } from "zod";
import { Name, SessionId } from "./address.ts";
import { MessageId } from "./ids.ts";
import { Timestamp } from "./message.ts";
import { SessionStatus, WakeRoute } from "./session.ts";

const pid = z.number().int().positive();
const absolutePath = z.string().max(4096).startsWith("/", "an absolute path starts with /");

/** `POST /api/session/register`. One agent process is one session: a known pid + start keeps its id. */
export const RegisterSession = z
  .object({
    /** wished id; the answer's id counts */
    session_id: SessionId.optional(),
    /** the id that this very process had before, for a daemon that has forgotten it */
    last_session_id: SessionId.optional(),
    /** project name; without it the daemon derives it from `cwd` */
    project: Name.optional(),
    /** the agent's process, not the MCP server's */
    pid,
    agent: z.string().max(64).optional(),
    cwd: absolutePath.optional(),
    native_session_id: z.string().max(128).optional(),
    /** accepted and ignored: which processes belong to a mission, the daemon sees for itself */
    mission_id: z.string().max(64).optional(),
    /** where the agent keeps its own records, before a hook of it has told */
    config_directory: absolutePath.optional(),
    /** how the agent can be woken when it is idle */
    wake: WakeRoute.optional(),
    /** accepted for older scripts and ignored: the daemon computes the path itself */
    inbox_path: z.string().optional(),
  })
  .refine((body) => body.project !== undefined || body.cwd !== undefined, "give project or cwd");
export type RegisterSession = z.infer<typeof RegisterSession>;

export const RegisterAnswer = z.object({
  status: z.literal("registered"),
  session_id: z.string(),
  inbox_path: z.string(),
  /** `machine/project@session` */
  address: z.string(),
});
export type RegisterAnswer = z.infer<typeof RegisterAnswer>;

export const UnregisterSession = z.object({ session_id: SessionId });

/** One session as `GET /api/sessions` shows it. */
export const LocalSession = z.object({
  session_id: z.string(),
  project: z.string(),
  pid: z.number(),
  agent: z.string(),
  inbox_path: z.string(),
  registered_at: Timestamp,
  status: SessionStatus,
  summary: z.string(),
  recent_activity: z.array(z.string()),
  inbox_pending: z.number(),
});
export type LocalSession = z.infer<typeof LocalSession>;

/** A time of any zone, kept in UTC: other programs write `+00:00` for `Z`. */
const UtcTimestamp = z.iso
  .datetime({ offset: true })
  .transform((text) => (text.endsWith("Z") ? text : new Date(text).toISOString()));

/** The hub alone says who these are, and no spelling may make a reader think so. `hub/…` may be a machine's name. */
function posesAsPerson(from: string): boolean {
  const letters = (text = "") =>
    text
      .normalize("NFKC")
      .replace(/[^a-z0-9]/gi, "")
      .toLowerCase();
  return ["human", "hub"].includes(letters(from)) || letters(from.split(/[/@]/)[0]) === "human";
}

/** `POST /api/session/deliver`: for this user's scripts and tests; yields no hub receipts, never speaks as `human`. */
export const DeliverLocally = z
  .object({
    session_id: SessionId.optional(),
    project: Name.optional(),
    thread_id: z.string().min(1).max(64),
    from_agent: z.string().min(1).max(256),
    message: z.string(),
    timestamp: UtcTimestamp,
    id: MessageId.optional(),
  })
  .refine((body) => body.session_id !== undefined || body.project !== undefined, "give session_id or project")
  .refine(
    ({ from_agent }) => !posesAsPerson(from_agent),
    "from_agent may not be human or hub, nor look like it",
  );
export type DeliverLocally = z.infer<typeof DeliverLocally>;

/** `POST /api/tool/:name`: one tool call of an agent, forwarded by its MCP server. */
export const ToolCall = z.object({
  pid,
  session_id: SessionId.optional(),
  /** made once per call and kept on retries */
  message_id: MessageId.optional(),
  arguments: z.unknown().default({}),
});
export type ToolCall = z.infer<typeof ToolCall>;

/** The answer: the tool's own shape, plus the delivery to confirm once it has been written to the agent. */
export const ToolAnswer = z.object({
  result: z.record(z.string(), z.unknown()),
  /** nonce of a claim that only the MCP server's report can confirm (the agent keeps no readable transcript) */
  confirm: z.string().optional(),
});
export type ToolAnswer = z.infer<typeof ToolAnswer>;

/** `POST /api/login`: a person logs in at the hub, by a code shown there. */
export const LoginHere = z.object({ code: z.string().min(1).max(128), name: z.string().min(1).max(128) });

/** `POST /api/logout`; `hint`: what is left to be done, by itself. */
export const LoggedOut = z.object({
  status: z.enum(["logged_out", "not_logged_in"]),
  hint: z.string().optional(),
});
export type LoggedOut = z.infer<typeof LoggedOut>;

export const ConfirmClaim = z.object({ session_id: SessionId, nonce: z.string().regex(/^[0-9a-f]{32}$/) });

/** One line of the stream `GET /api/session/:id/events`; a blank line is a keep-alive. */
export const SessionEvent = z.discriminatedUnion("event", [
  z.object({ event: z.literal("mail"), waiting: z.number() }),
  /** the agent is idle and mail waits: wake it with this text */
  z.object({ event: z.literal("ring"), text: z.string() }),
  /** `doctor` asks whether somebody listens: answered by `POST /api/session/pong` */
  z.object({ event: z.literal("ping"), id: z.string() }),
  z.object({ event: z.literal("ended") }),
]);
export type SessionEvent = z.infer<typeof SessionEvent>;

/** `GET /api/restart` (may I?) and `POST /api/restart`, at a daemon's and at a hub's socket: a person's act. */
export const RestartAnswer = z.object({
  status: z.enum(["can_restart", "restarting"]),
  pid: z.number(),
  version: z.string(),
  started_at: Timestamp,
});
export type RestartAnswer = z.infer<typeof RestartAnswer>;

/** `GET /health` and `ai-intercom status`. */
export const DaemonHealth = z.object({
  status: z.literal("ok"),
  version: z.string(),
  machine_id: z.string(),
  fingerprint: z.string(),
  hub_url: z.string(),
  link: z.enum(["linked", "connecting", "pending", "denied", "revoked", "refused"]),
  link_reason: z.string().optional(),
  outbox: z.number(),
  sessions: z.number(),
  pid: z.number(),
  /** of this program in this process: a restart in place keeps the pid (absent from daemons before 0.2) */
  started_at: Timestamp.optional(),
});
export type DaemonHealth = z.infer<typeof DaemonHealth>;
