// Looks for projects below the configured paths: a directory that holds a marker is one. In the background, bounded in
// depth, number and time, and always by real paths. Only looks; what becomes of a find is the projects' business.
import { existsSync } from "node:fs";
import { type FileHandle, open, readdir, realpath } from "node:fs/promises";
import { basename } from "node:path";
import { cleanText } from "../inbox/clean-text.ts";
import type { Config } from "../system/config.ts";
import { log } from "../system/log.ts";
import { background } from "../system/wait.ts";
import type { Projects } from "./projects.ts";

type Find = {
  /** real path */
  path: string;
  /** from the project's own files */
  description: string;
};
/** `complete`: nothing was left out because of a bound or an error, so what is not among the finds is not there. */
export type Finds = { projects: Find[]; complete: boolean };

type Options = Config["discovery"];
type Walk = { options: Options; projects: Find[]; seen: Set<string>; deadline: number; complete: boolean };

/** ms between two looks (10 min) */
const everyMs = 10 * 60 * 1000;
/** below a scan path; deeper ones are configured by hand */
const maxDepth = 5;
const maxProjects = 2_000;
const maxDirectories = 50_000;
/** ms for one look at everything */
const maxWalkMs = 20_000;
/** bytes of a file that are read for a description, and characters that are kept of it */
const readBytes = 8 * 1024;
const descriptionChars = 300;
/** in this order; the agents' own files often begin with words about themselves */
const describedBy = ["README.md", "AGENTS.md", "CLAUDE.md", "README", "README.txt"];

/** The clock of the looks: one at once, one every 10 minutes, never two at a time. */
export class Discovery {
  readonly #options: Options;
  readonly #projects: Projects;
  #timer: ReturnType<typeof setInterval> | undefined;
  #running: Promise<void> | undefined;
  #stopped = false;

  constructor(options: Options, projects: Projects) {
    this.#options = options;
    this.#projects = projects;
  }

  start(): void {
    const look = () => background("looking for projects", () => this.look());
    look();
    this.#timer = setInterval(look, everyMs);
  }

  stop(): void {
    this.#stopped = true;
    clearInterval(this.#timer);
  }

  /** Without scan paths, or switched off, nothing is looked at, and earlier finds are forgotten. */
  look(): Promise<void> {
    this.#running ??= this.#lookOnce().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  async #lookOnce(): Promise<void> {
    const { enabled, scan_paths } = this.#options;
    const finds = enabled && scan_paths.length > 0 ? await findProjects(this.#options) : nothing;
    if (!this.#stopped) this.#projects.discovered(finds);
  }
}

const nothing: Finds = { projects: [], complete: true };

export async function findProjects(options: Options): Promise<Finds> {
  const walk: Walk = {
    options,
    projects: [],
    seen: new Set(),
    deadline: performance.now() + maxWalkMs,
    complete: true,
  };
  for (const path of options.scan_paths) {
    const root = await realpath(path).catch(() => undefined);
    if (root === undefined) {
      log.warn("discovery.scan_paths names a directory that is not there", { path });
      continue;
    }
    await visit(walk, root, 0);
  }
  if (!walk.complete)
    log.warn("not every directory was looked at for projects", {
      projects: walk.projects.length,
      directories: walk.seen.size,
    });
  return { projects: walk.projects, complete: walk.complete };
}

/** A project's own directories are not looked at, unless it is a scan path itself. Links are not followed. */
async function visit(walk: Walk, path: string, depth: number): Promise<void> {
  if (walk.seen.has(path)) return;
  walk.seen.add(path);
  const over =
    walk.seen.size > maxDirectories ||
    walk.projects.length >= maxProjects ||
    performance.now() > walk.deadline;
  const entries = over ? undefined : await readdir(path, { withFileTypes: true }).catch(() => undefined);
  if (!entries) {
    walk.complete = false;
    return;
  }
  const isProject = entries.some(({ name }) => walk.options.detect_by.includes(name));
  if (isProject) walk.projects.push({ path, description: await descriptionOf(path) });
  if ((isProject && depth > 0) || depth >= maxDepth) return;
  const below = entries.filter((entry) => entry.isDirectory()).map(({ name }) => join(path, name));
  for (const next of below.sort())
    if (!isExcluded(next, walk.options.exclude)) await visit(walk, next, depth + 1);
}

/** By its name, or by its path where the pattern is one. */
function isExcluded(path: string, patterns: readonly string[]): boolean {
  return patterns.some((pattern) => glob(pattern).test(pattern.includes("/") ? path : basename(path)));
}

function glob(pattern: string): RegExp {
  const body = pattern
    .replace(/[.+^${}()|[\]\\]/g, "\\$&")
    .replaceAll("*", ".*")
    .replaceAll("?", ".");
  return new RegExp(`^${body}$`, "s");
}

/** The first heading and the first paragraph of the first file that has either. */
async function descriptionOf(directory: string): Promise<string> {
  for (const name of describedBy) {
    const path = join(directory, name);
    if (!existsSync(path)) continue;
    const description = describe(await readHead(path));
    if (description !== "") return description;
  }
  return "";
}

export function describe(text: string): string {
  const blocks = cleanText(text.replace(/^---\n[\s\S]*?\n---\n/, "").replaceAll(/<!--[\s\S]*?-->/g, ""))
    .split(/\n\s*\n|\n(?=#)|(?<=^#.*)\n/m)
    .map((block) => block.trim())
    .filter((block) => block !== "" && !isDecoration(block));
  const at = blocks.findIndex((block) => block.startsWith("#"));
  const heading = at === -1 ? "" : (blocks[at] ?? "").replace(/^#+\s*/, "").replace(/\s#+$/, "");
  const paragraph = blocks.slice(at + 1).find((block) => !block.startsWith("#")) ?? "";
  const line = [heading, paragraph]
    .filter((part) => part !== "")
    .join(": ")
    .replace(/\s+/g, " ");
  return line.length > descriptionChars ? `${line.slice(0, descriptionChars - 1).toWellFormed()}…` : line;
}

/** Badges, pictures, rules, code and tables say nothing about what the project is. */
const isDecoration = (block: string): boolean => /^(\[?!\[|```|~~~|\||[-*_=]{3,}$|‹)/.test(block);

async function readHead(path: string): Promise<string> {
  let file: FileHandle | undefined;
  try {
    file = await open(path, "r");
    if (!(await file.stat()).isFile()) return "";
    const { buffer, bytesRead } = await file.read(Buffer.alloc(readBytes), 0, readBytes, 0);
    return buffer.toString("utf8", 0, bytesRead);
  } catch {
    return ""; // a description is a courtesy
  } finally {
    await file?.close();
  }
}

const join = (directory: string, name: string) => `${directory === "/" ? "" : directory}/${name}`;
