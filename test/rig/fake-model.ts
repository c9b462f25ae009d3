// The one thing the tests must fake: the language model's API. It answers the real client on
// loopback, plays the script that rides in the conversation (see fake-script.ts), remembers every
// request, and lets a test hold an answer at a gate. It knows nothing about the product.

import { ModelRequestBody, nextTurn, readInputs, type Step, textsOf, userText } from "./fake-script";
import { plainAnswer, streamAnswer } from "./fake-stream";
import { defaultWaitMs, within } from "./wait";

/** What a request is for: a turn of the conversation, a summary for compaction, or a small side job such as a title. */
type RequestKind = "turn" | "compaction" | "side";

/** One request for an answer, as it arrived. */
export type LoggedRequest = {
  /** 1 for the first request this server saw. */
  readonly number: number;
  /** Arrival, in milliseconds since the epoch. */
  readonly atMs: number;
  readonly kind: RequestKind;
  readonly body: ModelRequestBody;
  /** Every text the model reads in it, decoded and joined by line breaks: match here, never in the raw JSON. */
  readonly text: string;
  /** The client's session, from its header, where it sends one. */
  readonly sessionId: string | undefined;
  /** Set when a subagent asks; `undefined` for the main agent. */
  readonly agentId: string | undefined;
  readonly headers: Readonly<Record<string, string>>;
  /** The `message.id` of the answer; it stands in the transcript. */
  readonly answerId: string;
};

/** A place in a script, `{"gate":"name"}`, where an answer waits for the test. */
export type Gate = {
  /** Resolves with the first request that waits (or waited) here. */
  reached(options?: { timeoutMs?: number }): Promise<LoggedRequest>;
  /** Lets the waiting answer, and every later one, go on. */
  open(): void;
};

export type RequestWait = {
  /** Deadline in milliseconds from now. */
  timeoutMs?: number;
  /** What is waited for, in the caller's words; it heads the error. */
  label: string;
  /** Only requests after this one count; without it, those that already arrived count too. */
  after?: LoggedRequest | undefined;
};

/** How often `text` stands in what the model reads in `request`. */
export function countOccurrences(request: LoggedRequest, text: string): number {
  return request.text.split(text).length - 1;
}

type Waiter = { predicate: (request: LoggedRequest) => boolean; resolve: (request: LoggedRequest) => void };
type GateState = { first: PromiseWithResolvers<LoggedRequest>; pass: PromiseWithResolvers<void> };

/** The fake model API. Start it, give `url` to clients as ANTHROPIC_BASE_URL, dispose it at the end. */
export class FakeModel implements AsyncDisposable {
  /** Mistakes nobody may overlook: scripts that do not parse, routes nobody serves. Empty in a healthy run. */
  readonly problems: string[] = [];
  readonly #log: LoggedRequest[] = [];
  readonly #waiters = new Set<Waiter>();
  readonly #gates = new Map<string, GateState>();
  readonly #server: Bun.Server<undefined>;

