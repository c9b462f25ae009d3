// Every operation of hub-api.ts with its handler: the one place through which a link frame and an HTTP request
// reach the hub. Checks who may ask and reads the input; the handlers decide the rest.
import type { z } from "zod";
import { IntercomError } from "../protocol/errors.ts";
import { type Caller, type HubOperation, type HubParsed, hubOperations } from "../protocol/hub-api.ts";
import { readInput } from "../protocol/input.ts";
import { decideApproval, listApprovals, revokeGrant } from "./approvals.ts";
import { sendCanary } from "./canary.ts";
import type { Enrolment } from "./enrolment.ts";
import { listFeedback, takeFeedback } from "./feedback.ts";
import { listAgents, listMachines } from "./listing.ts";
import type { Logins } from "./logins.ts";
import { releaseThread } from "./loop-guard.ts";
import { listMissions, missionDetail, missionHistory } from "./mission-queries.ts";
import type { Missions } from "./missions.ts";
import { isoAt, type Overseer, type Parts } from "./parts.ts";
import { takePresence, takeReceipts } from "./presence.ts";
import { messageStatus, readInbox, threadHistory } from "./queries.ts";
import type { Router } from "./routing.ts";
import { askUpgrade } from "./upgrade.ts";

/** `epoch`: of the link that the request came over, and when it was heard there; absent over HTTP. */
export type Asker = Caller & { epoch?: number; heardMs?: number };

/** `now` is the answer; or `later` brings it, and what the same caller asks next may begin before. */
export type Answer = { now: unknown; later?: undefined } | { later: Promise<unknown> };

type Handlers = {
  [O in HubOperation]: (input: HubParsed<O>, asker: Asker) => Promise<Answer>;
};

type OperationParts = Parts & {
  router: Router;
  enrolment: Enrolment;
  missions: Missions;
  logins: Logins;
  /** who puts agents' questions to a person; nobody where that is not set up */
  overseer: () => Overseer | undefined;
  tellNotices: () => void;
};

export class Operations {
  readonly #handlers: Handlers;

  constructor(parts: OperationParts) {
    const { router, enrolment, missions, logins, store, now } = parts;
    const at = () => isoAt(now());
    const answer = async (value: Promise<unknown>): Promise<Answer> => ({ now: await value });
    this.#handlers = {
      presence: (input, asker) => answer(takePresence(parts, machineOf(asker), input, asker)),
      receipts: (input, asker) => answer(takeReceipts(parts, machineOf(asker), input.receipts)),
      delivered_copies: ({ session_id, after }, asker) =>
        answer(store.deliveredCopies(machineOf(asker), session_id, after)),
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
      permission: async (input, asker) => {
        const answer = await parts.overseer()?.permission(machineOf(asker), input);
        return { now: answer ?? { status: "nobody" } };
      },
      mission_report: (input, asker) => answer(missions.report(machineOf(asker), input)),
      missions: (input, asker) => answer(listMissions(parts, asker, input)),
      mission: (input, asker) => answer(missionDetail(parts, asker, input)),
      mission_history: (input, asker) => answer(missionHistory(parts, asker, input)),
      // later: the machine that runs it may be the one that asks
      mission_cancel: async (input, asker) => ({ later: missions.cancel(asker, input) }),
      approvals: (input) => answer(listApprovals(parts, input)),
      approval_decide: async (input, asker) => ({ later: decideApproval(parts, input, nameOf(asker)) }),
      grant_revoke: (input) => answer(revokeGrant(parts, input)),
      feedback: (input, asker) => answer(takeFeedback(parts, asker, input)),
      feedback_list: (input) => answer(listFeedback(parts, input)),
      login_code: () => answer(logins.code()),
      login: (input, asker) => answer(logins.login(machineOf(asker), input)),
      logout: (input, asker) => answer(logins.logout(machineOf(asker), input)),
      as_person: async ({ token, op, input }, asker) => {
        const name = await logins.person(machineOf(asker), token);
        return this.run(op, input, { kind: "person", name });
      },
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
      throw new IntercomError("person_only", "only a person may do this");
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
  // The boundary: zod has just checked that this is what the table says.
  return readInput(schema, payload ?? {}) as HubParsed<O>;
}

function nameOf(asker: Asker): string {
  if (asker.kind === "person") return asker.name;
  throw new IntercomError("person_only", "only a person may do this");
}

function machineOf(asker: Asker): string {
  if (asker.kind === "machine") return asker.machine;
  throw new IntercomError("forbidden", "only an enrolled machine may do this");
}
