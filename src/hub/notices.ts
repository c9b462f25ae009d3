// Tells senders what became of mail that did not arrive: a `status` message from `hub` in the same thread. Owed
// notices stand in the store, written with the change they tell of; so a crash delays one, but loses none.
import { parseAddress } from "../protocol/address.ts";
import type { DueDeadline, DueNotice } from "../store/store.ts";
import { crashPoint } from "../system/crash-point.ts";
import { background } from "../system/wait.ts";
import { storeMessage } from "./acceptance.ts";
import { isoAt, type Parts } from "./parts.ts";
import { recipientAt } from "./recipients.ts";
import { tellResponses } from "./responses.ts";

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
    const { store, now } = this.#parts;
    const due = await store.dueNotices(100);
    for (const notice of due) await this.#tellOne(notice);
    const deadlines = await store.dueDeadlines(isoAt(now()), 100);
    for (const deadline of deadlines) await this.#tellDeadline(deadline);
    const responses = await tellResponses(this.#parts);
    if (due.length > 0 || deadlines.length > 0 || responses > 0) this.#again = true;
  }

  /** A nudge goes to the recipient; an answer that did not come is told to the sender and the person. */
  async #tellDeadline(deadline: DueDeadline): Promise<void> {
    const { about, message_id, from_agent, to } = deadline;
    const text = texts[this.#parts.config.language][about](deadline);
    const told = about === "nudge" ? [to] : [...new Set([from_agent, "human"])];
    for (const agent of told)
      await this.#say({
        id: `${about}-${message_id}`.slice(0, 58) + (agent === "human" ? "-human" : ""),
        thread_id: deadline.thread_id,
        agent,
        text,
      });
    await this.#parts.store.deadlineTold({ about, message_id });
  }

  async #tellOne(notice: DueNotice): Promise<void> {
    const { store, config } = this.#parts;
    const text = texts[config.language][notice.about](notice);
    // One notice of each kind per copy, for ever: the id says which.
    await this.#say({
      id: `notice-${notice.about}-${notice.seq}`,
      thread_id: notice.thread_id,
      agent: notice.from_agent,
      text,
    });
    crashPoint("notice.stored");
    await store.noticeDone(notice);
  }

  async #say({
    id,
    thread_id,
    agent,
    text,
  }: {
    id: string;
    thread_id: string;
    agent: string;
    text: string;
  }): Promise<void> {
    const to = parseAddress(agent);
    if (to.kind === "project") return;
    const at = isoAt(this.#parts.now());
    const message = {
      id,
      hash: "",
      thread_id,
      opens_thread: false,
      type: "status",
      from: { kind: "hub" },
      to_agent: agent,
      text,
      at,
    } as const;
    await storeMessage(this.#parts, message, [await recipientAt(this.#parts, to)], { owed: true });
  }
}

type Texts = Record<DueNotice["about"], (notice: DueNotice) => string> &
  Record<DueDeadline["about"], (deadline: DueDeadline) => string>;
const because = (reason: string | null, separator = ": ") => (reason ? `${separator}${reason}` : "");

const texts: Record<"en" | "fr", Texts> = {
  en: {
    queued: ({ message_id, to }) =>
      `Your message ${message_id} was not read: the session of ${to} ended. It is kept for 7 days and delivered if that session resumes.`,
    failed: ({ message_id, to, reason }) =>
      `Your message ${message_id} to ${to} could not be delivered${because(reason)}.`,
    expired: ({ message_id, to, reason }) =>
      `Your message ${message_id} to ${to} expired undelivered${because(reason)}. Write again if it still matters.`,
    nudge: ({ message_id, from_agent, due_at }) =>
      `${from_agent} expects an answer to message ${message_id} in this thread by ${due_at}.`,
    overdue: ({ message_id, to }) =>
      `No answer to message ${message_id} came from ${to} in the time that was set.`,
  },
  fr: {
    queued: ({ message_id, to }) =>
      `Votre message ${message_id} n'a pas été lu : la session de ${to} est terminée. Il est gardé 7 jours et sera remis si cette session reprend.`,
    failed: ({ message_id, to, reason }) =>
      `Votre message ${message_id} à ${to} n'a pas pu être remis${because(reason, " : ")}.`,
    expired: ({ message_id, to, reason }) =>
      `Votre message ${message_id} à ${to} a expiré sans être remis${because(reason, " : ")}. Écrivez de nouveau si nécessaire.`,
    nudge: ({ message_id, from_agent, due_at }) =>
      `${from_agent} attend une réponse au message ${message_id} de ce fil avant ${due_at}.`,
    overdue: ({ message_id, to }) =>
      `Aucune réponse au message ${message_id} n'est venue de ${to} dans le délai fixé.`,
  },
};
