// Claude Code as the agent of a mission: its command line, and what its stream-json output says (one JSON object a
// line, facts/claude-code.md §9). Success comes from `is_error` and `subtype`, never from text.
import type { AgentMissions, MissionNews, MissionStep } from "./integration.ts";
import { isRecord, type JsonObject, parseObject } from "./json-object.ts";

export const claudeMissions: AgentMissions = {
  argv: ({ args, resume }) => [
    "-p",
    "--output-format",
    "stream-json",
    "--verbose",
    ...args,
    ...(resume === undefined ? [] : ["--resume", resume]),
  ],
  permission: permissionOf,
  canResume: true,
  readLine: readClaudeStreamLine,
};

/** Set by an outer session for its own children (facts/claude-code.md §4, §7); a mission is nobody's child. */
const sessionVariables = new Set([
  "CLAUDECODE",
  "CLAUDE_PID",
  "CLAUDE_PROJECT_DIR",
  "CLAUDE_EFFORT",
  "CLAUDE_ENV_FILE",
  "CLAUDE_PLUGIN_ROOT",
  "CLAUDE_PLUGIN_DATA",
  "AI_AGENT",
  "CLAUDE_CODE_ENTRYPOINT",
  "CLAUDE_CODE_CHILD_SESSION",
  "CLAUDE_CODE_LAUNCHED_BY_SESSION_IDS",
  "CLAUDE_CODE_SSE_PORT",
]);

export function isClaudeSessionVariable(name: string): boolean {
  return sessionVariables.has(name) || /^CLAUDE_CODE_(SESSION|MESSAGING)_/.test(name);
}

/** What its arguments let it do without asking, in words. The last one of a kind counts. */
function permissionOf(args: readonly string[]): string {
  const skips = ["--dangerously-skip-permissions", "--allow-dangerously-skip-permissions"];
  const mode = args.includes(skips[0] ?? "")
    ? "bypassPermissions"
    : (valuesOf(args, ["--permission-mode"]).at(-1) ?? "default");
  const lists = [
    ["allowed tools", valuesOf(args, ["--allowedTools", "--allowed-tools"])],
    ["settings", valuesOf(args, ["--settings"])],
  ] as const;
  return [
    mode,
    ...lists.flatMap(([name, values]) => (values.length > 0 ? [`${name}: ${values.join(" ")}`] : [])),
    ...(args.includes(skips[1] ?? "") ? ["bypassPermissions can be chosen"] : []),
  ].join(", ");
}

/** Values of an option that takes one or many: `--name value…` or `--name=value`. */
function valuesOf(args: readonly string[], names: readonly string[]): string[] {
  return args.flatMap((word, at) => {
    const [name = "", ...value] = word.split("=");
    if (!names.includes(name)) return [];
    if (value.length > 0) return [value.join("=")];
    const rest = args.slice(at + 1);
    const end = rest.findIndex((one) => one.startsWith("-"));
    return end === -1 ? rest : rest.slice(0, end);
  });
}

/** What one line of the stream tells; a line that is not the stream's tells nothing. */
function readClaudeStreamLine(line: string): MissionNews {
  const record = parseObject(line);
  switch (record?.type) {
    case "system":
      return {
        steps: [],
        ...(record.subtype === "init" && typeof record.session_id === "string"
          ? { nativeSessionId: record.session_id }
          : {}),
      };
    case "assistant":
      return { steps: blocksOf(record).flatMap(stepOfBlock), turn: idOf(record) };
    case "user":
      return { steps: blocksOf(record).flatMap(stepOfResult) };
    case "result":
      return resultOf(record);
    default:
      return { steps: [] };
  }
}

function resultOf(record: JsonObject): MissionNews {
  const { subtype, is_error, result, num_turns, total_cost_usd, session_id, permission_denials } = record;
  const failed = is_error === true || subtype !== "success";
  const text = typeof result === "string" ? result : "";
  const denied = Array.isArray(permission_denials) ? permission_denials.filter(isRecord) : [];
  return {
    steps: denied.map((one) => ({
      kind: "error",
      summary: `not permitted: ${toolCall(one.tool_name, one.tool_input)}`,
    })),
    ...(typeof session_id === "string" ? { nativeSessionId: session_id } : {}),
    output: text,
    verdict: {
      ok: !failed,
      ...(failed ? { reason: reasonOf(record, text) } : {}),
      ...(typeof num_turns === "number" ? { turns: num_turns } : {}),
      ...(typeof total_cost_usd === "number" ? { costUsd: total_cost_usd } : {}),
    },
  };
}

/** An error's own words where it has some; `errors` stands beside subtypes such as error_during_execution. */
function reasonOf({ subtype, errors }: JsonObject, text: string): string {
  const said = Array.isArray(errors) ? errors.filter((one) => typeof one === "string").join("; ") : "";
  const kind = typeof subtype === "string" && subtype !== "success" ? subtype : "error";
  return [kind, said || text].filter((part) => part !== "").join(": ");
}

function stepOfBlock(block: JsonObject): MissionStep[] {
  if (block.type === "text" && typeof block.text === "string" && block.text.trim() !== "")
    return [{ kind: "text", summary: block.text.trim() }];
  if (block.type !== "tool_use") return [];
  const input = isRecord(block.input) ? block.input : {};
  if (block.name === "Bash") return [{ kind: "command", summary: words(input.command) }];
  const path = input.file_path ?? input.notebook_path;
  if (typeof path === "string") return [{ kind: "file", summary: `${words(block.name)} ${path}` }];
  return [{ kind: "tool", summary: toolCall(block.name, input) }];
}

function stepOfResult(block: JsonObject): MissionStep[] {
  if (block.type !== "tool_result" || block.is_error !== true) return [];
  return [{ kind: "error", summary: words(textOf(block.content)) }];
}

function toolCall(name: unknown, input: unknown): string {
  const given = isRecord(input) && Object.keys(input).length > 0 ? ` ${JSON.stringify(input)}` : "";
  return words(name) + given;
}

/** A tool's result is a text or a list of blocks. */
function textOf(content: unknown): string {
  if (typeof content === "string") return content;
  if (!Array.isArray(content)) return "";
  return content
    .flatMap((block) => (isRecord(block) && typeof block.text === "string" ? [block.text] : []))
    .join("\n");
}

function blocksOf({ message }: JsonObject): JsonObject[] {
  const content = isRecord(message) ? message.content : undefined;
  return Array.isArray(content) ? content.filter(isRecord) : [];
}

function idOf({ message }: JsonObject): string | undefined {
  return isRecord(message) && typeof message.id === "string" ? message.id : undefined;
}

const words = (value: unknown): string => (typeof value === "string" && value !== "" ? value : "(nothing)");
