// This MCP server's side of the local API: registers the session, registers again when the daemon was away, and
// forwards tool calls. A call keeps its message id through every retry, so a retry never doubles a message.
import type { Pong, WakeState } from "../protocol/checkup.ts";
import { IntercomError } from "../protocol/errors.ts";
import { pidHeaders } from "../protocol/hook.ts";
import { newMessageId } from "../protocol/ids.ts";
import { RegisterAnswer, type RegisterSession, SessionEvent, ToolAnswer } from "../protocol/local-api.ts";
import type { ToolName } from "../protocol/tools.ts";
import { version } from "../protocol/version.ts";
import { log } from "../system/log.ts";
import { isUncertain, linesOf, openOverSocket, requestOverSocket } from "../system/socket.ts";
import { background, backoff, delay } from "../system/wait.ts";

/** ms a tool call waits for a daemon that was there and is restarting */
const daemonPatienceMs = 8_000;
/** ms a tool call waits for a daemon that was never met: the agent soon learns that none runs here */
const firstPatienceMs = 2_000;
/** ms a tool call may take at the daemon, which waits 4 s for the hub */
const callTimeoutMs = 10_000;

/** tools whose call a daemon that did not answer may have carried out, or may yet */
const sending = new Set<string>(["intercom_chat", "intercom_reply"] satisfies ToolName[]);

export type SessionClientOptions = {
  socket: string;
  registration: () => RegisterSession;
  /** something happened to the session: mail arrived */
  onEvent?: (event: SessionEvent) => Promise<void>;
};

export class SessionClient {
  readonly #options: SessionClientOptions;
  readonly #stopped = new AbortController();
  #session: RegisterAnswer | undefined;
  #lastSessionId: string | undefined;
  #metDaemon = false;
  #running: Promise<void> | undefined;

  constructor(options: SessionClientOptions) {
    this.#options = options;
  }

  /** Keeps the session registered until `stop`. */
  start(): void {
    this.#running ??= this.#run();
  }

  async stop(): Promise<void> {
    this.#stopped.abort();
    await this.#running;
  }

  /** Runs a tool at the daemon; throws `daemon_unreachable` when it stays away. */
  async call(tool: string, given: unknown): Promise<ToolAnswer> {
    const message_id = newMessageId();
    const body = { pid: this.#options.registration().pid, message_id, arguments: given };
    let mayBeTaken = false;
    try {
      const answer = await this.#patiently(async () => {
        if (!this.#session) await this.#register();
        return this.#post(`/api/tool/${tool}`, body).catch((error: unknown) => {
          mayBeTaken ||= isUncertain(error);
          throw error;
        });
      });
      return ToolAnswer.parse(answer);
    } catch (error) {
      const unheard = error instanceof IntercomError && error.code === "daemon_unreachable";
      throw unheard && mayBeTaken && sending.has(tool) ? maybeSent(error, message_id) : error;
    }
  }

  /** Tells the daemon that a delivery was written to the agent whole. */
  async confirm(nonce: string): Promise<void> {
    const session_id = this.#session?.session_id;
    if (session_id) await this.#patiently(() => this.#post("/api/claim/confirm", { session_id, nonce }));
  }

  /** Answers a ping of `doctor`: this server is there, and where it would ring. */
  async pong(id: string, wake: WakeState): Promise<void> {
    if (!this.#session) return;
    const answer: Pong = { session_id: this.#session.session_id, id, version, wake };
    await this.#post("/api/session/pong", answer);
  }

  /** Retries while the daemon is away or does not know us yet; any other error is the answer. */
  async #patiently<T>(work: () => Promise<T>): Promise<T> {
    const until = Date.now() + (this.#metDaemon ? daemonPatienceMs : firstPatienceMs);
    for (const pause of backoff(50, 1_000)) {
      try {
        return await work();
      } catch (error) {
        if (!(error instanceof IntercomError)) throw error;
        if (error.code === "unknown_session") this.#session = undefined;
        else if (error.code !== "daemon_unreachable") throw error;
        if (Date.now() + pause > until || this.#stopped.signal.aborted) throw error;
        await delay(pause, this.#stopped.signal);
      }
    }
    throw new IntercomError("internal", "backoff ended");
  }

  async #run(): Promise<void> {
    let pauses = backoff(100, 2_000);
    while (!this.#stopped.signal.aborted) {
      try {
        await this.#register();
        pauses = backoff(100, 2_000);
        await this.#listen();
      } catch (error) {
        log.debug("the daemon is away", { error });
      }
      if (!this.#stopped.signal.aborted) await delay(pauses.next().value, this.#stopped.signal);
    }
  }

  async #register(): Promise<void> {
    this.#session = RegisterAnswer.parse(
      await this.#post("/api/session/register", {
        ...this.#options.registration(),
        last_session_id: this.#lastSessionId,
      } satisfies RegisterSession),
    );
    this.#lastSessionId = this.#session.session_id;
    this.#metDaemon = true;
  }

  /** Reads the session's events until the daemon or this server stops. */
  async #listen(): Promise<void> {
    const path = `/api/session/${this.#session?.session_id}/events`;
    const response = await openOverSocket(
      this.#options.socket,
      "daemon_unreachable",
      { path },
      this.#stopped.signal,
    );
    if (!response.ok || !response.body) return;
    for await (const line of linesOf(response.body))
      background("session event", async () => this.#options.onEvent?.(SessionEvent.parse(JSON.parse(line))));
  }

  #post(path: string, body: unknown): Promise<unknown> {
    return requestOverSocket(this.#options.socket, "daemon_unreachable", {
      path,
      body,
      headers: { [pidHeaders.asker]: String(process.pid) },
      timeoutMs: callTimeoutMs,
    });
  }
}

function maybeSent(unheard: IntercomError, messageId: string): IntercomError {
  return new IntercomError(unheard.code, `${unheard.message}; whether it took the message is not known`, {
    hint: `before you send it again: intercom_status(message_id="${messageId}")`,
    cause: unheard,
  });
}
