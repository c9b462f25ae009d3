// Our hooks in Claude Code's `settings.json`, put in and taken out as text. Foreign hooks keep their place, order and
// bytes; of ours there is one of a kind per event, replaced in place when it is outdated.
import { existsSync } from "node:fs";
import { homePaths } from "../system/paths.ts";
import {
  askingHookCommand,
  bellHookCommand,
  type CommandOptions,
  firstBellHookCommand,
  guardedHookCommand,
  hookCommand,
  type InstalledOptions,
  ourHookCommand,
  readHookCommand,
} from "./claude-command.ts";
import type { Edited, FileEditor } from "./installation.ts";
import { appendItem, appendMember, nodeAt, removeAt, removeIfEmpty, replaceValue } from "./json-edit.ts";
import {
  isEmptyObject,
  isRecord,
  type JsonObject,
  orEmptyObject,
  readJsonObject,
  wrongShape,
} from "./json-object.ts";
import { parseJsonText } from "./json-text.ts";

/** seconds; far above the 500 ms that check-inbox waits, for a hook that times out loses the text it printed */
const hookTimeoutSeconds = 30;
/** seconds, 23 days; the agent counts in milliseconds with 31 bits. It bounds how long an idle agent can be woken */
const bellTimeoutSeconds = 2_000_000;
/** seconds a person elsewhere may take; the dialog in the terminal stands all the while, and stays afterwards */
const askingTimeoutSeconds = 3600;

/** The hooks in `settings.json`. */
export function hooksEditor(path: string, options: CommandOptions): FileEditor {
  return {
    path,
    add: (text) => addHooks(path, text, wantedHooks(options)),
    remove: (text, original) => removeHooks(path, text, original),
  };
}

type Kind = "inbox" | "bell";
type Handler = { type: "command"; command: string; timeout: number; asyncRewake?: true };
type Wanted = { event: string; kind: Kind; handler: Handler };
/** Where a hook of ours stands: hooks[event][group].hooks[handler]. */
type Place = { event: string; kind: Kind; group: number; handler: number };

/**
 * PostToolBatch, not PostToolUse: once per turn of tools, after all of them, and seen also when a tool failed. The bell
 * is hung where an agent becomes idle.
 */
export function wantedHooks(options: CommandOptions): Wanted[] {
  const inbox = (event: string, command: string, timeout = hookTimeoutSeconds): Wanted => ({
    event,
    kind: "inbox",
    handler: { type: "command", command, timeout },
  });
  const bell = (event: string, command: string): Wanted => ({
    event,
    kind: "bell",
    handler: { type: "command", command, timeout: bellTimeoutSeconds, asyncRewake: true },
  });
  const guarded = guardedHookCommand(options);
  const asking =
    options.portable || !existsSync(homePaths(options.home).askPerson)
      ? []
      : [inbox("PermissionRequest", askingHookCommand(options), askingTimeoutSeconds)];
  return [
    inbox("UserPromptSubmit", guarded),
    inbox("PostToolBatch", guarded),
    inbox("Stop", guarded),
    bell("Stop", bellHookCommand(options)),
    inbox("SessionStart", hookCommand(options)),
    bell("SessionStart", firstBellHookCommand(options)),
    ...asking,
  ];
}

/** What the hooks of ours in a settings text start, and where they look for mail. */
export function installedHooks(path: string, text: string, env: InstalledOptions["env"]) {
  const root = readJsonObject(path, orEmptyObject(text));
  return ourHooks(root).map((place) => {
    const handler = handlerAt(root, place);
    const command = isRecord(handler) && typeof handler.command === "string" ? handler.command : "";
    return readHookCommand(command, env);
  });
}

/** Whether one of them brings mail: the bells only wake, and a session's start carries none. */
export function bringsMail(path: string, text: string): boolean {
  const root = readJsonObject(path, orEmptyObject(text));
  return ourHooks(root).some(({ event, kind }) => kind === "inbox" && carriers.includes(event));
}

const carriers = ["UserPromptSubmit", "PostToolBatch", "Stop"];

