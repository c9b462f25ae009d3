// What `doctor` sees before it judges: configuration, daemon, hub, sessions. Every look ends in time, and what
// cannot be seen is a value.
import { existsSync } from "node:fs";
import { z } from "zod";
import { Checkup, PingAnswer, type SessionCheckup } from "../../protocol/checkup.ts";
import { IntercomError, toIntercomError } from "../../protocol/errors.ts";
import { DaemonHealth } from "../../protocol/local-api.ts";
import { type Config, defaultHubUrl, inspectConfig } from "../../system/config.ts";
import { type HomePaths, homePaths } from "../../system/paths.ts";
import { requestOverSocket } from "../../system/socket.ts";

/** ms for one look */
const lookTimeoutMs = 3_000;

type HubSeen =
  | { is: "hub"; at: string; version: string; skewMs: number | undefined; canWrite: boolean }
  /** `late`: something is there and says nothing */
  | { is: "away"; at: string; why: string; late: boolean }
  | { is: "foreign"; at: string };

/** `server`: what the session's MCP server says of itself; undefined where there is none to ask. */
export type SessionSeen = SessionCheckup & { server: PingAnswer | undefined };

export type Observed = {
  paths: HomePaths;
  config: { config: Config; file: string; present: boolean; unknown: string[] } | IntercomError;
  daemon: DaemonHealth | IntercomError;
  /** undefined: nobody can say where the hub is */
  hub: HubSeen | undefined;
  /** undefined: the daemon does not tell */
  sessions: SessionSeen[] | undefined;
};

export async function observe(): Promise<Observed> {
  const paths = homePaths();
  const config = readConfig();
  const daemon = await askHealth(paths);
  const away = daemon instanceof IntercomError;
  const [hub, sessions] = await Promise.all([
    lookForHub(paths, config, daemon),
    away ? undefined : askSessions(paths),
  ]);
  return { paths, config, daemon, hub, sessions };
}

async function askSessions(paths: HomePaths): Promise<SessionSeen[] | undefined> {
  try {
    const { sessions } = Checkup.parse(await ask(paths, "/api/checkup"));
    return await Promise.all(
      sessions.map(async (one) => ({ ...one, server: one.servers > 0 ? await ping(paths, one) : undefined })),
    );
  } catch {
    return undefined; // a daemon of an older version: its version is a finding of its own
  }
}

async function ping(paths: HomePaths, { session_id }: SessionCheckup): Promise<PingAnswer | undefined> {
  try {
    return PingAnswer.parse(await ask(paths, `/api/session/${session_id}/ping`, true));
  } catch {
    return undefined; // it ended meanwhile, or the daemon is older
  }
}

function readConfig(): Observed["config"] {
  try {
    return inspectConfig();
  } catch (error) {
    return toIntercomError(error);
  }
}

async function askHealth(paths: HomePaths): Promise<Observed["daemon"]> {
  try {
    return DaemonHealth.parse(await ask(paths, "/health"));
  } catch (error) {
    return toIntercomError(error);
  }
}

function ask(paths: HomePaths, path: string, post = false): Promise<unknown> {
  return requestOverSocket(paths.daemonSocket, "daemon_unreachable", {
    path,
    timeoutMs: lookTimeoutMs,
    ...(post ? { method: "POST", body: {} } : {}),
  });
}

/** Where the daemon dials; without a daemon this host's own hub, or what the configuration says. */
async function lookForHub(
  { hubSocket }: HomePaths,
  config: Observed["config"],
  daemon: Observed["daemon"],
): Promise<HubSeen | undefined> {
  if (!(daemon instanceof IntercomError)) return seeHub(daemon.hub_url);
  if (existsSync(hubSocket)) {
    const here = await seeHub("http://localhost", hubSocket);
    if (here.is !== "away" || here.late) return here;
  }
  return config instanceof IntercomError ? undefined : seeHub(config.config.hub.url ?? defaultHubUrl);
}

const Discovered = z.object({ hub: z.literal(true), version: z.string() });

async function seeHub(url: string, unix?: string): Promise<HubSeen> {
  const at = unix ?? url;
  const get = (path: string) =>
    fetch(new URL(path, url), {
      ...(unix === undefined ? {} : { unix }),
      signal: AbortSignal.timeout(lookTimeoutMs),
      redirect: "manual",
    });
  try {
    const before = Date.now();
    const response = await get("/api/discover");
    const asked = (before + Date.now()) / 2;
    const found = Discovered.safeParse(await response.json().catch(() => undefined));
    if (!found.success) return { is: "foreign", at };
    const ready = await get("/readyz");
    // a Date header is cut to the second: its middle is the best guess
    const told = Date.parse(response.headers.get("date") ?? "") + 500;
    const skewMs = Number.isNaN(told) ? undefined : told - asked;
    return { is: "hub", at, version: found.data.version, skewMs, canWrite: ready.ok };
  } catch (error) {
    const late = error instanceof Error && error.name === "TimeoutError";
    return {
      is: "away",
      at,
      late,
      why: late ? `no answer within ${lookTimeoutMs / 1000} s` : "nothing answers",
    };
  }
}
