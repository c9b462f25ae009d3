// The hub's two doors with one router behind them: TCP, where every request but five is signed by a machine, and
// a Unix socket for the person on this host. Who asks is settled before any route is looked up.
import { createHash, timingSafeEqual } from "node:crypto";
import { IntercomError } from "../protocol/errors.ts";
import { type HubOperation, hubRoutes } from "../protocol/hub-api.ts";
import { protocolHeader } from "../protocol/link.ts";
import { decodePart, findRoute, methodNotAllowed } from "../protocol/routes.ts";
import { takes, version } from "../protocol/version.ts";
import { answerRestart } from "../system/restart.ts";
import { userName } from "../system/user.ts";
import { callerPid, machineCaller, refuseAgents } from "./callers.ts";
import type { Enrolment } from "./enrolment.ts";
import { eventStream } from "./event-stream.ts";
import { errorResponse, json, readBody, readJson } from "./http.ts";
import type { LinkSocketData } from "./link-socket.ts";
import { isAllowedHost } from "./listen.ts";
import { metricsText } from "./metrics.ts";
import type { Asker, Operations } from "./operations.ts";
import type { Parts } from "./parts.ts";

/** The part of Bun's server that routes need. */
type Upgrader = {
  upgrade(request: Request, options: { data: LinkSocketData }): boolean;
  timeout(request: Request, seconds: number): void;
  requestIP(request: Request): { address: string } | null;
};

type Door = "tcp" | "socket";
/** reads that show who is there; what others wrote to each other is the person's alone, agents have their tools */
const openReads: ReadonlySet<HubOperation> = new Set<HubOperation>(["agents", "machines"]);

type Visit = { request: Request; url: URL; door: Door; server: Upgrader };

export class Server {
  readonly #parts: Parts;
  readonly #operations: Operations;
  readonly #enrolment: Enrolment;
  readonly #stopped: AbortSignal;

  constructor(parts: Parts, options: { operations: Operations; enrolment: Enrolment; stopped: AbortSignal }) {
    this.#parts = parts;
    this.#operations = options.operations;
    this.#enrolment = options.enrolment;
    this.#stopped = options.stopped;
  }

