// The daemon's door for this user's processes: HTTP over the Unix socket. Routes and shapes; the work is done by
// the parts behind it. Bad input is refused before anything changes.

import type { z } from "zod";
import { framedToolMessages } from "../inbox/framing.ts";
import { Pong } from "../protocol/checkup.ts";
import { IntercomError, toIntercomError } from "../protocol/errors.ts";
import { pidHeaders } from "../protocol/hook.ts";
import { readInput } from "../protocol/input.ts";
import {
  ConfirmClaim,
  type DaemonHealth,
  DeliverLocally,
  LoginHere,
  RegisterSession,
  type RestartAnswer,
  ToolCall,
  UnregisterSession,
} from "../protocol/local-api.ts";
import { findRoute, type RoutePattern } from "../protocol/routes.ts";
import { answerRestart } from "../system/restart.ts";
import { freeSocketPath, neverIdle } from "../system/socket.ts";
import type { Arrivals } from "./arrivals.ts";
import type { Checkups } from "./checkup.ts";
import { askerOf, type Deliveries } from "./delivery.ts";
import type { Hooks } from "./hook.ts";
import type { Permissions } from "./permissions.ts";
import type { Person } from "./person.ts";
import type { SessionEvents } from "./session-events.ts";
import { localSession } from "./session-view.ts";
import type { Session, Sessions } from "./sessions.ts";
import type { ToolCalls } from "./tool-calls.ts";

export type LocalApiParts = {
  socket: string;
  sessions: Sessions;
  arrivals: Arrivals;
  deliveries: Deliveries;
  hooks: Hooks;
  toolCalls: ToolCalls;
  events: SessionEvents;
  checkups: Checkups;
  person: Person;
  permissions: Permissions;
  health: () => DaemonHealth;
  /** re-reads hub.url and dials anew */
  reconnect: () => void;
  restart?: () => void;
};

type Handler = (
  request: Request,
  params: Record<string, string>,
  query: URLSearchParams,
) => Promise<unknown> | unknown;

type Route = RoutePattern & { handler: Handler };

/** bytes; a hook is handed whole tool results, pictures too. Messages have their own limit, with their own error */
const maxBodyBytes = 64 * 1024 * 1024;

const shapesHint = "the shapes stand in docs/architecture.md (The local API)";

export async function serveLocalApi(parts: LocalApiParts): Promise<{ stop(): Promise<void> }> {
  await freeSocketPath(parts.socket, "daemon");
  const routes = Object.entries(routesOf(parts)).map(([name, handler]): Route => {
    const [method = "", path = ""] = name.split(" ");
    return { method, path, handler };
  });
  const server = Bun.serve({
    ...neverIdle,
    unix: parts.socket,
    maxRequestBodySize: maxBodyBytes,
    async fetch(request) {
      try {
        const answer = await dispatch(routes, request);
        return answer instanceof Response ? answer : Response.json(answer);
      } catch (thrown) {
        const error = toIntercomError(thrown);
        return Response.json(error.body(), { status: error.httpStatus });
      }
    },
  });
  return { stop: () => server.stop(true) };
}

