// `bun build.ts`: dist/ai-intercom for this machine. `--crash-points`: with the test-only crash points, as
// dist/ai-intercom-crash. `--all`, or `--target NAME` (may be repeated): compressed releases of other targets in
// dist/release, with SHA256SUMS and install.sh. `--releases URL` is the address that install.sh and self-upgrade
// then know; `--as VERSION` stamps another version and `--next` gives it a link protocol and a database schema more, as
// the release after this one may have (both for tests of upgrades); `--out` names another executable, or another
// folder for a release.
import { mkdir } from "node:fs/promises";
import { parseArgs } from "node:util";
import { commitOf, compile } from "./build/compile.ts";
import { makeRelease } from "./build/release.ts";
import { hostTarget, targetNamed, targets } from "./build/targets.ts";
import { version as packageVersion } from "./package.json";

const { values } = parseArgs({
  options: {
    all: { type: "boolean", default: false },
    target: { type: "string", multiple: true, default: [] },
    "crash-points": { type: "boolean", default: false },
    releases: { type: "string", default: "" },
    as: { type: "string", default: packageVersion },
    next: { type: "boolean", default: false },
    out: { type: "string" },
  },
});
const stamp = { version: values.as, commit: commitOf(import.meta.dir), releases: values.releases };

await mkdir("dist", { recursive: true });
if (values.all || values.target.length > 0)
  await makeRelease(
    values.out ?? "dist/release",
    values.all ? targets : values.target.map(targetNamed),
    stamp,
    console.log,
  );
else {
  const crashPoints = values["crash-points"];
  const outfile = values.out ?? (crashPoints ? "dist/ai-intercom-crash" : "dist/ai-intercom");
  console.log(
    `built ${await compile({ ...stamp, target: hostTarget(), outfile, crashPoints, next: values.next })}`,
  );
}
