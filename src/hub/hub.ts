// The hub: where every message is made durable, finds its recipient and is followed to its end. This file puts
// the parts together, opens the doors and runs the clock. Start reading here.
import { chmodSync } from "node:fs";
import { resolve } from "node:path";
import { IntercomError } from "../protocol/errors.ts";
import type { HubEvent, HubInput, HubOperation } from "../protocol/hub-api.ts";
import { linkProtocols, type Speaks } from "../protocol/version.ts";
import type { Starter } from "../store/damage.ts";
import { openStore } from "../store/open.ts";
import type { Store } from "../store/store.ts";
import type { Config } from "../system/config.ts";
import { privateDirectory } from "../system/files.ts";
import { privateHome } from "../system/home.ts";
import { fingerprint } from "../system/keys.ts";
import { type Lock, takeLock } from "../system/lock.ts";
import { log } from "../system/log.ts";
import type { HomePaths } from "../system/paths.ts";
import { freeSocketPath, neverIdle } from "../system/socket.ts";
import { background } from "../system/wait.ts";
import { expireApprovals } from "./approvals.ts";
import { Enrolment } from "./enrolment.ts";
import { Events } from "./events.ts";
import { type LinkSocketData, linkSocketHandler } from "./link-socket.ts";
import { Links } from "./links.ts";
import { listenAddress, localUrl, publicUrl, refuseOpenPlainHttp } from "./listen.ts";
import { Logins } from "./logins.ts";
import { Missions } from "./missions.ts";
import { Notices } from "./notices.ts";
import { Operations } from "./operations.ts";
import { isoAt, type Overseer, type Parts } from "./parts.ts";
import { Pruning } from "./pruning.ts";
import { tellRescued } from "./rescued.ts";
import { Router } from "./routing.ts";
import { Server } from "./server.ts";

export type { Starter };
export type HubOptions = {
  config: Config;
  paths: HomePaths;
  now?: () => number;
  speaks?: Speaks;
  restart?: () => void;
  /** for a hub that meets damage in its database */
  starter?: Starter;
};

/** ms between looks at silent links, expired mail and used nonces */
const sweepMs = 10_000;
/** ms between looks at answers that are due and notices that are owed */
const noticesMs = 1_000;
/** ms between steps of forgetting what is long over */
const pruningMs = 500;

export class Hub {
  readonly #parts: Parts;
  readonly #notices: Notices;
  readonly #pruning: Pruning;
  readonly #missions: Missions;
  readonly #stopping = new AbortController();
  readonly #lock: Lock;
  readonly #doors: Bun.Server<LinkSocketData>[] = [];
  readonly #server: Server;
  readonly #operations: Operations;
  readonly #paths: HomePaths;
  #overseer: Overseer | undefined;
  #timers: ReturnType<typeof setInterval>[] = [];

  /** Resolves when both doors are open. */
  static async start(options: HubOptions): Promise<Hub> {
    const { config, paths } = options;
    refuseOpenPlainHttp(config);
    privateHome(paths);
    privateDirectory(paths.run);
    const lock = takeLock(`${paths.run}/hub.lock`, "hub");
    try {
      return await Hub.#begin(options, lock);
    } catch (error) {
      lock.release();
      throw error;
    }
  }

