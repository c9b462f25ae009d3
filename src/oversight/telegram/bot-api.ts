// Calls to the Bot API, and what their failures mean. The token stands in the address of every call: nothing that
// an error says leaves this file before the token is taken out of it.
import { Api, GrammyError } from "grammy/web";

/** What a call came to, as far as it matters here. */
export type Failure =
  /** nothing was done; again after so long */
  | { kind: "too_fast"; waitMs: number }
  /** nobody knows whether it was done: no answer, or a server's error */
  | { kind: "uncertain"; text: string }
  /** it stands there already, exactly so */
  | { kind: "not_modified"; text: string }
  | { kind: "unreadable_html"; text: string }
  | { kind: "topic_closed"; text: string }
  | { kind: "topic_missing"; text: string }
  | { kind: "message_missing"; text: string }
  /** somebody else's message, or one that cannot be changed any more */
  | { kind: "not_ours"; text: string }
  | { kind: "no_topics"; text: string }
  | { kind: "unauthorized"; text: string }
  /** the chat cannot be written to: not found, not a member, no right */
  | { kind: "shut_out"; text: string }
  /** the group became a supergroup: it has this id now */
  | { kind: "moved"; to: number; text: string }
  /** another program polls with the same token */
  | { kind: "conflict"; text: string }
  | { kind: "refused"; text: string };

export type Outcome<T> = { ok: true; value: T } | ({ ok: false } & Failure);

/** grammY's types name a polyfill's signal; its code takes the platform's. */
type Signal = NonNullable<Parameters<Api["getMe"]>[0]>;

/** ms without an answer: a call was lost. Long polls take longer (updates.ts). */
const callMs = 20_000;
/** ms that a call may still take once the hub stops: a post that is under way should be known as posted */
const graceMs = 2_000;

export class BotApi {
  readonly #token: string;
  readonly #api: Api;
  readonly #ended = new AbortController();

  constructor(token: string, apiRoot: string, stopped: AbortSignal) {
    this.#token = token;
    stopped.addEventListener("abort", () => setTimeout(() => this.#ended.abort(), graceMs).unref(), {
      once: true,
    });
    this.#api = new Api(token, { apiRoot: apiRoot.replace(/\/+$/, ""), timeoutSeconds: 90 });
  }

  /** Never rejects. `until` cuts it short: the end of the hub and of its grace, unless told otherwise. */
  async call<T>(
    work: (api: Api, signal: Signal) => Promise<T>,
    { deadlineMs = callMs, until = this.#ended.signal }: { deadlineMs?: number; until?: AbortSignal } = {},
  ): Promise<Outcome<T>> {
    const signal = AbortSignal.any([until, AbortSignal.timeout(deadlineMs)]);
    try {
      return { ok: true, value: await work(this.#api, signal as unknown as Signal) };
    } catch (error) {
      return { ok: false, ...this.#failure(error) };
    }
  }

  #failure(error: unknown): Failure {
    const message = error instanceof Error ? error.message : String(error);
    const text = message.replaceAll(this.#token, "TOKEN");
    if (!(error instanceof GrammyError)) return { kind: "uncertain", text };
    const seconds = error.parameters.retry_after;
    const to = error.parameters.migrate_to_chat_id;
    if (to !== undefined) return { kind: "moved", to, text };
    if (error.error_code === 429) return { kind: "too_fast", waitMs: (seconds ?? 1) * 1000 };
    if (error.error_code >= 500) return { kind: "uncertain", text };
    if (error.error_code === 401 || error.error_code === 404) return { kind: "unauthorized", text };
    if (error.error_code === 409) return { kind: "conflict", text };
    if (error.error_code === 403) return { kind: "shut_out", text };
    const known = descriptions.find(({ says }) => says.test(error.description));
    return { kind: known?.kind ?? "refused", text };
  }
}

/** Descriptions of code 400, as the Bot API server and others report them; it has no finer codes. */
const descriptions: { says: RegExp; kind: Exclude<Failure["kind"], "too_fast" | "moved"> }[] = [
  { says: /not modified|TOPIC_NOT_MODIFIED/i, kind: "not_modified" },
  { says: /can't parse entities|can't find end of|unsupported start tag/i, kind: "unreadable_html" },
  { says: /TOPIC_CLOSED/i, kind: "topic_closed" },
  {
    says: /message thread not found|TOPIC_DELETED|TOPIC_ID_INVALID|MESSAGE_THREAD_INVALID/i,
    kind: "topic_missing",
  },
  { says: /message to edit not found|MESSAGE_ID_INVALID/i, kind: "message_missing" },
  { says: /can't be edited|MESSAGE_AUTHOR_REQUIRED/i, kind: "not_ours" },
  { says: /not a forum|not enough rights to (create|manage) (a )?topic|CHAT_NOT_FORUM/i, kind: "no_topics" },
  { says: /chat not found|chat was upgraded|kicked|not enough rights to send/i, kind: "shut_out" },
];
