// How a command reaches the facts and the person's powers: the hub's own socket on the hub's host, else this
// machine's daemon, which asks the hub for us.
import { existsSync } from "node:fs";
import { IntercomError } from "../protocol/errors.ts";
import { pidHeaders } from "../protocol/hook.ts";
import { homePaths } from "../system/paths.ts";
import { isLate, openOverSocket, requestOverSocket } from "../system/socket.ts";

/** ms a command waits, once: a daemon that asks a silent hub says so after 4 s */
const timeoutMs = 5_000;

const asker = () => ({ [pidHeaders.asker]: String(process.pid) });

/** Facts of the hub (`GET`): at the hub's host directly, elsewhere through the daemon. */
export async function askFacts(path: string): Promise<unknown> {
  const { hubSocket } = homePaths();
  if (existsSync(hubSocket)) {
    try {
      return await requestOverSocket(hubSocket, "hub_unreachable", { path, headers: asker(), timeoutMs });
    } catch (error) {
      // a hub that hangs says no more through the daemon
      if (isLate(error)) throw error;
      // an agent's child may read what its agent may: the daemon knows which that is
      const elsewhere =
        error instanceof IntercomError && (error.code === "hub_unreachable" || error.code === "person_only");
      if (!elsewhere || !existsSync(homePaths().daemonSocket)) throw error;
    }
  }
  return askDaemon(path);
}

/** A person's act, on the hub's own host only. */
export async function actAsPerson(path: string, body?: unknown): Promise<unknown> {
  return requestOverSocket(hubSocketOrThrow(), "hub_unreachable", {
    path,
    body,
    headers: asker(),
    timeoutMs,
  });
}

export async function streamAsPerson(path: string, signal: AbortSignal): Promise<Response> {
  return openOverSocket(hubSocketOrThrow(), "hub_unreachable", { path, headers: asker(), timeoutMs }, signal);
}

/** This machine's daemon. */
export async function askDaemon(path: string, body?: unknown): Promise<unknown> {
  return requestOverSocket(homePaths().daemonSocket, "daemon_unreachable", {
    path,
    body,
    headers: asker(),
    timeoutMs,
  });
}

export type Role = "hub" | "daemon";

/** The hub or the daemon of this home, as `doctor` and `self-upgrade` meet them: by their own sockets. */
export async function askServer(
  role: Role,
  path: string,
  options: { method?: "GET" | "POST"; timeoutMs?: number } = {},
): Promise<unknown> {
  const { hubSocket, daemonSocket } = homePaths();
  return role === "hub"
    ? requestOverSocket(hubSocket, "hub_unreachable", { path, headers: asker(), ...options })
    : requestOverSocket(daemonSocket, "daemon_unreachable", { path, headers: asker(), ...options });
}

function hubSocketOrThrow(): string {
  const { hubSocket, daemonSocket } = homePaths();
  if (existsSync(hubSocket)) return hubSocket;
  if (existsSync(daemonSocket))
    throw new IntercomError(
      "person_only",
      "this machine is not the hub's host; a person's acts are done at the hub",
      { hint: "run this command on the machine where the hub runs" },
    );
  throw new IntercomError("hub_unreachable", "no hub runs in this home");
}
