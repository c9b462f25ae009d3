// Where Claude Code keeps its configuration, and what in it makes our entries dead although they stand there.
import { readdirSync, statSync } from "node:fs";
import { homedir } from "node:os";
import { resolve } from "node:path";
import { readTextIfPresent } from "../system/files.ts";
import { explained } from "./agent-file.ts";
import { serverName } from "./claude-server.ts";
import { isRecord, type JsonObject } from "./json-object.ts";

type Environment = Record<string, string | undefined>;

export type ClaudePlaces = {
  configDirectory: string;
  /** hooks, user scope */
  settings: string;
  /** MCP servers, user scope */
  globalConfig: string;
  managedDirectory: string;
};

export function claudePlaces(env: Environment): ClaudePlaces {
  const configDirectory = claudeConfigDirectory(env);
  const legacy = `${configDirectory}/.config.json`;
  const usual = env.CLAUDE_CONFIG_DIR
    ? `${configDirectory}/.claude.json`
    : `${env.HOME || homedir()}/.claude.json`;
  return {
    configDirectory,
    settings: `${configDirectory}/settings.json`,
    globalConfig: hasContent(legacy) ? legacy : usual,
    managedDirectory:
      process.platform === "darwin" ? "/Library/Application Support/ClaudeCode" : "/etc/claude-code",
  };
}

export function claudeConfigDirectory(env: Environment): string {
  return env.CLAUDE_CONFIG_DIR ? resolve(env.CLAUDE_CONFIG_DIR) : `${env.HOME || homedir()}/.claude`;
}

/** A whole sentence for the person; `stops`: which hooks of ours do not run because of it, where it is about hooks. */
type Obstacle = { text: string; stops?: "all hooks" | "hooks outside plugins" };

/** Why hooks or MCP server would not run although installed. */
export function obstacles({
  settings,
  globalConfig,
  configDirectory,
  managedDirectory,
}: ClaudePlaces): Obstacle[] {
  const user = readObject(settings);
  const found: Obstacle[] = [];
  if (user?.disableAllHooks === true)
    found.push({
      text: `"disableAllHooks" is true in ${settings}: no hook runs until it is removed.`,
      stops: "all hooks",
    });
  if (user?.crossSessionInbound === "hold")
    found.push({ text: `"crossSessionInbound" is "hold" in ${settings}: an idle session is not woken.` });
  for (const path of [...managedFiles(managedDirectory), `${configDirectory}/remote-settings.json`])
    found.push(...managedObstacles(path, readObject(path)));
  const projects = projectObstacles(globalConfig, readObject(globalConfig));
  return [...found, ...projects.map((text) => ({ text }))];
}

/** Ours, from whatever marketplace: `enabledPlugins` of the user's settings. */
export function isPluginEnabled({ settings }: ClaudePlaces): boolean {
  const enabled = readObject(settings)?.enabledPlugins;
  return (
    isRecord(enabled) &&
    Object.entries(enabled).some(([name, on]) => name.startsWith(`${serverName}@`) && on === true)
  );
}

function managedObstacles(path: string, managed: JsonObject | undefined): Obstacle[] {
  if (!managed) return [];
  const found: Obstacle[] = [];
  for (const key of ["disableAllHooks", "allowManagedHooksOnly"])
    if (managed[key] === true)
      found.push({
        text: `"${key}" in the managed settings ${path}: our hooks do not run.`,
        stops: "all hooks",
      });
  const closed = managed.strictPluginOnlyCustomization;
  const closes = (surface: string) => closed === true || (Array.isArray(closed) && closed.includes(surface));
  if (closes("hooks"))
    found.push({
      text: `the managed settings ${path} allow hooks from plugins only.`,
      stops: "hooks outside plugins",
    });
  if (closes("mcp"))
    found.push({ text: `the managed settings ${path} allow MCP servers from plugins only.` });
  if (managed.allowManagedMcpServersOnly === true)
    found.push({
      text: `"allowManagedMcpServersOnly" in the managed settings ${path}: our MCP server may be refused.`,
    });
  return found;
}

/** In single projects: an entry of the same name comes before the user's, and a server can be switched off. */
function projectObstacles(path: string, config: JsonObject | undefined): string[] {
  const notes: string[] = [];
  for (const [directory, project] of Object.entries(isRecord(config?.projects) ? config.projects : {})) {
    if (!isRecord(project)) continue;
    if (isRecord(project.mcpServers) && Object.hasOwn(project.mcpServers, serverName))
      notes.push(
        `${path} has another MCP server "${serverName}" for the project ${directory}; there, that one is used.`,
      );
    if (Array.isArray(project.disabledMcpServers) && project.disabledMcpServers.includes(serverName))
      notes.push(
        `the MCP server "${serverName}" is switched off for the project ${directory}; /mcp there turns it on.`,
      );
  }
  return notes;
}

function managedFiles(directory: string): string[] {
  const main = `${directory}/managed-settings.json`;
  try {
    const names = readdirSync(`${directory}/managed-settings.d`).filter((name) => name.endsWith(".json"));
    return [main, ...names.sort().map((name) => `${directory}/managed-settings.d/${name}`)];
  } catch {
    return [main];
  }
}

/** For notes only: a file that cannot be read or parsed gives none. */
function readObject(path: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse((readTextIfPresent(path) ?? "null").replace(/^\ufeff/, ""));
    return isRecord(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** An early place of the global configuration; the client still prefers it where it is in use. */
function hasContent(path: string): boolean {
  const stat = explained(path, "read", () => statSync(path, { throwIfNoEntry: false }));
  return stat?.isFile() === true && stat.size > 0;
}
