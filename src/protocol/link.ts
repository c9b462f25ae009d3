// Frames of the link: one WebSocket per machine, dialled by the daemon. Either side may ask; each request has an
// id and gets exactly one answer. Rule: a daemon answers `deliver` only when the message is fsynced in its inbox.
import { z } from "zod";
import { SessionId } from "./address.ts";
import type { ErrorBody } from "./errors.ts";
import { Message } from "./message.ts";

/** says on the upgrade which version of the link protocol the daemon will speak */
export const protocolHeader = "x-ai-intercom-protocol";
/** bytes; security.md */
export const maxFrameBytes = 1024 * 1024;
/** how often a daemon sends `heartbeat`; a machine is offline after three are missed */
export const heartbeatMs = 10_000;

/** Close codes of the link (4000-4999 are free for applications, RFC 6455 §7.4.2). */
export const closeCodes = {
  revoked: 4403,
  replaced: 4409,
  badFrame: 4400,
  protocol: 4426,
  goingAway: 1001,
} as const;

export const Frame = z.union([
  z.object({ id: z.number().int().nonnegative(), op: z.string().max(64), payload: z.unknown() }),
  z.object({ re: z.number().int().nonnegative(), ok: z.literal(true), result: z.unknown() }),
  z.object({
    re: z.number().int().nonnegative(),
    ok: z.literal(false),
    error: z.object({ code: z.string(), message: z.string(), hint: z.string().optional() }),
  }),
]);
export type Frame = z.infer<typeof Frame>;
/** What came over a link as text; undefined when it is no frame. */
export function parseFrame(text: string): Frame | undefined {
  try {
    const parsed = Frame.safeParse(JSON.parse(text));
    return parsed.success ? parsed.data : undefined;
  } catch {
    return undefined;
  }
}
export type RequestFrame = Extract<Frame, { op: string }>;
export type AnswerFrame = { re: number; ok: true; result: unknown } | ({ re: number; ok: false } & ErrorBody);

/** hub → daemon: append to this session's inbox. Sent strictly in the session's delivery order. */
export const Deliver = z.object({
  session_id: SessionId,
  /** place in the order of deliveries; grows */
  seq: z.number().int().positive(),
  message: Message,
});
export type Deliver = z.infer<typeof Deliver>;

/** The daemon's answer. All but `delivered` leave the message with the hub; `not_stored`: its disk refused. */
export const Delivered = z.object({
  status: z.enum(["delivered", "session_ended", "inbox_full", "not_stored"]),
  /** why it is not read yet, where the machine knows */
  reason: z.string().max(500).optional(),
});
export type Delivered = z.infer<typeof Delivered>;
