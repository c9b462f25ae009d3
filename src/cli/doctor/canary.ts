// The canary: one session's path from end to end, without a model, without mail, and without a word to the agent.
// A nonce goes to the hub and comes back down the link; the program that hooks run gets another from the daemon; the
// session's MCP server answers a ping and looks at the socket by which it would wake its agent.
import { existsSync } from "node:fs";
import { z } from "zod";
import { integrationOf } from "../../integrations/integration.ts";
import { CanaryAnswer, Checkup, PingAnswer, type SessionCheckup } from "../../protocol/checkup.ts";
import { IntercomError, toIntercomError } from "../../protocol/errors.ts";
import { randomHex } from "../../protocol/ids.ts";
import { version } from "../../protocol/version.ts";
import { homePaths } from "../../system/paths.ts";
import { ownProgram } from "../../system/program.ts";
import { askDaemon } from "../access.ts";
import { type Check, fail, ok, warn } from "./check.ts";
import { hooksOf } from "./sessions.ts";

const reconnect = "reconnect ai-intercom in that session (/mcp), or restart it";

/** Throws `unknown_session` or `daemon_unreachable`; whatever is found on the way is a check. */
export async function sendCanary(wanted: string): Promise<Check[]> {
  const session = await findSession(wanted);
  return [
    await timed(() => overTheLink(session)),
    await timed(() => marker(session)),
    await timed(() => hook(session)),
    ...(await server(session)),
  ];
}

/** A session id, `machine/project@session`, or `machine/project` where it has one session. */
async function findSession(wanted: string): Promise<SessionCheckup> {
  const sessions = await allSessions();
  const found = sessions.filter(
    ({ session_id, address }) =>
      wanted === session_id || wanted === address || wanted === address.slice(0, address.indexOf("@")),
  );
  const [session, ...more] = found;
  if (session && more.length === 0) return session;
  const choice = (more.length > 0 ? found : sessions).map(({ address }) => address);
  throw new IntercomError(
    "unknown_session",
    more.length > 0
      ? `"${wanted}" has ${found.length} sessions`
      : `this machine has no open session "${wanted}"`,
    { hint: choice.length > 0 ? `one of: ${choice.join(", ")}` : "start an agent in a project first" },
  );
}

async function allSessions(): Promise<SessionCheckup[]> {
  try {
    return Checkup.parse(await askDaemon("/api/checkup")).sessions;
  } catch (error) {
    if (!(error instanceof IntercomError) || error.code !== "not_found") throw error;
    throw new IntercomError("not_found", "the daemon is of an older version and knows no canary", {
      hint: "stop the daemon and start it again",
    });
  }
}

async function overTheLink({ session_id }: SessionCheckup): Promise<Check> {
  try {
    const { status } = CanaryAnswer.parse(await askDaemon(`/api/session/${session_id}/canary`, {}));
    if (status === "open") return ok("canary_link", "daemon → hub → link → daemon: the session is open");
    return fail("canary_link_failed", "the session ended meanwhile", "ai-intercom agents");
  } catch (thrown) {
    const error = toIntercomError(thrown);
    return fail("canary_link_failed", error.message, error.hint ?? "ai-intercom doctor");
  }
}

/** What the guard of the installed hooks tests. It may be there in vain; it may not be missing while mail waits. */
async function marker({ session_id, pid, unread: before }: SessionCheckup): Promise<Check> {
  const path = `${homePaths().pending}/${pid}`;
  const there = existsSync(path);
  const now = (await allSessions()).find((one) => one.session_id === session_id);
  if (!there && before > 0 && (now?.unread ?? 0) > 0)
    return fail(
      "canary_marker_wrong",
      `${now?.unread} unread, but there is no ${path}: hooks stay silent`,
      "stop the daemon and start it again",
    );
  const meaning = there ? `is there (${now?.unread ?? 0} unread)` : "is not there, nothing is unread";
  return ok("canary_marker", `${path} ${meaning}`);
}

