// Our plugin taken out of Claude Code again: what its own `plugin uninstall` and `marketplace remove` take out, and the
// empty shells and copies that those leave. Entries of other plugins and marketplaces keep their bytes.
import { existsSync, readdirSync, rmSync } from "node:fs";
import { removeEmptyDirectories } from "./agent-file.ts";
import type { ClaudePlaces } from "./claude-places.ts";
import { serverName } from "./claude-server.ts";
import type { Change, Edited, FileEditor } from "./installation.ts";
import { removeAt, removeIfEmpty } from "./json-edit.ts";
import { isEmptyObject, isRecord, orEmptyObject, readJsonObject } from "./json-object.ts";

/** Ours from whatever marketplace: a company may have one of its own. */
const isPlugin = (key: string): boolean => key.startsWith(`${serverName}@`);
const isMarketplace = (key: string): boolean => key === serverName;

type Part = { at: string[]; isOurs: (key: string) => boolean; what: string };

const enabled: Part = { at: ["enabledPlugins"], isOurs: isPlugin, what: "switches the plugin off" };
const declared: Part = {
  at: ["extraKnownMarketplaces"],
  isOurs: isMarketplace,
  what: "removes the marketplace",
};

/** The editor of the user's settings, with the plugin's entries among what goes. */
export function alsoWithoutPlugin(editor: FileEditor): FileEditor {
  return {
    ...editor,
    remove: (text, original) => {
      const { path } = editor;
      const { text: rest, what } = editor.remove(text, original);
      const off = dropped(path, rest, enabled);
      const out = dropped(path, off.text, declared);
      return {
        text: out.text,
        what: [...what, ...off.what, ...out.what],
        empty: isEmptyObject(path, out.text),
      };
    },
  };
}

/** The client's own lists of plugins and marketplaces; without our entries it knows of neither any more. */
export function pluginListEditors({ configDirectory }: ClaudePlaces): FileEditor[] {
  const lists: [file: string, part: Part][] = [
    ["installed_plugins.json", { at: ["plugins"], isOurs: isPlugin, what: "removes the plugin" }],
    ["known_marketplaces.json", { at: [], isOurs: isMarketplace, what: "removes the marketplace" }],
  ];
  return lists
    .map(([file, part]) => ({ path: `${configDirectory}/plugins/${file}`, part }))
    .filter(({ path }) => existsSync(path))
    .map(({ path, part }) => ({
      path,
      add: unchanged,
      // an emptied list stays: the client made the file
      remove: (text) => ({ ...dropped(path, text, part, { keepList: true }), empty: false }),
    }));
}

/** The copies that the client keeps: of the plugin, one a version, and of a marketplace that it fetched. */
export function pluginCopies({ configDirectory }: ClaudePlaces): Change[] {
  const plugins = `${configDirectory}/plugins`;
  return [
    ...namesIn(`${plugins}/cache`).map((marketplace) => `${plugins}/cache/${marketplace}/${serverName}`),
    `${plugins}/marketplaces/${serverName}`,
  ]
    .filter((path) => existsSync(path))
    .map((path) => ({ file: path, what: "removes the plugin's copy" }));
}

export function removeCopies(copies: readonly Change[]): void {
  for (const { file } of copies) {
    rmSync(file, { recursive: true, force: true });
    removeEmptyDirectories([file.slice(0, file.lastIndexOf("/"))]);
  }
}

const unchanged = (text: string): Edited => ({ text, what: [], empty: false });

function dropped(path: string, before: string, { at, isOurs, what }: Part, { keepList = false } = {}) {
  const root: unknown = readJsonObject(path, orEmptyObject(before));
  const list = at.reduce((value, key) => (isRecord(value) ? value[key] : undefined), root);
  const ours = isRecord(list) ? Object.keys(list).filter(isOurs) : [];
  let text = before;
  for (const key of ours) text = removeAt(text, [...at, key]);
  if (ours.length > 0 && !keepList) text = removeIfEmpty(text, at);
  return { text, what: ours.map((key) => `${[...at, key].join(".")}: ${what}`) };
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return []; // there never was a plugin
  }
}
