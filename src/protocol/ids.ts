// The ids of things that are said. Random, never derived from what they name.
import { z } from "zod";

export const MessageId = z
  .string()
  .regex(/^[A-Za-z0-9_-]{1,64}$/, "a message id has 1 to 64 of A-Z a-z 0-9 _ -");
export const ThreadId = z.string().regex(/^t-[0-9a-f]{12}$/, "a thread id is t- and 12 hex digits");

/** `msg-` and 96 random bits: unique for ever without asking anyone. */
export const newMessageId = (): string => `msg-${randomHex(12)}`;
/** `t-` and 48 random bits; the hub refuses the rare double. */
export const newThreadId = (): string => `t-${randomHex(6)}`;
/** The thread that a message opens: the same for every retry of its call, whoever made the first one known. */
export const threadIdFor = (messageId: string): string =>
  `t-${new Bun.CryptoHasher("sha256").update(messageId).digest("hex").slice(0, 12)}`;
/** `s-YYYYMMDD-` (UTC) and 24 random bits; the daemon refuses the rare double. */
export const newSessionId = (now = new Date()): string =>
  `s-${now.toISOString().slice(0, 10).replaceAll("-", "")}-${randomHex(3)}`;

export function randomHex(bytes: number): string {
  return Buffer.from(crypto.getRandomValues(new Uint8Array(bytes))).toString("hex");
}
