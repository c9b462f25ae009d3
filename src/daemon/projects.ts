// Which project a directory belongs to, and what it is called: a configured project, else the innermost discovered one,
// else the git root, else the directory itself. A name once given to a path stays.
import { createHash } from "node:crypto";
import { existsSync, realpathSync } from "node:fs";
import { basename, dirname } from "node:path";
import { nearMatches, slug } from "../protocol/address.ts";
import { IntercomError } from "../protocol/errors.ts";
import type { ProjectReport } from "../protocol/session.ts";
import type { Config } from "../system/config.ts";
import type { Finds } from "./discovery.ts";
import type { DaemonState, StoredProject } from "./state.ts";

export class Projects {
  readonly #state: DaemonState;
  /** real paths of the projects in the configuration */
  readonly #configured: string[];
  /** something the hub should know changed */
  onChange: () => void = () => {};
  /** somebody still speaks of it, so it stays known although it was found no more */
  isNeeded: (project_id: string) => boolean = () => false;

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
    const root =
      innermost(this.#configured, path) ?? innermost(this.#discovered(), path) ?? gitRoot(path) ?? path;
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

  /** Its name is free again. */
  forget(project_id: string): void {
    this.#state.replaceProjects(this.#state.projects.filter((one) => one.project_id !== project_id));
    this.onChange();
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

  /** What a person or an agent wrote about a project comes before what its files say. */
  report(): ProjectReport[] {
    return this.#state.projects.map(({ discovered, description, ...rest }) => ({
      ...rest,
      description: description || (discovered?.description ?? ""),
    }));
  }

  /** The project of exactly this name; throws `unknown_project` with those that look like it. */
  named(project_id: string): StoredProject {
    const found = this.#find(project_id);
    if (found) return found;
    const near = nearMatches(
      project_id,
      this.#state.projects.map((one) => one.project_id),
    );
    throw new IntercomError("unknown_project", `there is no project "${project_id}" on this machine`, {
      hint:
        near.length > 0
          ? `did you mean ${near.join(", ")}?`
          : "intercom_list_agents (ai-intercom agents) shows its projects; discovery.scan_paths finds more",
    });
  }

  /** Takes over what a look around found; finds that are gone and that nobody needs are forgotten. */
  discovered({ projects, complete }: Finds): void {
    const before = JSON.stringify(this.#state.projects);
    const found = new Map(projects.map((one) => [one.path, { description: one.description }]));
    const known = this.#state.projects.flatMap((one): StoredProject[] => {
      const find = found.get(one.path);
      if (find) return [{ ...one, discovered: find }];
      if (!one.discovered) return [one];
      const mayBeThere = !complete && existsSync(one.path);
      if (mayBeThere) return [one];
      const { discovered: _, ...rest } = one;
      return this.isNeeded(one.project_id) || this.#configured.includes(one.path) ? [rest] : [];
    });
    for (const { path, description } of projects) {
      if (known.some((one) => one.path === path)) continue;
      const project_id = this.#freeName(path, known);
      known.push({
        project_id,
        path,
        description: "",
        capabilities: [],
        tags: [],
        discovered: { description },
      });
    }
    if (JSON.stringify(known) === before) return;
    this.#state.replaceProjects(known);
    this.onChange();
  }

  #discovered(): string[] {
    return this.#state.projects.flatMap(({ path, discovered }) => (discovered ? [path] : []));
  }

  #find(project_id: string): StoredProject | undefined {
    return this.#state.projects.find((one) => one.project_id === project_id);
  }

  /** The directory's slug; a second path with the same name gets 4 hex digits of its path (contract.md). */
  #freeName(path: string, among: readonly StoredProject[] = this.#state.projects): string {
    const name = slug(basename(path), "project");
    const taken = among.find((one) => one.project_id === name);
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

/** By whole names: /a/b does not contain /a/bc. Both are real paths. */
export const contains = (root: string, path: string) =>
  path === root || path.startsWith(root === "/" ? "/" : `${root}/`);

/** The innermost of `roots` that contains `path`. */
const innermost = (roots: readonly string[], path: string): string | undefined =>
  roots.filter((root) => contains(root, path)).sort((a, b) => b.length - a.length)[0];

function realPath(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}
