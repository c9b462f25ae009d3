// Which machines are linked: one live link each, the newest. Sees links open, beat, fall silent and end.
import { IntercomError } from "../protocol/errors.ts";
import { closeCodes, heartbeatMs } from "../protocol/link.ts";
import type { Store } from "../store/store.ts";
import { log } from "../system/log.ts";
import { background } from "../system/wait.ts";
import { ClockSkews } from "./clock-skews.ts";
import type { Events } from "./events.ts";
import { Link, type Socket } from "./link.ts";
import type { Answer, Asker } from "./operations.ts";
import { isoAt } from "./parts.ts";
import { Pump } from "./pump.ts";

/** a machine is offline when it was silent for this long */
const silentMs = 3 * heartbeatMs;

export type LinksOptions = {
  store: Store;
  events: Events;
  now: () => number;
  run: (op: string, payload: unknown, asker: Asker) => Promise<Answer>;
  onFailed: () => void;
};

export class Links {
  readonly #options: LinksOptions;
  readonly #links = new Map<string, { link: Link; pump: Pump }>();
  readonly skews: ClockSkews;

  constructor(options: LinksOptions) {
    this.#options = options;
    this.skews = new ClockSkews(options.now);
  }

  isLinked(machine: string): boolean {
    return this.#links.has(machine);
  }

  /** Why mail for a machine that is not linked waits. */
  offlineReason(machine: string): string {
    const why = this.skews.reason(machine);
    return why === undefined ? `machine ${machine} is offline` : `machine ${machine} is offline: ${why}`;
  }

  /** Why the linked machine takes no mail for this session now; undefined when it does. */
  refusal(machine: string, session: string): string | undefined {
    return this.#links.get(machine)?.pump.refusal(session);
  }

  get count(): number {
    return this.#links.size;
  }

  /** A signed upgrade was accepted with this epoch. A newer link replaces an older one, never the reverse. */
  opened(machine: string, epoch: number, socket: Socket): Link | undefined {
    const { now, run, store, events } = this.#options;
    const older = this.#links.get(machine);
    if (older && older.link.epoch > epoch) {
      socket.close(closeCodes.replaced, "a newer link has taken over");
      return undefined;
    }
    const answer = (op: string, payload: unknown, heardMs: number) =>
      run(op, payload, { kind: "machine", machine, epoch, heardMs });
    this.skews.forget(machine);
    const link = new Link({ machine, epoch, socket, now, answer });
    const pump = new Pump(link, { store, events, now }, this.#options.onFailed);
    this.#links.set(machine, { link, pump });
    if (older)
      log.warn("a newer link replaces this machine's link; do two daemons use one key?", { machine });
    older?.link.close(closeCodes.replaced, "a newer link has taken over");
    if (!older) this.#tell(machine, "online");
    background("link start", () => this.#closeIfStale(link));
    return link;
  }

  /** An upgrade took its epoch and then failed: what the older link says counts no more, so it must dial again. */
  lapsed(machine: string): void {
    this.#links.get(machine)?.link.close(closeCodes.goingAway, "dial again");
  }

  /** The socket of this link closed. */
  closed(link: Link): void {
    link.ended();
    if (this.#links.get(link.machine)?.link !== link) return;
    this.#links.delete(link.machine);
    this.#tell(link.machine, "offline");
    background("link end", () => this.#leave(link.machine));
  }

  /** The machine has said which sessions it has: mail can flow, from the oldest. */
  present(machine: string): void {
    this.#links.get(machine)?.pump.restart();
  }

  /** There is new mail for this machine. */
  mail(machine: string): void {
    this.#links.get(machine)?.pump.more();
  }

  /** Somebody read: an inbox that was full may take mail again. */
  inboxRead(machine: string): void {
    const pump = this.#links.get(machine)?.pump;
    if (pump?.stalled) pump.restart();
  }

  /** Asks the machine's daemon something; rejects when it is not linked. */
  request(
    machine: string,
    op: string,
    payload: unknown,
    deadlineMs: number,
    late?: "close" | "refuse",
  ): Promise<unknown> {
    const link = this.#links.get(machine)?.link;
    if (link) return link.request(op, payload, deadlineMs, late);
    return Promise.reject(new IntercomError("daemon_unreachable", `machine ${machine} is not linked`));
  }

  revoke(machine: string): void {
    const link = this.#links.get(machine)?.link;
    link?.close(closeCodes.revoked, "this machine was revoked");
    if (link) this.closed(link);
  }

  /** Mail that was refused is offered again from time to time, whatever the daemon reports. */
  retryRefused(): void {
    for (const machine of this.#links.keys()) this.inboxRead(machine);
  }

  /** Cuts links that missed three heartbeats. */
  cutSilent(): void {
    for (const { link } of [...this.#links.values()]) {
      // the clock may have been set back since
      link.heardMs = Math.min(link.heardMs, this.#options.now());
      if (this.#options.now() - link.heardMs <= silentMs) continue;
      log.warn("a machine fell silent", { machine: link.machine });
      link.cut();
      this.closed(link);
    }
  }

  closeAll(): void {
    const open = [...this.#links.values()];
    this.#links.clear();
    for (const { link } of open) link.close(closeCodes.goingAway, "the hub stops");
  }

  /** The machine may have been revoked, or linked again elsewhere, between its upgrade and now. */
  async #closeIfStale(link: Link): Promise<void> {
    const machine = await this.#options.store.machine(link.machine);
    if (machine?.epoch === link.epoch && machine.status === "approved")
      return this.#options.store.sawMachine(link.machine, isoAt(this.#options.now()));
    if (machine?.status === "approved") link.close(closeCodes.replaced, "a newer link has taken over");
    else link.close(closeCodes.revoked, "this machine was revoked");
    this.closed(link);
  }

  async #leave(machine: string): Promise<void> {
    const { store, events, now } = this.#options;
    const at = isoAt(now());
    await store.sawMachine(machine, at);
    if (this.isLinked(machine)) return;
    events.states(await store.queueAccepted(machine, this.offlineReason(machine), at));
  }

  #tell(machine: string, status: "online" | "offline"): void {
    const at = isoAt(this.#options.now());
    log.info(`machine ${status}`, { machine });
    this.#options.events.emit({ kind: "machine", at, machine_id: machine, status });
  }
}
