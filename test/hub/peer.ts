// A scripted daemon: a real key, real signatures, a real WebSocket, and answers that the test chooses.
import { mkdtempSync } from "node:fs";
import type { Presence } from "../../src/protocol/hub-api.ts";
import { newMessageId, newThreadId } from "../../src/protocol/ids.ts";
import { Deliver, type Delivered } from "../../src/protocol/link.ts";
import type { ChatAnswer } from "../../src/protocol/message.ts";
import type { SessionReport } from "../../src/protocol/session.ts";
import { loadOrCreateMachineKey, type MachineKey } from "../../src/system/keys.ts";
import { signRequest } from "../../src/system/signature.ts";
import { waitFor } from "../rig/wait.ts";
import type { Body, Reachable, Reply } from "./rig.ts";

type Verdict = Delivered["status"] | "silent";

export class Peer {
  readonly id: string;
  readonly key: MachineKey;
  readonly #hub: Reachable;
  #socket: WebSocket | undefined;
  #nextId = 1;
  readonly #waiting = new Map<
    number,
    { resolve: (value: unknown) => void; reject: (error: unknown) => void }
  >();
  /** everything the hub delivered, in order, whatever was answered */
  readonly received: Deliver[] = [];
  closeCode: number | undefined;
  verdict: (deliver: Deliver) => Verdict = () => "delivered";
  /** what the hub asks besides `deliver`; a promise that never resolves is a daemon that does not answer */
  answer: (op: string, payload: unknown) => unknown = (op) => {
    throw new Error(`unknown request "${op}"`);
  };

  constructor(hub: Reachable, id: string, key?: MachineKey) {
    this.#hub = hub;
    this.id = id;
    this.key = key ?? loadOrCreateMachineKey(`${mkdtempSync("/tmp/aii-peer-")}/machine.key`);
  }

  /** Enrolled by an invite, linked, with these sessions open (`project@session`). */
  static async online(hub: Reachable, id: string, ...sessions: string[]): Promise<Peer> {
    const peer = new Peer(hub, id);
    await peer.enrol();
    await peer.connect();
    await peer.presence(...sessions.map((text) => session(text)));
    return peer;
  }

