// How machines come in and are turned away: invites, requests that wait for a person, approval and revocation.
// A machine proves the key it presents by signing the request with it.
import { createHash } from "node:crypto";
import { nearMatches } from "../protocol/address.ts";
import { IntercomError } from "../protocol/errors.ts";
import { type Invite, type JoinAnswer, JoinInput } from "../protocol/hub-api.ts";
import { readInput } from "../protocol/input.ts";
import { formatInvite, newInviteSecret, parseInvite } from "../protocol/invite.ts";
import type { Mission } from "../store/mission-store.ts";
import type { JoinOutcome, Machine } from "../store/store.ts";
import { fingerprint } from "../system/keys.ts";
import { log } from "../system/log.ts";
import { type HttpRequest, verifyRequest } from "../system/signature.ts";
import { isoAt, type Parts } from "./parts.ts";
import { RateLimit } from "./rate.ts";

/** security.md */
const inviteLifeMs = 10 * 60 * 1000;
/** requests that may wait for a person at a time: more is a flood */
const maxPending = 50;
/** wrong codes and names from one address: at once, and a second */
const wrongGuesses = { burst: 10, perSecond: 1 / 6 };

export class Enrolment {
  readonly #parts: Parts;
  readonly #inviteUrl: () => string;
  readonly #tellNotices: () => void;
  readonly #onEnded: (missions: Mission[]) => Promise<void>;
  readonly #attempts: RateLimit;

  constructor(
    parts: Parts,
    options: {
      inviteUrl: () => string;
      tellNotices: () => void;
      onEnded: (missions: Mission[]) => Promise<void>;
    },
  ) {
    this.#parts = parts;
    this.#inviteUrl = options.inviteUrl;
    this.#tellNotices = options.tellNotices;
    this.#onEnded = options.onEnded;
    this.#attempts = new RateLimit({ ...wrongGuesses, now: parts.now });
  }

  /** Only the digest of the secret is kept. */
  async invite(): Promise<Invite> {
    const secret = newInviteSecret();
    const expires_at = isoAt(this.#parts.now() + inviteLifeMs);
    await this.#parts.store.createInvite({ hash: inviteHash(secret), expires_at });
    return { code: formatInvite({ secret, url: this.#inviteUrl() }), expires_at };
  }

  /** `from`: the network address of the asker, for the limit on wrong codes. */
  async join(request: HttpRequest, body: unknown, from: string): Promise<JoinAnswer> {
    const input = readInput(JoinInput, body);
    // A replayed join does nothing new: the same key again, and a code that is used up.
    await verifyRequest(request, async (machine) => presentedKey(machine, input), this.#parts.now());
    if (!(await this.#isKnown(input))) this.#refuseGuesser(from);
    const invite_hash = input.code === undefined ? undefined : this.#hashOf(input.code, from);
    const outcome = await this.#parts.store.join({
      id: input.machine_id,
      public_key: input.public_key,
      fingerprint: fingerprint(input.public_key),
      display_name: input.display_name,
      description: input.description,
      at: isoAt(this.#parts.now()),
      invite_hash,
      max_pending: maxPending,
    });
    if (outcome.outcome !== "joined") this.#attempts.take(from);
    const { machine, fresh } = admitted(outcome, input);
    if (fresh) this.#tell(machine);
    return joinAnswer(machine);
  }

  /** Whoever asked for a name may look how it stands; who tries one name after the other is slowed down. */
  async status(id: string, from: string): Promise<JoinAnswer> {
    this.#refuseGuesser(from);
    const machine = await this.#parts.store.machine(id);
    if (machine) return joinAnswer(machine);
    this.#attempts.take(from);
    throw new IntercomError("unknown_machine", "no machine of this name asked to join");
  }

  async decide(id: string, decision: "approve" | "deny" | "revoke"): Promise<JoinAnswer> {
    const { store, links, events, now } = this.#parts;
    const { machine, changed, changes, missions } = await store.decideMachine(id, decision, isoAt(now()));
    if (!machine) {
      const near = nearMatches(
        id,
        (await store.machines()).map((known) => known.id),
      );
      throw new IntercomError("unknown_machine", `no machine named "${id}"`, {
        hint: near.length > 0 ? `did you mean ${near.join(" or ")}?` : "ai-intercom machines",
      });
    }
    if (!changed && machine.status !== reached[decision])
      throw new IntercomError("conflict", `machine ${id} is ${machine.status}`, {
        hint:
          decision === "deny"
            ? `to shut it out: ai-intercom machines revoke ${id}`
            : "it comes back with an invite only: ai-intercom invite",
      });
    if (machine.status !== "approved") links.revoke(id);
    events.states(changes);
    if (changed) this.#tell(machine);
    if (changes.length > 0) this.#tellNotices();
    await this.#onEnded(missions);
    return joinAnswer(machine);
  }

  /** The same machine again, as a daemon that waits or lost an answer asks: it guesses nothing. */
  async #isKnown({ machine_id, public_key }: JoinInput): Promise<boolean> {
    const known = await this.#parts.store.machine(machine_id);
    return known?.public_key === public_key && (known.status === "approved" || known.status === "pending");
  }

  /** Looked at before code and name are: who guesses learns nothing more, right or wrong. */
  #refuseGuesser(from: string): void {
    const waitMs = this.#attempts.peek(from);
    if (waitMs > 0)
      throw new IntercomError(
        "rate_limited",
        `too many wrong codes or names; wait ${Math.ceil(waitMs / 1000)} s`,
      );
  }

  #hashOf(code: string, from: string): string {
    try {
      return inviteHash(parseInvite(code).secret);
    } catch (error) {
      this.#attempts.take(from);
      throw error;
    }
  }

  #tell({ id, status, fingerprint }: Machine): void {
    log.info(`machine ${status}`, { machine: id, fingerprint });
    this.#parts.events.emit({ kind: "machine", at: isoAt(this.#parts.now()), machine_id: id, status });
  }
}

const reached = { approve: "approved", deny: "denied", revoke: "revoked" } as const;

const inviteHash = (secret: string): string => createHash("sha256").update(secret).digest("hex");

function presentedKey(machine: string, input: JoinInput): string {
  if (machine === input.machine_id) return input.public_key;
  throw new IntercomError("unauthenticated", "the request is not signed by the machine that asks");
}

function joinAnswer({ id, status, fingerprint }: Machine): JoinAnswer {
  return { machine_id: id, status, fingerprint };
}

function admitted(outcome: JoinOutcome, { machine_id }: JoinInput): { machine: Machine; fresh: boolean } {
  switch (outcome.outcome) {
    case "joined":
      return outcome;
    case "taken":
      throw new IntercomError("machine_taken", `another machine is known as ${machine_id}`);
    case "invite_invalid":
      throw new IntercomError("invite_invalid", "this code is wrong, used up or expired");
    case "too_many_pending":
      throw new IntercomError("rate_limited", `${maxPending} machines wait for approval already`, {
        hint: "ask the person at the hub for an invite code, or to look at: ai-intercom machines",
      });
    case "denied":
      throw new IntercomError("machine_denied", `machine ${machine_id} was denied`);
    case "revoked":
      throw new IntercomError("machine_revoked", `machine ${machine_id} was revoked`);
    default:
      return outcome satisfies never;
  }
}
