// The stream each MCP server holds open to its daemon: tells it of mail, and tells the daemon at once when the
// agent's side goes away.
import type { SessionEvent } from "../protocol/local-api.ts";
import type { Session } from "./sessions.ts";

/** ms between keep-alive lines */
const keepAliveMs = 15_000;

type Listener = { sessionId: string; send: (line: string) => void; close: () => void };

export class SessionEvents {
  readonly #listeners = new Set<Listener>();
  readonly #timer = setInterval(() => this.#keepAlive(), keepAliveMs).unref();
  /** a listener of this session went away */
  onGone: (sessionId: string) => void = () => {};

  stream(session: Session, signal: AbortSignal): Response {
    const sessionId = session.stored.session_id;
    const encoder = new TextEncoder();
    let listener: Listener | undefined;
    const gone = () => {
      if (!listener || !this.#listeners.delete(listener)) return;
      this.onGone(sessionId);
    };
    signal.addEventListener("abort", gone);
    const stream = new ReadableStream<Uint8Array>({
      start: (controller) => {
        listener = {
          sessionId,
          send: (line) => controller.enqueue(encoder.encode(line)),
          close: () => controller.close(),
        };
        this.#listeners.add(listener);
        listener.send("\n");
        if (session.inbox.unread > 0) listener.send(lineOf({ event: "mail", waiting: session.inbox.unread }));
      },
      cancel: gone,
    });
    return new Response(stream, { headers: { "content-type": "application/x-ndjson" } });
  }

  mail(session: Session): void {
    this.#tell(session.stored.session_id, { event: "mail", waiting: session.inbox.unread });
  }

  /** False: no MCP server of the session is there to ring. */
  ring(session: Session, text: () => string): boolean {
    // one bell is enough, where an agent has two MCP servers of ours
    const listener = [...this.#listeners].findLast((one) => one.sessionId === session.stored.session_id);
    listener?.send(lineOf({ event: "ring", text: text() }));
    return listener !== undefined;
  }

  /** How many MCP servers of the session were asked to answer. */
  ping(session: Session, id: string): number {
    this.#tell(session.stored.session_id, { event: "ping", id });
    return this.listening(session);
  }

  listening(session: Session): number {
    return [...this.#listeners].filter((one) => one.sessionId === session.stored.session_id).length;
  }

  ended(session: Session): void {
    this.#tell(session.stored.session_id, { event: "ended" });
  }

  close(): void {
    clearInterval(this.#timer);
    for (const listener of this.#listeners) listener.close();
    this.#listeners.clear();
  }

  #tell(sessionId: string, event: SessionEvent): void {
    for (const listener of this.#listeners)
      if (listener.sessionId === sessionId) listener.send(lineOf(event));
  }

  #keepAlive(): void {
    for (const listener of this.#listeners) listener.send("\n");
  }
}

const lineOf = (event: SessionEvent) => `${JSON.stringify(event)}\n`;
