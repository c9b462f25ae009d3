// An agent's question whether it may use a tool, put to a person at the hub while the dialog stands in the agent's
// own terminal. Silence prints nothing, so the dialog stays as it was.
import { type Activity, integrations } from "../integrations/integration.ts";
import {
  newPermissionId,
  PermissionAnswer,
  type PermissionAsk,
  permissionTextLimit,
} from "../protocol/permission.ts";
import { background, delay } from "../system/wait.ts";
import { activityOf } from "./session-view.ts";
import type { Session, Sessions } from "./sessions.ts";

/** ms between two looks at the answer */
const lookMs = 1_000;
/** ms between two looks at the agent's own word on its dialog: nobody reads and answers one faster */
const dialogLookMs = 200;
/** looks in a row that may fail: the hub restarts */
const mostFailures = 30;

type Ask = (ask: PermissionAsk) => Promise<unknown>;

export class Permissions {
  readonly #sessions: Sessions;
  readonly #ask: Ask;
  readonly #activityOf: (session: Session) => Activity;

  constructor(sessions: Sessions, ask: Ask, activity = activityOf) {
    this.#sessions = sessions;
    this.#ask = ask;
    this.#activityOf = activity;
  }

  /** What the hook prints. Ends when the hook does, or when the terminal was faster. */
  async answer(input: string, agentPid: number, signal: AbortSignal): Promise<string> {
    for (const integration of integrations) {
      const wish = integration.permissions?.read(input);
      const session = wish && this.#sessions.byProcess(agentPid);
      if (!wish || !session || wish.text.length > permissionTextLimit) continue;
      const ask = { ...wish, id: newPermissionId(), session_id: session.stored.session_id, withdrawn: false };
      const answer = await this.#wait(session, ask, signal);
      if (answer?.status === "allowed" || answer?.status === "denied")
        return integration.permissions?.format(answer.status === "allowed", answer.by ?? "a person") ?? "";
      if (answer?.status !== "nobody")
        background("permission withdrawal", () => this.#ask({ ...ask, withdrawn: true }));
    }
    return "";
  }

  /** undefined: the agent does not wait any more, or the hub is away for too long. */
  async #wait(
    session: Session,
    ask: PermissionAsk,
    signal: AbortSignal,
  ): Promise<PermissionAnswer | undefined> {
    const over = new AbortController();
    const until = AbortSignal.any([signal, over.signal]);
    background("permission dialog", () => this.#dialogGone(session, until).then(() => over.abort()));
    try {
      for (let failures = 0; !until.aborted && failures < mostFailures; ) {
        const answer = await this.#ask(ask).then(
          (value) => PermissionAnswer.safeParse(value).data,
          () => undefined,
        );
        failures = answer === undefined ? failures + 1 : 0;
        if (answer !== undefined && answer.status !== "pending") return answer;
        await delay(lookMs, until);
      }
      return undefined;
    } finally {
      over.abort();
    }
  }

  /** Resolves when the dialog was there and is gone (somebody answered in the terminal), or with `until`. */
  async #dialogGone(session: Session, until: AbortSignal): Promise<void> {
    const startedMs = Date.now();
    let seen = false;
    while (!until.aborted) {
      const { status, since = 0 } = this.#activityOf(session);
      if (status === "waiting") seen = true;
      // it may have come and gone between two looks
      else if (seen || (status !== "unknown" && since > startedMs)) return;
      await delay(dialogLookMs, until);
    }
  }
}
