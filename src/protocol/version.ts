// Which ai-intercom this is: version, commit, target and Bun, as the build stamped them. Not for the hook: it has no
// use for it.
import { version as packageVersion } from "../../package.json";

/** `--version --json` */
export type Build = { version: string; commit: string; target: string; bun: string };

declare const AI_INTERCOM_STAMP: string | undefined;

/** What the build puts into the executable: one text without quotes, so that a search in the file finds it whole. */
export const stampText = ({ version, commit, target, bun }: Build): string =>
  `ai-intercom-build version=${version} commit=${commit} target=${target} bun=${bun};`;

/** The stamp at the beginning of a text; undefined when there is none. */
export function readStamp(text: string): Build | undefined {
  const [, version, commit, target, bun] =
    /^ai-intercom-build version=([\w.+-]+) commit=([\w-]+) target=([\w-]+) bun=([\w.+-]+);/.exec(text) ?? [];
  return version && commit && target && bun ? { version, commit, target, bun } : undefined;
}

const stamped = typeof AI_INTERCOM_STAMP === "undefined" ? undefined : readStamp(AI_INTERCOM_STAMP);

/** `target` is `source` when no build made this. */
export const build: Build = stamped ?? {
  version: packageVersion,
  commit: "unknown",
  target: "source",
  bun: process.versions.bun ?? "unknown",
};

export const { version } = build;
