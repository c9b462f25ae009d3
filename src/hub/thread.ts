// Who may write in a thread, and to whom such a message goes.
import { type Address, formatAddress } from "../protocol/address.ts";
import { IntercomError } from "../protocol/errors.ts";
import type { Store } from "../store/store.ts";

/** The other ends of `thread`, seen from `from`; with `to` only that one. Throws `unknown_thread`, `not_a_member`. */
export async function otherEnds(
  store: Store,
  thread: string,
  from: Address,
  to: Address | undefined,
): Promise<Address[]> {
  const members = await store.members(thread);
  if (!members) throw new IntercomError("unknown_thread", `there is no thread ${thread}`);
  if (from.kind !== "human" && !members.some((member) => isSame(member, from)))
    throw new IntercomError("not_a_member", `${formatAddress(from)} is not in thread ${thread}`);
  const others = members.filter((member) => !isSame(member, from));
  const chosen = to === undefined ? others : others.filter((member) => isMeant(to, member));
  if (chosen.length > 0) return chosen;
  throw new IntercomError(
    "not_a_member",
    to === undefined
      ? `thread ${thread} has no other end`
      : `${formatAddress(to)} is not the other end of thread ${thread}`,
    { hint: `in it: ${members.map(formatAddress).join(", ")}` },
  );
}

/** One of the machine's sessions (or exactly `session`) is in the thread. */
export function isMember(members: readonly Address[], machine: string, session: string | undefined): boolean {
  return members.some(
    (member) =>
      member.kind === "session" &&
      member.machine === machine &&
      (session === undefined || member.session === session),
  );
}

/** A session is the same one under whatever project name it is now. */
function isSame(a: Address, b: Address): boolean {
  if (a.kind === "session" && b.kind === "session") return a.machine === b.machine && a.session === b.session;
  return formatAddress(a) === formatAddress(b);
}

function isMeant(to: Address, member: Address): boolean {
  if (to.kind === "project" && member.kind === "session")
    return to.machine === member.machine && to.project === member.project;
  return isSame(to, member);
}
