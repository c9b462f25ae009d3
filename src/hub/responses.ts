// The answer of a mission: one message from the mission's own address to who asked, for each run that ended, however
// it ended. That it is owed stands in the store, written with the end; the message's id is derived from the run.
import { formatAddress } from "../protocol/address.ts";
import { maxFrameBytes } from "../protocol/link.ts";
import type { MissionStatus } from "../protocol/mission.ts";
import type { Mission, OwedResponse } from "../store/mission-store.ts";
import { crashPoint } from "../system/crash-point.ts";
import { storeMessage } from "./acceptance.ts";
import { isoAt, type Parts } from "./parts.ts";
import { recipientAt } from "./recipients.ts";

/** Sends what is owed; how many that were. */
export async function tellResponses(parts: Parts): Promise<number> {
  const owed = await parts.store.owedResponses(20, parts.config.limits.message_bytes);
  for (const one of owed) await respond(parts, one);
  return owed.length;
}

async function respond(parts: Parts, { mission, output }: OwedResponse): Promise<void> {
  const { mission_id, run, thread_id, from, machine, project } = mission;
  await storeMessage(
    parts,
    {
      id: `response-${mission_id}-${run}`,
      hash: "",
      thread_id,
      opens_thread: false,
      type: "response",
      from: { kind: "session", machine, project, session: mission_id },
      to_agent: formatAddress(from),
      text: responseText(parts, mission, output),
      at: isoAt(parts.now()),
    },
    [await recipientAt(parts, from)],
    { owed: true },
  );
  crashPoint("mission.response-stored");
  await parts.store.responseSent(mission_id, run);
}

/** Fits into `limits.message_bytes`, and into a frame whatever that is. */
function responseText({ config }: Parts, mission: Mission, output: string): string {
  const words = texts[config.language];
  const { mission_id, machine, project, status, reason, output_length } = mission;
  const because = reason === null ? "" : words.because(reason);
  const head = `Mission ${mission_id} (${machine}/${project}) ${words.ended[status]}${because}.`;
  if (output_length === 0) return head;
  const rest = words.rest(mission_id, output_length);
  // JSON may need six bytes for one
  const limit = Math.min(config.limits.message_bytes, maxFrameBytes / 8);
  const room = limit - Buffer.byteLength(`${head}\n\n\n\n${rest}`);
  const shown = beginning(output, room);
  return shown.length === output_length ? `${head}\n\n${shown}` : `${head}\n\n${shown}\n\n${rest}`;
}

/** As much as fits into so many bytes of UTF-8, in whole characters. */
function beginning(text: string, bytes: number): string {
  const units = new Uint8Array(Math.max(0, bytes));
  const { read } = new TextEncoder().encodeInto(text, units);
  return text.slice(0, read);
}

type Ended = Exclude<MissionStatus, "pending_approval" | "queued" | "running">;
type Texts = {
  ended: Record<MissionStatus, string>;
  because: (reason: string) => string;
  rest: (id: string, length: number) => string;
};

const unended = { pending_approval: "", queued: "", running: "" };
const ended = (words: Record<Ended, string>): Texts["ended"] => ({ ...unended, ...words });

const texts: Record<"en" | "fr", Texts> = {
  en: {
    ended: ended({
      completed: "completed",
      failed: "failed",
      cancelled: "was cancelled",
      timed_out: "ran out of time and was stopped",
      lost: "is lost: what became of it is not known",
      denied: "was denied",
      expired: "expired and did not run",
    }),
    because: (reason) => `: ${reason}`,
    rest: (id, length) =>
      `[the beginning of ${length} characters; intercom_status("${id}") gives all of it, page by page]`,
  },
  fr: {
    ended: ended({
      completed: "est terminée",
      failed: "a échoué",
      cancelled: "a été annulée",
      timed_out: "a dépassé son temps et a été arrêtée",
      lost: "est perdue : on ne sait pas ce qu'elle est devenue",
      denied: "a été refusée",
      expired: "a expiré sans avoir été exécutée",
    }),
    because: (reason) => ` : ${reason}`,
    rest: (id, length) =>
      `[le début de ${length} caractères ; intercom_status("${id}") donne le tout, page par page]`,
  },
};
