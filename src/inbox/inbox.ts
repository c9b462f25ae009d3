// A session's inbox: append, claim, settle. Owned by the daemon alone: one process, synchronous calls, no lock.
// Every method leaves files that `open` can carry on from, whichever of its steps was the last before a crash.
// Rule: nothing is given up before what replaces it is durable, so a crash may repeat a message, never lose one.
import { sessionIdPattern } from "../protocol/address.ts";
import { IntercomError } from "../protocol/errors.ts";
import { randomHex } from "../protocol/ids.ts";
import type { InboxRecord } from "../protocol/message.ts";
import { crashPoint } from "../system/crash-point.ts";
import { privateDirectory, unlinkIfPresent } from "../system/files.ts";
import { log } from "../system/log.ts";
import type { ProcessIdentity } from "../system/process.ts";
import { type Candidate, choose, type Delivery, isLast, type Room } from "./delivery.ts";
import { type Claim, Ledger } from "./ledger.ts";
import { type Mail, MailFile } from "./mail-file.ts";
import { Marker } from "./marker.ts";
import { RememberedIds } from "./remembered-ids.ts";

export type { DeliveredPart, Delivery } from "./delivery.ts";
export type { Claim } from "./ledger.ts";

export type InboxOptions = {
  directory: string;
  sessionId: string;
  unreadLimit: number;
  /** unix ms */
  now?: () => number;
  /** bytes of the file above which settled messages are dropped, where that frees half of it */
  compactAbove?: number;
};
export type ClaimRequest = Pick<Claim, "asker" | "carrier" | "event" | "transcript"> & Room;

/** bytes */
const compactAboveBytes = 1024 * 1024;

export class Inbox {
  readonly path: string;
  readonly #options: InboxOptions;
  readonly #file: MailFile;
  readonly #ledger: Ledger;
  readonly #marker: Marker;
  /** ids that compaction dropped */
  readonly #remembered: RememberedIds;
  /** ledger and flags; false while a step between them is undone */
  #agreed = false;
  #closed = false;

  static open(options: InboxOptions): Inbox {
    // the id becomes a file name
    if (!sessionIdPattern.test(options.sessionId))
      throw new IntercomError("bad_request", `"${options.sessionId.slice(0, 80)}" is not a session id`);
    privateDirectory(options.directory);
    return new Inbox(options);
  }

  private constructor(options: InboxOptions) {
    const base = `${options.directory}/${options.sessionId}`;
    this.path = `${base}.jsonl`;
    this.#options = options;
    this.#marker = new Marker(options.directory, options.sessionId);
    this.#ledger = new Ledger(`${base}.ledger`, options.sessionId);
    this.#remembered = new RememberedIds(`${base}.ids`);
    this.#file = new MailFile(this.path);
    this.#reconcile();
  }

  /** Whose marker says "unread mail"; undefined: no process's. */
  attach(agent: ProcessIdentity | undefined): void {
    this.#refresh();
    this.#marker.attach(agent, this.unread > 0);
  }

  /** Messages not wholly handed over; not those in an open claim. */
  get unread(): number {
    return this.#file.unread;
  }

  /** Unread messages held back until a claim of their thread is settled. */
  get waitingOnClaim(): number {
    const held = this.#heldThreads();
    if (held.size === 0) return 0;
    return this.#file.mails.filter(({ mark, thread }) => mark === "unread" && held.has(thread)).length;
  }

  /** An unread message can be taken that is worth waking an idle agent for. */
  get worthWaking(): boolean {
    const held = this.#heldThreads();
    return this.#file.mails.some(({ mark, low, thread }) => mark === "unread" && !low && !held.has(thread));
  }

  canAccept(count: number): boolean {
    return this.unread + count <= this.#options.unreadLimit;
  }

  /** Put there by a local script or the daemon, so the hub knows nothing of it. */
  isLocal(id: string): boolean {
    return this.#file.find(id)?.local ?? false;
  }

  /** It stands here, or stood here until compaction dropped it. Not one that was given back, or lost to damage. */
  knows(id: string): boolean {
    this.#refresh();
    return this.#isKnown(id);
  }

