// The link to the hub: dials, greets, asks and answers, and dials again with growing pauses. It never gives up;
// `state` says why it is not linked. What must survive a break is the outbox's business, not the link's.
import { errorFromBody, hintFor, IntercomError, toIntercomError } from "../protocol/errors.ts";
import type { HubInput, HubOperation } from "../protocol/hub-api.ts";
import {
  type AnswerFrame,
  closeCodes,
  heartbeatMs,
  maxFrameBytes,
  parseFrame,
  protocolHeader,
  type RequestFrame,
} from "../protocol/link.ts";
import { commonVersion, linkProtocols, type Speaks } from "../protocol/version.ts";
import { log } from "../system/log.ts";
import { signRequest } from "../system/signature.ts";
import { background, backoff, delay } from "../system/wait.ts";
import { askHub, type HubAccess, requestJoin } from "./hub-client.ts";

export type LinkState = "connecting" | "linked" | "pending" | "denied" | "revoked" | "refused";

export type LinkOptions = {
  access: () => HubAccess;
  describe: () => { display_name: string; description: string };
  /** answers a request of the hub (`deliver`) */
  answer: (op: string, payload: unknown) => Promise<unknown>;
  /** runs after each (re)connection, before anything else is sent */
  onLinked: () => Promise<void>;
  onState: (state: LinkState) => void;
  /** ms a hub may take to answer a request, or to take a link; then the link is dialled anew. Default 15 s */
  answerTimeoutMs?: number;
  /** versions of the link's protocol; default: what this program speaks */
  speaks?: Speaks;
};

type Waiting = {
  resolve: (value: unknown) => void;
  reject: (error: IntercomError) => void;
  timer: ReturnType<typeof setTimeout>;
};

const answerTimeoutMs = 15_000;
/**
 * ms that somebody who waits for an answer waits for the hub, whatever becomes of the link: the hub itself may take
 * 2 s to see a message delivered (delivery.md)
 */
export const hubPatienceMs = 4_000;
/** ms the hub has to say goodbye: a socket that nobody reads any more closes after 36 s only (Bun 1.4.5, measured) */
const goodbyeMs = 500;
/** ms; first and longest pause between two tries */
const firstPauseMs = 100;
const longestPauseMs = 5_000;

/** ms before a link that another one of the same machine replaced is dialled again: two daemons must not race */
const replacedPauseMs = 30_000;

/** `refused`: the upgrade itself; `ungreeted`: the hub did not take what we said first; `older`: the hub speaks an
 * older protocol that we speak too */
type LinkEnd = "refused" | "ungreeted" | "broke" | "replaced" | "older";

export class Link {
  readonly #options: LinkOptions;
  #socket: WebSocket | undefined;
  #nextId = 1;
  readonly #waiting = new Map<number, Waiting>();
  readonly #stopped = new AbortController();
  #wake = new AbortController();
  #running: Promise<void> | undefined;
  /** of the protocol: the newest, or what an older hub speaks as well */
  #version: number;
  state: LinkState = "connecting";
  reason: string | undefined;
  /** ISO; when the link was last lost. Before the first one: when this daemon started */
  unlinkedSince = new Date().toISOString();

  constructor(options: LinkOptions) {
    this.#options = options;
    this.#version = this.#speaks.newest;
  }

