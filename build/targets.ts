// What a release is built for: our name of each target, Bun's name of it, and the package that holds its runtime.

export type Target = {
  /** as in file names and `--version --json`: OS-ARCH[-musl][-baseline] */
  name: string;
  /** of `bun build --compile --target` */
  bunTarget: string;
  /** of the package registry; one file, `bin/bun` or `bin/bun.exe` */
  runtimePackage: string;
  /** `.exe` on windows */
  suffix: "" | ".exe";
  /** the target whose runtime may be the very same file: then this one is not built */
  sameAs?: string;
};

const table: readonly Omit<Target, "suffix">[] = [
  { name: "linux-x64", bunTarget: "bun-linux-x64", runtimePackage: "@oven/bun-linux-x64" },
  { name: "linux-arm64", bunTarget: "bun-linux-arm64", runtimePackage: "@oven/bun-linux-aarch64" },
  { name: "linux-x64-musl", bunTarget: "bun-linux-x64-musl", runtimePackage: "@oven/bun-linux-x64-musl" },
  {
    name: "linux-arm64-musl",
    bunTarget: "bun-linux-arm64-musl",
    runtimePackage: "@oven/bun-linux-aarch64-musl",
  },
  { name: "darwin-x64", bunTarget: "bun-darwin-x64", runtimePackage: "@oven/bun-darwin-x64" },
  { name: "darwin-arm64", bunTarget: "bun-darwin-arm64", runtimePackage: "@oven/bun-darwin-aarch64" },
  { name: "windows-x64", bunTarget: "bun-windows-x64", runtimePackage: "@oven/bun-windows-x64" },
  {
    name: "linux-x64-baseline",
    bunTarget: "bun-linux-x64-baseline",
    runtimePackage: "@oven/bun-linux-x64-baseline",
    sameAs: "linux-x64",
  },
  {
    name: "linux-x64-musl-baseline",
    bunTarget: "bun-linux-x64-musl-baseline",
    runtimePackage: "@oven/bun-linux-x64-musl-baseline",
    sameAs: "linux-x64-musl",
  },
];

export const targets: readonly Target[] = table.map((one) => ({
  ...one,
  suffix: one.name.startsWith("windows-") ? ".exe" : "",
}));

/** The target of the machine that builds; its C library is the one that this very Bun was linked with. */
export function hostTarget(): Target {
  const os = process.platform === "win32" ? "windows" : process.platform;
  const report: unknown = process.platform === "linux" ? process.report?.getReport() : undefined;
  const musl = process.platform === "linux" && !JSON.stringify(report ?? "").includes("glibcVersionRuntime");
  const name = `${os}-${process.arch}${musl ? "-musl" : ""}`;
  const bunTarget = `bun-${name}`;
  return (
    targets.find((one) => one.name === name) ?? {
      name,
      bunTarget,
      runtimePackage: `@oven/${bunTarget}`,
      suffix: os === "windows" ? ".exe" : "",
    }
  );
}

export function targetNamed(name: string): Target {
  const found = targets.find((one) => one.name === name);
  if (found) return found;
  throw new Error(`there is no target "${name}"; known: ${targets.map((one) => one.name).join(", ")}`);
}

/** Name of a released file. */
export const releaseFile = (version: string, target: Target): string =>
  `ai-intercom-${version}-${target.name}${target.suffix}.gz`;
