// The rules of the house that a machine can check: who may import whom, how far the hook reaches, how long a file
// may be, and that nothing committed names a package registry.
import { expect, test } from "bun:test";
import { join } from "node:path";
import { type Source, sources } from "./imports.ts";

const all = await sources();
const layerOf = (file: string) => file.split("/")[1]?.replace(/\.ts$/, "") ?? "";

/** layer → layers it may import; its own is always allowed */
const allowed: Record<string, string[]> = {
  protocol: [],
  system: ["protocol"],
  inbox: ["protocol", "system"],
  store: ["protocol", "system"],
  integrations: ["protocol", "system", "inbox"],
  hub: ["protocol", "system", "store"],
  daemon: ["protocol", "system", "inbox", "integrations"],
  // beside hub and daemon: it sees a hub through the view that cli hands it
  oversight: ["protocol", "system", "store"],
  mcp: ["protocol", "system", "integrations"],
  hook: ["protocol", "system"],
  cli: ["protocol", "system", "integrations", "hub", "daemon", "oversight", "mcp"],
  main: ["hook", "cli"],
};

test("each layer imports only the layers below it; hub and daemon never each other", () => {
  const wrong = all.flatMap(({ file, imports }) =>
    imports
      .filter(({ target }) => target.startsWith("src/"))
      .filter(
        ({ target }) =>
          layerOf(target) !== layerOf(file) && !allowed[layerOf(file)]?.includes(layerOf(target)),
      )
      .map(({ target }) => `${file} → ${target}`),
  );
  expect(wrong).toEqual([]);
});

test("only store knows SQL, only cli prints, only main and cli exit", async () => {
  const wrong: string[] = [];
  for (const { file, imports } of all) {
    const layer = layerOf(file);
    const text = await Bun.file(join(import.meta.dir, "../..", file)).text();
    if (layer !== "store" && imports.some(({ target }) => target === "bun:sqlite"))
      wrong.push(`${file}: SQL`);
    if (!["cli", "hook"].includes(layer) && /\bconsole\.(log|error)\b/.test(text))
      wrong.push(`${file}: prints`);
    if (!["cli", "main"].includes(layer) && /\bprocess\.exit(Code)?\b/.test(text))
      wrong.push(`${file}: exits`);
  }
  expect(wrong).toEqual([]);
});

test("dynamic imports only in main and the command table", () => {
  const wrong = all.filter(
    ({ file, imports }) =>
      imports.some(({ dynamic }) => dynamic) &&
      !["src/main.ts", "src/cli/cli.ts", "src/cli/run.ts"].includes(file),
  );
  expect(wrong.map(({ file }) => file)).toEqual([]);
});

test("the hook reaches only light files of ours and no package or node module", () => {
  const reach = reachOf("src/hook/check-inbox.ts");
  const reasons: string[] = [];
  for (const file of reach)
    for (const { target } of all.find((one) => one.file === file)?.imports ?? [])
      if (!target.startsWith("src/"))
        reasons.push(`${file} imports ${target}: it costs every agent some ms a turn`);
  expect(reasons).toEqual([]);
  expect(reach).toContain("src/system/paths.ts");
  expect(reach.length).toBeLessThanOrEqual(4);
});

test("main imports nothing statically", () => {
  expect(all.find(({ file }) => file === "src/main.ts")?.imports.filter(({ dynamic }) => !dynamic)).toEqual(
    [],
  );
});

test("no import cycles", () => {
  const cycles = all.filter(({ file }) => staticImports(file).some((next) => reachOf(next).includes(file)));
  expect(cycles.map(({ file }) => file)).toEqual([]);
});

test("no file is longer than 400 lines", async () => {
  const long = [...all, ...(await sources("{test,bench,build}/**/*.ts"))].filter(
    ({ file, lines }) => lines > 400 && !file.includes("node_modules"),
  );
  expect(long.map(({ file, lines }) => `${file}: ${lines}`)).toEqual([]);
});

test("no committed file names a package registry, no lock file holds an address", async () => {
  const root = join(import.meta.dir, "../..");
  const listed = Bun.spawnSync(["git", "ls-files", "-co", "--exclude-standard"], { cwd: root })
    .stdout.toString()
    .trim()
    .split("\n");
  // written in pieces, or this file would name one itself
  const registry = new RegExp(
    `${["registry", "npmjs"].join("[.]")}|https?://[^\\s"']*(registry|artifact|mirror)[^\\s"']*`,
    "i",
  );
  const wrong: string[] = [];
  for (const name of listed) {
    const file = Bun.file(join(root, name));
    if (!(await file.exists())) continue;
    const text = await file.text();
    if (registry.test(text)) wrong.push(`${name}: a registry's name`);
    if (
      /lock(\.json)?$/.test(name) &&
      /https?:\/\//.test(text.replace(/"https:\/\/(opencollective|github)[^"]*"/g, ""))
    )
      wrong.push(`${name}: an address`);
  }
  expect(listed).toContain("bun.lock");
  expect(wrong).toEqual([]);
});

function staticImports(file: string): string[] {
  const source: Source | undefined = all.find((one) => one.file === file);
  return (
    source?.imports
      .filter(({ target, dynamic }) => !dynamic && target.startsWith("src/"))
      .map(({ target }) => target) ?? []
  );
}

/** `file` and everything it imports statically, at any depth. */
function reachOf(file: string): string[] {
  const reached = new Set([file]);
  for (const at of reached) for (const next of staticImports(at)) reached.add(next);
  return [...reached];
}