/** That hooks would get it, and that the session has any: where none was ever seen, nothing runs the program. */
async function hook(session: SessionCheckup): Promise<Check> {
  const found = await checkInbox(session);
  if (found.state !== "ok") return found;
  const hooks = hooksOf(session);
  switch (hooks) {
    case "seen":
      return found;
    case "none":
      return ok("canary_hook", `${found.text}; this agent has no hooks and reads by intercom_check_inbox`);
    case "awaited":
      return warn(
        "canary_hook_unseen",
        "no hook of this session was seen yet; it has just started",
        "ask again in some seconds",
      );
    case "missing":
      return fail(
        "canary_hook_unseen",
        "no hook of this session was ever seen; it reads only by intercom_check_inbox",
        `ai-intercom install ${session.agent}, then restart that session`,
      );
    default:
      return hooks satisfies never;
  }
}

/** The very program that hooks run, which waits 500 ms for the daemon; its output ends here. */
async function checkInbox({ pid }: SessionCheckup): Promise<Check> {
  const nonce = randomHex(16);
  const child = Bun.spawn([...ownProgram(), "check-inbox", "--canary", nonce, "--agent", String(pid)], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [out, err] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  if (out.trim() === `ai-intercom canary ${nonce}`)
    return ok("canary_hook", `check-inbox → daemon → check-inbox for process ${pid}`);
  return fail(
    "canary_hook_failed",
    `check-inbox got no canary: ${hookError(err) || "an empty answer"}`,
    "stop the daemon and start it again; then: ai-intercom doctor",
  );
}

const ErrorAnswer = z.object({ error: z.object({ message: z.string() }) });

function hookError(text: string): string {
  try {
    return ErrorAnswer.parse(JSON.parse(text)).error.message;
  } catch {
    return text.trim();
  }
}

async function server({ session_id, agent }: SessionCheckup): Promise<Check[]> {
  const started = performance.now();
  const answer = await ping(session_id);
  const ms = elapsed(started);
  if (answer instanceof IntercomError)
    return [{ ...fail("canary_server_silent", answer.message, "stop the daemon and start it again"), ms }];
  switch (answer.status) {
    case "no_server":
      return [{ ...fail("canary_server_gone", "no MCP server of the session is connected", reconnect), ms }];
    case "no_answer":
      return [
        {
          ...fail(
            "canary_server_silent",
            "the MCP server is connected and did not answer; it hangs or is of an older version",
            reconnect,
          ),
          ms,
        },
      ];
    case "pong":
      return [{ ...serverVersion(answer.version), ms }, wakeCheck(answer.wake, agent)];
    default:
      return answer satisfies never;
  }
}

async function ping(session: string): Promise<PingAnswer | IntercomError> {
  try {
    return PingAnswer.parse(await askDaemon(`/api/session/${session}/ping`, {}));
  } catch (error) {
    return toIntercomError(error);
  }
}

function serverVersion(its: string): Check {
  if (its === version) return ok("canary_server", `the MCP server answers, version ${its}`);
  return warn("canary_server_version", `the MCP server is ${its}, this program ${version}`, reconnect);
}

function wakeCheck(wake: Extract<PingAnswer, { status: "pong" }>["wake"], agent: string): Check {
  const { displayName, wakeState } = integrationOf(agent);
  switch (wake) {
    case "ready":
      return ok("canary_wake", "the agent's messaging socket is there and ours: it is woken when idle");
    case "hook":
      return ok("canary_wake", "the agent has no messaging socket; a hook that waits wakes it when idle");
    case "missing":
    case "foreign":
      return warn(
        "canary_wake_missing",
        `the agent's messaging socket is ${wake === "missing" ? "gone" : "not a socket of this user"}: it is not woken when idle`,
        "restart that session",
      );
    case "none":
      if (wakeState === undefined)
        return ok("canary_wake", "this agent has no messaging socket; it reads by intercom_check_inbox");
      return warn(
        "canary_wake_missing",
        "the agent offers no messaging socket: it is not woken when idle",
        `update ${displayName}, then restart that session`,
      );
    default:
      return wake satisfies never;
  }
}

async function timed(step: () => Promise<Check>): Promise<Check> {
  const started = performance.now();
  const check = await step();
  return { ...check, ms: elapsed(started) };
}

/** ms with one decimal */
const elapsed = (started: number): number => Math.round((performance.now() - started) * 10) / 10;
