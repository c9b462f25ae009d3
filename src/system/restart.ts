// How a hub or a daemon is told to take up the program that now lies in its place: over its socket, by the person.
import { IntercomError } from "../protocol/errors.ts";
import type { RestartAnswer } from "../protocol/local-api.ts";
import { version } from "../protocol/version.ts";

export const startedAt = new Date().toISOString();

/** ms that the answer has to leave before the doors close */
const answerFirstMs = 50;

/** `GET` only says that it can be done; `POST` does it. `restart` is missing where nobody would start it again. */
export function answerRestart(method: string, restart: (() => void) | undefined): RestartAnswer {
  if (!restart)
    throw new IntercomError("conflict", "this process cannot restart itself", {
      hint: "stop it and start it again",
    });
  const facts = { pid: process.pid, version, started_at: startedAt };
  if (method === "GET") return { status: "can_restart", ...facts };
  setTimeout(restart, answerFirstMs);
  return { status: "restarting", ...facts };
}
