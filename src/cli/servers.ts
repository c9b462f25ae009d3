// The hub and the daemon that run in this home: who they are, restarting them in place, waiting until they are well.
import { existsSync } from "node:fs";
import { IntercomError, toIntercomError } from "../protocol/errors.ts";
import { RestartAnswer } from "../protocol/local-api.ts";
import { homePaths } from "../system/paths.ts";
import { identify, isAlive, type ProcessIdentity } from "../system/process.ts";
import { delay } from "../system/wait.ts";
import { askServer, type Role } from "./access.ts";

/** One process; a standalone is both roles. */
export type Running = {
  roles: Role[];
  process: ProcessIdentity | undefined;
  facts: RestartAnswer;
};

/** What runs here and can take up another program. Throws when something runs that cannot, or that is not the person's to restart. */
export async function runningServers(): Promise<Running[]> {
  const { hubSocket, daemonSocket } = homePaths();
  const found: Running[] = [];
  for (const [role, socket] of [
    ["hub", hubSocket],
    ["daemon", daemonSocket],
  ] as const) {
    const facts = existsSync(socket) ? await factsOf(role) : undefined;
    if (!facts) continue;
    const same = found.find((one) => one.facts.pid === facts.pid);
    if (same) same.roles.push(role);
    else found.push({ roles: [role], process: identify(facts.pid), facts });
  }
  return found;
}

/** Tells a server to take up the program in its place; resolves when it is well again, or throws what it last was. */
export async function restart(server: Running, wanted: string, patienceMs: number): Promise<void> {
  const [role = "daemon"] = server.roles;
  await askServer(role, "/api/restart", { method: "POST" });
  await well(server, wanted, patienceMs);
}

/**
 * Resolves when every role of the server answers as version `wanted`, in another life than before. `isGone`: nobody
 * will answer any more.
 */
export async function well(
  server: Running,
  wanted: string,
  patienceMs: number,
  isGone = () => false,
): Promise<void> {
  const until = Date.now() + patienceMs;
  let last = "it did not answer";
  while (Date.now() < until && !isGone()) {
    const seen = await Promise.all(server.roles.map((role) => factsOf(role).catch(() => undefined)));
    const healthy = seen.every(
      (one) => one !== undefined && one.version === wanted && one.started_at !== server.facts.started_at,
    );
    if (healthy) return;
    const [first] = seen;
    last = first ? `version ${first.version} answers` : "it does not answer";
    if (server.process && !isAlive(server.process)) last = "its process has ended";
    await delay(100);
  }
  throw new IntercomError(
    "internal",
    `the ${server.roles.join(" and ")} ${server.roles.length > 1 ? "are" : "is"} not well after the restart: ${last}`,
  );
}

/** Ends a server that took up a program and hangs in it: exactly that process, politely first. */
export async function end(server: Running): Promise<void> {
  const { process: its } = server;
  for (const signal of ["SIGTERM", "SIGKILL"] as const) {
    if (!its || !isAlive(its)) return;
    process.kill(its.pid, signal);
    for (const until = Date.now() + 5_000; Date.now() < until && isAlive(its); ) await delay(50);
  }
}

async function factsOf(role: Role): Promise<RestartAnswer | undefined> {
  try {
    return RestartAnswer.parse(await askServer(role, "/api/restart", { timeoutMs: 5_000 }));
  } catch (thrown) {
    const error = toIntercomError(thrown);
    if (error.code === `${role}_unreachable`) return undefined;
    if (error.code !== "not_found") throw error;
    throw new IntercomError(
      "conflict",
      `the ${role} that runs here is of a version that cannot be upgraded in place`,
      {
        hint: `stop it, run this again, and start it`,
      },
    );
  }
}
