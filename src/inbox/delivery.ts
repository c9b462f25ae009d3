// What one delivery carries: whole messages, or one numbered part of a message that is too long for it.
// Decides only; the inbox makes the decision durable.
import type { InboxRecord } from "../protocol/message.ts";
import type { Progress } from "./ledger.ts";

/** `text` is the raw text of this part; framing cleans it. */
export type DeliveredPart = { record: InboxRecord; part: number; of: number; text: string };
/** `waiting`: messages not wholly handed over when this delivery is. */
export type Delivery = { nonce: string; parts: DeliveredPart[]; waiting: number };

/** `measure` gives the length of the framed text of these parts when `waiting` more messages wait. */
export type Room = { maxChars: number; measure: (parts: DeliveredPart[], waiting: number) => number };
/** `progress` where some parts of the message are in the agent's context already. */
export type Candidate = { record: InboxRecord; progress: Progress | undefined };
/** `cuts`: where the first message was split just now. */
export type Choice = { parts: DeliveredPart[]; waiting: number; cuts?: number[] };

/** messages one delivery may carry, however short: bounds the time a claim takes */
const maxMessages = 256;
/** a part number and a count at their longest, while the true ones are not known yet */
const manyParts = 9_999;
const manyWaiting = 99_999;

/**
 * The oldest messages that fit, in order; the first that does not fit ends the delivery, so none overtakes it.
 * Where even the oldest does not fit alone, its next part goes alone. undefined: nothing to take, or no room for a
 * single character.
 */
export function choose(candidates: Iterable<Candidate>, unread: number, room: Room): Choice | undefined {
  const source = nextParts(candidates);
  const taken: Offer[] = [];
  const take = (count: number): Choice => {
    while (taken.length < count) {
      const next = source.next();
      if (next.done) break;
      taken.push(next.value);
    }
    const parts = taken.slice(0, count).map(({ next }) => next);
    return { parts, waiting: unread - parts.filter(isLast).length };
  };
  const fits = ({ parts, waiting }: Choice) => room.measure(parts, waiting) <= room.maxChars;

  let best = take(1);
  const [oldest] = taken;
  if (!oldest) return undefined;
  if (!fits(best)) return split(oldest, unread, room);
  // doubling, then halving: framing hundreds of short messages one by one would be quadratic
  for (let low = 1, high = maxMessages + 1; high - low > 1; ) {
    const count = Math.min(low * 2, (low + high) >> 1);
    const more = take(count);
    if (more.parts.length < count) high = more.parts.length + 1;
    else if (fits(more)) [low, best] = [count, more];
    else high = count;
  }
  return best;
}

export const isLast = ({ part, of }: { part: number; of: number }): boolean => part === of;

type Offer = { candidate: Candidate; next: DeliveredPart };

/** Only the next part of a split message, and nothing of its thread behind it: the rest would come out of order. */
function* nextParts(candidates: Iterable<Candidate>): Generator<Offer, void> {
  const heldThreads = new Set<string>();
  for (const candidate of candidates) {
    if (heldThreads.has(candidate.record.thread_id)) continue;
    const next = nextPart(candidate);
    if (!isLast(next)) heldThreads.add(candidate.record.thread_id);
    yield { candidate, next };
  }
}

function nextPart({ record, progress }: Candidate): DeliveredPart {
  if (!progress) return { record, part: 1, of: 1, text: record.message };
  const { cuts, done } = progress;
  const text = record.message.slice(done === 0 ? 0 : cuts[done - 1], cuts[done]);
  return { record, part: done + 1, of: cuts.length, text };
}

/** Parts already in context keep their boundaries; what is left is cut to the present room. */
function split({ candidate }: Offer, unread: number, room: Room): Choice | undefined {
  const { record, progress } = candidate;
  const done = progress?.done ?? 0;
  const kept = progress?.cuts.slice(0, done) ?? [];
  const fresh = cutText(record.message, kept.at(-1) ?? 0, room.maxChars, (text) => {
    const part = { record, part: manyParts, of: manyParts, text };
    return room.measure([part], manyWaiting) <= room.maxChars;
  });
  if (!fresh) return undefined;
  const cuts = [...kept, ...fresh];
  if (cuts.length === 1) return undefined;
  const next = nextPart({ record, progress: { cuts, done } });
  return { parts: [next], waiting: isLast(next) ? unread - 1 : unread, cuts };
}

/** Ends of the pieces of `text` from `from` on, each of which fits; undefined when not one character does. */
function cutText(text: string, from: number, most: number, fits: (piece: string) => boolean) {
  const cuts: number[] = [];
  for (let at = from; at < text.length; ) {
    const end = longestPiece(text, at, most, fits);
    if (end === undefined) return undefined;
    cuts.push(end);
    at = end;
  }
  return cuts.length > 0 ? cuts : undefined;
}

function longestPiece(text: string, from: number, most: number, fits: (piece: string) => boolean) {
  let low = from;
  let high = Math.min(text.length, from + most) + 1;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (fits(text.slice(from, wholeCut(text, middle)))) low = middle;
    else high = middle;
  }
  const end = wholeCut(text, low);
  if (end <= from) return undefined;
  const nice = end < text.length ? readableCut(text, from, end) : end;
  return fits(text.slice(from, nice)) ? nice : end;
}

/** The nearest cut at or before `at` that leaves a surrogate pair and a CR LF whole. */
function wholeCut(text: string, at: number): number {
  const [before, after] = [text.charCodeAt(at - 1), text.charCodeAt(at)];
  const inPair = before >= 0xd800 && before <= 0xdbff && after >= 0xdc00 && after <= 0xdfff;
  return inPair || (before === 0x0d && after === 0x0a) ? at - 1 : at;
}

/** After a line break in the last third, else after a space in the last tenth, else where it must be. */
function readableCut(text: string, from: number, end: number): number {
  const line = text.lastIndexOf("\n", end - 1) + 1;
  if (line > end - (end - from) / 3) return line;
  const space = text.lastIndexOf(" ", end - 1) + 1;
  return space > end - (end - from) / 10 ? space : end;
}