  /** Where the very first reads meet damage, what can be read is rescued and it begins once more. */
  static async #begin(options: HubOptions, lock: Lock, again = true): Promise<Hub> {
    const { config, paths, starter } = options;
    let opened = false;
    const store = openStore(
      storeLocation(config, paths),
      starter && { ...starter, end: starter.end && (() => opened && starter.end?.()) },
    );
    try {
      const hub = new Hub({ ...options, store, lock });
      await hub.#open();
      opened = true;
      return hub;
    } catch (error) {
      await store.close();
      if (store.damaged && again) return Hub.#begin(options, lock, false);
      throw error;
    }
  }

  private constructor(options: HubOptions & { store: Store; lock: Lock }) {
    const { store, config, paths, lock, now = Date.now, speaks = linkProtocols } = options;
    this.#lock = lock;
    this.#paths = paths;
    const events = new Events();
    const tellNotices = () => this.#notices.tell();
    const links: Links = new Links({
      store,
      events,
      now,
      run: (op, payload, asker) => operations.run(op, payload, asker),
      onFailed: tellNotices,
    });
    this.#parts = { store, events, links, config, speaks, now, restart: options.restart };
    this.#notices = new Notices(this.#parts);
    this.#pruning = new Pruning(this.#parts);
    const missions = new Missions(this.#parts, tellNotices);
    this.#missions = missions;
    const enrolment = new Enrolment(this.#parts, {
      inviteUrl: () => publicUrl(config, this.port),
      tellNotices,
      onEnded: (ended) => missions.ended(ended),
    });
    const router = new Router(this.#parts, missions, () => this.#overseer);
    const logins = new Logins(this.#parts);
    const operations = new Operations({
      ...this.#parts,
      router,
      enrolment,
      missions,
      logins,
      overseer: () => this.#overseer,
      tellNotices,
    });
    this.#operations = operations;
    this.#server = new Server(this.#parts, { operations, enrolment, stopped: this.#stopping.signal });
  }

  get port(): number {
    return this.#doors[0]?.port ?? 0;
  }

  /** Where this computer reaches the hub. */
  get url(): string {
    return localUrl(this.#parts.config, this.port);
  }

  /** For whoever shows the hub to a person: what is remembered, what happens, and a person's operations. */
  get view() {
    const { store, events, links, now } = this.#parts;
    return {
      store,
      now,
      subscribe: (listener: (event: HubEvent) => void) => events.subscribe(listener),
      oversee: (overseer: Overseer | undefined) => {
        this.#overseer = overseer;
      },
      isLinked: (machine: string) => links.isLinked(machine),
      ask: async <O extends HubOperation>(op: O, input: HubInput<O>, name: string): Promise<unknown> => {
        const answer = await this.#operations.run(op, input, { kind: "person", name });
        return answer.later ?? answer.now;
      },
    };
  }

  /** A standalone's own machine needs no invite: who runs the hub owns it. A revoked one stays revoked. */
  async enrolLocal(machine: {
    id: string;
    display_name: string;
    description: string;
    public_key: string;
  }): Promise<void> {
    const { store, now } = this.#parts;
    const at = isoAt(now());
    const { status } = await store.enrolLocal({
      ...machine,
      fingerprint: fingerprint(machine.public_key),
      at,
    });
    if (status !== "approved")
      log.warn("this hub's own machine is not approved", { machine: machine.id, status });
  }

  /** Silent links, expired mail, owed notices, used nonces: what a clock must bring about. */
  async sweep(): Promise<void> {
    const { store, events, links, now } = this.#parts;
    links.cutSilent();
    links.retryRefused();
    events.states(await store.expire(isoAt(now())));
    await expireApprovals({ ...this.#parts, tellNotices: () => this.#notices.tell() });
    await this.#missions.sweep();
    this.#notices.tell();
    await this.#notices.settled();
    await store.maintain(isoAt(now()));
  }

  async stop(): Promise<void> {
    if (this.#stopping.signal.aborted) return;
    this.#stopping.abort();
    for (const timer of this.#timers) clearInterval(timer);
    this.#parts.links.closeAll();
    await Promise.all(this.#doors.map((door) => door.stop(true)));
    await this.#missions.settled();
    await this.#notices.settled();
    await this.#parts.store.close();
    this.#lock.release();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #open(): Promise<void> {
    await this.#forgetLinks();
    this.#doors.push(this.#openTcp());
    try {
      this.#doors.push(await this.#openSocket());
    } catch (error) {
      await this.#doors[0]?.stop(true);
      throw error;
    }
    await tellRescued(this.#parts);
    this.#notices.tell();
    this.#timers = [
      setInterval(() => background("sweep", () => this.sweep()), sweepMs),
      setInterval(() => this.#notices.tell(), noticesMs),
      setInterval(() => background("pruning", () => this.#pruning.step()), pruningMs),
    ];
    log.info("hub listens", { url: this.url });
  }

  /** After a start no machine is linked: what was on its way waits, and says so. */
  async #forgetLinks(): Promise<void> {
    const { store, links, now } = this.#parts;
    for (const { id } of await store.machines())
      await store.queueAccepted(id, links.offlineReason(id), isoAt(now()));
  }

  #openTcp(): Bun.Server<LinkSocketData> {
    const { listen } = this.#parts.config.hub;
    try {
      return Bun.serve<LinkSocketData>({
        ...listenAddress(listen),
        // Our own limit answers in JSON; Bun's stands far above it.
        maxRequestBodySize: Number.MAX_SAFE_INTEGER,
        fetch: (request, server) => this.#server.answer(request, "tcp", server),
        websocket: linkSocketHandler(this.#parts),
      });
    } catch (cause) {
      throw new IntercomError("conflict", `the hub cannot listen on ${listen}`, {
        hint: "is another hub running? choose another address with --listen HOST:PORT",
        cause,
      });
    }
  }

  async #openSocket(): Promise<Bun.Server<LinkSocketData>> {
    const path = this.#paths.hubSocket;
    await freeSocketPath(path, "hub");
    const door = Bun.serve<LinkSocketData>({
      ...neverIdle,
      unix: path,
      maxRequestBodySize: Number.MAX_SAFE_INTEGER,
      fetch: (request, server) => this.#server.answer(request, "socket", server),
      websocket: linkSocketHandler(this.#parts),
    });
    chmodSync(path, 0o600);
    return door;
  }
}

/** What hub.store names: a path, or an address of another engine. */
export function storeLocation(config: Config, paths: HomePaths): string {
  const { store } = config.hub;
  if (store === undefined) return paths.hubDatabase;
  return store.includes("://") ? store : resolve(paths.home, store);
}