  private constructor() {
    this.#server = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      idleTimeout: 0,
      fetch: (request) => this.#route(request),
    });
  }

  /** Listens on a free port of 127.0.0.1. */
  static start(): FakeModel {
    return new FakeModel();
  }

  get url(): string {
    return `http://127.0.0.1:${this.#server.port}`;
  }

  /** Every request for an answer so far, oldest first. */
  requests(): readonly LoggedRequest[] {
    return [...this.#log];
  }

  /** The conversation requests that carry `marker` in any text the model reads: one session's, if the marker is its own. */
  requestsOf(marker: string): LoggedRequest[] {
    return this.#log.filter((request) => request.kind === "turn" && request.text.includes(marker));
  }

  /** Resolves with the first request that fits, in the log or arriving later. The error prints what arrived. */
  async waitForRequest(
    predicate: (request: LoggedRequest) => boolean,
    { label, after, timeoutMs = defaultWaitMs }: RequestWait,
  ): Promise<LoggedRequest> {
    const fits = (request: LoggedRequest) => request.number > (after?.number ?? 0) && predicate(request);
    const there = this.#log.find(fits);
    if (there) return there;
    const { promise, resolve } = Promise.withResolvers<LoggedRequest>();
    const waiter: Waiter = { predicate: fits, resolve };
    this.#waiters.add(waiter);
    try {
      return await within(`the request: ${label}`, promise, { timeoutMs, detail: () => this.describe() });
    } finally {
      this.#waiters.delete(waiter);
    }
  }

  /** The gate of that name; asking for it creates it, closed. */
  gate(name: string): Gate {
    const { first, pass } = this.#gateState(name);
    return {
      reached: ({ timeoutMs = defaultWaitMs } = {}) =>
        within(`an answer to reach the gate "${name}"`, first.promise, {
          timeoutMs,
          detail: () => this.describe(),
        }),
      open: () => pass.resolve(),
    };
  }

  /** The log in short, for error messages. */
  describe(): string {
    const lines = this.#log.map((request) => {
      const who = request.agentId ? ` subagent ${request.agentId}` : "";
      return `  #${request.number} ${request.kind}${who}, ${request.body.messages.length} messages, ends: ${JSON.stringify(request.text.slice(-200))}`;
    });
    return [
      `requests the fake model saw: ${this.#log.length}`,
      ...lines,
      ...this.problems.map((problem) => `  problem: ${problem}`),
    ].join("\n");
  }

  /** Opens every gate and stops, dropping what is still streaming. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const { pass } of this.#gates.values()) pass.resolve();
    await this.#server.stop(true);
  }

  async #route(request: Request): Promise<Response> {
    const { pathname } = new URL(request.url);
    if (request.method === "POST" && pathname.endsWith("/messages")) return this.#answer(request);
    if (request.method === "POST" && pathname.endsWith("/messages/count_tokens"))
      return Response.json({ input_tokens: 100 });
    if (request.method === "GET" && pathname.endsWith("/models")) return Response.json({ data: [] });
    // The client probes the host with HEAD /; anything else is news.
    if (request.method !== "HEAD") this.problems.push(`${request.method} ${pathname} is not served`);
    return Response.json(
      { type: "error", error: { type: "not_found_error", message: pathname } },
      { status: 404 },
    );
  }

  async #answer(request: Request): Promise<Response> {
    const body = ModelRequestBody.parse(await request.json());
    const logged = this.#record(request.headers, body);
    const answer = { messageId: logged.answerId, model: body.model, steps: this.#steps(logged) };
    const hold = (gate: string, signal: AbortSignal) => this.#hold(gate, logged, signal);
    return body.stream
      ? streamAnswer(answer, hold, request.signal)
      : plainAnswer(answer, hold, request.signal);
  }

  #record(headers: Headers, body: ModelRequestBody): LoggedRequest {
    const number = this.#log.length + 1;
    const logged: LoggedRequest = {
      number,
      atMs: Date.now(),
      kind: kindOf(body),
      body,
      text: textsOf(body),
      sessionId: headers.get("x-claude-code-session-id") ?? undefined,
      agentId: headers.get("x-claude-code-agent-id") ?? undefined,
      headers: headers.toJSON(),
      answerId: `msg_fake${Bun.randomUUIDv7("hex").slice(-12)}${String(number).padStart(4, "0")}`,
    };
    this.#log.push(logged);
    for (const waiter of this.#waiters) if (waiter.predicate(logged)) waiter.resolve(logged);
    return logged;
  }

  #steps({ kind, body, text }: LoggedRequest): Step[] {
    if (kind === "side") return [{ text: "ok" }];
    if (kind === "compaction")
      return [{ text: "<analysis>fake</analysis>\n<summary>fake summary of the conversation</summary>" }];
    try {
      return (nextTurn(body.messages) ?? [{ text: "done" }]).map((step) => readInputs(step, text));
    } catch (error) {
      const problem = error instanceof Error ? error.message : String(error);
      this.problems.push(problem);
      return [{ text: `FAKE MODEL: ${problem}` }];
    }
  }

  async #hold(name: string, request: LoggedRequest, signal: AbortSignal): Promise<void> {
    const { first, pass } = this.#gateState(name);
    first.resolve(request);
    if (signal.aborted) return;
    const { promise: aborted, resolve } = Promise.withResolvers<void>();
    signal.addEventListener("abort", () => resolve(), { once: true });
    await Promise.race([pass.promise, aborted]);
  }

  #gateState(name: string): GateState {
    const known = this.#gates.get(name);
    if (known) return known;
    const state: GateState = { first: Promise.withResolvers(), pass: Promise.withResolvers() };
    this.#gates.set(name, state);
    return state;
  }
}

function kindOf(body: ModelRequestBody): RequestKind {
  const newest = body.messages.findLast((message) => message.role === "user");
  if (newest && /create a detailed summary/i.test(userText(newest))) return "compaction";
  return body.tools.length === 0 ? "side" : "turn";
}
