// The command lines that Claude Code's hooks run, and how to know them again in a settings file. The shell that the
// agent starts anyway tests for mail; our program starts only when there is some.
import { homeDirectory } from "../system/paths.ts";
import type { Program } from "./integration.ts";

/** Home and program as they are when `install` writes the lines. */
export type InstalledOptions = {
  program: Program;
  home: string;
  env: Record<string, string | undefined>;
  portable?: undefined;
};
/** `portable`: both are looked up where the lines run, as a plugin needs it. */
export type CommandOptions = InstalledOptions | { portable: true };

/**
 * Starts the program only if the agent that runs this hook has unread mail. `$PPID` alone is the agent: an inherited
 * CLAUDE_PID could name an outer one. A program that is gone is silence, never an error in the agent's face.
 */
export function guardedHookCommand(options: CommandOptions): string {
  const home = homeWord(options);
  return `${home.prepare}[ -e "${home.word}/inbox/pending/$PPID" ] || exit 0; ${run(options)}`;
}

/**
 * Waits beside the idle agent until the daemon writes a line into its pipe, and hands that to the agent (asyncRewake:
 * exit 2, text on stderr). All of it are builtins: nothing is started, and without the pipe nothing waits. Whoever
 * waited before sees the end of the pipe and ends, so there is one per agent. Where two of them share a line, for
 * shells read by the byte, one has its end and rings, the other half a line and goes on waiting. `true`, not `:`, for a
 * failed redirection of a special builtin would end the shell with 2, which is a ring.
 */
export function bellHookCommand(options: CommandOptions): string {
  return bell(options, "");
}

/**
 * The same at the start of a session, before our MCP server has registered it: waits for the pipe for 10 s, where the
 * agent offers no other way to wake it and would not wait for us at its end, as `claude -p` does.
 */
export function firstBellHookCommand(options: CommandOptions): string {
  const unlessNeeded = `[ "$CLAUDE_CODE_ENTRYPOINT$CLAUDE_CODE_MESSAGING_SOCKET" = cli ] || exit 0; `;
  return bell(
    options,
    `${unlessNeeded}n=0; until [ -p "$b" ] || [ $n -ge 20 ]; do sleep 0.5; n=$((n+1)); done; `,
  );
}

/**
 * Starts the program only where a person elsewhere may be asked: in all sessions here (a file that is not empty says
 * so), or in this one (its environment does).
 */
export function askingHookCommand(options: InstalledOptions): string {
  const home = homeWord(options);
  return `${home.prepare}[ -n "\${AI_INTERCOM_ASK_PERSON-}" ] || [ -s "${home.word}/ask-person" ] || exit 0; ${run(options)}`;
}

function bell(options: CommandOptions, before: string): string {
  const { prepare, word } = homeWord(options);
  const wait = `true <>"$b"; until l=; IFS= read -r l <"$b"; do [ -n "$l" ] || exit 0; done`;
  return `${prepare}b="${word}/inbox/bell/$PPID"; ${before}[ -p "$b" ] || exit 0; ${wait}; printf '%s\\n' "$l" >&2; exit 2 ${bellMark}`;
}

const bellMark = "# ai-intercom bell";

/** For SessionStart: once per session, mail or not. */
export function hookCommand(options: CommandOptions): string {
  return homeWord(options).prepare + run(options);
}

/** Which one of ours this is, of whatever version, binary or home; undefined: it is not. */
export function ourHookCommand(command: string): "inbox" | "bell" | undefined {
  if (command.trimEnd().endsWith(bellMark)) return "bell";
  const printsMail =
    /(^|\s)check-inbox --format hook\s*$/.test(command) &&
    /ai-intercom|AI_INTERCOM_HOME|unset BUN_OPTIONS/.test(command);
  return printsMail ? "inbox" : undefined;
}

/** What a line of ours starts and where it looks for mail, as it stands there; undefined where it does not say. */
export function readHookCommand(
  command: string,
  env: Record<string, string | undefined>,
): { program: string | undefined; home: string | undefined } {
  const written = /^_aii_home='((?:[^']|'\\'')*)'; /.exec(command)?.[1]?.replaceAll("'\\''", "'");
  const home =
    written ?? /\$\{AI_INTERCOM_HOME:-([^}]*)\}/.exec(command)?.[1]?.replace("$HOME", env.HOME ?? "");
  const word = /\[ -x ("[^"]*"|'(?:[^']|'\\'')*') \]/.exec(command)?.[1];
  return { program: word === undefined ? undefined : wordOf(word, env), home };
}

function wordOf(word: string, env: Record<string, string | undefined>): string {
  if (word === portableProgram) return env.AI_INTERCOM_BINARY ?? `${env.HOME}/.local/bin/ai-intercom`;
  return word.slice(1, -1).replaceAll("'\\''", "'");
}

/** `exec`: no shell remains that could hold the agent's pipes; the program's parent is then the agent itself. */
function run(options: CommandOptions): string {
  const [first, ...rest] = options.portable ? [portableProgram] : options.program.map(quote);
  return `[ -x ${first} ] || exit 0; unset BUN_OPTIONS BUN_BE_BUN; ${exportHome(options)}exec ${[first, ...rest].join(" ")} check-inbox --format hook`;
}

/** Where install.sh puts the program, unless the person says otherwise. */
const portableProgram = `"\${AI_INTERCOM_BINARY:-$HOME/.local/bin/ai-intercom}"`;

/** The program finds the usual home by itself; any other one it must be told. */
function exportHome(options: CommandOptions): string {
  if (options.portable || options.home === homeDirectory({ HOME: options.env.HOME })) return "";
  return `export AI_INTERCOM_HOME="${homeWord(options).word}"; `;
}

/**
 * `${AI_INTERCOM_HOME:-…}` as it stands between double quotes. Quotes, braces, `$` and `\` inside that expansion mean
 * different things to dash and bash, so such a path goes through a variable.
 */
function homeWord(options: CommandOptions): { prepare: string; word: string } {
  if (options.portable) return { prepare: "", word: `\${AI_INTERCOM_HOME:-$HOME/.config/ai-intercom}` };
  const { home } = options;
  if (!/["'`$\\{}\n]/.test(home)) return { prepare: "", word: `\${AI_INTERCOM_HOME:-${home}}` };
  return { prepare: `_aii_home=${singleQuote(home)}; `, word: `\${AI_INTERCOM_HOME:-$_aii_home}` };
}

function quote(word: string): string {
  return /["`$\\!\n]/.test(word) ? singleQuote(word) : `"${word}"`;
}

function singleQuote(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}
