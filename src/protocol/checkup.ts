// What `doctor` asks of a running daemon and, over the link, of the hub: how each session is, and the canary. A
// canary is a nonce that goes a session's whole path and comes back. It is no mail: nothing here reads an inbox.
import { z } from "zod";
import { SessionId } from "./address.ts";
import { SessionStatus, WakeRoute } from "./session.ts";

export const CanaryNonce = z.string().regex(/^[0-9a-f]{32}$/, "a canary is 32 hex digits");

/**
 * Where a ring would go: `ready` a socket of this user, `missing` or `foreign` named but not one, `none` not named;
 * `hook` to a hook that waits beside the agent, of which the daemon knows more.
 */
export const WakeState = z.enum(["ready", "missing", "foreign", "hook", "none"]);
export type WakeState = z.infer<typeof WakeState>;

/** ms after it registered in which a session's first hook may still come; SessionStart's follows within 0.4 s */
export const firstHookMs = 5_000;

/** One open session in `GET /api/checkup`. */
export const SessionCheckup = z.object({
  session_id: z.string(),
  project: z.string(),
  /** `machine/project@session` */
  address: z.string(),
  pid: z.number(),
  agent: z.string(),
  registered_at: z.string(),
  status: SessionStatus,
  /** a hook of this agent has told which conversation it is */
  hooks_seen: z.boolean(),
  /** MCP servers that hold the session's event stream open */
  servers: z.number(),
  wake: WakeRoute,
  unread: z.number(),
  /** why the unread mail is not on its way, where the daemon knows */
  waits: z.string().optional(),
  /** since it last read */
  rings: z.number(),
});
export type SessionCheckup = z.infer<typeof SessionCheckup>;
export const Checkup = z.object({ sessions: z.array(SessionCheckup) });

/** Over the link both ways: daemon → hub as an operation, hub → daemon as a request; the nonce comes back. */
export const Canary = z.object({ session_id: SessionId, nonce: CanaryNonce });
export type Canary = z.infer<typeof Canary>;
export const CanaryAnswer = z.object({ nonce: CanaryNonce, status: z.enum(["open", "ended"]) });
export type CanaryAnswer = z.infer<typeof CanaryAnswer>;

/** `POST /api/session/pong`: the MCP server's answer to a `ping` of its event stream. */
export const Pong = z.object({
  session_id: SessionId,
  id: z.string().max(64),
  version: z.string().max(64),
  wake: WakeState,
});
export type Pong = z.infer<typeof Pong>;

/** `POST /api/session/:id/ping`: how the session's MCP server answered. */
export const PingAnswer = z.discriminatedUnion("status", [
  z.object({ status: z.literal("pong"), version: z.string(), wake: WakeState }),
  z.object({ status: z.literal("no_server") }),
  z.object({ status: z.literal("no_answer") }),
]);
export type PingAnswer = z.infer<typeof PingAnswer>;
