// A life of one inbox with everything around it: a hub that sends until it has an ack, readers that print or die,
// a transcript that says what was printed, sessions that end and resume. The world outside the inbox is a log that
// survives every kill. Run as a program it lives one life, in which AI_INTERCOM_CRASH may kill it.
import { appendFileSync, existsSync, mkdirSync, readFileSync } from "node:fs";
import type { Inbox } from "../../src/inbox/inbox.ts";
import { log } from "../../src/system/log.ts";
import { type Arriving, filesOf, hasMarker, mail, openInbox, reader } from "./support.ts";

type Printed = { nonce: string; parts: { id: string; part: number; of: number; text: string }[] };
type Event = { accepted: string[] } | { printed: Printed } | { returning: string[] } | { returned: true };

export class World {
  readonly #path: string;
  readonly printed: Printed[] = [];
  /** ids the hub need not send: accepted and not given back */
  readonly accepted = new Set<string>();
  returning = false;

  constructor(directory: string) {
    mkdirSync(directory, { recursive: true });
    this.#path = `${directory}/world.log`;
    if (!existsSync(this.#path)) return;
    for (const line of readFileSync(this.#path, "utf8").split("\n"))
      if (line !== "") this.#apply(JSON.parse(line));
  }

  tell(event: Event): void {
    appendFileSync(this.#path, `${JSON.stringify(event)}\n`);
    this.#apply(event);
  }

  #apply(event: Event): void {
    if ("accepted" in event) for (const id of event.accepted) this.accepted.add(id);
    else if ("printed" in event) this.printed.push(event.printed);
    else if ("returning" in event) {
      this.returning = true;
      for (const id of event.returning) this.accepted.delete(id);
    } else this.returning = false;
  }
}

/** The hub's mail: a few threads, short and long texts, emoji where parts are cut. */
export function messages(count: number): Arriving[] {
  return Array.from({ length: count }, (_, i) =>
    mail(`m${i}`, i % 4 === 3 ? `${i}:${"😀é\r\n".repeat(30 + (i % 7))}` : `${i}: short`, `t-${i % 3}`),
  );
}

/** mulberry32 */
export function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

const options = { compactAbove: 1_500, unreadLimit: 50 };
const maxChars = 60;

export class Life {
  readonly #directory: string;
  readonly #world: World;
  readonly #random: () => number;
  /** what happens to the files while the daemon is down */
  readonly #whileDown: () => void;
  /** after a failed step: present in vain is allowed, absent in error is not */
  readonly #markerMayStay: boolean;
  #inbox: Inbox;
  #down = false;

  constructor(
    directory: string,
    seed: number,
    more: { whileDown?: () => void; markerMayStay?: boolean } = {},
  ) {
    this.#directory = `${directory}/inbox`;
    this.#world = new World(directory);
    this.#random = random(seed);
    this.#whileDown = more.whileDown ?? (() => {});
    this.#markerMayStay = more.markerMayStay ?? false;
    this.#inbox = this.#open();
  }

  step(sendable: Arriving[]): void {
    const dice = this.#random();
    if (dice < 0.35) this.#arrive(sendable);
    else if (dice < 0.65) this.#read(this.#random() < 0.8);
    else if (dice < 0.93) this.#settleOne();
    else if (dice < 0.97) this.#restart();
    else this.#endAndResume();
    this.#checkMarker();
  }

  /** After a failed step the daemon goes on; what it must finish first it tries until it is done. */
  recover(): void {
    for (let left = 100; left > 0 && (this.#down || this.#world.returning); left--) {
      try {
        if (this.#down) this.#restart();
        else this.#giveBack(this.#inbox);
      } catch {
        // the disk fails again
      }
    }
  }

  /** Nothing fails any more: until all mail is sent, read and settled. */
  finish(sendable: Arriving[]): void {
    for (let left = 2_000; left > 0; left--) {
      this.#arrive(sendable);
      this.#settleAll();
      const arrived = sendable.every(({ id }) => this.#world.accepted.has(id));
      if (arrived && this.#inbox.unread === 0) {
        this.#checkMarker();
        return;
      }
      this.#read(true);
    }
    throw new Error("the inbox is never empty");
  }

  #open(): Inbox {
    const inbox = openInbox(this.#directory, options);
    if (this.#world.returning) this.#giveBack(inbox);
    return inbox;
  }

  #restart(): void {
    this.#inbox.close();
    this.#down = true;
    this.#whileDown();
    if (this.#random() < 0.5) appendFileSync(filesOf(this.#directory).mail, '{"thread_id":"t-torn","mess');
    this.#inbox = this.#open();
    this.#down = false;
  }

  #arrive(sendable: Arriving[]): void {
    const missing = sendable.filter(({ id }) => !this.#world.accepted.has(id));
    const again = sendable.filter(({ id }) => this.#world.accepted.has(id) && this.#random() < 0.1);
    const batch = [...again, ...missing.slice(0, 1 + Math.floor(this.#random() * 4))];
    const ids = batch.map(({ id }) => id);
    if (!this.#inbox.canAccept(ids.length)) return;
    this.#inbox.append(batch);
    this.#world.tell({ accepted: ids });
  }

  #read(prints: boolean): void {
    const delivery = this.#inbox.claim(reader(maxChars));
    if (!delivery || !prints) return;
    const parts = delivery.parts.map(({ record, part, of, text }) => ({ id: record.id, part, of, text }));
    this.#world.tell({ printed: { nonce: delivery.nonce, parts } });
  }

  #settleOne(): void {
    const claims = this.#inbox.openClaims();
    const claim = claims[Math.floor(this.#random() * claims.length)];
    if (!claim) return;
    const dice = this.#random();
    if (!this.#wasPrinted(claim.nonce)) this.#inbox.drop(claim.nonce);
    else if (dice < 0.4) this.#inbox.confirm(claim.nonce);
    else if (dice < 0.9) this.#inbox.markSeen(claim.nonce);
    else this.#inbox.forget(claim.nonce);
  }

  #settleAll(inbox = this.#inbox): void {
    for (const { nonce } of inbox.openClaims())
      this.#wasPrinted(nonce) ? inbox.markSeen(nonce) : inbox.drop(nonce);
  }

  #wasPrinted(nonce: string): boolean {
    return this.#world.printed.some((one) => one.nonce === nonce);
  }

  #endAndResume(): void {
    this.#giveBack(this.#inbox);
    this.#restart();
  }

  /** As the daemon does it: a last look at the transcript, then the receipt, then the removal. */
  #giveBack(inbox: Inbox): void {
    for (const { nonce } of inbox.openClaims()) if (this.#wasPrinted(nonce)) inbox.confirm(nonce);
    const ids = inbox.takeBack();
    this.#world.tell({ returning: ids });
    inbox.removeReturned(ids);
    this.#world.tell({ returned: true });
  }

  #checkMarker(): void {
    const wanted = this.#inbox.unread > 0;
    const found = hasMarker(this.#directory);
    if (wanted && !found) throw new Error("marker missing");
    if (found && !wanted && !this.#markerMayStay) throw new Error("marker left");
  }
}

/** lost: never wholly in context. doubled: a part that came twice. disordered: not in the order of its thread. */
export function oracle(world: Pick<World, "printed">, sent: Arriving[]) {
  const parts = world.printed.flatMap((one) => one.parts);
  const lost = sent.filter(({ id, message }) => {
    const own = parts.filter((one) => one.id === id);
    const pieces = new Map(own.map(({ part, text }) => [part, text]));
    const last = own.at(-1)?.of ?? 0;
    return Array.from({ length: last }, (_, i) => pieces.get(i + 1) ?? "").join("") !== message;
  });
  const doubled = sent.filter(({ id }) => {
    const own = parts.filter((one) => one.id === id).map(({ part }) => part);
    return new Set(own).size < own.length;
  });
  const disordered = sent.filter(({ id, thread_id }) => {
    const thread = sent.filter((one) => one.thread_id === thread_id).map((one) => one.id);
    const before = new Set(thread.slice(0, thread.indexOf(id)));
    const own = parts.findIndex((one) => one.id === id);
    return parts.slice(own).some((one) => before.has(one.id));
  });
  const ids = (some: Arriving[]) => some.map(({ id }) => id);
  return { lost: ids(lost), doubled: ids(doubled), disordered: ids(disordered) };
}

export const perLife = 40;

if (import.meta.main) {
  log.level = 0;
  const [directory = "", life = "0", seed = "0"] = process.argv.slice(2);
  const one = new Life(directory, Number(seed));
  const sendable = messages((Number(life) + 1) * perLife);
  for (let step = 0; step < 200; step++) one.step(sendable);
}
