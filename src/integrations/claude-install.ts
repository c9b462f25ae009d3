// Installs our hooks and MCP server for Claude Code (user scope), takes them out, and says what stands there now. It
// edits the files itself: the agent's own command would rewrite them whole.
import { accessSync, constants, existsSync, mkdirSync, statSync } from "node:fs";
import { delimiter } from "node:path";
import { IntercomError, toIntercomError } from "../protocol/errors.ts";
import { isErrno } from "../system/files.ts";
import { homePaths } from "../system/paths.ts";
import { delay } from "../system/wait.ts";
import { explained, readAgentFile, removeEmptyDirectories } from "./agent-file.ts";
import { readHookCommand } from "./claude-command.ts";
import { bringsMail, hooksEditor, installedHooks, wantedHooks } from "./claude-hooks.ts";
import {
  type ClaudePlaces,
  claudeConfigDirectory,
  claudePlaces,
  isPluginEnabled,
  obstacles,
} from "./claude-places.ts";
import { alsoWithoutPlugin, pluginCopies, pluginListEditors, removeCopies } from "./claude-plugin-removal.ts";
import { installedServer, serverEditor, serverName } from "./claude-server.ts";
import {
  addEntries,
  type FileEditor,
  plannedChanges,
  presentEntries,
  removeEntries,
} from "./installation.ts";
import type { CheckReport, InstallOptions, InstallReport, UninstallOptions } from "./integration.ts";

type Environment = Record<string, string | undefined>;

export async function installClaude(options: InstallOptions): Promise<InstallReport> {
  const { places, editors } = editorsFor(options);
  const planned = plannedChanges(editors);
  const changes =
    options.dryRun || planned.length === 0
      ? planned
      : await withConfigLock(places, () => addEntries(editors, homePaths(options.home).backups));
  const restart = "Claude Code sessions that run now get hooks and tools when they are restarted.";
  return { changes, notes: [...(changes.length > 0 ? [restart] : []), ...notesFor(places, options)] };
}

export async function uninstallClaude(options: UninstallOptions): Promise<InstallReport> {
  // which program is irrelevant: ours are recognised whatever they start
  const { places, editors: ours } = editorsFor({ ...options, program: ["ai-intercom"] });
  const editors = [
    ...ours.map((one) => (one.path === places.settings ? alsoWithoutPlugin(one) : one)),
    ...pluginListEditors(places),
  ];
  const copies = pluginCopies(places);
  const { backups } = homePaths(options.home);
  if (options.dryRun)
    return { changes: [...removeEntries(editors, backups, { dryRun: true }).changes, ...copies], notes: [] };
  const { changes, directories } = await withConfigLock(places, () => removeEntries(editors, backups));
  removeCopies(copies);
  removeEmptyDirectories(directories);
  const running = "Claude Code sessions that run now keep hooks and tools until they end.";
  const all = [...changes, ...copies];
  return { changes: all, notes: all.length > 0 ? [running] : [] };
}

export async function checkClaude(options: InstallOptions): Promise<CheckReport> {
  const { places, editors } = editorsFor(options);
  const differences = plannedChanges(editors);
  const absent = presentEntries(editors).length === 0;
  const notes = notesFor(places, options);
  const byPlugin = isPluginEnabled(places);
  const stands = {
    ...entriesIn(places, options.env ?? process.env, byPlugin),
    ...(byPlugin || hasMailHook(places) ? {} : { hooksMissing: places.settings }),
    hooksStopped: obstacles(places)
      .filter(({ stops }) => stops === "all hooks" || (stops !== undefined && !byPlugin))
      .map(({ text }) => text),
  };
  if (absent && byPlugin) return { state: "current", differences: [], ...stands, notes };
  return {
    state: absent ? "absent" : differences.length > 0 ? "outdated" : "current",
    differences,
    ...stands,
    notes,
  };
}

const hasMailHook = ({ settings }: ClaudePlaces) => bringsMail(settings, readAgentFile(settings).text ?? "");

