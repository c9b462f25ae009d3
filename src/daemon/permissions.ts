// An agent's question whether it may use a tool, put to a person at the hub while the dialog stands in the agent's
// own terminal. Silence prints nothing, so the dialog stays as it was.
import { integrations } from "../integrations/integration.ts";
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
/** looks in a row that may fail: the hub restarts */
const mostFailures = 30;

type Ask = (ask: PermissionAsk) => Promise<unknown>;

export class Permissions {
  readonly #sessions: Sessions;
  readonly #ask: Ask;
  readonly #statusOf: (session: Session) => string;

  constructor(
    sessions: Sessions,
    ask: Ask,
    statusOf = (session: Session): string => activityOf(session).status,
  ) {
    this.#sessions = sessions;
    this.#ask = ask;
    this.#statusOf = statusOf;
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
    let dialogSeen = false;
    let failures = 0;
    while (!signal.aborted && failures < mostFailures) {
      const answer = await this.#ask(ask).then(
        (value) => PermissionAnswer.safeParse(value).data,
        () => undefined,
      );
      failures = answer === undefined ? failures + 1 : 0;
      if (answer !== undefined && answer.status !== "pending") return answer;
      await delay(lookMs, signal);
      // the dialog was there and is gone: somebody answered in the terminal
      if (this.#statusOf(session) === "waiting") dialogSeen = true;
      else if (dialogSeen) return undefined;
    }
    return undefined;
  }
}
