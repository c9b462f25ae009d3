// The command lines that Claude Code's hooks run, and how to know them again in a settings file. The shell that the
// agent starts anyway tests for mail; our program starts only when there is some.
import { homeDirectory } from "../system/paths.ts";
import type { Program } from "./integration.ts";

export type CommandOptions = { program: Program; home: string; env: Record<string, string | undefined> };

/**
 * Starts the program only if the agent that runs this hook has unread mail. `$PPID` alone is the agent: an inherited
 * CLAUDE_PID could name an outer one. A program that is gone is silence, never an error in the agent's face.
 */
export function guardedHookCommand(options: CommandOptions): string {
  const home = homeWord(options.home);
  return `${home.prepare}[ -e "${home.word}/inbox/pending/$PPID" ] || exit 0; ${run(options)}`;
}

/**
 * Starts the program only where a person elsewhere may be asked: in all sessions here (a file that is not empty says so), or in this one
 * (its environment does).
 */
export function askingHookCommand(options: CommandOptions): string {
  const home = homeWord(options.home);
  return `${home.prepare}[ -n "\${AI_INTERCOM_ASK_PERSON-}" ] || [ -s "${home.word}/ask-person" ] || exit 0; ${run(options)}`;
}

/** For SessionStart: once per session, mail or not. */
export function hookCommand(options: CommandOptions): string {
  return homeWord(options.home).prepare + run(options);
}

/** Is this one of ours, of whatever version, binary or home? */
export function isOurHookCommand(command: string): boolean {
  return (
    /(^|\s)check-inbox --format hook\s*$/.test(command) &&
    /ai-intercom|AI_INTERCOM_HOME|unset BUN_OPTIONS/.test(command)
  );
}

/** `exec`: no shell remains that could hold the agent's pipes; the program's parent is then the agent itself. */
function run({ program, home, env }: CommandOptions): string {
  const words = program.map(quote).join(" ");
  return `[ -x ${quote(program[0])} ] || exit 0; unset BUN_OPTIONS BUN_BE_BUN; ${exportHome(home, env)}exec ${words} check-inbox --format hook`;
}

/** The program finds the usual home by itself; any other one it must be told. */
function exportHome(home: string, env: Record<string, string | undefined>): string {
  if (home === homeDirectory({ HOME: env.HOME })) return "";
  return `export AI_INTERCOM_HOME="${homeWord(home).word}"; `;
}

/**
 * `${AI_INTERCOM_HOME:-…}` as it stands between double quotes. Quotes, braces, `$` and `\` inside that expansion mean
 * different things to dash and bash, so such a path goes through a variable.
 */
function homeWord(home: string): { prepare: string; word: string } {
  if (!/["'`$\\{}\n]/.test(home)) return { prepare: "", word: `\${AI_INTERCOM_HOME:-${home}}` };
  return { prepare: `_aii_home=${singleQuote(home)}; `, word: `\${AI_INTERCOM_HOME:-$_aii_home}` };
}

function quote(word: string): string {
  return /["`$\\!\n]/.test(word) ? singleQuote(word) : `"${word}"`;
}

function singleQuote(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}