  /** When this returns, the mail is on the disk. Known ids are skipped; above the limit nothing is appended. */
  append(records: readonly Omit<InboxRecord, "read">[]): void {
    this.#refresh();
    const ids = new Set<string>();
    const fresh = records.filter(({ id }) => !this.#isKnown(id) && ids.size < ids.add(id).size);
    if (fresh.length === 0) return;
    if (!this.canAccept(fresh.length))
      throw new IntercomError(
        "inbox_full",
        `session ${this.#options.sessionId} has ${this.unread} unread messages, the limit is ${this.#options.unreadLimit}`,
      );
    this.#marker.show();
    crashPoint("inbox.append.marked");
    this.#file.append(fresh);
    this.#compact();
  }

  /** Takes what fits, oldest first; undefined when nothing can be taken now. */
  claim(request: ClaimRequest): Delivery | undefined {
    this.#refresh();
    const choice = choose(this.#candidates(), this.unread, request);
    if (!choice) return undefined;
    const { parts, waiting, cuts } = choice;
    const { asker, carrier, event, transcript } = request;
    const claim: Claim = {
      nonce: randomHex(16),
      items: parts.map(({ record, part, of }) => ({ id: record.id, part, of })),
      asker: { pid: asker.pid, start: asker.start },
      carrier,
      event,
      transcript,
      claimedAt: (this.#options.now ?? Date.now)(),
      inContext: false,
    };
    this.#ledger.open(claim, cuts, this.#isHere);
    crashPoint("inbox.claim.ledgered");
    this.#file.mark(this.#completed(claim), "claimed");
    crashPoint("inbox.claim.flagged");
    if (this.unread === 0) this.#marker.hide();
    crashPoint("inbox.claim.unmarked");
    const read = parts.map((one) => ({ ...one, record: { ...one.record, read: isLast(one) } }));
    return { nonce: claim.nonce, parts: read, waiting };
  }

  /** Not settled, or in context and not yet seen. */
  openClaims(): readonly Claim[] {
    return this.#ledger.claims;
  }

  /** The claim is proved to be in the agent's context. Returns the messages that are now wholly there. */
  confirm(nonce: string): string[] {
    this.#refresh();
    const claim = this.#ledger.find(nonce);
    if (!claim || claim.inContext) return [];
    this.#file.mark(this.#completed(claim), "settled");
    crashPoint("inbox.confirm.flagged");
    this.#ledger.prove(claim);
    crashPoint("inbox.confirm.ledgered");
    return claim.items.filter(isLast).map(({ id }) => id);
  }

  /** A later answer followed the proof. Returns the messages that are wholly seen; the claim is gone. */
  markSeen(nonce: string): string[] {
    this.confirm(nonce);
    const claim = this.#ledger.find(nonce);
    this.forget(nonce);
    return claim?.items.filter(isLast).map(({ id }) => id) ?? [];
  }

  /** Nothing will prove more about this claim; what it carried counts as being in context. */
  forget(nonce: string): void {
    this.confirm(nonce);
    const claim = this.#ledger.find(nonce);
    if (!claim) return;
    // the flags must outlive the claim that vouches for them
    this.#file.sync();
    crashPoint("inbox.forget.synced");
    this.#ledger.remove(claim);
    crashPoint("inbox.forget.ledgered");
    this.#compact();
  }

  /** The claim did not reach the agent: its messages are unread again. One in context is left alone. */
  drop(nonce: string): void {
    this.#refresh();
    const claim = this.#ledger.find(nonce);
    if (!claim || claim.inContext) return;
    this.#marker.show();
    crashPoint("inbox.drop.marked");
    // the claim goes last: a step that fails leaves it to be dropped again. No sync: a flag that comes back from a
    // crash as "claimed", but without a claim, is unread too
    this.#file.mark(this.#completed(claim), "unread");
    crashPoint("inbox.drop.flagged");
    this.#ledger.remove(claim);
    crashPoint("inbox.drop.ledgered");
  }

  /** Changes nothing; throws what would keep mail from being handed out: the disk takes no claim. */
  tryClaiming(): void {
    this.#ledger.tryRoom();
  }

  /** A view of the file, in its order. */
  records(): InboxRecord[] {
    this.#refresh();
    return this.#file.readEvery();
  }

  /** Of messages not wholly handed over: a long file costs no more than they do. */
  unreadRecords(): InboxRecord[] {
    this.#refresh();
    return this.#file.readEvery(({ mark }) => mark === "unread");
  }

  /** The session ended: what is not proved to be wholly in its context. Changes nothing. */
  takeBack(): string[] {
    this.#refresh();
    return this.#file.mails.filter(({ mark }) => mark !== "settled").map(({ id }) => id);
  }

  /** These are safe with the hub again. A split message keeps its place, for the session may resume. */
  removeReturned(ids: readonly string[]): void {
    this.#refresh();
    const returned = new Set(ids.filter((id) => this.#file.find(id)));
    if (returned.size > 0) {
      this.#agreed = false;
      this.#file.keep(({ id }) => !returned.has(id));
      crashPoint("inbox.return.rewritten");
      this.#reconcile();
      crashPoint("inbox.return.ledgered");
    }
    if (this.unread === 0) this.#marker.hide();
  }

  close(): void {
    this.#closed = true;
  }

  /** Closes it for ever: its files go, and what it knew of ids with them. */
  remove(): void {
    this.close();
    for (const end of [".ledger", ".ids", ".jsonl"]) unlinkIfPresent(this.path.replace(/\.jsonl$/, end));
  }

  readonly #isHere = (id: string): boolean => this.#file.find(id) !== undefined;

  #isKnown(id: string): boolean {
    return this.#isHere(id) || this.#remembered.has(id);
  }

  /** Messages whose last part this claim carries: their flags follow it. */
  #completed(claim: Claim): Mail[] {
    return claim.items.filter(isLast).flatMap(({ id }) => this.#file.find(id) ?? []);
  }

  #heldThreads(): Set<string> {
    const unproved = this.#ledger.claims.filter(({ inContext }) => !inContext);
    return new Set(
      unproved.flatMap(({ items }) => items.flatMap(({ id }) => this.#file.find(id)?.thread ?? [])),
    );
  }

  *#candidates(): Generator<Candidate, void> {
    const held = this.#heldThreads();
    for (const mail of this.#file.mails) {
      if (mail.mark !== "unread" || held.has(mail.thread)) continue;
      const record = this.#file.read(mail);
      const progress = this.#ledger.progressOf(mail.id);
      // nothing of it in context yet, or another text came back under this id: it may be cut anew
      const stale = progress?.done === 0 || progress?.cuts.at(-1) !== record.message.length;
      yield { record, progress: stale ? undefined : progress };
    }
  }

  #refresh(): void {
    if (this.#closed)
      throw new IntercomError("internal", `the inbox of ${this.#options.sessionId} is closed`);
    if (this.#file.changed()) {
      log.warn("an inbox was changed by another program; it is read again", { path: this.path });
      this.#agreed = false;
      this.#file.load();
    }
    if (this.#agreed) return;
    this.#reconcile();
    if (this.unread > 0) this.#marker.show();
  }

  /** Makes ledger and flags agree: the ledger knows what was claimed, the file what is there. */
  #reconcile(): void {
    this.#ledger.dropAbsent(this.#isHere);
    const carried = new Map(
      this.#ledger.claims.flatMap((claim) => this.#completed(claim).map(({ id }) => [id, claim])),
    );
    const marks = { unread: [] as Mail[], claimed: [] as Mail[], settled: [] as Mail[] };
    for (const mail of this.#file.mails) {
      const claim = carried.get(mail.id);
      if (claim) marks[claim.inContext ? "settled" : "claimed"].push(mail);
      // claimed by nobody: its claim is lost, and with it the proof. Rather twice than never
      else if (mail.mark === "claimed") marks.unread.push(mail);
    }
    this.#file.mark(marks.unread, "unread");
    this.#file.mark(marks.claimed, "claimed");
    this.#file.mark(marks.settled, "settled");
    this.#file.sync();
    this.#agreed = true;
  }

  /** Drops settled messages from a long file; their ids stay known, so one sent again is still skipped. */
  #compact(): void {
    const { size, settledBytes } = this.#file;
    if (size <= (this.#options.compactAbove ?? compactAboveBytes) || settledBytes < size / 2) return;
    const claimed = new Set(this.#ledger.claims.flatMap(({ items }) => items.map(({ id }) => id)));
    const dropped = this.#file.mails.filter(({ mark, id }) => mark === "settled" && !claimed.has(id));
    if (dropped.length === 0) return;
    try {
      this.#remembered.add(dropped.map(({ id }) => id));
      crashPoint("inbox.compact.remembered");
      const gone = new Set(dropped.map(({ id }) => id));
      this.#file.keep(({ id }) => !gone.has(id));
      crashPoint("inbox.compact.rewritten");
    } catch (error) {
      log.warn("an inbox could not be compacted", { path: this.path, error });
    }
  }
}
