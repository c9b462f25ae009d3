// The daemon: one per machine. Owns its sessions and their inboxes, keeps the link to the hub, and serves the
// local API. This file puts the parts together and runs their clocks.

import type { z } from "zod";
import { removeStaleMarkers } from "../inbox/marker.ts";
import { Canary } from "../protocol/checkup.ts";
import { IntercomError } from "../protocol/errors.ts";
import type { DaemonHealth } from "../protocol/local-api.ts";
import { MissionCancel, MissionOrder, MissionStart } from "../protocol/mission.ts";
import { version } from "../protocol/version.ts";
import { type Config, defaultHubUrl } from "../system/config.ts";
import { privateDirectory } from "../system/files.ts";
import { privateHome } from "../system/home.ts";
import { fingerprint, loadOrCreateMachineKey, type MachineKey } from "../system/keys.ts";
import { type Lock, takeLock } from "../system/lock.ts";
import type { HomePaths } from "../system/paths.ts";
import { isAlive } from "../system/process.ts";
import { startedAt } from "../system/restart.ts";
import { background, every } from "../system/wait.ts";
import { Arrivals } from "./arrivals.ts";
import { Bells } from "./bells.ts";
import { Checkups } from "./checkup.ts";
import { Deliveries } from "./delivery.ts";
import { Discovery } from "./discovery.ts";
import { Doorbell } from "./doorbell.ts";
import { Hooks } from "./hook.ts";
import { Launcher } from "./launcher.ts";
import { Link } from "./link.ts";
import { serveLocalApi } from "./local-api.ts";
import { LostMail } from "./lost-mail.ts";
import { Outbox } from "./outbox.ts";
import { Permissions } from "./permissions.ts";
import { Person } from "./person.ts";
import { Presence } from "./presence.ts";
import { Projects } from "./projects.ts";
import { Sender } from "./sender.ts";
import { SessionEvents } from "./session-events.ts";
import { type Session, Sessions } from "./sessions.ts";
import { DaemonState } from "./state.ts";
import { ToolCalls } from "./tool-calls.ts";
import { Upgrades } from "./upgrades.ts";
import { Waiting } from "./waiting.ts";

export type DaemonOptions = {
  config: Config;
  paths: HomePaths;
  /** overrides the configuration: a standalone's own hub */
  hubUrl?: string;
  /** reads hub.url anew after `join` */
  readHubUrl?: () => string | undefined;
  /** takes up the program that now lies in this one's place; missing where nobody would start it again */
  restart?: () => void;
};

/** ms between checks that every session's process still runs */
const sweepMs = 1_000;
/** ms between looks at what the agents do, for the hub's listing */
const statusMs = 2_000;
/** ms a session that the daemon has forgotten has to register again: its MCP server tries every 2 s */
const forgottenGraceMs = 10_000;

export class Daemon {
  readonly #options: DaemonOptions;
  readonly #key: MachineKey;
  readonly #lock: Lock;
  readonly #state: DaemonState;
  readonly #outbox: Outbox;
  readonly #projects: Projects;
  readonly #discovery: Discovery;
  readonly #launcher: Launcher;
  readonly #sessions: Sessions;
  readonly #arrivals: Arrivals;
  readonly #deliveries: Deliveries;
  readonly #events = new SessionEvents();
  readonly #bells: Bells;
  readonly #doorbell: Doorbell;
  readonly #waiting: Waiting;
  readonly #link: Link;
  readonly #person: Person;
  readonly #presence: Presence;
  readonly #sender: Sender;
  readonly #lostMail: LostMail;
  readonly #checkups: Checkups;
  readonly #upgrades: Upgrades;
  #hubUrl: string;
  #timers: ReturnType<typeof setInterval>[] = [];
  #forgottenTimer: ReturnType<typeof setTimeout> | undefined;
  #server: { stop(): Promise<void> } | undefined;

  /** Starts everything; resolves when the local API answers. The link connects in the background. */
  static async start(options: DaemonOptions): Promise<Daemon> {
    const { run, inbox, pending } = options.paths;
    privateHome(options.paths);
    for (const directory of [run, inbox, pending]) privateDirectory(directory);
    const daemon = new Daemon(options);
    try {
      await daemon.#open();
      return daemon;
    } catch (error) {
      await daemon.stop(); // its timers would keep the process
      throw error;
    }
  }

