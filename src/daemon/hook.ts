// What a hook of an agent gets to print: the session's mail, and at the start of a conversation its own address.
// Decides only; `check-inbox` prints it.
import { frameDelivery } from "../inbox/framing.ts";
import type { HookEvent, Integration } from "../integrations/integration.ts";
import { integrations } from "../integrations/integration.ts";
import { formatAddress } from "../protocol/address.ts";
import type { Config } from "../system/config.ts";
import { ageOf, type ProcessIdentity } from "../system/process.ts";
import { askerOf, type Deliveries } from "./delivery.ts";
import { introduction } from "./introduction.ts";
import { activityOf } from "./session-view.ts";
import type { Session, Sessions } from "./sessions.ts";

/** ms a hook may be held while an earlier delivery of the same thread is being proved */
const settleBeforeClaimMs = 300;
/** ms an agent must have been working when it started a prompt's hook, for that to be of one typed in between: else ±27 */
const midTurnMs = 1_000;
/** deliveries in a row at the end of a turn; Claude Code stops a Stop hook's eighth continuation */
const stopDeliveries = 7;

/** `session`: named on the command line instead of told by the agent's pid */
export type HookCaller = { agentPid: number; askerPid: number; session?: string; signal: AbortSignal };

export class Hooks {
  readonly #sessions: Sessions;
  readonly #deliveries: Deliveries;
  readonly #config: Config;
  /** session id → deliveries at Stop since the last turn that began otherwise */
  readonly #stops = new Map<string, number>();

  constructor(sessions: Sessions, deliveries: Deliveries, config: Config) {
    this.#sessions = sessions;
    this.#deliveries = deliveries;
    this.#config = config;
  }

  /** The text to print; empty when there is nothing to say. */
  async answer(input: string, caller: HookCaller): Promise<string> {
    const found = parse(input);
    if (!found) return "";
    if (found.event.isSubagent) return this.#subagentAsked(caller);
    const session = this.#sessionOf(found, caller);
    if (!session) return "";
    session.inSubagent = false;
    const start =
      found.event.event === "SessionStart"
        ? introduction(
            session,
            this.#address(session),
            found.event.source ?? "startup",
            this.#config.language,
          )
        : "";
    const mail = await this.#mail(session, found.event, caller);
    const text = [start, mail].filter((part) => part !== "").join("\n\n");
    return text === "" ? "" : found.integration.formatHookOutput(found.event.event, text);
  }

  /** What it would get, the main agent would never read. */
  #subagentAsked({ agentPid }: HookCaller): "" {
    const session = this.#sessions.byProcess(agentPid);
    if (session) session.inSubagent = true;
    return "";
  }

  /**
   * None at the start of a conversation: no turn follows it, so what it carries would lie in an idle agent's context,
   * offered and unread, and nothing would ring for it. Left in the inbox, it wakes the agent.
   */
  async #mail(session: Session, event: HookEvent, caller: HookCaller): Promise<string> {
    if (event.event === "SessionStart") {
      this.#deliveries.hookCame(session, event.event);
      return "";
    }
    if (event.event === "Stop" && !this.#mayStop(session, event)) return "";
    const asker = askerOf(caller.askerPid);
    if (event.event === "UserPromptSubmit" && isMidTurn(session, asker)) return "";
    await this.#deliveries.awaitClaimable(session, settleBeforeClaimMs);
    // the hook gave up already: what it would not print must not be claimed
    if (caller.signal.aborted) return "";
    const delivery = this.#deliveries.claim(session, {
      asker,
      carrier: "hook",
      event: event.event,
    });
    if (!delivery) return "";
    if (event.event === "Stop")
      this.#stops.set(session.stored.session_id, (this.#stops.get(session.stored.session_id) ?? 0) + 1);
    return frameDelivery(delivery, { language: this.#config.language, now: Date.now() });
  }

  #mayStop(session: Session, event: HookEvent): boolean {
    const id = session.stored.session_id;
    if (!event.stopHookActive) this.#stops.delete(id);
    return (this.#stops.get(id) ?? 0) < stopDeliveries;
  }

  /** The session of the hook's agent, bound to what the hook tells; an unknown agent process registers by it. */
  #sessionOf({ event, integration }: Found, { agentPid, session: wished }: HookCaller): Session | undefined {
    if (wished !== undefined) return this.#sessions.forReader(agentPid, wished);
    const told = { native_session_id: event.nativeSessionId, transcript_path: event.transcriptPath };
    const known = this.#sessions.byProcess(agentPid);
    if (known) {
      const fresh = known.stored.native_session_id === undefined;
      const session = fresh ? this.#sessions.resume(known, event.nativeSessionId) : known;
      return this.#sessions.bind(session, { ...told, agent: integration.name });
    }
    if (event.cwd === undefined) return undefined;
    const session = this.#sessions.register({
      pid: agentPid,
      agent: integration.name,
      cwd: event.cwd,
      native_session_id: event.nativeSessionId,
    });
    return this.#sessions.bind(session, told);
  }

  #address(session: Session): string {
    const { project, session_id } = session.stored;
    return formatAddress({ kind: "session", machine: this.#config.machine.id, project, session: session_id });
  }
}

/**
 * A prompt typed while the agent works is held, with its hook's text, until the next tool batch or the end of the
 * turn; answers and hooks in between know nothing of it. Those hooks carry the mail sooner and provably. What counts is
 * when the agent started the hook, not when a busy machine let it ask: the turn that a ring began would go without.
 */
function isMidTurn(session: Session, asker: ProcessIdentity): boolean {
  const { status, since } = activityOf(session);
  if (status !== "working" || since === undefined) return false;
  return Date.now() - (ageOf(asker) ?? 0) - since > midTurnMs;
}

type Found = { event: HookEvent; integration: Integration };

function parse(input: string): Found | undefined {
  for (const integration of integrations) {
    const event = integration.parseHookEvent(input);
    if (event) return { event, integration };
  }
  return undefined;
}
