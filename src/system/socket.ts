// HTTP over a Unix socket: asking one, and making sure a path is free for serving one.
import { lstatSync } from "node:fs";
import { type ErrorCode, errorFromBody, IntercomError } from "../protocol/errors.ts";
import { isErrno, unlinkIfPresent } from "./files.ts";

/** what every platform takes: `sun_path` has 104 bytes on macOS, 108 on Linux, the last is a zero */
export const socketPathBytes = 103;

export type SocketRequest = {
  method?: "GET" | "POST";
  path: string;
  body?: unknown;
  headers?: Record<string, string>;
  /** ms until the answer must be there; default 10 s */
  timeoutMs?: number;
};

/** JSON in, JSON out. Throws the error the other side answered, or `unreachable` when nobody answers. */
export async function requestOverSocket(
  socket: string,
  unreachable: Extract<ErrorCode, "daemon_unreachable" | "hub_unreachable">,
  request: SocketRequest,
): Promise<unknown> {
  const response = await openOverSocket(socket, unreachable, request);
  const body: unknown = await response.json().catch(() => undefined);
  if (response.ok) return body;
  throw errorFromBody(body) ?? new IntercomError("internal", `${request.path} answered ${response.status}`);
}

/** The same, but hands over the response itself; with a `signal`, a stream that only its headers have a deadline for. */
export async function openOverSocket(
  socket: string,
  unreachable: Extract<ErrorCode, "daemon_unreachable" | "hub_unreachable">,
  { method, path, body, headers, timeoutMs = 10_000 }: SocketRequest,
  signal?: AbortSignal,
): Promise<Response> {
  const deadline = deadlineFor(timeoutMs, signal);
  try {
    return await fetch(`http://localhost${path}`, {
      unix: socket,
      method: method ?? (body === undefined ? "GET" : "POST"),
      headers: { ...(body === undefined ? {} : { "content-type": "application/json" }), ...headers },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: deadline.signal,
    });
  } catch (cause) {
    const who = unreachable === "daemon_unreachable" ? "the daemon" : "the hub";
    if (!isTimeout(cause))
      throw new IntercomError(unreachable, `${who} does not answer at ${socket}`, { cause });
    throw new IntercomError(unreachable, `${who} did not answer within ${timeoutMs / 1000} s`, {
      hint: "it is there and says nothing; what to do: ai-intercom doctor",
      cause,
    });
  } finally {
    deadline.opened();
  }
}

/** Somebody is there and said nothing in time: what was asked may still be done. */
export function isLate(error: unknown): error is IntercomError {
  return error instanceof IntercomError && isTimeout(error.cause);
}

/** Nobody was there to take it; after any other failure what was asked may be done, or be done yet. */
const notTaken = ["ENOENT", "ECONNREFUSED", "FailedToOpenSocket", "ConnectionRefused"];

/** The other side may have taken the request: it was there, and its answer did not come. */
export function isUncertain(error: unknown): error is IntercomError {
  if (!(error instanceof IntercomError) || !(error.cause instanceof Error)) return false;
  return !notTaken.some((code) => isErrno(error.cause, code));
}

function isTimeout(error: unknown): boolean {
  return error instanceof Error && error.name === "TimeoutError";
}

function deadlineFor(ms: number, stream: AbortSignal | undefined): { signal: AbortSignal; opened(): void } {
  if (!stream) return { signal: AbortSignal.timeout(ms), opened: () => {} };
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(new DOMException("no answer in time", "TimeoutError")), ms);
  return { signal: AbortSignal.any([stream, late.signal]), opened: () => clearTimeout(timer) };
}

/** The lines of a stream, without empty ones: those only keep it alive. */
export async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const part of stream) {
    const lines = (rest + decoder.decode(part, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) if (line !== "") yield line;
  }
}

/**
 * For `Bun.serve` on a Unix socket: Bun cuts a request that is silent for 10 s, event streams too, and
 * `server.timeout` does nothing there. Its types leave the setting out for sockets; the runtime honours it.
 */
export const neverIdle: object = { idleTimeout: 0 };

/** Makes `path` free to bind: a dead process's leftover is removed, a living server or a foreign file is refused. */
export async function freeSocketPath(path: string, role: string): Promise<void> {
  if (Buffer.byteLength(path) > socketPathBytes)
    throw new IntercomError(
      "bad_config",
      `${path} is too long for a Unix socket (${Buffer.byteLength(path)} bytes; at most ${socketPathBytes})`,
      {
        hint: "choose a shorter home with AI_INTERCOM_HOME",
      },
    );
  let stat: ReturnType<typeof lstatSync>;
  try {
    stat = lstatSync(path);
  } catch (error) {
    if (isErrno(error, "ENOENT")) return;
    throw error;
  }
  if (!stat.isSocket() || stat.uid !== process.getuid?.())
    throw new IntercomError("unsafe_file", `${path} is not a socket of this user`, {
      hint: `look at it and move it away: ls -l ${path}`,
    });
  if (await answers(path))
    throw new IntercomError("conflict", `another ${role} already serves ${path}`, {
      hint: "stop it first, or choose another home with AI_INTERCOM_HOME",
    });
  unlinkIfPresent(path);
}

/** Whether a process listens there. Asks the kernel alone: a time limit would run out on a machine that is busy. */
async function answers(path: string): Promise<boolean> {
  try {
    const socket = await Bun.connect({ unix: path, socket: { data: () => {} } });
    socket.terminate();
    return true;
  } catch (error) {
    return !isErrno(error, "ECONNREFUSED") && !isErrno(error, "ENOENT");
  }
}
