// `completions`: a shell's completion script, made from the very table that runs the commands.
import type { ArgsDef } from "citty";
import { IntercomError } from "../protocol/errors.ts";
import { type Command, command } from "./command.ts";
import { bashScript, fishScript, zshScript } from "./completion-scripts.ts";
import { print } from "./output.ts";

/** What a shell is told of one command. */
export type Completion = {
  name: string;
  description: string;
  options: Option[];
  /** the words in order; empty where nobody can guess them */
  places: string[][];
};

/** `takes`: nothing, one of some words, a path, or what nobody can guess */
export type Option = { flag: string; description: string; takes: "nothing" | "path" | "any" | string[] };

const scripts: Record<string, (all: Completion[]) => string> = {
  bash: bashScript,
  zsh: zshScript,
  fish: fishScript,
};
const shells = Object.keys(scripts);

/** `table`: every command with the line that `--help` shows of it. */
export function completions(
  table: Record<string, { description: string; load: () => Promise<Command> }>,
): Command {
  return command({
    name: "completions",
    description: "print a completion script for your shell: commands, their words and options",
    args: { shell: { type: "positional", required: true, description: shells.join(", ") } },
    choices: { shell: shells },
    examples: [
      "ai-intercom completions bash > ~/.local/share/bash-completion/completions/ai-intercom",
      "ai-intercom completions zsh > ~/.zsh/completions/_ai-intercom   # a folder of your fpath",
      "ai-intercom completions fish > ~/.config/fish/completions/ai-intercom.fish",
    ],
    run: async ({ shell }) => {
      const script = Object.hasOwn(scripts, shell) ? scripts[shell] : undefined;
      if (!script)
        throw new IntercomError("bad_usage", `there is no completion for "${shell}"`, {
          hint: `ai-intercom completions ${shells.join(" | ")}`,
        });
      const all: Completion[] = [];
      for (const [name, { description, load }] of Object.entries(table))
        all.push(completionOf(name, description, await load()));
      print(script(all));
    },
  });
}

function completionOf(name: string, description: string, { args, choices }: Command): Completion {
  const entries = Object.entries(args);
  const options = entries.flatMap(([key, arg]) => optionsOf(key, arg, choices[key]));
  options.push({ flag: "--help", description: "options and examples", takes: "nothing" });
  const places = entries.filter(([, arg]) => arg.type === "positional").map(([key]) => choices[key] ?? []);
  return { name, description, options, places };
}

function optionsOf(key: string, arg: ArgsDef[string], words?: string[]): Option[] {
  const description = arg.description ?? "";
  switch (arg.type) {
    case "positional":
      return [];
    case "boolean":
    case undefined:
      return [{ flag: `--${arg.default === true ? "no-" : ""}${key}`, description, takes: "nothing" }];
    case "enum":
      return [{ flag: `--${key}`, description, takes: arg.options ?? "any" }];
    case "string":
      return [{ flag: `--${key}`, description, takes: words ?? (arg.valueHint === "FILE" ? "path" : "any") }];
    default:
      return arg satisfies never;
  }
}
