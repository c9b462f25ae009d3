// Which project a directory belongs to, and what it is called: a configured project, else the git root, else the
// directory itself. A name once given to a path stays.
import { createHash } from "node:crypto";
import { existsSync, realpathSync } from "node:fs";
import { basename, dirname } from "node:path";
import { slug } from "../protocol/address.ts";
import type { ProjectReport } from "../protocol/session.ts";
import type { Config } from "../system/config.ts";
import type { DaemonState, StoredProject } from "./state.ts";

export class Projects {
  readonly #state: DaemonState;
  /** real paths of the projects in the configuration */
  readonly #configured: string[];

  constructor(state: DaemonState, configured: Config["projects"]) {
    this.#state = state;
    this.#configured = configured.map((project) => realPath(project.path));
    for (const project of configured) {
      const path = realPath(project.path);
      const known = state.projects.find((one) => one.path === path);
      state.putProject({
        project_id: project.id ?? known?.project_id ?? this.#freeName(path),
        path,
        description: project.description || (known?.description ?? ""),
        capabilities: project.capabilities.length > 0 ? project.capabilities : (known?.capabilities ?? []),
        tags: project.tags.length > 0 ? project.tags : (known?.tags ?? []),
      });
    }
  }

  /** The project's name for a working directory; the project becomes known by it. */
  nameOf(cwd: string): string {
    const path = realPath(cwd);
    const root = this.#configuredRoot(path) ?? gitRoot(path) ?? path;
    const known = this.#state.projects.find((one) => one.path === root);
    if (known) return known.project_id;
    const project_id = this.#freeName(root);
    this.#state.putProject({ project_id, path: root, description: "", capabilities: [], tags: [] });
    return project_id;
  }

  /** A project that a script named without a directory. */
  ensure(project_id: string): void {
    if (this.#find(project_id)) return;
    this.#state.putProject({ project_id, path: "", description: "", capabilities: [], tags: [] });
  }

  /** Changes only the fields given. */
  describe(
    project_id: string,
    fields: Partial<Pick<StoredProject, "description" | "capabilities" | "tags">>,
  ): void {
    const known = this.#find(project_id);
    if (!known) return;
    const given = Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
    this.#state.putProject({ ...known, ...given });
  }

  report(): ProjectReport[] {
    return [...this.#state.projects];
  }

  #find(project_id: string): StoredProject | undefined {
    return this.#state.projects.find((one) => one.project_id === project_id);
  }

  /** The innermost configured project that contains `path`. */
  #configuredRoot(path: string): string | undefined {
    return this.#configured.filter((root) => contains(root, path)).sort((a, b) => b.length - a.length)[0];
  }

  /** The directory's slug; a second path with the same name gets 4 hex digits of its path (contract.md). */
  #freeName(path: string): string {
    const name = slug(basename(path), "project");
    const taken = this.#find(name);
    if (!taken || taken.path === path) return name;
    return `${name.slice(0, 59)}-${createHash("sha256").update(path).digest("hex").slice(0, 4)}`;
  }
}

function gitRoot(path: string): string | undefined {
  for (let at = path; ; at = dirname(at)) {
    if (existsSync(`${at}/.git`)) return at;
    if (at === dirname(at)) return undefined;
  }
}

const contains = (root: string, path: string) =>
  path === root || path.startsWith(root === "/" ? "/" : `${root}/`);

function realPath(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}