  /** undefined: the request became a WebSocket. */
  async answer(request: Request, door: Door, server: Upgrader): Promise<Response | undefined> {
    try {
      this.#refuseBrowsers(request, door);
      const url = URL.parse(request.url);
      if (!url) throw new IntercomError("bad_request", "the request's address cannot be read");
      const visit = { request, url, door, server };
      return (await this.#openRoute(visit)) ?? (await this.#closedRoute(visit));
    } catch (error) {
      return errorResponse(error, door);
    }
  }

  /** A page in a browser cannot leave out Origin, and cannot choose Host. */
  #refuseBrowsers(request: Request, door: Door): void {
    if (request.headers.get("origin") !== null)
      throw new IntercomError("forbidden", "requests from web pages are refused");
    if (door === "tcp" && !isAllowedHost(request.headers.get("host"), this.#parts.config))
      throw new IntercomError("forbidden", "this hub does not answer to that Host name", {
        hint: "add the name to hub.allowed_hosts in the hub's config.yml",
      });
  }

  /** The routes that need no signature. */
  async #openRoute({ request, url, door, server }: Visit): Promise<Response | undefined> {
    const { config, store } = this.#parts;
    const from = door === "tcp" ? (server.requestIP(request)?.address ?? "") : "";
    switch (`${request.method} ${url.pathname}`) {
      case "GET /livez":
        return json({ status: "ok" });
      case "GET /readyz":
        await store.check();
        return json({ status: "ok" });
      case "GET /api/discover":
        return json({ hub: true, name: config.machine.display_name || config.machine.id, version });
      case "GET /metrics":
        return this.#metrics(request);
      case "POST /api/join": {
        const body = await readBody(request);
        return json(await this.#enrolment.join(signedPart(request, body), readJson(request, body), from));
      }
    }
    const id = /^\/api\/join\/status\/([^/]+)$/.exec(url.pathname)?.[1];
    if (request.method !== "GET" || !id) return undefined;
    return json(await this.#enrolment.status(decodePart(id), from));
  }

  async #closedRoute(visit: Visit): Promise<Response | undefined> {
    const { request, url, door } = visit;
    if (door === "tcp" && !request.headers.get("signature"))
      throw new IntercomError("unauthenticated", "this request is not signed");
    const body = await readBody(request);
    const asker: Asker =
      door === "tcp" ? await machineCaller(this.#parts, signedPart(request, body)) : thisUser();
    const pid = door === "socket" ? callerPid(request) : undefined;
    if (url.pathname === "/api/link") return this.#link(visit, asker);
    if (url.pathname === "/api/restart") return this.#restart(visit, asker, pid);
    if (url.pathname === "/api/events") return this.#events(visit, asker, pid);
    const { route, params } = findRoute(hubRoutes, request.method, url.pathname);
    if (pid !== undefined && !openReads.has(route.op)) await refuseAgents(this.#parts, pid);
    const input = {
      ...Object.fromEntries(url.searchParams),
      ...readJson(request, body),
      ...params,
      ...route.fixed,
    };
    const answer = await this.#operations.run(route.op, input, asker);
    return json(answer.later ? await answer.later : answer.now);
  }

  async #link({ request, server }: Visit, asker: Asker): Promise<Response | undefined> {
    if (request.method !== "GET") throw methodNotAllowed(request.method, ["GET"]);
    if (asker.kind !== "machine") throw new IntercomError("forbidden", "a link is for an enrolled machine");
    if (request.headers.get("upgrade")?.toLowerCase() !== "websocket")
      throw new IntercomError("bad_request", "GET /api/link is a WebSocket upgrade");
    const { machine } = asker;
    // a daemon that is turned away takes nothing from one that is linked: it gets no epoch
    const taken = takes(this.#parts.speaks, request.headers.get(protocolHeader));
    const epoch = taken ? await this.#parts.store.acquireEpoch(machine) : undefined;
    if (server.upgrade(request, { data: { machine, epoch, link: undefined } })) return undefined;
    if (taken) this.#parts.links.lapsed(machine);
    throw new IntercomError("bad_request", "the WebSocket upgrade is incomplete");
  }

  async #events({ request, server }: Visit, asker: Asker, pid: number | undefined): Promise<Response> {
    if (request.method !== "GET") throw methodNotAllowed(request.method, ["GET"]);
    if (asker.kind !== "person" || pid === undefined)
      throw new IntercomError("person_only", "only the person on the hub's host may watch everything");
    await refuseAgents(this.#parts, pid);
    server.timeout(request, 0);
    return eventStream(this.#parts.events, AbortSignal.any([this.#stopped, request.signal]));
  }

  async #restart({ request }: Visit, asker: Asker, pid: number | undefined): Promise<Response> {
    if (request.method !== "GET" && request.method !== "POST")
      throw methodNotAllowed(request.method, ["GET", "POST"]);
    if (asker.kind !== "person" || pid === undefined)
      throw new IntercomError("person_only", "only the person on the hub's host may restart it");
    await refuseAgents(this.#parts, pid);
    return json(answerRestart(request.method, this.#parts.restart));
  }

  async #metrics(request: Request): Promise<Response> {
    const { token } = this.#parts.config.metrics;
    const given = request.headers.get("authorization") ?? "";
    if (!token || !sameText(given, `Bearer ${token}`))
      throw new IntercomError("unauthenticated", "metrics need their token", {
        hint: "set metrics.token in the hub's config.yml and send it as a bearer token",
      });
    return new Response(await metricsText(this.#parts), {
      headers: { "content-type": "text/plain; version=0.0.4; charset=utf-8" },
    });
  }
}

/** Whoever reaches the socket in the 0700 directory is this user. */
function thisUser(): Asker {
  return { kind: "person", name: userName() };
}

function signedPart({ method, url, headers }: Request, body: Uint8Array) {
  return { method, url, headers, body };
}

/** Constant time whatever the lengths. */
function sameText(a: string, b: string): boolean {
  const digest = (text: string) => createHash("sha256").update(text).digest();
  return timingSafeEqual(digest(a), digest(b));
}
