// One message to many: whom its words may mean, the id of each copy, and what is answered of each and of all.
import { z } from "zod";
import { namePattern, parseAddress } from "./address.ts";
import { IntercomError } from "./errors.ts";

const SendStatus = z.enum(["delivered", "queued", "held", "error"]);

const Sent = z.object({
  to: z.string(),
  status: SendStatus,
  message_id: z.string().optional(),
  thread_id: z.string().optional(),
  /** why it is so; of an `error` the same words as `error`, for daemons from before that */
  reason: z.string().optional(),
  error: z.string().optional(),
  hint: z.string().optional(),
});
export type Sent = z.infer<typeof Sent>;

/** What `intercom_send` answers: each recipient's own truth, and one `status` for all. */
export const SendAnswer = z.object({
  status: SendStatus.describe(
    "the least advanced of those who got it or will get it; error only when nobody does",
  ),
  recipients: z.array(Sent),
  error: z.string().optional(),
  hint: z.string().optional(),
});
export type SendAnswer = z.infer<typeof SendAnswer>;

/** Of several the least advanced: no more is claimed than holds for all who get it. */
const cautious = ["held", "queued", "delivered"] as const;
/** so many failed recipients are named in a hint */
const named = 10;

/**
 * One answer for all. Some that failed do not make it an error: whoever reads `error` sends again, and the others would
 * get it twice.
 */
export function sendAnswer(recipients: Sent[], hint?: string): SendAnswer {
  const failed = recipients.filter((sent) => sent.status === "error");
  const status = cautious.find((one) => recipients.some((sent) => sent.status === one));
  if (status === undefined) return { status: "error", recipients, ...whyNobody(failed) };
  const hints = failed.length > 0 ? [againHint(failed)] : [];
  if (hint !== undefined) hints.push(hint);
  return { status, recipients, ...(hints.length > 0 ? { hint: hints.join("; ") } : {}) };
}

function againHint(failed: readonly Sent[]): string {
  const names = failed.slice(0, named).map(({ to }) => to);
  if (failed.length > named) names.push(`${failed.length - named} more`);
  return `failed: ${names.join(", ")}; if you send again, then to these only: the others have it or will get it`;
}

function whyNobody(failed: readonly Sent[]): { error: string; hint?: string } {
  const [only, ...more] = failed;
  if (only && more.length === 0)
    return { error: only.error ?? only.reason ?? "refused", ...(only.hint ? { hint: only.hint } : {}) };
  return { error: `none of ${failed.length} recipients gets it; each one says why` };
}

/** A project everywhere, every project of a machine, everyone. */
export function isPattern(text: string): boolean {
  const parts = text === "*" ? ["*", "*"] : text.split("/");
  const isPart = (part: string) => part === "*" || namePattern.test(part);
  return parts.length === 2 && parts.includes("*") && parts.every(isPart);
}

/** Throws `bad_request` for words that cannot mean anybody, and for everyone said in a way of its own. */
export function checkRecipient(text: string): void {
  if (isPattern(text) && text !== "*/*") return;
  if (!text.includes("*")) {
    parseAddress(text);
    return;
  }
  throw new IntercomError("bad_request", `"${text.slice(0, 80)}" is not an address or a pattern`, {
    hint: "patterns are machine/*, */project and *",
  });
}

/**
 * The id of a copy: the same for every try, another for every recipient. `to`: its address; for the first session of a
 * project that was named, the name of the project, which its sender knew before the sessions were known.
 */
export function copyIdFor(messageId: string, to: string): string {
  const digest = new Bun.CryptoHasher("sha256").update(`${messageId}\0${to}`).digest("hex");
  return `send-${digest.slice(0, 32)}`;
}

/**
 * The copies that there will be, as far as that is known without the hub: it decides whom a pattern means, and where a
 * session is named beside its project, whether the project has another one.
 */
export function copiesAhead(messageId: string, wanted: readonly string[]): { to: string; id?: string }[] {
  const names = [...new Set(wanted)];
  const isOpen = (to: string) => isPattern(to) || names.some((other) => other.startsWith(`${to}@`));
  return names.map((to) => (isOpen(to) ? { to } : { to, id: copyIdFor(messageId, to) }));
}
