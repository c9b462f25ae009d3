// Mail that damage took from an inbox after the hub had been told `delivered`. Which messages that were, only the hub
// can tell: what it counts as exactly delivered and this machine does not know is lost, and its sender hears of it by
// a `failed` receipt. Until that receipt is durable here, a note beside the inbox keeps the question open. What damage
// took from the outbox is told from here too.
import { forgetLoss, notedLoss, sessionsWithLoss } from "../inbox/loss.ts";
import { IntercomError } from "../protocol/errors.ts";
import { DeliveredCopies, type Receipt } from "../protocol/hub-api.ts";
import { crashPoint } from "../system/crash-point.ts";
import { log } from "../system/log.ts";
import type { HomePaths } from "../system/paths.ts";
import { background, every } from "../system/wait.ts";
import type { Arrivals } from "./arrivals.ts";
import type { Link } from "./link.ts";
import { tellLostRoutes } from "./lost-routes.ts";
import type { Outbox } from "./outbox.ts";
import type { Sessions } from "./sessions.ts";

/** ms between looks for losses: a directory is listed, no more, while there is none */
const lookMs = 5_000;

const words = {
  en: (machine: string) =>
    `the line that held it was damaged on ${machine}'s disk; whether it was read is not known`,
  fr: (machine: string) =>
    `la ligne qui le portait a été abîmée sur le disque de ${machine} ; on ne sait pas s'il a été lu`,
} as const;

type Parts = {
  link: Link;
  outbox: Outbox;
  sessions: Sessions;
  arrivals: Arrivals;
  paths: Pick<HomePaths, "inbox" | "outbox">;
  machine: string;
  language: "en" | "fr";
};
type Copy = DeliveredCopies["copies"][number];

export class LostMail {
  readonly #parts: Parts;
  #timer: ReturnType<typeof setInterval> | undefined;
  #looking = false;
  #stopped = false;
  /** the hub on the other end is too old to be asked */
  #unanswered = false;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  start(): void {
    this.#timer = every(lookMs, "looking for lost mail", () => this.look());
    this.look();
  }

  stop(): void {
    this.#stopped = true;
    clearInterval(this.#timer);
  }

  /** A new link, perhaps to a newer hub. */
  linked(): void {
    this.#unanswered = false;
    this.look();
  }

  /** Looks into every loss that is noted; what fails is tried again with the next look. */
  look(): void {
    this.#tellSenders();
    const { link, paths } = this.#parts;
    if (this.#looking || this.#unanswered || !link.linked) return;
    this.#looking = true;
    background("lost mail", async () => {
      try {
        for (const session of sessionsWithLoss(paths.inbox))
          if (link.linked && !this.#unanswered)
            await this.#lookInto(session).catch((error) => this.#failed(session, error));
      } finally {
        this.#looking = false;
      }
    });
  }

  /**
   * A copy that comes, is read, or goes back while the hub's list is on its way: it stands in the inbox when the list
   * is here, or its receipt is in the outbox before ours, or the hub has it already and its number has changed.
   */
  async #lookInto(sessionId: string): Promise<void> {
    const { outbox, sessions, paths } = this.#parts;
    const path = `${paths.inbox}/${sessionId}.jsonl`;
    const loss = notedLoss(path);
    const copies = await this.#delivered(sessionId);
    if (this.#stopped) return;
    const lost = sessions.withInbox(sessionId, (inbox) =>
      copies.filter(({ message_id }) => !inbox.knows(message_id)),
    );
    if (lost.length > 0)
      log.warn("messages were lost to damage of an inbox; their senders are told", {
        session: sessionId,
        messages: lost.map(({ message_id }) => message_id),
      });
    outbox.add(
      lost.map((copy) => ({ kind: "receipt", receipt: this.#failedReceipt(sessionId, copy) })),
      { durable: true },
    );
    crashPoint("lost-mail.told");
    forgetLoss(path, loss);
    crashPoint("lost-mail.forgotten");
  }

  #tellSenders(): void {
    const { arrivals, paths, language } = this.#parts;
    try {
      tellLostRoutes(paths.outbox, arrivals, language);
    } catch (error) {
      log.error("a sender could not be told that its message was lost from the outbox", { error });
    }
  }

  async #delivered(session_id: string): Promise<Copy[]> {
    const all: Copy[] = [];
    for (let after: number | undefined = 0; after !== undefined; ) {
      const answer = await this.#parts.link.request("delivered_copies", { session_id, after });
      const page = DeliveredCopies.parse(answer);
      all.push(...page.copies);
      after = page.next;
    }
    return all;
  }

  #failedReceipt(session_id: string, { message_id, state_no }: Copy): Receipt {
    const { machine, language } = this.#parts;
    const at = new Date().toISOString();
    return { message_id, session_id, state: "failed", at, reason: words[language](machine), state_no };
  }

  #failed(session: string, error: unknown): void {
    const code = error instanceof IntercomError ? error.code : undefined;
    if (code === "hub_unreachable") return; // asked again on the next link
    this.#unanswered = code === "not_found";
    if (!this.#unanswered) log.error("lost mail could not be looked into", { session, error });
    else log.warn("the hub is too old to say which messages a damaged inbox has lost; upgrade it");
  }
}
