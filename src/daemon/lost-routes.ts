// Messages of our agents whose line in the outbox was damaged: they do not go out, and whoever wrote one must hear of
// it. What can still be made out of such a line waits in `outbox.jsonl.lost`, written before the mended outbox takes
// the damaged one's place, until a notice stands in the sender's inbox.
import { z } from "zod";
import { SessionId } from "../protocol/address.ts";
import { MessageId, ThreadId } from "../protocol/ids.ts";
import { crashPoint } from "../system/crash-point.ts";
import { readTextIfPresent, replaceFile, unlinkIfPresent } from "../system/files.ts";
import type { Arrivals } from "./arrivals.ts";

const LostRoute = z.object({
  session_id: SessionId,
  /** the same for every time that this line is found: its sender is told once */
  notice_id: MessageId,
  message_id: MessageId.optional(),
  thread_id: ThreadId.optional(),
  to: z.string().optional(),
  /** its bytes stand in `outbox.jsonl.corrupt` */
  kept: z.boolean(),
});
type LostRoute = z.infer<typeof LostRoute>;

/** The notice that a message was lost here, in its sender's inbox. */
export const lostNoticeId = (messageId: string): string => `${messageId}-lost`.slice(-64);

/** Durable when it returns. Lines of which no sender can be made out are left to `doctor`. */
export function noteLostRoutes(outboxPath: string, damaged: readonly Buffer[], kept: boolean): void {
  const found = damaged.flatMap((line) => salvage(line, kept) ?? []);
  if (found.length > 0) write(outboxPath, [...read(outboxPath), ...found]);
}

/** Tells each sender, where it is known and has room; the others later. Throws when a notice cannot be written now. */
export function tellLostRoutes(outboxPath: string, arrivals: Arrivals, language: "en" | "fr"): void {
  const lost = read(outboxPath);
  if (lost.length === 0) return;
  const left = lost.filter((one) => {
    const { session_id, notice_id: id, thread_id = "" } = one;
    return !arrivals.notify(session_id, {
      id,
      thread_id,
      text: words[language](one, corruptPath(outboxPath)),
    });
  });
  crashPoint("lost-routes.told");
  if (left.length < lost.length) write(outboxPath, left);
}

/**
 * Only what stands there as an outbox writes it: inside a message every quote is escaped. Two names of the sender that
 * differ are none.
 */
function salvage(line: Buffer, kept: boolean): LostRoute | undefined {
  const text = line.toString("latin1");
  const find = (pattern: RegExp) => pattern.exec(text)?.[1];
  const session = find(/^\{"kind":"route","session_id":"([\w-]{1,64})"/);
  const from = find(/[{,]"from_agent":"[\w.-]{1,64}\/[\w.-]{1,64}@([\w-]{1,64})"/);
  if (session !== undefined && from !== undefined && session !== from) return undefined;
  const message_id = find(/[{,]"message_id":"([\w-]{1,64})"/);
  const lost = LostRoute.safeParse({
    session_id: session ?? from,
    notice_id: message_id === undefined ? `lost-${digest(line)}` : lostNoticeId(message_id),
    message_id,
    thread_id: find(/[{,]"(?:new_)?thread_id":"(t-[0-9a-f]{12})"/),
    to: find(/[{,]"to_agent":(\[?"[\w.\-/@*",]{1,1000}"\]?)[,}]/)
      ?.replace(/["[\]]/g, "")
      .replaceAll(",", ", "),
    kept,
  });
  return lost.success ? lost.data : undefined;
}

type Words = (lost: LostRoute, file: string) => string;
const words: Record<"en" | "fr", Words> = {
  en: ({ message_id, to, kept }, file) =>
    `${message_id ? `Your message ${message_id}` : "A message of yours"}${to ? ` to ${to}` : ""} waited on this machine for the hub, and its line was damaged on the disk: it is not sent from here. ${kept ? `What is left of it is kept in ${file}. ` : ""}${message_id ? "Unless intercom_status says that it arrived, send it again." : "Send it again if no answer came."}`,
  fr: ({ message_id, to, kept }, file) =>
    `${message_id ? `Votre message ${message_id}` : "Un de vos messages"}${to ? ` à ${to}` : ""} attendait le hub sur cette machine, et sa ligne a été abîmée sur le disque : il ne partira pas d'ici. ${kept ? `Ce qu'il en reste est gardé dans ${file}. ` : ""}${message_id ? "Renvoyez-le, sauf si intercom_status dit qu'il est arrivé." : "Renvoyez-le si aucune réponse n'est venue."}`,
};

function read(outboxPath: string): LostRoute[] {
  const lines = (readTextIfPresent(lostPath(outboxPath)) ?? "").split("\n");
  return lines.flatMap((line) => {
    try {
      return [LostRoute.parse(JSON.parse(line))];
    } catch {
      return []; // blank, or damaged in its turn: `doctor` names what was set aside
    }
  });
}

function write(outboxPath: string, lost: readonly LostRoute[]): void {
  const each = new Map(lost.map((one) => [one.notice_id, one]));
  if (each.size === 0) unlinkIfPresent(lostPath(outboxPath));
  else
    replaceFile(lostPath(outboxPath), [...each.values()].map((one) => `${JSON.stringify(one)}\n`).join(""));
}

const lostPath = (outboxPath: string): string => `${outboxPath}.lost`;
export const corruptPath = (outboxPath: string): string => `${outboxPath}.corrupt`;

function digest(line: Buffer): string {
  return new Bun.CryptoHasher("sha256").update(line).digest("hex").slice(0, 32);
}
