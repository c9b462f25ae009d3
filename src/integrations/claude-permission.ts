// Claude Code's PermissionRequest hook: what it asks, in words a person can judge, and how it is answered. Facts: the
// dialog shows while the hook waits, the first answer wins, and without output the dialog stays.
import type { AgentPermissions } from "./integration.ts";
import { isRecord, type JsonObject, parseObject } from "./json-object.ts";

export const claudePermissions: AgentPermissions = {
  read(input) {
    const { hook_event_name, tool_name, tool_input } = parseObject(input) ?? {};
    if (hook_event_name !== "PermissionRequest" || typeof tool_name !== "string") return undefined;
    return { tool: tool_name.slice(0, 200), text: isRecord(tool_input) ? readable(tool_input) : "" };
  },
  format(allowed, by) {
    const decision = allowed ? { behavior: "allow" } : { behavior: "deny", message: `denied by ${by}` };
    return JSON.stringify({ hookSpecificOutput: { hookEventName: "PermissionRequest", decision } });
  },
};

/** A command as it would run, an edit as a diff; every other field by its name. Nothing is left out. */
function readable(input: JsonObject): string {
  const { file_path, command, old_string, new_string, content, edits, ...others } = input;
  const changes = [{ old_string, new_string }, ...(Array.isArray(edits) ? edits.filter(isRecord) : [])];
  const lines = [
    ...(file_path === undefined ? [] : [text(file_path)]),
    ...(command === undefined ? [] : [`$ ${text(command)}`]),
    ...changes.flatMap((change) => diff(change)),
    ...(content === undefined ? [] : marked("+", content)),
    ...Object.entries(others).map(([name, value]) => `${name}: ${text(value)}`),
  ];
  return lines.join("\n");
}

function diff({ old_string, new_string, ...others }: JsonObject): string[] {
  const more = Object.entries(others).map(([name, value]) => `${name}: ${text(value)}`);
  return [...marked("-", old_string), ...marked("+", new_string), ...more];
}

function marked(sign: string, value: unknown): string[] {
  if (value === undefined || value === "") return [];
  return text(value)
    .split("\n")
    .map((line) => `${sign} ${line}`);
}

const text = (value: unknown): string => (typeof value === "string" ? value : JSON.stringify(value));
