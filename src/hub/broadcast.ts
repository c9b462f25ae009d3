// One message to many: whom names and patterns mean, and a copy for each of them, with an id and a thread of its
// own. Whom it meant is kept with the first try, so that a retry reaches the same ones and each of them once.
import { formatAddress, nearMatches, parseAddress } from "../protocol/address.ts";
import { IntercomError, toIntercomError } from "../protocol/errors.ts";
import type { RouteInput } from "../protocol/hub-api.ts";
import { threadIdFor } from "../protocol/ids.ts";
import { copyIdFor, isPattern, type SendAnswer, type Sent, sendAnswer } from "../protocol/send.ts";
import { selfTestProject } from "../protocol/session.ts";
import type { Target } from "../store/mission-store.ts";
import type { Project, Recipient, Session } from "../store/store.ts";
import { contentHash, messageConflict, sendMessage } from "./acceptance.ts";
import type { From } from "./callers.ts";
import type { Answer } from "./operations.ts";
import { isoAt, type Parts } from "./parts.ts";
import { recipientAt, requireMachine, requireProject, resolve } from "./recipients.ts";

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
  if (recipients.length > 0) return sendAnswer(recipients);
  return {
    status: "error",
    recipients,
    error: `nobody but the sender is meant by ${wanted.join(", ")}`,
    hint: "ai-intercom agents (or intercom_list_agents) shows who can be reached",
  };
}

async function sendOne(
  parts: Parts,
  input: RouteInput,
  from: From,
  { to, named, reason, recipient }: Placed,
): Promise<Sent> {
  if (recipient === undefined) return failed({ to }, reason ?? "nobody is there");
  const { message, message_id, priority, await_delivery } = input.payload;
  const id = copyIdFor(message_id, named ?? to);
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
    const { status } = answer;
    if (!isSent(status)) return failed({ to, message_id: id, thread_id }, why ?? status);
    return { to, status, message_id: id, thread_id, ...(why ? { reason: why } : {}) };
  } catch (thrown) {
    // one that cannot be reached takes nothing from the others
    const error = toIntercomError(thrown);
    if (error.code === "internal") throw error;
    return failed({ to }, error.message);
  }
}

function failed(about: Pick<Sent, "to" | "message_id" | "thread_id">, error: string): Sent {
  return { ...about, status: "error", reason: error, error };
}

function isSent(status: string): status is Sent["status"] {
  return status === "delivered" || status === "queued" || status === "held";
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
  // one recipient alone, then projects, then patterns: the sender may know the ids of these copies already, and a
  // project's goes to a session that was not named itself
  const isWild = (text: string) => text.includes("*");
  const texts = [...new Set(wanted)].sort((a, b) => Number(b.includes("@")) - Number(a.includes("@")));
  for (const text of texts.filter((one) => !isWild(one))) {
    const found = await named(parts, known, text, from);
    const [first, ...more] = found.filter(({ to }) => !targets.has(to));
    if (first) targets.set(first.to, first.to === text ? first : { ...first, named: text });
    for (const target of more) targets.set(target.to, target);
  }
  for (const target of texts.filter(isWild).flatMap((text) => matching(known, text, from)))
    if (!targets.has(target.to)) targets.set(target.to, target);
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
  if (!isPattern(text)) return [{ to: text, reason: "patterns are machine/*, */project and *" }];
  const [machine = "", project = "*"] = text.split("/");
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