/** What hooks and server start and where they look, whoever wrote them; the plugin's lines look it up at run time. */
function entriesIn(places: ClaudePlaces, env: Environment, byPlugin: boolean) {
  const textOf = (path: string) => readAgentFile(path).text ?? "";
  const entries = [
    ...installedHooks(places.settings, textOf(places.settings), env),
    installedServer(places.globalConfig, textOf(places.globalConfig)),
    ...(byPlugin
      ? wantedHooks({ portable: true }).map(({ handler }) => readHookCommand(handler.command, env))
      : []),
  ];
  const each = (values: (string | undefined)[]) => [...new Set(values.filter((one) => one !== undefined))];
  return { programs: each(entries.map((one) => one?.program)), homes: each(entries.map((one) => one?.home)) };
}

/** Its configuration directory is there, or its program is on the PATH. */
export function isClaudePresent(env: Record<string, string | undefined> = process.env): boolean {
  const candidates = (env.PATH ?? "").split(delimiter).filter(Boolean);
  return (
    existsSync(claudeConfigDirectory(env)) ||
    candidates.some((directory) => isExecutable(`${directory}/claude`))
  );
}

function editorsFor(options: InstallOptions): { places: ClaudePlaces; editors: FileEditor[] } {
  const { program, home, env = process.env } = options;
  const places = claudePlaces(env);
  return {
    places,
    editors: [
      hooksEditor(places.settings, { program, home, env }),
      serverEditor(places.globalConfig, { program, home, env }),
    ],
  };
}

function notesFor(places: ClaudePlaces, { program: [executable] }: InstallOptions): string[] {
  const missing = `${executable} cannot be executed: the hooks stay silent and the tools are missing until it is there.`;
  const plugin = `our plugin is enabled in ${places.settings}: it brings hooks and tools by itself, and \`claude plugin uninstall ${serverName}\` removes it.`;
  return [
    ...(isExecutable(executable) ? [] : [missing]),
    ...(isPluginEnabled(places) ? [plugin] : []),
    ...obstacles(places).map(({ text }) => text),
  ];
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

/** ms; the client holds its lock for one write */
const lockWaitMs = 5000;
/** ms; after this long without a sign of life the client, too, takes a lock for abandoned */
const staleLockMs = 10_000;

/** Running clients rewrite their global configuration at any time, under this lock; with it neither loses a change. */
async function withConfigLock<T>({ globalConfig }: ClaudePlaces, change: () => T): Promise<T> {
  const lock = `${globalConfig}.lock`;
  const deadline = performance.now() + lockWaitMs;
  for (;;) {
    const held = explained(globalConfig, "write", () => takeLock(lock));
    if (held !== "busy") {
      try {
        return retryConflicts(change);
      } finally {
        if (held === "taken") removeEmptyDirectories([lock]);
      }
    }
    if (performance.now() > deadline)
      throw new IntercomError("conflict", `Claude Code is writing ${globalConfig} and does not finish`, {
        hint: `try again; if no Claude Code runs: rmdir '${lock}'`,
      });
    await delay(50);
  }
}

function takeLock(lock: string): "taken" | "busy" | "unneeded" {
  try {
    mkdirSync(lock);
    return "taken";
  } catch (error) {
    // no such directory: then no client has ever written there
    if (isErrno(error, "ENOENT")) return "unneeded";
    if (!isErrno(error, "EEXIST")) throw error;
  }
  const stat = statSync(lock, { throwIfNoEntry: false });
  if (stat && Date.now() - stat.mtimeMs > staleLockMs) removeEmptyDirectories([lock]);
  return "busy";
}

/** Someone without that lock (an editor, an old client) can still write between our reading and writing. */
function retryConflicts<T>(change: () => T): T {
  for (let left = 3; ; left--) {
    try {
      return change();
    } catch (error) {
      if (left === 0 || toIntercomError(error).code !== "conflict") throw error;
    }
  }
}
