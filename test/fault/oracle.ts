// The oracle: what was accepted stands in the right context exactly once, whole and in order, or is found waiting, or
// its sender was told. Everything else is a violation, named.
import { type Book, type Read, type Sent, sessionOf, tokenOf } from "./book.ts";

/** Where else a message may be, by its id: unread in an inbox, waiting at the hub or in an outbox, told as failed. */
export type Elsewhere = ReadonlyMap<string, string>;

export type Verdict = {
  /** accepted and nowhere */
  lost: string[];
  /** more than once in contexts, or in one and still waiting elsewhere */
  doubled: string[];
  /** in a context that it was not addressed to, or of a message that nobody sent */
  misplaced: string[];
  /** after a later one of its lane */
  disordered: string[];
  /** not the text that was sent, or with a part missing in the middle */
  garbled: string[];
  /** in a context although its sender was told that it goes nowhere */
  denied: string[];
  /** accepted, waiting somewhere, but not delivered although everything ran */
  stuck: string[];
  /** accepted, and then its sender was told that it failed, although everything ran */
  failed: string[];
};

export const kinds = [
  "lost",
  "doubled",
  "misplaced",
  "disordered",
  "garbled",
  "denied",
  "stuck",
  "failed",
] as const satisfies (keyof Verdict)[];

export const isClean = (verdict: Verdict): boolean => kinds.every((kind) => verdict[kind].length === 0);

export const nothingWrong = (): Verdict => ({
  lost: [],
  doubled: [],
  misplaced: [],
  disordered: [],
  garbled: [],
  denied: [],
  stuck: [],
  failed: [],
});

/** `absent`: sessions that ended for good: what is accepted for them may wait. */
export function judge(book: Book, elsewhere: Elsewhere, absent: ReadonlySet<string>): Verdict {
  const verdict = { ...nothingWrong(), misplaced: [...book.wrong] };
  const byToken = new Map(book.sent.map((one) => [one.token, one]));
  const arrivals = groupById(book.reads);
  const found = new Map<string, Read[]>();
  for (const [id, reads] of arrivals) {
    if (isDoubled(reads)) verdict.doubled.push(describe(id, reads));
    const token = tokenOf(reads[0]?.text ?? "");
    if (reads[0]?.from === "hub") continue;
    const sent = token === undefined ? undefined : byToken.get(token);
    if (!sent) {
      verdict.misplaced.push(`${describe(id, reads)}: nobody sent it`);
      continue;
    }
    if (found.has(sent.token)) verdict.doubled.push(`${describe(id, reads)}: again as ${sent.token}`);
    found.set(sent.token, reads);
    if (reads.some(({ session }) => sessionOf(session) !== sessionOf(sent.to)))
      verdict.misplaced.push(`${describe(id, reads)}: it was for ${sent.to}`);
    if (sent.outcome === "refused") verdict.denied.push(`${describe(id, reads)}: told ${sent.answer}`);
  }
  for (const sent of book.sent) weigh(sent, found.get(sent.token), elsewhere, absent, verdict);
  verdict.disordered.push(...disorder(book, found));
  return verdict;
}

function weigh(
  sent: Sent,
  reads: Read[] | undefined,
  elsewhere: Elsewhere,
  absent: ReadonlySet<string>,
  verdict: Verdict,
): void {
  const place = sent.id === undefined ? undefined : elsewhere.get(sent.id);
  const told = `${sent.token} (${sent.id ?? "no id"}, ${sent.answer ?? sent.outcome}) to ${sent.to}`;
  const last = reads?.at(-1);
  if (reads && last && last.part === last.of) {
    if (squeeze(reads.map(({ text }) => text).join("")) !== squeeze(sent.text) && !isDoubled(reads))
      verdict.garbled.push(`${told}: ${JSON.stringify(reads.map(({ text }) => text.slice(0, 80)))}`);
    if (place !== undefined) verdict.doubled.push(`${told}: in context and ${place}`);
    return;
  }
  if (sent.outcome !== "accepted") return;
  if (place === undefined) verdict.lost.push(told);
  else if (place.includes("told")) verdict.failed.push(`${told}: ${place}`);
  else if (!absent.has(sent.to)) verdict.stuck.push(`${told}: ${place}`);
}

/** Within a lane the sender waited for each answer, so the context must show the same order. */
function disorder(book: Book, found: Map<string, Read[]>): string[] {
  const position = new Map(book.reads.map((read, at) => [`${read.id} ${read.part}`, at]));
  const latest = new Map<string, { at: number; token: string }>();
  return book.sent.flatMap(({ lane, token, id, answer, outcome }) => {
    // of a call that failed nobody said when its message comes
    if (outcome === "unknown") return [];
    const first = found.get(token)?.[0];
    const at = first && position.get(`${first.id} ${first.part}`);
    if (at === undefined) return [];
    const before = latest.get(lane);
    if (!before || before.at < at) latest.set(lane, { at, token });
    return before && at < before.at
      ? [`${token} (${id}, ${answer}) read before ${before.token} of lane ${lane}`]
      : [];
  });
}

function groupById(reads: readonly Read[]): Map<string, Read[]> {
  const groups = new Map<string, Read[]>();
  for (const read of reads) {
    const group = groups.get(read.id);
    if (group) group.push(read);
    else groups.set(read.id, [read]);
  }
  return groups;
}

/** The rest of a split message may be cut anew, so only the numbers count: 1, 2, … each once. */
const isDoubled = (reads: Read[]): boolean => reads.some(({ part }, at) => part !== at + 1);

const describe = (id: string, reads: Read[]): string =>
  `${id} in ${reads.map(({ session, by, part, of, nonce }) => `${session} by ${by} ${part}/${of} [${nonce.slice(0, 6)}]`).join(" and ")}`;

/** Where a part ends its blank is lost to the frame. */
const squeeze = (text: string): string => text.replace(/\s+/g, "");
