// Finding projects on this machine, and what becomes of finds.
import { expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { Discovery, describe as descriptionIn, findProjects } from "../../src/daemon/discovery.ts";
import { Projects } from "../../src/daemon/projects.ts";
import { DaemonState } from "../../src/daemon/state.ts";
import { Config } from "../../src/system/config.ts";

function scene(files: Record<string, string>) {
  const root = realpathSync(mkdtempSync("/tmp/aii-dsc-"));
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(`${root}/${path}`), { recursive: true });
    writeFileSync(`${root}/${path}`, text);
  }
  return root;
}
const settings = (root: string, more: object = {}) =>
  Config.parse({ discovery: { scan_paths: [`${root}/code`], ...more } }).discovery;
const pathsIn = async (root: string, more: object = {}) =>
  (await findProjects(settings(root, more))).projects.map(({ path }) => path.slice(root.length + 1)).sort();

test("a marker makes a project; its own directories, caches, hidden ones and links are passed over", async () => {
  const root = scene({
    "code/a/.git/HEAD": "",
    "code/a/inner/CLAUDE.md": "",
    "code/group/b/AGENTS.md": "",
    "code/group/plain/x": "",
    "code/c/CLAUDE.md": "",
    "code/node_modules/d/.git/HEAD": "",
    "code/.cache/e/CLAUDE.md": "",
    "code/1/2/3/4/5/6/deep/CLAUDE.md": "",
    "outside/f/CLAUDE.md": "",
  });
  symlinkSync(`${root}/outside`, `${root}/code/link`);
  expect(await pathsIn(root)).toEqual(["code/a", "code/c", "code/group/b"]);
  expect(await pathsIn(root, { detect_by: ["AGENTS.md"] })).toEqual(["code/group/b"]);
  expect(await pathsIn(root, { exclude: ["gr*", "link", `${root}/code/c`, ".*"] })).toEqual([
    "code/a",
    "code/node_modules/d",
  ]);
});

test("a scan path that is a project itself, named by a link, or named twice", async () => {
  const root = scene({ "code/CLAUDE.md": "", "code/a/.git/HEAD": "" });
  symlinkSync(`${root}/code`, `${root}/alias`);
  const finds = await findProjects(
    settings(root, { scan_paths: [`${root}/alias`, `${root}/code`, `${root}/none`] }),
  );
  expect(finds.projects.map(({ path }) => path)).toEqual([`${root}/code`, `${root}/code/a`]);
});

test.each([
  ["# Web\n\nThe shop's front end.\nIn two lines.\n\nMore.", "Web: The shop's front end. In two lines."],
  ["# Web #\nThe shop.", "Web: The shop."],
  ["[![badge](x)](y)\n\n# Web\n\n![logo](z)\n\nThe shop.", "Web: The shop."],
  ["---\ntitle: x\n---\n# Web\n\n## Install\n\nnpm i", "Web: npm i"],
  ["Only a paragraph.", "Only a paragraph."],
  ["<!-- generated -->\n# Web", "Web"],
  ["# \u001b[31mRed\u202e", "Red"],
  ["", ""],
])("description of %j: %s", (text, expected) => {
  expect(descriptionIn(text)).toBe(expected);
});

test("a description is cut at 300 characters", () => {
  expect(descriptionIn(`# T\n\n${"x".repeat(900)}`).length).toBe(300);
});

test("finds are named, described by their own files, and forgotten when they are gone and nobody needs them", async () => {
  const root = scene({
    "code/app/CLAUDE.md": "# CLAUDE\n\nHow to work here.",
    "code/app/README.md": "# App\n\nThe app.",
    "code/other/app/.git/HEAD": "",
    "code/mine/AGENTS.md": "# From the file",
  });
  const manual = {
    id: "chosen",
    path: `${root}/code/mine`,
    description: "By hand.",
    capabilities: ["c"],
    tags: [],
  };
  const make = () => new Projects(DaemonState.open(`${root}/daemon.json`), [manual]);
  const projects = make();
  let changes = 0;
  projects.onChange = () => {
    changes += 1;
  };
  const discovery = new Discovery(settings(root), projects);
  await discovery.look();
  await discovery.look();
  expect(changes).toBe(1);
  const listed = () => projects.report().map(({ project_id, description }) => [project_id, description]);
  expect(listed()).toEqual([
    ["chosen", "By hand."],
    ["app", "App: The app."],
    [expect.stringMatching(/^app-[0-9a-f]{4}$/), ""],
  ]);
  // a session inside it belongs to it; what an agent says of it stands above its files
  expect(projects.nameOf(`${root}/code/app`)).toBe("app");
  projects.describe("app", { description: "said by an agent" });
  expect(listed()[1]).toEqual(["app", "said by an agent"]);
  for (const gone of ["code/app", "code/other", "code/mine"]) rmSync(`${root}/${gone}`, { recursive: true });
  projects.isNeeded = (project) => project === "app";
  await discovery.look();
  expect(listed().map(([id]) => id)).toEqual(["chosen", "app"]);
  projects.isNeeded = () => false;
  // a restarted daemon forgets it as well
  const again = make();
  again.discovered({ projects: [], complete: true });
  expect(again.report().map(({ project_id }) => project_id)).toContain("chosen");
});

test("a look that was cut short forgets only what is not there", () => {
  const root = scene({ "code/a/CLAUDE.md": "", "code/b/CLAUDE.md": "" });
  const projects = new Projects(DaemonState.open(`${root}/daemon.json`), []);
  const find = (name: string) => ({ path: `${root}/code/${name}`, description: "" });
  projects.discovered({ projects: [find("a"), find("b")], complete: true });
  rmSync(`${root}/code/b`, { recursive: true });
  projects.discovered({ projects: [], complete: false });
  expect(projects.report().map(({ project_id }) => project_id)).toEqual(["a"]);
});

test("nothing is looked at without scan paths, or when switched off", async () => {
  const root = scene({ "code/a/CLAUDE.md": "" });
  for (const more of [{ scan_paths: [] }, { enabled: false }]) {
    const projects = new Projects(DaemonState.open(`${root}/daemon.json`), []);
    await new Discovery(settings(root, more), projects).look();
    expect(projects.report()).toEqual([]);
  }
});