function addHooks(path: string, before: string, wanted: readonly Wanted[]): Edited {
  let text = orEmptyObject(before);
  const what: string[] = [];
  checkHooks(
    path,
    before,
    wanted.map(({ event }) => event),
  );
  for (const place of surplus(readJsonObject(path, text), wanted)) {
    text = dropHook(text, place, undefined);
    what.push(`hooks.${place.event}: removes a doubled or outdated ${place.kind} hook`);
  }
  for (const one of wanted) {
    const { event, kind, handler } = one;
    const root = readJsonObject(path, text);
    const place = ourHooks(root).find((found) => isSame(found, one));
    if (place === undefined) {
      text = appendHook(text, root, event, handler);
      what.push(`hooks.${event}: adds the ${kind} hook`);
    } else if (!isCurrentHook(handlerAt(root, place), handler)) {
      text = replaceValue(text, pathOf(place), handler);
      what.push(`hooks.${event}: updates the ${kind} hook`);
    }
  }
  return { text: what.length === 0 ? before : text, what, empty: false };
}

/** Ours that we no longer want there, and all but the first of the others; the last first. */
function surplus(root: JsonObject, wanted: readonly Wanted[]): Place[] {
  const places = ourHooks(root);
  const first = (place: Place) => places.find((found) => isSame(found, place));
  return places
    .filter((place) => !wanted.some((one) => isSame(one, place)) || place !== first(place))
    .reverse();
}

type Which = { event: string; kind: Kind };
const isSame = (one: Which, other: Which) => one.event === other.event && one.kind === other.kind;

function removeHooks(path: string, before: string, original: string | undefined): Edited {
  const keep = original === undefined ? undefined : readJsonObject(path, original);
  let text = before;
  const what: string[] = [];
  for (const place of ourHooks(readJsonObject(path, before)).reverse()) {
    text = dropHook(text, place, keep);
    what.unshift(`hooks.${place.event}: removes the ${place.kind} hook`);
  }
  return { text, what, empty: isEmptyObject(path, text) };
}

function checkHooks(path: string, text: string, events: readonly string[]): void {
  const { hooks } = readJsonObject(path, text);
  if (hooks === undefined) return;
  if (!isRecord(hooks)) throw wrongShape(path, text, ["hooks"], "an object");
  for (const event of events)
    if (Object.hasOwn(hooks, event) && !Array.isArray(hooks[event]))
      throw wrongShape(path, text, ["hooks", event], "a list");
}

/** Every hook of ours, in file order, under whatever event. What has another shape is not ours. */
function ourHooks(root: JsonObject): Place[] {
  const places: Place[] = [];
  for (const [event, groups] of Object.entries(isRecord(root.hooks) ? root.hooks : {})) {
    for (const [group, entry] of (Array.isArray(groups) ? groups : []).entries()) {
      const handlers: unknown[] = isRecord(entry) && Array.isArray(entry.hooks) ? entry.hooks : [];
      for (const [handler, hook] of handlers.entries()) {
        const kind =
          isRecord(hook) && typeof hook.command === "string" ? ourHookCommand(hook.command) : undefined;
        if (kind) places.push({ event, kind, group, handler });
      }
    }
  }
  return places;
}

function handlerAt(root: JsonObject, place: Place): unknown {
  let value: unknown = root;
  for (const step of pathOf(place))
    value = isRecord(value) || Array.isArray(value) ? Reflect.get(value, step) : undefined;
  return value;
}

function appendHook(text: string, root: JsonObject, event: string, handler: Handler): string {
  const group = { hooks: [handler] };
  if (!isRecord(root.hooks)) return appendMember(text, [], "hooks", { [event]: [group] });
  if (!Object.hasOwn(root.hooks, event)) return appendMember(text, ["hooks"], event, [group]);
  return appendItem(text, ["hooks", event], group);
}

/** Removes one hook and what it leaves empty, up to `hooks` itself; lists and objects that `keep` has stay. */
function dropHook(before: string, place: Place, keep: JsonObject | undefined): string {
  const { event, group } = place;
  const text = removeAt(before, pathOf(place));
  const handlers = nodeAt(parseJsonText(text), ["hooks", event, group, "hooks"]);
  if (handlers?.kind !== "array" || handlers.items.length > 0) return text;
  const without = removeAt(text, ["hooks", event, group]);
  const kept = isRecord(keep?.hooks) ? keep.hooks : undefined;
  if (kept && Object.hasOwn(kept, event)) return without;
  const eventGone = removeIfEmpty(without, ["hooks", event]);
  return kept ? eventGone : removeIfEmpty(eventGone, ["hooks"]);
}

function pathOf({ event, group, handler }: Place): (string | number)[] {
  return ["hooks", event, group, "hooks", handler];
}

/** Other fields are the person's own additions. */
function isCurrentHook(found: unknown, wanted: Handler): boolean {
  return (
    isRecord(found) &&
    found.type === wanted.type &&
    found.command === wanted.command &&
    found.timeout === wanted.timeout &&
    found.asyncRewake === wanted.asyncRewake
  );
}
