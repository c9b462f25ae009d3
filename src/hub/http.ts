// HTTP in the small: JSON answers, errors, and request bodies with a limit.
import { IntercomError, toIntercomError } from "../protocol/errors.ts";
import { log } from "../system/log.ts";

/** bytes of a request body */
const maxBodyBytes = 1024 * 1024;

export function json(value: unknown, status = 200): Response {
  return Response.json(value, { status, headers: { "cache-control": "no-store" } });
}

/** over TCP asks a program of somebody's own, to which our commands' help says nothing; the socket is our commands' */
const requestHint = "the routes and what they take stand in docs/architecture.md (The hub's HTTP)";

/** The one place where an error becomes HTTP. */
export function errorResponse(thrown: unknown, door: "tcp" | "socket"): Response {
  const error = toIntercomError(thrown);
  if (error.code === "internal") log.error("a request failed", { error });
  if (door === "socket" || error.code !== "bad_request" || error.hasOwnHint)
    return json(error.body(), error.httpStatus);
  return json({ error: { ...error.body().error, hint: requestHint } }, error.httpStatus);
}

/** The whole body, or `message_too_large` as soon as it is longer than allowed. */
export async function readBody(request: Request): Promise<Uint8Array> {
  const declared = Number(request.headers.get("content-length") ?? 0);
  if (declared > maxBodyBytes) throw tooLarge();
  if (!request.body) return new Uint8Array();
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of request.body) {
    length += part.length;
    if (length > maxBodyBytes) throw tooLarge();
    parts.push(part);
  }
  return Buffer.concat(parts);
}

/** A JSON object; an empty body is an empty one. */
export function readJson(request: Request, body: Uint8Array): Record<string, unknown> {
  if (body.length === 0) return {};
  const type = request.headers.get("content-type")?.split(";")[0]?.trim().toLowerCase();
  if (type !== "application/json")
    throw new IntercomError("bad_media_type", `a body of type ${type || "(none)"} is not read`);
  const value = parse(body);
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw new IntercomError("bad_request", "the body is not a JSON object");
  return { ...value };
}

function parse(body: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(body));
  } catch (cause) {
    throw new IntercomError("bad_request", "the body is not JSON in UTF-8", { cause });
  }
}

function tooLarge(): IntercomError {
  return new IntercomError("message_too_large", `a request body has at most ${maxBodyBytes} bytes`);
}
