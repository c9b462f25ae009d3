// What `doctor` learns from a running daemon: how each session is, and the canary, which goes a session's path
// without mail. Nothing here claims, reads or shows a message.
import { formatAddress } from "../protocol/address.ts";
import {
  type Canary,
  CanaryAnswer,
  CanaryNonce,
  type PingAnswer,
  type Pong,
  type SessionCheckup,
} from "../protocol/checkup.ts";
import { IntercomError } from "../protocol/errors.ts";
import { randomHex } from "../protocol/ids.ts";
import type { Doorbell } from "./doorbell.ts";
import type { Link } from "./link.ts";
import type { SessionEvents } from "./session-events.ts";
import { hooksSeen, localSession } from "./session-view.ts";
import type { Session, Sessions } from "./sessions.ts";
import type { Waiting } from "./waiting.ts";

/** ms an MCP server has to answer a ping */
const pongTimeoutMs = 2_000;

export type CheckupParts = {
  sessions: Sessions;
  events: SessionEvents;
  doorbell: Doorbell;
  waiting: Waiting;
  link: Link;
  machine: string;
};

export class Checkups {
  readonly #parts: CheckupParts;
  /** ping id → who waits for its pong */
  readonly #pings = new Map<string, { sessionId: string; answer: (answer: PingAnswer) => void }>();

  constructor(parts: CheckupParts) {
    this.#parts = parts;
  }

  all(): SessionCheckup[] {
    return this.#parts.sessions.all().map((session) => this.#of(session));
  }

  /** Asks the session's MCP server over its event stream; never throws, whatever is there. */
  async ping(session: Session): Promise<PingAnswer> {
    const sessionId = session.stored.session_id;
    const id = randomHex(8);
    const { promise, resolve } = Promise.withResolvers<PingAnswer>();
    this.#pings.set(id, { sessionId, answer: resolve });
    const timer = setTimeout(() => resolve({ status: "no_answer" }), pongTimeoutMs);
    try {
      if (this.#parts.events.ping(session, id) === 0) return { status: "no_server" };
      return await promise;
    } finally {
      clearTimeout(timer);
      this.#pings.delete(id);
    }
  }

  pong({ session_id, id, version, wake }: Pong): void {
    const ping = this.#pings.get(id);
    if (ping?.sessionId === session_id) ping.answer({ status: "pong", version, wake });
  }

  /** To the hub and back down the link, for this session. Throws the hub's error. */
  async overTheLink(session: Session): Promise<CanaryAnswer> {
    const nonce = randomHex(16);
    const { session_id } = session.stored;
    const answer = CanaryAnswer.parse(await this.#parts.link.ask("canary", { session_id, nonce }));
    if (answer.nonce !== nonce) throw new IntercomError("internal", "another canary came back");
    return answer;
  }

  /** The hub's side of it arrived. */
  fromTheHub({ session_id, nonce }: Canary): CanaryAnswer {
    return { nonce, status: this.#parts.sessions.get(session_id) ? "open" : "ended" };
  }

  /** The answer to a hook that carries a canary: finds the session as for any hook, and touches nothing of it. */
  hook(agentPid: number, nonce: string): string {
    if (!CanaryNonce.safeParse(nonce).success)
      throw new IntercomError("bad_request", "a canary is 32 hex digits");
    if (!this.#parts.sessions.byProcess(agentPid))
      throw new IntercomError("unknown_session", `process ${agentPid} is no registered agent`);
    return `ai-intercom canary ${nonce}`;
  }

  #of(session: Session): SessionCheckup {
    const { stored } = session;
    const { machine } = this.#parts;
    const waits = this.#parts.waiting.reason(session);
    const { session_id, project, pid, agent, registered_at, status, inbox_pending } = localSession(session);
    return {
      session_id,
      project,
      address: formatAddress({ kind: "session", machine, project, session: session_id }),
      pid,
      agent,
      registered_at,
      status,
      hooks_seen: hooksSeen(session),
      servers: this.#parts.events.listening(session),
      wake: stored.wake ?? "none",
      unread: inbox_pending,
      ...(waits === undefined ? {} : { waits }),
      rings: this.#parts.doorbell.rings(session),
    };
  }
}
