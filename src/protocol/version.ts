// Which ai-intercom this is (version, commit, target and Bun, as the build stamped them) and which versions of the
// link's protocol it speaks. Not for the hook: it has no use for it.
import { version as packageVersion } from "../../package.json";

/** `--version --json` */
export type Build = { version: string; commit: string; target: string; bun: string };

declare const AI_INTERCOM_STAMP: string | undefined;
declare const AI_INTERCOM_NEXT: boolean | undefined;

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

/**
 * Built as the release after this one would be (`bun build.ts --next`): a link protocol and a database schema more, so
 * that tests of upgrades have two neighbours. False in every release.
 */
export const isNext = typeof AI_INTERCOM_NEXT !== "undefined" && AI_INTERCOM_NEXT;

/** Versions of the link's protocol, oldest and newest included. */
export type Speaks = { oldest: number; newest: number };

/**
 * `newest` grows when a frame changes its meaning; fields and operations that the other side may not know do not
 * count. `oldest` stays one behind, so that a machine may be upgraded before or after its hub.
 */
export const linkProtocols: Speaks = { oldest: 1, newest: isNext ? 2 : 1 };

/** Does a hub that speaks `range` take a daemon that wants to speak `wish` (a header)? */
export function takes(range: Speaks, wish: string | null): boolean {
  const version = /^\d{1,4}$/.test(wish ?? "") ? Number(wish) : Number.NaN;
  return version >= range.oldest && version <= range.newest;
}

/** The reason of a link's refusal; `commonVersion` reads it. */
export const refusedProtocol = ({ oldest, newest }: Speaks): string =>
  `this hub speaks link protocol ${oldest}..${newest}`;

/** The newest version that both sides speak, from a hub's refusal; undefined when there is none. */
export function commonVersion(own: Speaks, refusal: string): number | undefined {
  const [, oldest, newest] = /link protocol (\d{1,4})\.\.(\d{1,4})$/.exec(refusal) ?? [];
  if (oldest === undefined || newest === undefined) return undefined;
  const version = Math.min(own.newest, Number(newest));
  return version >= Math.max(own.oldest, Number(oldest)) ? version : undefined;
}
