// One machine's WebSocket: frames in and out, requests with their answers, backpressure. What a request means is
// the operations' business; which mail to send is the pump's.
import { errorFromBody, IntercomError, toIntercomError } from "../protocol/errors.ts";
import {
  type AnswerFrame,
  closeCodes,
  type Frame,
  maxFrameBytes,
  parseFrame,
  type RequestFrame,
} from "../protocol/link.ts";
import { background } from "../system/wait.ts";
import type { Answer } from "./operations.ts";

/** The part of Bun's ServerWebSocket that a link uses. */
export type Socket = {
  send(text: string): number;
  close(code: number, reason: string): void;
  terminate(): void;
};

type Waiting = {
  resolve: (value: unknown) => void;
  reject: (error: IntercomError) => void;
  timer: ReturnType<typeof setTimeout>;
};

export type LinkOptions = {
  machine: string;
  epoch: number;
  socket: Socket;
  /** `heardMs`: when the request came, which may be before its turn */
  answer: (op: string, payload: unknown, heardMs: number) => Promise<Answer>;
  now: () => number;
};

export class Link {
  readonly machine: string;
  readonly epoch: number;
  readonly #socket: Socket;
  readonly #answer: LinkOptions["answer"];
  readonly #now: () => number;
  readonly #waiting = new Map<number, Waiting>();
  #nextId = 1;
  /** requests are begun one after another: a session's messages keep their order */
  #order: Promise<void> = Promise.resolve();
  #drained: PromiseWithResolvers<void> | undefined;
  /** unix ms of the last frame */
  heardMs: number;
  open = true;

  constructor({ machine, epoch, socket, answer, now }: LinkOptions) {
    this.machine = machine;
    this.epoch = epoch;
    this.#socket = socket;
    this.#answer = answer;
    this.#now = now;
    this.heardMs = now();
  }

  /**
   * Asks the daemon. Rejects with its error, or with `daemon_unreachable` when the link ends first or, with `late`
   * `refuse`, no answer came in time; else silence ends the link.
   */
  request(
    op: string,
    payload: unknown,
    deadlineMs: number,
    late: "close" | "refuse" = "close",
  ): Promise<unknown> {
    if (!this.open) return Promise.reject(this.#gone());
    const id = this.#nextId++;
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    const timer = setTimeout(() => {
      if (late === "close") return this.close(closeCodes.goingAway, "no answer");
      this.#waiting.delete(id);
      const why = `${this.machine} did not answer within ${Math.round(deadlineMs / 1000)} s`;
      reject(new IntercomError("daemon_unreachable", why));
    }, deadlineMs);
    this.#waiting.set(id, { resolve, reject, timer });
    this.#send({ id, op, payload });
    return promise;
  }

  /** Resolves when the socket takes more: at once, after `drain`, or when the link has ended. */
  writable(): Promise<void> {
    return this.#drained?.promise ?? Promise.resolve();
  }

  close(code: number, reason: string): void {
    if (!this.open) return;
    this.#socket.close(code, reason);
    this.ended();
  }

  /** Without waiting for the other side, which may be gone. */
  cut(): void {
    if (!this.open) return;
    this.#socket.terminate();
    this.ended();
  }

  received(data: string | Buffer): void {
    if (!this.open) return;
    this.heardMs = this.#now();
    const fits = typeof data === "string" && Buffer.byteLength(data) <= maxFrameBytes;
    const frame = fits ? parseFrame(data) : undefined;
    if (frame === undefined) this.close(closeCodes.badFrame, "bad frame");
    else if ("op" in frame) this.#answerInOrder(frame);
    else this.#answered(frame);
  }

  drained(): void {
    this.#drained?.resolve();
    this.#drained = undefined;
  }

  /** The socket is gone: nothing more is sent, and whoever waits for an answer learns it. */
  ended(): void {
    this.open = false;
    this.drained();
    for (const { reject, timer } of this.#waiting.values()) {
      clearTimeout(timer);
      reject(this.#gone());
    }
    this.#waiting.clear();
  }

  #answerInOrder(frame: RequestFrame): void {
    const { heardMs } = this;
    const begun = this.#order.then(() => this.#begin(frame, heardMs));
    this.#order = begun.then(
      () => undefined,
      () => undefined,
    );
    background("link request", () => begun);
  }

  /** Done when the next request may begin; an answer that takes longer (a sender's wait) goes on alone. */
  async #begin({ id, op, payload }: RequestFrame, heardMs: number): Promise<void> {
    if (!this.open) return;
    try {
      const answer = await this.#answer(op, payload, heardMs);
      if (answer.later === undefined) return this.#send({ re: id, ok: true, result: answer.now });
      background("link answer", () =>
        answer.later.then(
          (result) => this.#send({ re: id, ok: true, result }),
          (error) => this.#refuse(id, error),
        ),
      );
    } catch (error) {
      this.#refuse(id, error);
    }
  }

  #refuse(id: number, error: unknown): void {
    this.#send({ re: id, ok: false, ...toIntercomError(error).body() });
  }

  #answered(frame: Exclude<Frame, { op: string }>): void {
    const waiting = this.#waiting.get(frame.re);
    if (!waiting) return;
    this.#waiting.delete(frame.re);
    clearTimeout(waiting.timer);
    if (frame.ok) waiting.resolve(frame.result);
    else waiting.reject(errorFromBody(frame) ?? new IntercomError("internal", "an error without a code"));
  }

  /** Bun: 0 dropped, -1 queued until `drain`, else bytes sent. A dropped frame leaves a hole: the link is lost. */
  #send(frame: RequestFrame | AnswerFrame): void {
    if (!this.open) return;
    const text = JSON.stringify(frame);
    // the other side ends a link that carries more: everything of that machine would wait for one answer
    if ("re" in frame && Buffer.byteLength(text) > maxFrameBytes) {
      this.#refuse(frame.re, tooLarge());
      return;
    }
    const sent = this.#socket.send(text);
    if (sent === 0) this.cut();
    else if (sent < 0) this.#drained ??= Promise.withResolvers<void>();
  }

  #gone(): IntercomError {
    return new IntercomError("daemon_unreachable", `the link to ${this.machine} ended`);
  }
}

function tooLarge(): IntercomError {
  return new IntercomError("message_too_large", "the answer is larger than a frame", {
    hint: "ask for less: a smaller limit or a narrower filter",
  });
}
