// What daemons report about copies in their inboxes, in SQLite: applied once each, and never backwards.
import type { Database } from "bun:sqlite";
import type { Receipt } from "../protocol/hub-api.ts";
import type { MessageState } from "../protocol/message.ts";
import {
  type DeliveryRow,
  deliveryColumns,
  isLatestState,
  owesNotice,
  recordState,
  setState,
} from "./deliveries.ts";
import { damagedReason } from "./mending.ts";
import { lostHash } from "./prune.ts";
import type { StateRecord } from "./store.ts";

type Options = { at: string; expires_at: string };

/** Receipts for copies that this machine's session does not have are ignored: local mail has none here. */
export function applyReceipts(
  db: Database,
  machine: string,
  receipts: readonly Receipt[],
  options: Options,
): StateRecord[] {
  return receipts.flatMap((receipt) => {
    const row = db
      .query<DeliveryRow, [string, string, string]>(
        `SELECT ${deliveryColumns} FROM deliveries WHERE message_id = ? AND machine_id = ? AND session_id = ?`,
      )
      .get(receipt.message_id, machine, receipt.session_id);
    if (!row || isKnown(db, row, receipt)) return [];
    const { state_no } = receipt;
    if (state_no !== undefined && !isLatestState(db, row, state_no)) return [];
    return apply(db, row, receipt, options);
  });
}

/** How far a copy has come. A later report may only raise it; `queued` (given back) is the one way back. */
const progress: Record<MessageState, number> = {
  held: 0,
  queued: 1,
  accepted: 1,
  // The hub's own guess about a copy it had not seen arrive: a daemon's proof outweighs it.
  expired: 1,
  delivered: 2,
  offered: 3,
  seen: 4,
  replied: 5,
  failed: 6,
};

function apply(db: Database, row: DeliveryRow, receipt: Receipt, { at, expires_at }: Options): StateRecord[] {
  const told = { told_at: receipt.at, at: boundedTime(db, row, receipt, at) };
  const change = { ...told, state: receipt.state, reason: receipt.reason };
  switch (receipt.state) {
    case "queued":
      // What was proved to be in the agent's context cannot come back from it.
      if (row.seen === 1 || row.state === "failed" || row.state === "expired") return [];
      if (isLost(db, row)) {
        owesNotice(db, row.seq, "failed");
        return [setState(db, row, { state: "failed", at, reason: damagedReason })];
      }
      owesNotice(db, row.seq, "queued");
      return [setState(db, row, { ...change, reason: receipt.reason ?? "session ended", expires_at })];
    case "failed":
      if (row.seen === 1 || progress[row.state] > progress.offered) return [];
      owesNotice(db, row.seq, "failed");
      return [setState(db, row, { ...change, at })];
    case "delivered":
    case "offered":
    case "seen":
      if (row.state === "queued" && receipt.state !== "seen" && isBeforeReturn(db, row, receipt)) return [];
      if (receipt.state === "seen") db.query("UPDATE deliveries SET seen = 1 WHERE seq = ?").run(row.seq);
      if (progress[receipt.state] > progress[row.state]) return [setState(db, row, change)];
      // it still stands in the inbox, and why it is not read has changed, or is so no more
      if (receipt.state === "delivered" && row.state === "delivered")
        return isReason(db, row, receipt.reason) ? [] : [setState(db, row, change)];
      // A reply overtook the receipt: the state stays `replied`, the history gets the fact.
      return row.state === "replied" ? [recordState(db, row, change)] : [];
    default:
      return receipt.state satisfies never;
  }
}

/** A machine's clock may be off: nothing it tells is later than now, or earlier than the copy's arrival there. */
function boundedTime(db: Database, row: DeliveryRow, { at }: Receipt, now: string): string {
  if (at >= now) return now;
  const arrived = db
    .query<{ at: string | null }, [string, string]>(
      "SELECT max(at) AS at FROM message_states WHERE message_id = ? AND address = ? AND state = 'delivered'",
    )
    .get(row.message_id, row.address)?.at;
  if (!arrived || at >= arrived) return at;
  return arrived < now ? arrived : now;
}

/**
 * Said before the copy was given back, and repeated behind that by a daemon that was killed meanwhile. The history does
 * not hold every word that changed nothing, so the time decides: both times are that daemon's own, for only it gives
 * back what was delivered; what the hub itself says of a copy that waits (`machine offline`) counts for nothing here.
 */
function isBeforeReturn(db: Database, row: DeliveryRow, { at }: Receipt): boolean {
  const given = db
    .query<{ at: string }, [string, string]>(
      `SELECT coalesce(told_at, at) AS at FROM message_states WHERE message_id = ?1 AND address = ?2 AND state = 'queued' AND seq >
         (SELECT max(seq) FROM message_states
          WHERE message_id = ?1 AND address = ?2 AND state IN ('delivered', 'offered'))
       ORDER BY seq LIMIT 1`,
    )
    .get(row.message_id, row.address);
  return given !== null && at <= given.at;
}

/** What was given back cannot be given out again: its text is lost (`mending-mail.ts`). */
function isLost(db: Database, { message_id }: DeliveryRow): boolean {
  const sql = "SELECT 1 FROM messages WHERE id = ? AND hash = ?";
  return db.query(sql).get(message_id, lostHash) !== null;
}

/** A daemon that was started again tells once more why mail waits. */
function isReason(db: Database, { seq }: DeliveryRow, reason: string | undefined): boolean {
  const same = db.query("SELECT 1 FROM deliveries WHERE seq = ? AND reason IS ?").get(seq, reason ?? null);
  return same !== null;
}

/** A daemon repeats what was not acked. */
function isKnown(db: Database, row: DeliveryRow, { state, at }: Receipt): boolean {
  const same = db
    .query(
      `SELECT 1 FROM message_states
       WHERE message_id = ? AND address = ? AND state = ? AND coalesce(told_at, at) = ?`,
    )
    .get(row.message_id, row.address, state, at);
  return same !== null;
}
