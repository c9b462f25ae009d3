// What the oracle knows: every message that an agent tried to send with what it was told, and everything that stands
// in an agent's context. Written by the simulated agents, judged by `oracle.ts`.

/**
 * `accepted`: the sender was told delivered, queued or held. `refused`: told that it goes nowhere. `unknown`: the call
 * failed, so nobody told the sender anything: it may arrive once or not at all.
 */
type Outcome = "pending" | "accepted" | "refused" | "unknown";

export type Sent = {
  /** stands in the text: the MCP server makes the id, so a failed call leaves the sender without one */
  token: string;
  from: string;
  to: string;
  /** texts of one lane are sent one after the other to one recipient in one thread */
  lane: string;
  text: string;
  outcome: Outcome;
  answer?: string;
  id?: string;
};

/** One block of a delivery as it stands in an agent's transcript. */
export type Read = {
  session: string;
  nonce: string;
  id: string;
  thread: string;
  from: string;
  part: number;
  of: number;
  text: string;
  /** how it got there, for the report */
  by: string;
};

const tokenPattern = /#[\w.-]+#/;

export class Book {
  readonly sent: Sent[] = [];
  /** in the order in which they entered contexts */
  reads: Read[] = [];
  /** what agents saw go wrong besides: it is misplaced mail, or will be */
  readonly wrong: string[] = [];
  #next = 1;

  constructor(readonly name: string) {}

  /** A new text; `size` adds so many characters. */
  write(from: string, to: string, lane: string, size = 0): Sent {
    const token = `#${this.name}-${this.#next++}#`;
    const filler = size > 0 ? ` ${`${token.slice(1, -1)} `.repeat(Math.ceil(size / token.length))}` : "";
    const one: Sent = { token, from, to, lane, text: `${token} from ${from}${filler}.`, outcome: "pending" };
    this.sent.push(one);
    return one;
  }

  takeBack(nonce: string): void {
    this.reads = this.reads.filter((one) => one.nonce !== nonce);
  }

  /** how many of these sessions' accepted messages are not wholly in context yet */
  missing(addresses: ReadonlySet<string>): Sent[] {
    const sessions = new Set([...addresses].map(sessionOf));
    const whole = new Set(this.reads.filter(({ part, of }) => part === of).map(({ id }) => id));
    const tokens = new Set(this.reads.flatMap(({ text }) => tokenOf(text) ?? []));
    return this.sent.filter(
      ({ outcome, to, token, id }) =>
        outcome === "accepted" &&
        sessions.has(sessionOf(to)) &&
        !(id === undefined ? tokens.has(token) : whole.has(id)),
    );
  }
}

/** A session keeps its id when its project or machine is renamed. */
export const sessionOf = (address: string): string => address.slice(address.indexOf("@") + 1);

export const tokenOf = (text: string): string | undefined => tokenPattern.exec(text)?.[0];