  private constructor(options: DaemonOptions) {
    const { config, paths } = options;
    this.#options = options;
    this.#lock = takeLock(`${paths.run}/daemon.lock`, "daemon");
    this.#key = loadOrCreateMachineKey(paths.machineKey);
    this.#hubUrl = options.hubUrl ?? config.hub.url ?? defaultHubUrl;
    this.#state = DaemonState.open(paths.daemonState);
    this.#outbox = Outbox.open(paths.outbox);
    this.#projects = new Projects(this.#state, config.projects);
    this.#sessions = new Sessions(this.#state, this.#projects, {
      inboxDirectory: paths.inbox,
      unreadLimit: config.limits.unread,
    });
    this.#arrivals = new Arrivals(this.#sessions, this.#outbox, config.limits.message_bytes);
    this.#deliveries = new Deliveries(this.#sessions, this.#outbox, config.language);
    this.#bells = new Bells(paths.bell);
    this.#doorbell = new Doorbell({
      sessions: this.#sessions,
      events: this.#events,
      bells: this.#bells,
      language: config.language,
    });
    this.#waiting = new Waiting({
      sessions: this.#sessions,
      outbox: this.#outbox,
      doorbell: this.#doorbell,
      deliveries: this.#deliveries,
      language: config.language,
    });
    this.#upgrades = new Upgrades(config, paths);
    this.#discovery = new Discovery(config.discovery, this.#projects);
    this.#link = this.#makeLink();
    this.#person = new Person({
      link: this.#link,
      outbox: this.#outbox,
      sessions: this.#sessions,
      machine: config.machine.id,
      loginFile: paths.login,
      missionOf: (pid) => this.#launcher.processOf(pid)?.mission_id,
    });
    this.#presence = new Presence({
      link: this.#link,
      sessions: this.#sessions,
      projects: this.#projects,
      outbox: this.#outbox,
      state: this.#state,
      launcher: () => this.#launcher,
    });
    this.#launcher = this.#makeLauncher();
    if (this.#state.revoked) this.#link.state = "revoked";
    const parts = {
      link: this.#link,
      outbox: this.#outbox,
      sessions: this.#sessions,
      arrivals: this.#arrivals,
    };
    this.#sender = new Sender({
      ...parts,
      machine: config.machine.id,
      messageBytes: config.limits.message_bytes,
      beforeRoute: () => this.#presence.settled(),
    });
    const { machine, language } = config;
    this.#lostMail = new LostMail({ ...parts, paths, machine: machine.id, language });
    this.#checkups = new Checkups({
      sessions: this.#sessions,
      events: this.#events,
      doorbell: this.#doorbell,
      waiting: this.#waiting,
      link: this.#link,
      machine: config.machine.id,
    });
  }

  async stop(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer);
    this.#presence.stop();
    clearTimeout(this.#forgottenTimer);
    this.#discovery.stop();
    this.#launcher.stop();
    this.#deliveries.stop();
    this.#doorbell.stop();
    this.#waiting.stop();
    this.#lostMail.stop();
    this.#events.close();
    await this.#server?.stop();
    await this.#link.stop();
    this.#sessions.close();
    this.#outbox.close();
    this.#lock.release();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #open(): Promise<void> {
    const { config, paths } = this.#options;
    this.#sessions.onEnd = (session) => {
      this.#deliveries.giveBack(session);
      this.#doorbell.forget(session);
      this.#events.ended(session);
    };
    const onMail = (session: Session) => {
      this.#events.mail(session);
      this.#doorbell.consider(session);
    };
    this.#arrivals.onMail = onMail;
    this.#arrivals.reasonFor = (session) => {
      const reason = this.#waiting.reason(session);
      this.#waiting.remember(session, reason);
      return reason;
    };
    this.#deliveries.onMail = onMail;
    this.#deliveries.onRead = (session) => this.#doorbell.wasRead(session);
    this.#doorbell.canHandOut = (session) => this.#deliveries.blocked(session) === undefined;
    this.#deliveries.onUnblocked = (session) => {
      this.#doorbell.forget(session); // those rings brought nothing, and that was not the agent's doing
      onMail(session);
    };
    this.#events.onGone = () => this.#sessions.sweep();
    this.#sessions.missionOf = (pid) => this.#launcher.processOf(pid);
    this.#projects.onChange = () => this.#presence.soon();
    this.#projects.isNeeded = (project) =>
      this.#sessions.byProject(project).length > 0 || this.#launcher.usesProject(project);
    this.#launcher.start();
    this.#sessions.restore();
    // not before all are restored: a bell of a session that is not there yet would be taken down
    this.#sessions.onChange = () => {
      this.#hangBells();
      this.#presence.soon();
    };
    this.#sessions.onChange();
    removeStaleMarkers(paths.inbox, (marker) => isAlive(marker));
    const parts = { sessions: this.#sessions, deliveries: this.#deliveries };
    const toolCalls = new ToolCalls({
      ...parts,
      link: this.#link,
      sender: this.#sender,
      outbox: this.#outbox,
      projects: this.#projects,
      machine: config.machine.id,
    });
    const hooks = new Hooks(this.#sessions, this.#deliveries, config);
    this.#server = await serveLocalApi({
      ...parts,
      arrivals: this.#arrivals,
      socket: paths.daemonSocket,
      hooks,
      person: this.#person,
      permissions: new Permissions(this.#sessions, (ask) => this.#link.request("permission", ask)),
      toolCalls,
      events: this.#events,
      checkups: this.#checkups,
      health: () => this.#health(),
      reconnect: () => this.#reconnect(),
      restart: this.#options.restart,
    });
    this.#deliveries.start();
    this.#doorbell.start();
    this.#waiting.start();
    this.#lostMail.start();
    this.#timers = [
      every(sweepMs, "looking for ended sessions", () => this.#sessions.sweep()),
      every(statusMs, "looking at sessions", () => this.#presence.look()),
    ];
    this.#forgottenTimer = setTimeout(
      () => background("forgotten inboxes", async () => this.#deliveries.giveBackForgotten()),
      forgottenGraceMs,
    );
    this.#link.start();
    this.#discovery.start();
  }

  #makeLauncher(): Launcher {
    const { config, paths } = this.#options;
    const { home, policies, missions } = paths;
    return new Launcher({
      ...{ home, policies, missions },
      projects: this.#projects,
      settings: config.agent_launcher,
      machine: config.machine.id,
      language: config.language,
      env: process.env,
      link: {
        isLinked: () => this.#link.linked,
        send: (report) => this.#link.request("mission_report", report),
      },
      onChange: () => this.#presence.soon(),
    });
  }

  /** What the hub asks of this machine. */
  async #answer(op: string, payload: unknown): Promise<unknown> {
    switch (op) {
      case "canary":
        return this.#checkups.fromTheHub(Canary.parse(payload));
      case "deliver":
        return this.#arrivals.receive(payload);
      case "mission_plan":
        return this.#launcher.plan(readAs(MissionOrder, payload));
      case "mission_start":
        return this.#launcher.take(readAs(MissionStart, payload));
      case "mission_cancel":
        return this.#launcher.cancel(readAs(MissionCancel, payload));
      case "upgrade":
        return this.#upgrades.start(payload);
      case "upgrade_state":
        return this.#upgrades.state();
      default:
        throw new IntercomError("bad_request", `this machine knows no request "${op}"`, {
          hint: "is its ai-intercom older than the hub's? ai-intercom --version",
        });
    }
  }

  #hangBells(): void {
    const waiting = this.#sessions.all().filter(({ stored }) => stored.wake === "hook");
    this.#bells.hangFor(waiting.map(({ stored }) => stored.pid));
  }

  #makeLink(): Link {
    const { machine } = this.#options.config;
    return new Link({
      access: () => ({ url: this.#hubUrl, machine: machine.id, key: this.#key }),
      describe: () => ({ display_name: machine.display_name, description: machine.description }),
      answer: (op, payload) => this.#answer(op, payload),
      onLinked: () => {
        this.#arrivals.linked();
        return this.#presence.greet();
      },
      onState: (state) => {
        if (state === "linked") this.#state.setRevoked(false);
        if (state === "revoked") this.#state.setRevoked(true);
        this.#sender.flush();
        if (state !== "linked") return;
        this.#launcher.linked();
        this.#lostMail.linked();
        background("logins that have ended", () => this.#person.tellEnded());
      },
    });
  }

  #reconnect(): void {
    this.#hubUrl = this.#options.readHubUrl?.() ?? this.#hubUrl;
    this.#link.reconnect();
  }

  #health(): DaemonHealth {
    return {
      status: "ok",
      version,
      machine_id: this.#options.config.machine.id,
      fingerprint: fingerprint(this.#key.publicKey),
      hub_url: this.#hubUrl,
      link: this.#link.state,
      link_reason: this.#link.reason,
      outbox: this.#outbox.size,
      sessions: this.#sessions.all().length,
      pid: process.pid,
      started_at: startedAt,
    };
  }
}

function readAs<T extends z.ZodType>(schema: T, payload: unknown): z.output<T> {
  const parsed = schema.safeParse(payload);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new IntercomError(
    "bad_request",
    `this request cannot be read: ${issue?.path.join(".")}: ${issue?.message}`,
  );
}
