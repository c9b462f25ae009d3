// One message to many: whom names and patterns mean, and a copy for each of them, with an id and a thread of its
// own. Whom it meant is kept with the first try, so that a retry reaches the same ones and each of them once.
import { createHash } from "node:crypto";
import { formatAddress, namePattern, nearMatches, parseAddress } from "../protocol/address.ts";
import { IntercomError, toIntercomError } from "../protocol/errors.ts";
import type { RouteInput } from "../protocol/hub-api.ts";
import { threadIdFor } from "../protocol/ids.ts";
import type { SendAnswer } from "../protocol/mission.ts";
import { selfTestProject } from "../protocol/session.ts";
import type { Target } from "../store/mission-store.ts";
import type { Project, Recipient, Session } from "../store/store.ts";
import { contentHash, messageConflict, sendMessage } from "./acceptance.ts";
import type { From } from "./callers.ts";
import type { Answer } from "./operations.ts";
import { isoAt, type Parts } from "./parts.ts";
import { recipientAt, requireMachine, requireProject, resolve } from "./recipients.ts";

type Sent = SendAnswer["recipients"][number];
type Placed = Target & { recipient?: Recipient };

export class Broadcasts {
  readonly #parts: Parts;
  /** message id → when an earlier try of it has been kept */
  readonly #turns = new Map<string, Promise<void>>();

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** `type: send`. Throws `bad_request` without a recipient, and for a message in a thread. */
  async send(input: RouteInput, from: From): Promise<Answer> {
    const { to_agent, payload } = input;
    if (payload.thread_id !== undefined)
      throw new IntercomError("bad_request", "a message of type send opens threads of its own", {
        hint: "in an existing thread use type chat (intercom_reply)",
      });
    const wanted = to_agent === undefined ? [] : [to_agent].flat();
    if (wanted.length === 0) throw new IntercomError("bad_request", "to_agent: a message needs a recipient");
    const before = this.#turns.get(payload.message_id);
    const turn = Promise.withResolvers<void>();
    this.#turns.set(payload.message_id, turn.promise);
    try {
      await before;
      return await this.#begin(input, wanted, from);
    } finally {
      turn.resolve();
      if (this.#turns.get(payload.message_id) === turn.promise) this.#turns.delete(payload.message_id);
    }
  }

  /** When this resolves, every copy stands in the order of commits, behind the list of whom it is for. */
  async #begin(
    input: RouteInput,
    wanted: readonly string[],
    from: From,
  ): Promise<{ later: Promise<SendAnswer> }> {
    const parts = this.#parts;
    const { message_id } = input.payload;
    const hash = contentHash(input);
    const known = await parts.store.targets(message_id);
    if (known && known.hash !== hash) throw messageConflict(message_id);
    const targets = known?.targets ?? (await expand(parts, wanted, from));
    const placed = await Promise.all(targets.map((target) => placeOf(parts, target)));
    const kept = parts.store.keepTargets({ message_id, hash, at: isoAt(parts.now()) }, targets);
    const sent = Promise.all(placed.map((target) => sendOne(parts, input, from, target)));
    await kept;
    return { later: sent.then((recipients) => answerFor(wanted, recipients)) };
  }
}

async function placeOf(parts: Parts, target: Target): Promise<Placed> {
  if (target.reason !== undefined) return target;
  return { ...target, recipient: await recipientAt(parts, parseAddress(target.to)) };
}

function answerFor(wanted: readonly string[], recipients: Sent[]): SendAnswer {
  const status = cautious.find((one) => recipients.some((sent) => sent.status === one));
  if (status) return { status, recipients };
  return {
    status: "error",
    recipients,
    error: `nobody but the sender is meant by ${wanted.join(", ")}`,
    hint: "ai-intercom agents (or intercom_list_agents) shows who can be reached",
  };
}

/** Of several the least advanced: no more is claimed than holds for all. */
const cautious: readonly SendAnswer["status"][] = ["error", "held", "queued", "delivered"];

async function sendOne(
  parts: Parts,
  input: RouteInput,
  from: From,
  { to, reason, recipient }: Placed,
): Promise<Sent> {
  if (recipient === undefined) return { to, status: "error", ...(reason ? { reason } : {}) };
  const { message, message_id, priority, await_delivery } = input.payload;
  const id = copyId(message_id, to);
  const thread_id = threadIdFor(id);
  try {
    const answer = await sendMessage(
      parts,
      {
        id,
        hash: contentHash(input),
        thread_id,
        opens_thread: true,
        type: "send",
        from,
        to_agent: to,
        text: message,
        at: isoAt(parts.now()),
        priority,
      },
      [recipient],
      { wait: await_delivery !== false },
    );
    const why = answer.reason ?? answer.error;
    const status = isSent(answer.status) ? answer.status : "error";
    return { to, status, message_id: id, thread_id, ...(why ? { reason: why } : {}) };
  } catch (thrown) {
    // one that cannot be reached takes nothing from the others
    const error = toIntercomError(thrown);
    if (error.code === "internal") throw error;
    return { to, status: "error", reason: error.message };
  }
}

