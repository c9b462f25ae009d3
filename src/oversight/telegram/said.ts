// What the hub and its machines say (errors, hints, reasons), in the language of the person who reads it here. It is
// written, stored and sent in English, for agents and scripts read it too; only what stands in Telegram is put into words.
import { french } from "./said-french.ts";

/** `[pattern, text]`; the pattern's groups are the text's `{1}`, `{2}`; `says`: which of them are sayings themselves. */
type Phrase = { pattern: RegExp; text: string; says: readonly number[] };

/** What is no saying is joined of sayings, or stays as it is: an agent's words, a name, a program's error. */
const joints: readonly { pattern: RegExp; join: (a: string, b: string) => string }[] = [
  { pattern: /^(.+) \((.+)\)$/s, join: (a, b) => `${a} (${b})` },
  { pattern: /^([^\n]+)\n(.+)$/s, join: (a, b) => `${a}\n${b}` },
  { pattern: /^(.+?); (.+)$/s, join: (a, b) => `${a} ; ${b}` },
  { pattern: /^(.+?): (.+)$/s, join: (a, b) => `${a} : ${b}` },
];

const whole = new Map(Object.entries(french));
const phrases: readonly Phrase[] = Object.entries(french)
  .filter(([said]) => said.includes("{"))
  .map(([said, text]) => phraseOf(said, text));

/** characters; what is longer was not said by the hub */
const longest = 4_000;
/** a joint in a joint in a joint: more is somebody else's text, and would only take time */
const deepest = 2;

export function inFrench(said: string, depth = 0): string {
  if (said.length > longest) return said;
  const known = whole.get(said);
  if (known !== undefined) return known;
  for (const { pattern, text, says } of phrases) {
    const found = pattern.exec(said);
    if (found) return filled(text, found, says);
  }
  if (depth > deepest) return said;
  for (const { pattern, join } of joints) {
    const [, first = "", second = ""] = pattern.exec(said) ?? [];
    const [a, b] = [inFrench(first, depth + 1), inFrench(second, depth + 1)];
    if (a !== first || b !== second) return join(a, b);
  }
  return said;
}

function phraseOf(said: string, text: string): Phrase {
  const slots = [...said.matchAll(/\{(\*?)\}/g)];
  const says = slots.flatMap(([, star], at) => (star === "*" ? [at + 1] : []));
  const body = said
    .split(/\{\*?\}/)
    .map((literal) => literal.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"))
    .join("(.+?)");
  return { pattern: new RegExp(`^${body}$`, "s"), text, says };
}

function filled(text: string, found: RegExpExecArray, says: readonly number[]): string {
  return text.replace(/\{(\d)\}/g, (_, digit: string) => {
    const value = found[Number(digit)] ?? "";
    return says.includes(Number(digit)) ? inFrench(value) : value;
  });
}
