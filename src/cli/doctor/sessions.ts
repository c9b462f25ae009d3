// Each open session: whether its hooks were seen, whether it can be woken, what waits for it and why.
import { integrationOf } from "../../integrations/integration.ts";
import { firstHookMs, type SessionCheckup } from "../../protocol/checkup.ts";
import { IntercomError } from "../../protocol/errors.ts";
import { version } from "../../protocol/version.ts";
import { type Check, ok, warn } from "./check.ts";
import type { Observed, SessionSeen } from "./observed.ts";

/** ms after its daemon's start in which an MCP server registers again; it tries every 3 s at the latest */
const reconnectMs = 10_000;
/** rings without an answer after which the agent counts as deaf */
const deafAfterRings = 3;

const reconnect = "reconnect ai-intercom in that session (/mcp), or restart it";

export function checkSessions({ sessions, daemon }: Observed): Check[] {
  const startedAt = daemon instanceof IntercomError ? undefined : daemon.started_at;
  const isFresh = startedAt !== undefined && isWithin(reconnectMs, startedAt);
  return (sessions ?? []).flatMap((session) => checkSession(session, isFresh));
}

/** `awaited`: it has just started; `none`: an agent that we do not know by name, a script's session for instance */
export function hooksOf(session: SessionCheckup): "seen" | "awaited" | "missing" | "none" {
  if (session.hooks_seen) return "seen";
  if (!isKnown(session.agent)) return "none";
  return isSettling(session) ? "awaited" : "missing";
}

/** `isFresh`: the daemon has just started, and its sessions' MCP servers may not be back yet. */
function checkSession(session: SessionSeen, isFresh: boolean): Check[] {
  const problems = [noHooks, ...(isFresh ? [] : [noServer]), serverSays, notWoken, mailWaits].map((look) =>
    look(session),
  );
  const found = problems.filter((check) => check !== undefined);
  return found.length > 0 ? found : [ok("session", `${session.address}: ${describe(session)}`)];
}

function describe({ agent, status, hooks_seen, wake, unread, rings, server }: SessionSeen): string {
  const parts = [
    agent,
    status,
    hooks_seen ? "hooks seen" : "reads by intercom_check_inbox",
    ...(server?.status === "pong" ? [`MCP server ${server.version}`] : []),
    { socket: "woken by its socket", hook: "woken by a hook that waits", none: "not woken" }[wake],
    unread === 0 ? "no unread mail" : `${unread} unread, on their way`,
  ];
  return [...parts, ...(rings > 0 ? [`rung ${rings} times`] : [])].join(", ");
}

/** An agent that we know by name has hooks and a server of ours; a script's session has neither. */
function isKnown(agent: string): boolean {
  return integrationOf(agent).supportsHook("SessionStart");
}

function isSettling({ registered_at }: SessionCheckup): boolean {
  return isWithin(firstHookMs, registered_at);
}

function isWithin(ms: number, at: string): boolean {
  return Date.now() - Date.parse(at) < ms;
}

function noHooks(session: SessionSeen): Check | undefined {
  const { address, agent } = session;
  if (hooksOf(session) !== "missing") return undefined;
  return warn(
    "session_no_hooks",
    `${address}: no hook of it was ever seen; it reads only by intercom_check_inbox`,
    `ai-intercom install ${agent}, then restart that session`,
  );
}

function noServer(session: SessionSeen): Check | undefined {
  const { address, agent, servers } = session;
  if (servers > 0 || !isKnown(agent) || isSettling(session)) return undefined;
  return warn(
    "session_no_server",
    `${address}: its MCP server is gone; it has no tools and cannot be woken`,
    reconnect,
  );
}

function serverSays({ address, server }: SessionSeen): Check | undefined {
  if (server?.status === "no_answer")
    return warn(
      "session_server_silent",
      `${address}: its MCP server is connected and does not answer`,
      reconnect,
    );
  if (server?.status !== "pong" || server.version === version) return undefined;
  return warn(
    "session_server_version",
    `${address}: its MCP server is ${server.version}, this program ${version}`,
    `it works on; for what is new: ${reconnect}`,
  );
}

function notWoken(session: SessionSeen): Check | undefined {
  const { address, agent, servers, wake, server } = session;
  const so =
    hooksOf(session) === "missing" ? "" : "; when idle, its mail waits for its next prompt or tool call";
  if (server?.status === "pong" && (server.wake === "missing" || server.wake === "foreign"))
    return warn(
      "session_not_woken",
      `${address}: its messaging socket is ${server.wake === "missing" ? "gone" : "not a socket of this user"}${so}`,
      "restart that session",
    );
  if (wake !== "none" || servers === 0 || integrationOf(agent).wakeState === undefined) return undefined;
  return warn(
    "session_not_woken",
    `${address}: offers no messaging socket${so}`,
    `update ${integrationOf(agent).displayName}, then restart that session`,
  );
}

function mailWaits(session: SessionSeen): Check | undefined {
  const { address, agent, session_id, status, unread, waits, rings } = session;
  if (waits === undefined) return undefined;
  const text = `${address}: ${unread} unread: ${waits}`;
  if (/\bdis[kq]/.test(waits))
    return warn("session_mail_waits", text, "free some space, or mount the disk writable: df -h");
  if (hooksOf(session) === "missing")
    return warn(
      "session_mail_waits",
      text,
      `let its agent call intercom_check_inbox; for hooks: ai-intercom install ${agent}, restart that session`,
    );
  if (status === "waiting")
    return warn("session_mail_waits", text, "answer the dialog that is open in that session");
  if (rings >= deafAfterRings)
    return warn(
      "session_mail_waits",
      text,
      `ai-intercom install ${agent}, restart that session; ai-intercom doctor --canary ${session_id} tells more`,
    );
  return warn(
    "session_mail_waits",
    text,
    "write a prompt in that session, or let it call intercom_check_inbox",
  );
}