  /** Another daemon with the same key: a copy of the machine, or its restart. */
  twin(): Peer {
    return new Peer(this.#hub, this.id, this.key);
  }

  async enrol(): Promise<void> {
    const { body } = await this.#hub.person("POST", "/api/invites", {});
    const joined = await this.join({ code: body.code });
    if (joined.status !== 200) throw new Error(JSON.stringify(joined.body));
  }

  join(more: Record<string, unknown> = {}): Promise<Reply> {
    return this.http("POST", "/api/join", { machine_id: this.id, public_key: this.key.publicKey, ...more });
  }

  /** A signed request; `send` may change what is sent after it was signed. */
  async http(
    method: string,
    path: string,
    body?: unknown,
    send: { method?: string; path?: string; body?: string; headers?: Record<string, string> } = {},
  ): Promise<Reply> {
    const url = `${this.#hub.hub.url}${path}`;
    const text = body === undefined ? undefined : JSON.stringify(body);
    const signed = await signRequest(this.id, this.key, {
      method,
      url,
      body: text === undefined ? undefined : Buffer.from(text),
    });
    const sent = send.body ?? text;
    const response = await fetch(`${this.#hub.hub.url}${send.path ?? path}`, {
      method: send.method ?? method,
      headers: {
        ...signed,
        ...(sent === undefined ? {} : { "content-type": "application/json" }),
        ...send.headers,
      },
      ...(sent === undefined ? {} : { body: sent }),
    });
    return { status: response.status, body: (await response.json()) as Body };
  }

  async connect(protocol = "1"): Promise<void> {
    const url = `${this.#hub.hub.url}/api/link`;
    const headers = await signRequest(this.id, this.key, { method: "GET", url });
    const socket = new WebSocket(url.replace("http", "ws"), {
      headers: { ...headers, "x-ai-intercom-protocol": protocol },
    });
    this.closeCode = undefined;
    socket.onmessage = ({ data }) => this.#frame(socket, String(data));
    await new Promise<void>((resolve) => {
      socket.onopen = () => resolve();
      socket.onclose = ({ code }) => {
        if (this.#socket === socket) this.closeCode = code;
        for (const { reject } of this.#waiting.values()) reject(new Error(`link closed ${code}`));
        this.#waiting.clear();
        resolve();
      };
      this.#socket = socket;
    });
  }

  /** As a crash would: no close handshake. */
  cut(): void {
    this.#socket?.terminate();
  }

  close(): void {
    this.#socket?.close(1000);
  }

  raw(text: string): void {
    this.#socket?.send(text);
  }

  request<T = unknown>(op: string, payload: unknown): Promise<T> {
    const id = this.#nextId++;
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    this.#waiting.set(id, { resolve, reject });
    this.raw(JSON.stringify({ id, op, payload }));
    return promise as Promise<T>;
  }

  presence(...sessions: SessionReport[]): Promise<unknown> {
    const projects: Presence["projects"] = [];
    return this.request("presence", { sessions, projects });
  }

  /** `from`: `project@session` of this machine. */
  chat(
    from: string,
    to: string | undefined,
    message: string,
    more: Record<string, unknown> = {},
  ): Promise<ChatAnswer> {
    return this.request("route", routeInput(`${this.id}/${from}`, to, message, more));
  }

  receipt(
    session_id: string,
    message_id: string,
    state: string,
    at = new Date(),
  ): Promise<{ applied: number }> {
    return this.request("receipts", {
      receipts: [{ session_id, message_id, state, at: at.toISOString() }],
    });
  }

  async arrived(count: number): Promise<Deliver[]> {
    await waitFor(`${count} deliveries at ${this.id}`, () => this.received.length >= count, {
      detail: () => JSON.stringify(this.received),
    });
    return this.received;
  }

  texts(session?: string): string[] {
    return this.received
      .filter(({ session_id }) => session === undefined || session_id === session)
      .map(({ message }) => message.message);
  }

  #frame(socket: WebSocket, text: string): void {
    const frame = JSON.parse(text);
    if ("op" in frame && frame.op !== "deliver") {
      const send = (answer: object) => socket.send(JSON.stringify({ re: frame.id, ...answer }));
      Promise.try(() => this.answer(frame.op, frame.payload)).then(
        (result) => send({ ok: true, result }),
        (error: Error) => send({ ok: false, error: { code: "internal", message: error.message } }),
      );
      return;
    }
    if ("op" in frame) {
      const deliver = Deliver.parse(frame.payload);
      this.received.push(deliver);
      const status = this.verdict(deliver);
      if (status !== "silent") socket.send(JSON.stringify({ re: frame.id, ok: true, result: { status } }));
      return;
    }
    const waiting = this.#waiting.get(frame.re);
    this.#waiting.delete(frame.re);
    if (frame.ok) waiting?.resolve(frame.result);
    else waiting?.reject(Object.assign(new Error(frame.error.message), frame.error));
  }
}

export function routeInput(
  from_agent: string,
  to_agent: string | undefined,
  message: string,
  more: Record<string, unknown> = {},
) {
  const { type = "chat", ...payload } = more;
  const thread = "thread_id" in payload ? {} : { new_thread_id: newThreadId() };
  return {
    from_agent,
    to_agent,
    type,
    payload: { message, message_id: newMessageId(), ...thread, ...payload },
  };
}

/** `project@session` as a daemon reports it. */
export function session(text: string, more: Partial<SessionReport> = {}): SessionReport {
  const [project_id = "", session_id = ""] = text.split("@");
  return {
    session_id,
    project_id,
    agent: "claude",
    pid: 1,
    start: `test-${session_id}`,
    status: "idle",
    summary: "",
    registered_at: new Date().toISOString(),
    inbox_pending: 0,
    ...more,
  };
}

/** The error that a promise was rejected with. */
export async function refusal(
  promise: Promise<unknown>,
): Promise<{ code: string; message: string; hint?: string }> {
  const outcome = await promise.then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  );
  if ("value" in outcome) throw new Error(`expected a refusal, got ${JSON.stringify(outcome.value)}`);
  const { code = "", message = "", hint } = Object(outcome.error);
  return { code: String(code), message: String(message), hint };
}
