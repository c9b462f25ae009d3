// Tells senders what became of mail that did not arrive: a `status` message from `hub` in the same thread. Owed
// notices stand in the store, written with the change they tell of; so a crash delays one, but loses none.
import { parseAddress } from "../protocol/address.ts";
import type { DueNotice } from "../store/store.ts";
import { background } from "../system/wait.ts";
import { isoAt, type Parts } from "./parts.ts";
import { recipientAt } from "./recipients.ts";
import { storeMessage } from "./routing.ts";

export class Notices {
  readonly #parts: Parts;
  #running: Promise<void> | undefined;
  #again = false;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** Tells everything that is owed, soon. */
  tell(): void {
    this.#again = true;
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
      if (this.#again) this.tell();
    });
    background("notices", () => this.#running ?? Promise.resolve());
  }

  async settled(): Promise<void> {
    await this.#running;
  }

  async #run(): Promise<void> {
    this.#again = false;
    const due = await this.#parts.store.dueNotices(100);
    for (const notice of due) await this.#tellOne(notice);
    if (due.length > 0) this.#again = true;
  }

  async #tellOne(notice: DueNotice): Promise<void> {
    const { store, config, now } = this.#parts;
    const to = parseAddress(notice.from_agent);
    if (to.kind !== "project")
      await storeMessage(
        this.#parts,
        {
          // One notice of each kind per copy, for ever: the id says which.
          id: `notice-${notice.about}-${notice.seq}`,
          hash: "",
          thread_id: notice.thread_id,
          opens_thread: false,
          type: "status",
          from: { kind: "hub" },
          to_agent: notice.from_agent,
          text: texts[config.language][notice.about](notice),
          at: isoAt(now()),
        },
        [await recipientAt(this.#parts, to)],
      );
    await store.noticeDone(notice);
  }
}

type Texts = Record<DueNotice["about"], (notice: DueNotice) => string>;
const because = (reason: string | null, separator = ": ") => (reason ? `${separator}${reason}` : "");

const texts: Record<"en" | "fr", Texts> = {
  en: {
    queued: ({ message_id, to }) =>
      `Your message ${message_id} was not read: the session of ${to} ended. It is kept for 7 days and delivered if that session resumes.`,
    failed: ({ message_id, to, reason }) =>
      `Your message ${message_id} to ${to} could not be delivered${because(reason)}.`,
    expired: ({ message_id, to, reason }) =>
      `Your message ${message_id} to ${to} expired undelivered${because(reason)}. Write again if it still matters.`,
  },
  fr: {
    queued: ({ message_id, to }) =>
      `Votre message ${message_id} n'a pas été lu : la session de ${to} est terminée. Il est gardé 7 jours et sera remis si cette session reprend.`,
    failed: ({ message_id, to, reason }) =>
      `Votre message ${message_id} à ${to} n'a pas pu être remis${because(reason, " : ")}.`,
    expired: ({ message_id, to, reason }) =>
      `Votre message ${message_id} à ${to} a expiré sans être remis${because(reason, " : ")}. Écrivez de nouveau si nécessaire.`,
  },
};