  get #speaks(): Speaks {
    return this.#options.speaks ?? linkProtocols;
  }

  start(): void {
    this.#running = this.#run();
  }

  async stop(): Promise<void> {
    this.#stopped.abort();
    this.#wake.abort();
    if (this.#socket) hangUp(this.#socket, "daemon stops");
    await this.#running;
  }

  /** Tries again now: after `join`, or when the configuration changed. */
  reconnect(): void {
    if (this.#socket) hangUp(this.#socket, "reconnect");
    this.#wake.abort();
  }

  get #answerTimeoutMs(): number {
    return this.#options.answerTimeoutMs ?? answerTimeoutMs;
  }

  get linked(): boolean {
    return this.state === "linked";
  }

  /**
   * Asks the hub for somebody who waits: throws `hub_unreachable` after `hubPatienceMs` too. The request stays on its
   * way, so only for what changes nothing.
   */
  ask<O extends HubOperation>(op: O, payload: HubInput<O>): Promise<unknown> {
    const late = Promise.withResolvers<never>();
    const timer = setTimeout(() => late.reject(this.#silent()), hubPatienceMs);
    return Promise.race([this.request(op, payload), late.promise]).finally(() => clearTimeout(timer));
  }

  /** Asks the hub. Throws its error, or `hub_unreachable` when there is no link or it broke before the answer. */
  request<O extends HubOperation>(op: O, payload: HubInput<O>): Promise<unknown> {
    const socket = this.#socket;
    if (socket?.readyState !== WebSocket.OPEN) return Promise.reject(this.#away());
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        log.warn("the hub did not answer in time; the link is closed", { op });
        socket.terminate();
      }, this.#answerTimeoutMs);
      this.#waiting.set(id, { resolve, reject, timer });
      socket.send(JSON.stringify({ id, op, payload } satisfies RequestFrame));
    });
  }

  #silent(): IntercomError {
    return new IntercomError(
      "hub_unreachable",
      `the hub at ${this.#options.access().url} has not answered for ${hubPatienceMs / 1000} s`,
    );
  }

  #away(): IntercomError {
    return new IntercomError(
      "hub_unreachable",
      `no link to the hub at ${this.#options.access().url}${this.reason ? `: ${this.reason}` : ""}`,
      { hint: this.#wayBack() },
    );
  }

  /** The hub may be another machine's: to start one here is no way back to it, and none where it turned us away. */
  #wayBack(): string | undefined {
    if (this.state === "pending" || this.state === "denied" || this.state === "revoked")
      return hintFor(`machine_${this.state}`);
    return "is the hub running? start it on its own host: ai-intercom standalone";
  }

  async #run(): Promise<void> {
    let pauses = backoff(firstPauseMs, longestPauseMs);
    while (!this.#stopped.signal.aborted) {
      const end = await this.#connectOnce();
      if (this.#stopped.signal.aborted) break;
      if (end === "broke") pauses = backoff(firstPauseMs, longestPauseMs);
      if (end === "older") continue; // dialled again at once, in its words
      this.#version = this.#speaks.newest; // the hub may have been upgraded since
      if (end === "refused") await this.#learnWhy();
      this.#wake = new AbortController();
      const pauseMs = end === "replaced" ? replacedPauseMs : pauses.next().value;
      await delay(pauseMs, AbortSignal.any([this.#stopped.signal, this.#wake.signal]));
    }
  }

  /** One connection from dial to close; `broke` when it had been linked before. */
  async #connectOnce(): Promise<LinkEnd> {
    const access = this.#options.access();
    const url = new URL("/api/link", access.url).href;
    const signed = await signRequest(access.machine, access.key, { method: "GET", url });
    const socket = new WebSocket(url.replace(/^http/, "ws"), {
      headers: { ...signed, [protocolHeader]: String(this.#version) },
    });
    this.#socket = socket;
    let opened = false;
    let greeted = false;
    const dial = setTimeout(() => socket.terminate(), this.#answerTimeoutMs);
    const heart = setInterval(() => {
      if (opened) background("heartbeat", () => this.request("heartbeat", {}).catch(() => undefined));
    }, heartbeatMs);
    const closed = new Promise<LinkEnd>((resolve) => {
      socket.onopen = () => {
        opened = true;
        clearTimeout(dial);
        this.#opened(socket, () => {
          greeted = true;
        });
      };
      socket.onmessage = (event) => background("link frame", () => this.#received(socket, event.data));
      socket.onclose = (event) => {
        const older = event.code === closeCodes.protocol && this.#fallBack(event.reason);
        this.#closed(older ? closeCodes.goingAway : event.code, event.reason, opened && !older);
        if (older) resolve("older");
        else if (event.code === closeCodes.replaced) resolve("replaced");
        else resolve(greeted ? "broke" : opened ? "ungreeted" : "refused");
      };
    });
    const end = await closed;
    clearTimeout(dial);
    clearInterval(heart);
    return end;
  }

  #opened(socket: WebSocket, greeted: () => void): void {
    background("link greeting", async () => {
      try {
        await this.#options.onLinked();
        greeted();
        if (this.#socket === socket && socket.readyState === WebSocket.OPEN) this.#enter("linked");
      } catch (error) {
        log.warn("the hub did not take our presence; the link is closed", { error });
        socket.close(closeCodes.goingAway, "greeting failed");
      }
    });
  }

  /** True when the hub refused our version and named an older one that we speak: the next dial uses it. Only downwards,
   * or two answers could make it dial for ever without a pause. */
  #fallBack(refusal: string): boolean {
    const common = commonVersion(this.#speaks, refusal);
    if (common === undefined || common >= this.#version) return false;
    log.info("the hub is older; the link speaks its protocol", { version: common });
    this.#version = common;
    return true;
  }

  #closed(code: number, reason: string, wasLinked: boolean): void {
    if (code === closeCodes.revoked) this.#enter("revoked", "the hub revoked this machine");
    else if (code === closeCodes.replaced)
      this.#enter("connecting", "another daemon with this machine's key took the link");
    else if (code === closeCodes.protocol)
      this.#enter("refused", `${reason}; this daemon speaks ${this.#speaks.oldest}..${this.#speaks.newest}`);
    else if (wasLinked || this.state === "linked") this.#enter("connecting", "the link broke");
    for (const [id, waiting] of this.#waiting) {
      clearTimeout(waiting.timer);
      this.#waiting.delete(id);
      waiting.reject(this.#away());
    }
  }

  /** A refused upgrade tells no reason: ask over HTTP, and ask to be enrolled where we are unknown. */
  async #learnWhy(): Promise<void> {
    const access = this.#options.access();
    try {
      await askHub(access, "POST", "/api/heartbeat", {});
      if (this.state !== "connecting") this.#enter("connecting");
    } catch (thrown) {
      const error = toIntercomError(thrown);
      if (error.code === "hub_unreachable")
        this.#enter(this.state === "revoked" ? "revoked" : "connecting", error.message);
      else if (error.code === "machine_pending")
        this.#enter("pending", "a person must approve this machine at the hub");
      else if (error.code === "machine_denied") this.#enter("denied", error.message);
      else if (error.code === "machine_revoked") this.#enter("revoked", error.message);
      else if (error.code === "unauthenticated") await this.#askToJoin(access, error);
      else this.#enter("refused", error.message);
    }
  }

  async #askToJoin(access: HubAccess, why: IntercomError): Promise<void> {
    try {
      const answer = await requestJoin(access, this.#options.describe());
      if (answer.status === "pending")
        this.#enter("pending", "a person must approve this machine at the hub");
    } catch (error) {
      this.#enter("refused", `${why.message}; asking to join: ${toIntercomError(error).message}`);
    }
  }

  async #received(socket: WebSocket, data: unknown): Promise<void> {
    if (typeof data !== "string" || data.length > maxFrameBytes)
      return socket.close(closeCodes.badFrame, "bad frame");
    const frame = parseFrame(data);
    if (!frame) return socket.close(closeCodes.badFrame, "bad frame");
    if ("op" in frame) return this.#answerRequest(socket, frame);
    const waiting = this.#waiting.get(frame.re);
    if (!waiting) return;
    this.#waiting.delete(frame.re);
    clearTimeout(waiting.timer);
    if (frame.ok) waiting.resolve(frame.result);
    else
      waiting.reject(
        errorFromBody(frame) ?? new IntercomError("internal", "the hub answered an error without a code"),
      );
  }

  async #answerRequest(socket: WebSocket, frame: RequestFrame): Promise<void> {
    let answer: AnswerFrame;
    try {
      answer = { re: frame.id, ok: true, result: await this.#options.answer(frame.op, frame.payload) };
    } catch (error) {
      answer = { re: frame.id, ok: false, ...toIntercomError(error).body() };
    }
    if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify(answer));
  }

  #enter(state: LinkState, reason?: string): void {
    const changed = state !== this.state || reason !== this.reason;
    if (this.state === "linked" && state !== "linked") this.unlinkedSince = new Date().toISOString();
    this.state = state;
    this.reason = reason;
    if (!changed) return;
    log.info(`link ${state}`, { hub: this.#options.access().url, ...(reason ? { reason } : {}) });
    this.#options.onState(state);
  }
}

/** Says goodbye, and does not wait for one that never comes. */
function hangUp(socket: WebSocket, reason: string): void {
  socket.close(1000, reason);
  const timer = setTimeout(() => socket.terminate(), goodbyeMs);
  socket.addEventListener("close", () => clearTimeout(timer), { once: true });
}