function isSent(status: string): status is Sent["status"] {
  return status === "delivered" || status === "queued" || status === "held";
}

/** The same for every try, another for every recipient. */
function copyId(messageId: string, to: string): string {
  return `send-${createHash("sha256").update(`${messageId}\0${to}`).digest("hex").slice(0, 32)}`;
}

type Known = { projects: Project[]; open: Session[]; machines: string[] };

async function expand(parts: Parts, wanted: readonly string[], from: From): Promise<Target[]> {
  const { store } = parts;
  const approved = (await store.machines()).filter(({ status }) => status === "approved");
  const machines = approved.map(({ id }) => id);
  const known: Known = {
    machines,
    projects: (await store.projects()).filter(
      ({ machine_id, project_id }) => machines.includes(machine_id) && project_id !== selfTestProject,
    ),
    open: (await store.openSessions()).filter(
      ({ mission_id, project_id }) => mission_id === undefined && project_id !== selfTestProject,
    ),
  };
  const targets = new Map<string, Target>();
  for (const text of new Set(wanted)) {
    const found = text.includes("*") ? matching(known, text, from) : await named(parts, known, text, from);
    for (const target of found) if (!targets.has(target.to)) targets.set(target.to, target);
  }
  return [...targets.values()];
}

/** A plain name: every open session of a project, else its next one; a session or the person as such. */
async function named(parts: Parts, known: Known, text: string, from: From): Promise<Target[]> {
  try {
    const to = parseAddress(text);
    if (to.kind === "human") return [{ to: text }];
    await requireMachine(parts, to.machine);
    if (to.kind === "project") {
      await requireProject(parts, to);
      const sessions = sessionsOf(known, to.machine, to.project, from);
      return sessions.length > 0 ? sessions : [{ to: text }];
    }
    if (text === formatAddress(from)) return [{ to: text, reason: "that is the sender itself" }];
    await resolve(parts, from, to, "queue");
    return [{ to: text }];
  } catch (thrown) {
    const error = toIntercomError(thrown);
    if (error.code === "internal") throw error;
    return [{ to: text, reason: error.hint ? `${error.message}; ${error.hint}` : error.message }];
  }
}

function matching(known: Known, text: string, from: From): Target[] {
  const [machine = "", project = "*", ...rest] = text === "*" ? ["*", "*"] : text.split("/");
  const wellFormed = [machine, project].every((part) => part === "*" || namePattern.test(part));
  if (rest.length > 0 || !wellFormed)
    return [{ to: text, reason: "patterns are machine/*, */project and *" }];
  if (machine !== "*" && !known.machines.includes(machine))
    return [nobody(text, `no machine named "${machine}" is enrolled`, nearMatches(machine, known.machines))];
  const meant = known.projects.filter(
    ({ machine_id, project_id }) =>
      (machine === "*" || machine === machine_id) && (project === "*" || project === project_id),
  );
  if (meant.length === 0 && project !== "*") {
    const names = [...new Set(known.projects.map(({ project_id }) => project_id))];
    return [nobody(text, `no machine has a project named "${project}"`, nearMatches(project, names))];
  }
  return meant.flatMap(({ machine_id, project_id }) => {
    const sessions = sessionsOf(known, machine_id, project_id, from);
    const own = from.kind === "session" && from.machine === machine_id && from.project === project_id;
    // the sender's own project has a session: the sender
    return sessions.length > 0 || own ? sessions : [{ to: `${machine_id}/${project_id}` }];
  });
}

function sessionsOf({ open }: Known, machine: string, project: string, from: From): Target[] {
  return open
    .filter((session) => session.machine_id === machine && session.project_id === project)
    .filter(
      ({ session_id }) =>
        !(from.kind === "session" && from.machine === machine && from.session === session_id),
    )
    .map(({ session_id: session }) => ({
      to: formatAddress({ kind: "session", machine, project, session }),
    }));
}

function nobody(to: string, why: string, near: string[]): Target {
  return { to, reason: near.length > 0 ? `${why}; did you mean ${near.join(" or ")}?` : why };
}
