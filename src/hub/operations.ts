// Every operation of hub-api.ts with its handler: the one place through which a link frame and an HTTP request
// reach the hub. Checks who may ask and reads the input; the handlers decide the rest.
import type { z } from "zod";
import { IntercomError } from "../protocol/errors.ts";
import { type Caller, type HubOperation, type HubParsed, hubOperations } from "../protocol/hub-api.ts";
import { sendCanary } from "./canary.ts";
import type { Enrolment } from "./enrolment.ts";
import { listAgents, listMachines } from "./listing.ts";
import { releaseThread } from "./loop-guard.ts";
import { isoAt, type Parts } from "./parts.ts";
import { takePresence, takeReceipts } from "./presence.ts";
import { messageStatus, readInbox, threadHistory } from "./queries.ts";
import type { Router } from "./routing.ts";
import { askUpgrade } from "./upgrade.ts";

/** `epoch`: of the link that the request came over; absent over HTTP. */
export type Asker = Caller & { epoch?: number };

/** `now` is the answer; or `later` brings it, and what the same caller asks next may begin before. */
export type Answer = { now: unknown; later?: undefined } | { later: Promise<unknown> };

type Handlers = {
  [O in HubOperation]: (input: HubParsed<O>, asker: Asker) => Promise<Answer>;
};

export class Operations {
  readonly #handlers: Handlers;

  constructor(parts: Parts & { router: Router; enrolment: Enrolment; tellNotices: () => void }) {
    const { router, enrolment, store, now } = parts;
    const at = () => isoAt(now());
    const answer = async (value: Promise<unknown>): Promise<Answer> => ({ now: await value });
    this.#handlers = {
      presence: (input, asker) => answer(takePresence(parts, machineOf(asker), input, asker.epoch)),
      receipts: (input, asker) => answer(takeReceipts(parts, machineOf(asker), input.receipts)),
      heartbeat: (_, asker) => answer(store.sawMachine(machineOf(asker), at()).then(() => ({ time: at() }))),
      route: (input, asker) => router.route(input, asker),
      // later: the daemon answers over the very link that asks
      canary: async (input, asker) => ({ later: sendCanary(parts, machineOf(asker), input) }),
      agents: (input) => answer(listAgents(parts, input.filter)),
      message: (input, asker) => answer(messageStatus(parts, asker, input)),
      thread: (input, asker) => answer(threadHistory(parts, asker, input)),
      machines: () => answer(listMachines(parts)),
      machine_decide: (input) => answer(enrolment.decide(input.id, input.decision)),
      machine_upgrade: async ({ id, version }) => ({
        later: askUpgrade(parts, id, { op: "upgrade", order: { version } }),
      }),
      machine_upgrade_state: async ({ id }) => ({ later: askUpgrade(parts, id, { op: "upgrade_state" }) }),
      invite: () => answer(enrolment.invite()),
      release: (input) => answer(releaseThread(parts, input.id)),
      human_inbox: (input) => answer(readInbox(parts, input)),
    };
  }

  /** Throws what the asker is told; an unknown `op` is `not_found`. */
  async run(op: string, payload: unknown, asker: Asker): Promise<Answer> {
    if (!isOperation(op))
      throw new IntercomError("not_found", `the hub has no operation "${op.slice(0, 64)}"`);
    return this.#run(op, payload, asker);
  }

  #run<O extends HubOperation>(op: O, payload: unknown, asker: Asker): Promise<Answer> {
    const { who } = hubOperations[op];
    if (who === "person" && asker.kind !== "person")
      throw new IntercomError("person_only", "only the person on the hub's host may do this");
    if (who === "machine" && asker.kind !== "machine")
      throw new IntercomError("forbidden", "only an enrolled machine may do this");
    return this.#handlers[op](parse(op, payload), asker);
  }
}

function isOperation(op: string): op is HubOperation {
  return Object.hasOwn(hubOperations, op);
}

function parse<O extends HubOperation>(op: O, payload: unknown): HubParsed<O> {
  const schema: z.ZodType = hubOperations[op].input;
  const parsed = schema.safeParse(payload ?? {});
  // The boundary: zod has just checked that this is what the table says.
  if (parsed.success) return parsed.data as HubParsed<O>;
  const [issue] = parsed.error.issues;
  const where = issue?.path.join(".");
  throw new IntercomError(
    "bad_request",
    `${where ? `${where}: ` : ""}${issue?.message ?? "unreadable input"}`,
  );
}

function machineOf(asker: Asker): string {
  if (asker.kind === "machine") return asker.machine;
  throw new IntercomError("forbidden", "only an enrolled machine may do this");
}
