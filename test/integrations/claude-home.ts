// A person's home with Claude Code's files in it, and what the tests of `install` ask about them.
import { lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import type { InstallOptions } from "../../src/integrations/integration.ts";

export const ourEvents = ["UserPromptSubmit", "PostToolBatch", "Stop", "SessionStart"];
/** in the order in which they are added */
export const ourHooks = [
  { event: "UserPromptSubmit", kind: "inbox" },
  { event: "PostToolBatch", kind: "inbox" },
  { event: "Stop", kind: "inbox" },
  { event: "Stop", kind: "bell" },
  { event: "SessionStart", kind: "inbox" },
  { event: "SessionStart", kind: "bell" },
];

export const foreign = { type: "command", command: "echo mine", timeout: 5 };
export const foreignGroup = { matcher: "Bash|mcp__.*", hooks: [foreign] };
/** A person's settings as the client writes them, without final newline. */
export const pretty = JSON.stringify(
  {
    model: "opus",
    hooks: { Stop: [foreignGroup], PreToolUse: [foreignGroup] },
    permissions: { allow: ["Bash"] },
  },
  null,
  2,
);

export type TestHome = {
  root: string;
  settings: string;
  globalConfig: string;
  home: string;
  options: InstallOptions;
};

/** `files`: paths below the home → what they hold. */
export function testHome(files: Readonly<Record<string, string>> = {}): TestHome {
  const root = mkdtempSync(`${process.env.HOME}/int-`);
  for (const [path, text] of Object.entries(files)) write(`${root}/${path}`, text);
  const home = `${root}/.config/ai-intercom`;
  return {
    root,
    settings: `${root}/.claude/settings.json`,
    globalConfig: `${root}/.claude.json`,
    home,
    options: { program: [`${root}/bin/ai-intercom`], home, env: { HOME: root } },
  };
}

export function write(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
}

export function read(path: string): string {
  return readFileSync(path, "utf8");
}

export function readJson(path: string): unknown {
  return JSON.parse(read(path).replace(/^\ufeff/, ""));
}

/** Every file, link and directory below `root` except our own home, with content: equal before and after = no trace. */
export function snapshot(root: string): Record<string, string> {
  const found: Record<string, string> = {};
  for (const name of readdirSync(root, { recursive: true, encoding: "utf8" }).sort()) {
    if (name === ".config" || name.startsWith(".config/")) continue;
    const stat = lstatSync(`${root}/${name}`);
    const mode = (stat.mode & 0o7777).toString(8);
    found[name] = `${mode} ${stat.isFile() ? readFileSync(`${root}/${name}`).toString("hex") : "-"}`;
  }
  return found;
}

/** The settings without our hooks and the containers that held nothing else. */
export function withoutOurs(value: unknown): unknown {
  const copy = structuredClone(value);
  if (!isObject(copy)) return copy;
  if (isObject(copy.mcpServers)) {
    delete copy.mcpServers["ai-intercom"];
    if (Object.keys(copy.mcpServers).length === 0) delete copy.mcpServers;
  }
  if (!isObject(copy.hooks)) return copy;
  for (const [event, groups] of Object.entries(copy.hooks)) {
    if (!Array.isArray(groups)) continue;
    copy.hooks[event] = groups.filter(
      (group) => !/check-inbox --format hook|# ai-intercom bell/.test(JSON.stringify(group)),
    );
    if (copy.hooks[event].length === 0) delete copy.hooks[event];
  }
  if (Object.keys(copy.hooks).length === 0) delete copy.hooks;
  return copy;
}

/** The commands of an event, in order. */
export function commandsOf(settings: unknown, event: string): string[] {
  const groups = isObject(settings) && isObject(settings.hooks) ? settings.hooks[event] : undefined;
  return (Array.isArray(groups) ? groups : [])
    .flatMap((group) => group.hooks ?? [])
    .map((hook) => String(hook.command));
}

// biome-ignore lint/suspicious/noExplicitAny: tests walk into JSON of any shape
function isObject(value: unknown): value is Record<string, any> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
