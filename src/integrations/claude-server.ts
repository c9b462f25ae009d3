// The MCP server entry in Claude Code's `.claude.json`, put in and taken out as text; the rest keeps its bytes.
import type { InstalledOptions } from "./claude-command.ts";
import type { Edited, FileEditor } from "./installation.ts";
import { appendMember, removeAt, removeIfEmpty, replaceValue } from "./json-edit.ts";
import { isEmptyObject, isRecord, orEmptyObject, readJsonObject, wrongShape } from "./json-object.ts";

/** Name of our MCP server in every agent. */
export const serverName = "ai-intercom";

/** The MCP server in `.claude.json`. */
export function serverEditor(path: string, options: InstalledOptions): FileEditor {
  return {
    path,
    add: (text) => addServer(path, text, wantedServer(options)),
    remove: (text, original) => removeServer(path, text, original),
  };
}

type Server = { type: "stdio"; command: string; args: string[]; env: { AI_INTERCOM_HOME: string } };

function wantedServer({ program: [command, ...args], home }: InstalledOptions): Server {
  return { type: "stdio", command, args: [...args, "mcp-server"], env: { AI_INTERCOM_HOME: home } };
}

/** What the entry of ours in a configuration text starts, and in which home; undefined: there is none. */
export function installedServer(path: string, text: string) {
  const servers = readJsonObject(path, orEmptyObject(text)).mcpServers;
  const entry = isRecord(servers) ? servers[serverName] : undefined;
  if (!isRecord(entry)) return undefined;
  const home = isRecord(entry.env) ? entry.env.AI_INTERCOM_HOME : undefined;
  return {
    program: typeof entry.command === "string" ? entry.command : undefined,
    home: typeof home === "string" ? home : undefined,
  };
}

function addServer(path: string, before: string, wanted: Server): Edited {
  const text = orEmptyObject(before);
  const root = readJsonObject(path, text);
  const servers = root.mcpServers;
  if (servers !== undefined && !isRecord(servers))
    throw wrongShape(path, before, ["mcpServers"], "an object");
  const entry = servers && Object.hasOwn(servers, serverName) ? servers[serverName] : undefined;
  if (entry === undefined) {
    const added = servers
      ? appendMember(text, ["mcpServers"], serverName, wanted)
      : appendMember(text, [], "mcpServers", { [serverName]: wanted });
    return { text: added, what: [`mcpServers.${serverName}: adds the MCP server`], empty: false };
  }
  if (isCurrentServer(entry, wanted)) return { text: before, what: [], empty: false };
  const updated = replaceValue(text, ["mcpServers", serverName], wanted);
  return { text: updated, what: [`mcpServers.${serverName}: updates the MCP server`], empty: false };
}

function removeServer(path: string, before: string, original: string | undefined): Edited {
  const servers = readJsonObject(path, before).mcpServers;
  if (!isRecord(servers) || !Object.hasOwn(servers, serverName))
    return { text: before, what: [], empty: isEmptyObject(path, before) };
  let text = removeAt(before, ["mcpServers", serverName]);
  const had = original !== undefined && Object.hasOwn(readJsonObject(path, original), "mcpServers");
  if (!had) text = removeIfEmpty(text, ["mcpServers"]);
  const what = [`mcpServers.${serverName}: removes the MCP server`];
  return { text, what, empty: isEmptyObject(path, text) };
}

function isCurrentServer(found: unknown, wanted: Server): boolean {
  return (
    isRecord(found) &&
    (found.type === undefined || found.type === wanted.type) &&
    found.command === wanted.command &&
    JSON.stringify(found.args) === JSON.stringify(wanted.args) &&
    isRecord(found.env) &&
    found.env.AI_INTERCOM_HOME === wanted.env.AI_INTERCOM_HOME
  );
}
