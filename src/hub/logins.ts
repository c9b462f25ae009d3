// A person on a joined machine: a code from the hub, typed there once, becomes a token that makes requests of that
// machine a person's. Only digests are kept here.
import { createHash, randomBytes } from "node:crypto";
import { IntercomError } from "../protocol/errors.ts";
import type { HubParsed, Invite, Login } from "../protocol/hub-api.ts";
import { formatInvite, newInviteSecret, parseInvite } from "../protocol/invite.ts";
import { log } from "../system/log.ts";
import { isoAt, type Parts } from "./parts.ts";
import { RateLimit } from "./rate.ts";

const codeLifeMs = 10 * 60 * 1000;
const loginLifeMs = 30 * 24 * 3600 * 1000;
/** wrong codes from one machine: at once, and a second */
const wrongCodes = { burst: 10, perSecond: 1 / 6 };

export class Logins {
  readonly #parts: Parts;
  readonly #attempts: RateLimit;

  constructor(parts: Parts) {
    this.#parts = parts;
    this.#attempts = new RateLimit({ ...wrongCodes, now: parts.now });
  }

  async code(): Promise<Invite> {
    const secret = newInviteSecret();
    const expires_at = isoAt(this.#parts.now() + codeLifeMs);
    await this.#parts.store.createLoginCode({ hash: digest(secret), expires_at });
    return { code: formatInvite({ secret }), expires_at };
  }

  /** The name under which decisions are recorded says from which machine they came. Throws `login_invalid`. */
  async login(machine: string, { code, name }: HubParsed<"login">): Promise<Login> {
    const waitMs = this.#attempts.peek(machine);
    if (waitMs > 0)
      throw new IntercomError("rate_limited", `too many wrong codes; wait ${Math.ceil(waitMs / 1000)} s`);
    const nowMs = this.#parts.now();
    const token = randomBytes(32).toString("base64url");
    const login = {
      token_hash: digest(token),
      machine,
      name: `${name.replace(/[\p{C}@]/gu, "").trim() || "person"}@${machine}`,
      at: isoAt(nowMs),
      expires_at: isoAt(nowMs + loginLifeMs),
    };
    const secret = secretOf(code);
    if (secret !== undefined && (await this.#parts.store.useLoginCode(digest(secret), login))) {
      log.info("a person logged in", { machine, name: login.name });
      return { token, name: login.name, expires_at: login.expires_at };
    }
    this.#attempts.take(machine);
    throw new IntercomError("login_invalid", "this code is wrong, used up or expired");
  }

  /** Of this machine only: a digest that another one knows ends nothing. */
  async logout(
    machine: string,
    { token, token_hash = token === undefined ? undefined : digest(token) }: HubParsed<"logout">,
  ): Promise<{ status: "logged_out" }> {
    if (token_hash === undefined)
      throw new IntercomError("bad_request", "which login? give token or token_hash");
    await this.#parts.store.endLogin(token_hash, machine);
    return { status: "logged_out" };
  }

  /** Whose login this is. Throws `not_logged_in`. */
  async person(machine: string, token: string): Promise<string> {
    const { store, now } = this.#parts;
    const name = await store.login(digest(token), machine, isoAt(now()));
    if (name !== undefined) return name;
    throw new IntercomError("not_logged_in", "this login has ended, or is not of this machine");
  }
}

const digest = (secret: string): string => createHash("sha256").update(secret).digest("hex");

/** undefined: it cannot be a code. */
function secretOf(code: string): string | undefined {
  try {
    return parseInvite(code).secret;
  } catch {
    return undefined;
  }
}
