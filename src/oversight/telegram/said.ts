// What the hub and its machines say (errors, hints, reasons), in the words of the person who reads it here. It is
// written, stored and sent in English, for agents and scripts read it too; what stands in Telegram is French where that
// is wished, and names Telegram's own commands.
import { english } from "./said-english.ts";
import { french } from "./said-french.ts";

/** `[pattern, text]`; the pattern's groups are the text's `{1}`, `{2}`; `says`: which of them are sayings themselves. */
type Phrase = { pattern: RegExp; text: string; says: readonly number[] };

/** What is no saying is joined of sayings, or stays as it is: an agent's words, a name, a program's error. */
const joints: readonly { pattern: RegExp; between: string; after: string }[] = [
  { pattern: /^(.+) \((.+)\)$/s, between: " (", after: ")" },
  { pattern: /^([^\n]+)\n(.+)$/s, between: "\n", after: "" },
  { pattern: /^(.+?); (.+)$/s, between: "; ", after: "" },
  { pattern: /^(.+?): (.+)$/s, between: ": ", after: "" },
];

export const inEnglish = speaker(english, (sign) => sign);
export const inFrench = speaker(french, (sign) => sign.replace(/^[;:]/, " $&"));

/** characters; what is longer was not said by the hub */
const longest = 4_000;
/** a joint in a joint in a joint: more is somebody else's text, and would only take time */
const deepest = 2;

function speaker(table: Record<string, string>, spaced: (sign: string) => string): (said: string) => string {
  const whole = new Map(Object.entries(table));
  const phrases: readonly Phrase[] = Object.entries(table)
    .filter(([said]) => said.includes("{"))
    .map(([said, text]) => phraseOf(said, text));
  const speak = (said: string, depth: number): string => {
    if (said.length > longest) return said;
    const known = whole.get(said);
    if (known !== undefined) return known;
    for (const { pattern, text, says } of phrases) {
      const found = pattern.exec(said);
      if (found) return filled(text, found, (part, at) => (says.includes(at) ? speak(part, 0) : part));
    }
    if (depth > deepest) return said;
    for (const { pattern, between, after } of joints) {
      const [, first = "", second = ""] = pattern.exec(said) ?? [];
      const [a, b] = [speak(first, depth + 1), speak(second, depth + 1)];
      if (a !== first || b !== second) return `${a}${spaced(between)}${b}${after}`;
    }
    return said;
  };
  return (said) => speak(said, 0);
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

function filled(text: string, found: RegExpExecArray, put: (part: string, at: number) => string): string {
  return text.replace(/\{(\d)\}/g, (_, digit: string) => put(found[Number(digit)] ?? "", Number(digit)));
}
