// The static and dynamic imports of our sources, without type imports: what the house tests look at.
import { dirname, join, relative } from "node:path";
import { Glob } from "bun";

const root = join(import.meta.dir, "../..");
const transpiler = new Bun.Transpiler({ loader: "ts" });

export type Source = {
  /** `src/daemon/link.ts` */
  file: string;
  lines: number;
  /** own files as `src/…`, packages by name */
  imports: { target: string; dynamic: boolean }[];
};

export async function sources(pattern = "src/**/*.ts"): Promise<Source[]> {
  const files = await Array.fromAsync(new Glob(pattern).scan({ cwd: root }));
  const own = files.filter((file) => !file.includes("node_modules"));
  return Promise.all(
    own.sort().map(async (file) => {
      const text = await Bun.file(join(root, file)).text();
      const imports = transpiler.scanImports(text).map(({ path, kind }) => ({
        target: path.startsWith(".") ? relative(root, join(root, dirname(file), path)) : path,
        dynamic: kind === "dynamic-import",
      }));
      return { file, lines: text.split("\n").length - 1, imports };
    }),
  );
}
