// What waits for the hub: every answer about it is what a walk over the entries says, however they came and went.
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { Outbox, type OutboxEntry } from "../../src/daemon/outbox.ts";
import { Dice } from "../fault/dice.ts";

const root = mkdtempSync("/tmp/aii-outbox-");
afterAll(() => rmSync(root, { recursive: true }));

const sessions = ["s-20261123-00000a", "s-20261123-00000b", "s-20261123-00000c"];
const at = "2026-11-23T00:00:00.000Z";

function entryOf(dice: Dice, n: number): OutboxEntry {
  const session_id = dice.pick(sessions);
  if (dice.chance(0.5)) {
    const state = dice.chance(0.3) ? ("queued" as const) : ("delivered" as const);
    return { kind: "receipt", receipt: { message_id: `msg-${n}`, session_id, state, at } };
  }
  const payload = {
    message: `m${n}`,
    message_id: `msg-${n}`,
    if_no_session: "fail" as const,
    priority: "normal" as const,
  };
  const input = { from_agent: `atlas/p@${session_id}`, to_agent: "limn/api", type: "chat" as const, payload };
  return { kind: "route", session_id, at, input };
}

test.each([1, 2, 3])("adds, drops and restarts, seed %d", (seed) => {
  const dice = new Dice(seed);
  const path = `${root}/${seed}.jsonl`;
  let outbox = Outbox.open(path);
  let waiting: OutboxEntry[] = [];
  for (let n = 0; n < 600; n++) {
    if (dice.chance(0.55)) {
      const entries = Array.from({ length: dice.between(1, 4) }, (_, one) => entryOf(dice, n * 10 + one));
      outbox.add(entries, { durable: false });
      waiting.push(...entries);
    } else {
      const head = outbox.head();
      expect(head).toEqual(waiting.slice(0, head.length));
      outbox.drop(head.length);
      waiting = waiting.slice(head.length);
    }
    if (dice.chance(0.05)) {
      outbox.close();
      outbox = Outbox.open(path);
      // what had gone may come back from the file, never the other way round
      expect(outbox.size).toBeGreaterThanOrEqual(waiting.length);
      outbox.drop(outbox.size - waiting.length);
    }
    const routes = waiting.flatMap((entry) => (entry.kind === "route" ? [entry] : []));
    const returning = waiting.flatMap((entry) =>
      entry.kind === "receipt" && entry.receipt.state === "queued" ? [entry.receipt.session_id] : [],
    );
    expect([outbox.size, outbox.routes]).toEqual([waiting.length, routes.length]);
    expect([...outbox.senders()].sort()).toEqual([...new Set(routes.map((one) => one.session_id))].sort());
    expect(sessions.filter((one) => outbox.isReturning(one))).toEqual(
      sessions.filter((one) => returning.includes(one)),
    );
    expect(outbox.routesWhere(({ input }) => input.payload.message !== "m")).toEqual(routes);
    const some = routes.length > 0 ? dice.pick(routes) : undefined;
    if (some) expect(outbox.find(some.input.payload.message_id)).toEqual(some);
    expect(outbox.find("msg-none")).toBeUndefined();
  }
  outbox.close();
});