function routesOf(parts: LocalApiParts): Record<string, Handler> {
  const { sessions, arrivals, deliveries, hooks, toolCalls, person } = parts;
  const open = (id: string | undefined): Session => {
    const session = id === undefined ? undefined : sessions.get(id);
    if (!session)
      throw new IntercomError("unknown_session", `there is no open session "${id}"`, {
        hint: "GET /api/sessions lists them",
      });
    return session;
  };
  // the same paths as at the hub; an agent's child reads what its agent may read, whatever tool it uses
  const fact =
    (op: Parameters<Person["fact"]>[0]): Handler =>
    (request, params, query) =>
      // boundary: the hub checks it against the operation's schema
      person.fact(op, { ...Object.fromEntries(query), ...params } as never, asker(request));
  return {
    "GET /health": () => parts.health(),
    "POST /api/link/reconnect": () => {
      parts.reconnect();
      return { status: "connecting" };
    },
    "GET /api/restart": (request) => restart(parts, request),
    "POST /api/restart": (request) => restart(parts, request),
    "POST /api/session/register": async (request) => {
      const session = sessions.register(await body(request, RegisterSession));
      const { session_id } = session.stored;
      return {
        status: "registered",
        session_id,
        inbox_path: session.inbox.path,
        address: toolCalls.addressOf(session),
      };
    },
    "POST /api/session/unregister": async (request) => {
      const { session_id } = await body(request, UnregisterSession);
      sessions.end(open(session_id));
      return { status: "unregistered", session_id };
    },
    "GET /api/sessions": () => ({ sessions: sessions.all().map(localSession) }),
    "GET /api/session/:id/status": (_, { id }) => localSession(open(id)),
    "GET /api/session/:id/events": (request, { id }) => parts.events.stream(open(id), request.signal),
    "POST /api/session/deliver": async (request) => {
      const given = await body(request, DeliverLocally);
      const session = recipient(sessions, given);
      if (!session) return Response.json({ status: "no_active_session" }, { status: 404 });
      arrivals.deliverLocally(session, given);
      return { status: "delivered", session_id: session.stored.session_id };
    },
    "GET /api/checkup": () => ({ sessions: parts.checkups.all() }),
    "POST /api/session/:id/ping": (_, { id }) => parts.checkups.ping(open(id)),
    "POST /api/session/pong": async (request) => {
      parts.checkups.pong(await body(request, Pong));
      return { status: "heard" };
    },
    "POST /api/session/:id/canary": (_, { id }) => parts.checkups.overTheLink(open(id)),
    "POST /api/hook": async (request, _, query) => {
      const canary = query.get("canary");
      if (canary !== null)
        return new Response(parts.checkups.hook(pidHeader(request, pidHeaders.agent), canary));
      const caller = {
        agentPid: pidHeader(request, pidHeaders.agent),
        askerPid: pidHeader(request, pidHeaders.asker),
        session: query.get("session") ?? undefined,
      };
      const text = await hooks.answer(await request.text(), { ...caller, signal: request.signal });
      return new Response(text);
    },
    "POST /api/permission": async (request) => {
      const agent = pidHeader(request, pidHeaders.agent);
      return new Response(await parts.permissions.answer(await request.text(), agent, request.signal));
    },
    "POST /api/inbox/claim": async (request, _, query) =>
      claimForScript(parts, request, query.get("session")),
    "POST /api/claim/confirm": async (request) => {
      const { session_id, nonce } = await body(request, ConfirmClaim);
      deliveries.confirmPrinted(open(session_id), nonce);
      return { status: "confirmed" };
    },
    "GET /api/inbox": (request, _, query) => ({
      messages: sessions
        .forReader(pidHeader(request, pidHeaders.asker), query.get("session") ?? undefined)
        .inbox.records(),
    }),
    "POST /api/tool/:name": async (request, { name = "" }) =>
      toolCalls.call(name, await body(request, ToolCall), pidHeader(request, pidHeaders.asker)),
    "GET /api/agents": (_, __, query) => person.listing("agents", Object.fromEntries(query)),
    "GET /api/machines": () => person.listing("machines", {}),
    "GET /api/threads/:id": fact("thread"),
    "GET /api/messages/:id": fact("message"),
    "GET /api/missions": fact("missions"),
    "GET /api/missions/:id": fact("mission"),
    "GET /api/missions/:id/history": fact("mission_history"),
    "POST /api/person/:op": async (request, { op = "" }) =>
      person.act(op, await request.json().catch(() => undefined), asker(request)),
    "POST /api/login": async (request) => person.login(await body(request, LoginHere), asker(request)),
    "POST /api/logout": (request) => person.logout(asker(request)),
  };
}

/** A person's act: an agent's child may not swap what every session here depends on. */
function restart({ sessions, restart }: LocalApiParts, request: Request): RestartAnswer {
  if (sessions.amongAncestors(pidHeader(request, pidHeaders.asker)))
    throw new IntercomError("person_only", "only a person may restart or upgrade ai-intercom");
  return answerRestart(request.method, restart);
}

/** For scripts (`check-inbox --format json`): claims like a tool call; the script reports that it printed. */
async function claimForScript(
  { sessions, deliveries }: LocalApiParts,
  request: Request,
  wished: string | null,
) {
  const agentPid = pidHeader(request, pidHeaders.agent);
  const session = sessions.forReader(agentPid, wished ?? undefined);
  const delivery = deliveries.claim(session, {
    asker: askerOf(pidHeader(request, pidHeaders.asker)),
    carrier: "tool",
    event: "check-inbox",
    reports: true,
  });
  if (!delivery) return { messages: [], count: 0, waiting: session.inbox.unread };
  const messages = framedToolMessages(delivery);
  const { session_id } = session.stored;
  return {
    messages,
    count: messages.length,
    waiting: delivery.waiting,
    delivery: delivery.nonce,
    session_id,
  };
}

function recipient(sessions: Sessions, { session_id, project }: DeliverLocally): Session | undefined {
  if (session_id !== undefined) return sessions.get(session_id);
  const candidates = sessions.byProject(project ?? "");
  if (candidates.length > 1)
    throw new IntercomError("bad_request", `project "${project}" has ${candidates.length} sessions`, {
      hint: `give session_id: ${candidates.map((one) => one.stored.session_id).join(", ")}`,
    });
  return candidates[0];
}

async function dispatch(routes: readonly Route[], request: Request): Promise<unknown> {
  const url = new URL(request.url);
  const { route, params } = findRoute(routes, request.method, url.pathname);
  return route.handler(request, params, url.searchParams);
}

async function body<T extends z.ZodType>(request: Request, schema: T): Promise<z.output<T>> {
  return readInput(schema, await request.json().catch(() => undefined), shapesHint);
}

const asker = (request: Request): number => pidHeader(request, pidHeaders.asker);

function pidHeader(request: Request, name: string): number {
  const pid = Number(request.headers.get(name));
  if (Number.isSafeInteger(pid) && pid > 0) return pid;
  throw new IntercomError("bad_request", `the header ${name} must hold a pid`);
}
