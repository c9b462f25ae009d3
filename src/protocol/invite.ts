// Invite codes: `XXXX-XXXX-XXXX-XXXX@http://hub:7700`. The secret has 80 random bits in Crockford's base32, which
// a person can read aloud: no I, L, O, U, and case does not matter.
import { IntercomError } from "./errors.ts";

const alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const secretLength = 16;

/** What a person hands over: the secret to show to the hub, and where the hub is. */
export type InviteCode = { secret: string; url?: string };

export function newInviteSecret(): string {
  return Array.from(
    crypto.getRandomValues(new Uint8Array(secretLength)),
    (byte) => alphabet[byte % alphabet.length],
  ).join("");
}

export function formatInvite({ secret, url }: InviteCode): string {
  const grouped = secret.match(/.{4}/g)?.join("-") ?? secret;
  return url === undefined ? grouped : `${grouped}@${url}`;
}

/** Tolerates lower case, missing or extra dashes and spaces, and O, I, L for 0 and 1. Throws `invite_invalid`. */
export function parseInvite(code: string): InviteCode {
  const at = code.indexOf("@");
  const secret = (at < 0 ? code : code.slice(0, at))
    .toUpperCase()
    .replace(/[\s-]/g, "")
    .replaceAll("O", "0")
    .replace(/[IL]/g, "1");
  const url = at < 0 ? undefined : code.slice(at + 1).trim();
  const wellFormed =
    secret.length === secretLength && [...secret].every((character) => alphabet.includes(character));
  if (!wellFormed || (url !== undefined && !/^https?:\/\/[^\s/@]+\/?$/.test(url)))
    throw new IntercomError("invite_invalid", "that is not an invite code", {
      hint: "a code looks like ABCD-EFGH-JKMN-PQRS@http://hub:7700; copy it whole, or make a new one, at the hub: ai-intercom invite",
    });
  return url === undefined ? { secret } : { secret, url: url.replace(/\/$/, "") };
}
