// How a command reaches the facts and the person's powers: the hub's own socket on the hub's host, else this
// machine's daemon, which asks the hub for us (as the person who logged in there).
import { existsSync } from "node:fs";
import { IntercomError } from "../protocol/errors.ts";
import { pidHeaders } from "../protocol/hook.ts";
import { type HubInput, type HubOperation, hubRoutes } from "../protocol/hub-api.ts";
import { missionOfMark, missionRunVariable } from "../protocol/mission.ts";
import { homePaths } from "../system/paths.ts";
import { isLate, openOverSocket, requestOverSocket, type SocketRequest } from "../system/socket.ts";

/** ms a command waits, once: a daemon that asks a silent hub says so after 4 s */
const timeoutMs = 5_000;
/** ms for an act for which the hub first asks another machine, twice 5 s at most */
const slowActTimeoutMs = 12_000;
const slowActs: ReadonlySet<HubOperation> = new Set<HubOperation>([
  "approval_decide",
  "mission_cancel",
  "machine_upgrade",
  "machine_upgrade_state",
]);

const asker = () => ({ [pidHeaders.asker]: String(process.pid) });

type FactOperation =
  | "agents"
  | "machines"
  | "thread"
  | "message"
  | "missions"
  | "mission"
  | "mission_history";

/** Facts of the hub: at the hub's host directly, elsewhere through the daemon. */
export async function askFacts<O extends FactOperation>(op: O, input: HubInput<O>): Promise<unknown> {
  const request = requestOf(op, input);
  const { hubSocket, daemonSocket } = homePaths();
  if (existsSync(hubSocket)) {
    try {
      return await requestOverSocket(hubSocket, "hub_unreachable", {
        ...request,
        headers: asker(),
        timeoutMs,
      });
    } catch (error) {
      // a hub that hangs says no more through the daemon
      if (isLate(error)) throw error;
      // an agent's child may read what its agent may: the daemon knows which that is
      const elsewhere =
        error instanceof IntercomError && (error.code === "hub_unreachable" || error.code === "person_only");
      if (!elsewhere || !existsSync(daemonSocket)) throw error;
    }
  }
  return askDaemon(request.path);
}

/** A person's act: on the hub's own host, elsewhere by the login on this machine. */
export async function actAsPerson<O extends HubOperation>(op: O, input: HubInput<O>): Promise<unknown> {
  refuseMissions();
  const asksMachine = slowActs.has(op) || ("type" in input && input.type !== "chat");
  const actTimeoutMs = asksMachine ? slowActTimeoutMs : timeoutMs;
  if (isHubHost()) {
    const request = { ...requestOf(op, input), headers: asker(), timeoutMs: actTimeoutMs };
    return requestOverSocket(homePaths().hubSocket, "hub_unreachable", request);
  }
  if (existsSync(homePaths().daemonSocket)) return askDaemon(`/api/person/${op}`, input, actTimeoutMs);
  throw new IntercomError("hub_unreachable", "no hub runs in this home");
}

/** The hub's event stream, on its own host only. */
export async function streamEvents(signal: AbortSignal): Promise<Response> {
  refuseMissions();
  const { hubSocket, daemonSocket } = homePaths();
  if (isHubHost())
    return openOverSocket(
      hubSocket,
      "hub_unreachable",
      { path: "/api/events", headers: asker(), timeoutMs },
      signal,
    );
  if (existsSync(daemonSocket))
    throw new IntercomError("person_only", "events are shown on the hub's own host only", {
      hint: "run it there; here: ai-intercom missions, ai-intercom approvals, ai-intercom inbox --unread",
    });
  throw new IntercomError("hub_unreachable", "no hub runs in this home");
}

/** This machine's daemon. */
export async function askDaemon(path: string, body?: unknown, patienceMs = timeoutMs): Promise<unknown> {
  return requestOverSocket(homePaths().daemonSocket, "daemon_unreachable", {
    path,
    body,
    headers: asker(),
    timeoutMs: patienceMs,
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

/** Whether the hub, or the daemon, of this home answers. */
export async function isServed(role: Role): Promise<boolean> {
  return askServer(role, role === "hub" ? "/livez" : "/health").then(
    () => true,
    () => false,
  );
}

export function isHubHost(): boolean {
  return existsSync(homePaths().hubSocket);
}

/** The hub and the daemon look at the processes; this says it where those cannot be looked into. */
function refuseMissions(): void {
  const mission = missionOfMark(process.env[missionRunVariable]);
  if (mission) throw new IntercomError("person_only", `this command was started by mission ${mission}`);
}

/** The HTTP form of an operation. */
function requestOf<O extends HubOperation>(op: O, input: HubInput<O>): SocketRequest {
  const fields = new Map(Object.entries(input).filter(([, value]) => value !== undefined));
  const fixedFits = (fixed: Record<string, string> = {}) =>
    Object.entries(fixed).every(([key, value]) => fields.get(key) === value);
  const route = hubRoutes.find((one) => one.op === op && fixedFits(one.fixed));
  if (!route) throw new IntercomError("internal", `there is no route for ${op}`);
  for (const key of Object.keys(route.fixed ?? {})) fields.delete(key);
  const path = route.path.replace(":id", () => {
    const id = String(fields.get("id"));
    fields.delete("id");
    return encodeURIComponent(id);
  });
  if (route.method === "POST") return { method: "POST", path, body: Object.fromEntries(fields) };
  const query = new URLSearchParams(
    [...fields].map(([key, value]): [string, string] => [key, String(value)]),
  );
  return { method: "GET", path: query.size > 0 ? `${path}?${query}` : path };
}
