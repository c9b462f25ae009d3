// What a command is: citty's definition (arguments, help) plus examples, and a run that gets checked arguments.
// Unknown options and surplus words are errors: a typo must not silently do something else.
import { stripVTControlCharacters } from "node:util";
import { type ArgsDef, type CommandDef, type ParsedArgs, parseArgs, renderUsage } from "citty";
import { nearMatches } from "../protocol/address.ts";
import { IntercomError } from "../protocol/errors.ts";

export type Command = {
  name: string;
  description: string;
  args: ArgsDef;
  /** words that an argument may be */
  choices: Record<string, string[]>;
  usage(): Promise<string>;
  /** resolves with the exit code where it is not 0 */
  run(argv: string[]): Promise<number | undefined>;
};

/** `--json` for commands that print facts */
export const json = { type: "boolean", description: "print JSON", default: false } as const;

/** Defines a command; `run` gets its arguments checked and typed. */
export function command<const A extends ArgsDef>(definition: {
  name: string;
  description: string;
  args: A;
  /** words that an argument may be; shells offer them */
  choices?: { [K in keyof A]?: string[] };
  /** whole command lines, with a word of explanation after `#` */
  examples: string[];
  /** what else the help should hold */
  more?: () => string;
  /** may resolve with an exit code */
  run: (args: ParsedArgs<A>) => Promise<unknown>;
}): Command {
  const { name, description, args, examples } = definition;
  return {
    name,
    description,
    args,
    choices: { ...definition.choices } as Record<string, string[]>, // boundary: its keys are those of `args`
    usage: async () => {
      const definitionForHelp: CommandDef = { meta: { name: `ai-intercom ${name}`, description }, args };
      const usage = (await renderUsage(definitionForHelp)).trimEnd();
      return `${process.stdout.isTTY ? usage : stripVTControlCharacters(usage)}\n\nEXAMPLES\n\n${examples.map((line) => `  ${line}`).join("\n")}${definition.more ? `\n\n${definition.more()}` : ""}`;
    },
    run: async (argv) => {
      const code = await definition.run(checked(name, args, argv));
      return typeof code === "number" ? code : undefined;
    },
  };
}

/** What `-` stands for is read from stdin. */
export async function textOf(text: string): Promise<string> {
  const message = text === "-" ? await Bun.stdin.text() : text;
  if (message.trim() === "") throw new IntercomError("bad_usage", "the message is empty");
  return message;
}

export function limitOf(text: string): number {
  const limit = Number(text);
  if (Number.isInteger(limit) && limit >= 1 && limit <= 1000) return limit;
  throw new IntercomError("bad_usage", `--limit cannot be "${text}"`, {
    hint: "a whole number from 1 to 1000",
  });
}

/** The word of `allowed` that was given; else an error that names them, the nearest as the hint. */
export function oneOf<const W extends string>(name: string, given: string, allowed: readonly W[]): W {
  const found = allowed.find((word) => word === given);
  if (found) return found;
  const list = [allowed.slice(0, -1).join(", "), allowed.at(-1)].filter(Boolean).join(" or ");
  throw usageError(name, `"${given}" is not ${list}`, nearMatches(given, allowed, 1));
}

function checked<A extends ArgsDef>(name: string, definition: A, argv: string[]): ParsedArgs<A> {
  const known = Object.keys(definition).filter((key) => definition[key]?.type !== "positional");
  const short = known.flatMap((key) => aliasesOf(definition[key])).map((one) => `-${one}`);
  const before = argv.includes("--") ? argv.slice(0, argv.indexOf("--")) : argv;
  for (const word of before) {
    const option = /^--(no-)?([^=]+)/.exec(word)?.[2];
    if (
      word.startsWith("-") &&
      word !== "-" &&
      !short.includes(word) &&
      !/^-\d/.test(word) &&
      (option === undefined || !known.includes(option))
    )
      throw unknownOption(name, word, nearMatches(option ?? word, known), "text" in definition);
  }
  let parsed: ParsedArgs<A>;
  try {
    parsed = parseArgs<A>(argv, definition);
  } catch (error) {
    throw usageError(name, stripVTControlCharacters(error instanceof Error ? error.message : String(error)));
  }
  const places = Object.values(definition).filter((one) => one.type === "positional").length;
  if (parsed._.length > places)
    throw usageError(
      name,
      `too many words: "${parsed._.slice(places).join(" ")}"; put a text with spaces in quotes`,
    );
  for (const key of known)
    if (definition[key]?.type === "string" && Reflect.get(parsed, key) === "")
      throw usageError(name, `--${key} needs a value`);
  return parsed;
}

function unknownOption(name: string, word: string, near: string[], takesText: boolean): IntercomError {
  const message = `unknown option ${word}`;
  if (near.length > 0 || !takesText)
    return usageError(
      name,
      message,
      near.map((one) => `--${one}`),
    );
  return new IntercomError("bad_usage", message, {
    hint: `ai-intercom ${name} --help; a text that begins with a dash goes behind --`,
  });
}

function aliasesOf(arg: ArgsDef[string] | undefined): string[] {
  const alias = arg && "alias" in arg ? arg.alias : undefined;
  return alias === undefined ? [] : [alias].flat();
}

function usageError(name: string, message: string, matches: string[] = []): IntercomError {
  const hint = matches.length > 0 ? `did you mean ${matches.join(" or ")}?` : `ai-intercom ${name} --help`;
  return new IntercomError("bad_usage", `${message.charAt(0).toLowerCase()}${message.slice(1)}`, { hint });
}
