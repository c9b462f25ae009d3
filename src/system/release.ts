// A release folder (a forge's, a mirror's, a path): SHA256SUMS says what there is, and nothing is used that is not
// what it says. The same rules as install.sh.
import { createHash } from "node:crypto";
import { isAbsolute } from "node:path";
import { IntercomError } from "../protocol/errors.ts";

/** the forge's release pages that the build was told of; empty in a build from source */
declare const AI_INTERCOM_RELEASES: string | undefined;
const knownReleases = typeof AI_INTERCOM_RELEASES === "undefined" ? "" : AI_INTERCOM_RELEASES;

export type Release = { version: string; file: string; sha256: string; base: string };

/** ms for the list, and for a program of some 60 MB on a slow line */
const listTimeoutMs = 30_000;
const fileTimeoutMs = 15 * 60_000;

/**
 * The wished version for a target, else the highest that has no pre-release part. Throws `bad_config` without an
 * address or when it cannot be read, `not_found` when the folder has none.
 */
export async function findRelease(wanted: {
  target: string;
  version?: string;
  /** upgrade.base_url; default: what the build was told */
  base?: string;
}): Promise<Release> {
  const base = addressOf(wanted.base, wanted.version);
  const text = (await read(base, "SHA256SUMS", listTimeoutMs)).toString();
  const found = text.split("\n").flatMap((line) => {
    const [, sha256, file, version] =
      /^([0-9a-f]{64}) {2}(ai-intercom-(\d+\.\d+\.\d+(?:-[A-Za-z0-9.]+?)?)-(?:linux|darwin|windows)-\S+)$/.exec(
        line,
      ) ?? [];
    if (sha256 === undefined || file === undefined || version === undefined) return [];
    if (!file.startsWith(`ai-intercom-${version}-${wanted.target}.`)) return [];
    const fits = wanted.version === undefined ? !version.includes("-") : version === wanted.version;
    return fits ? [{ version, file, sha256, base }] : [];
  });
  const best = found.sort((a, b) => Bun.semver.order(b.version, a.version))[0];
  if (best) return best;
  const what = wanted.version === undefined ? "ai-intercom" : `ai-intercom ${wanted.version}`;
  throw new IntercomError("not_found", `${base}/SHA256SUMS lists no ${what} for ${wanted.target}`, {
    hint: "look at the list, or name another version with --version",
  });
}

/** The program, unpacked. Throws when it is not what SHA256SUMS says; never returns a part. */
export async function fetchRelease({ base, file, sha256 }: Release): Promise<Uint8Array> {
  const packed = await read(base, file, fileTimeoutMs);
  const found = createHash("sha256").update(packed).digest("hex");
  if (found !== sha256)
    throw new IntercomError("conflict", `${base}/${file} is not what SHA256SUMS says`, {
      hint: "nothing was changed; try again, and if it stays so, tell whoever runs that address",
    });
  return Bun.gunzipSync(new Uint8Array(packed));
}

function addressOf(base: string | undefined, version: string | undefined): string {
  if (base !== undefined) return base.replace(/^file:\/\//, "").replace(/\/+$/, "");
  if (knownReleases === "")
    throw new IntercomError("bad_config", "this program was built without an address of releases", {
      hint: "set upgrade.base_url in config.yml (or AI_INTERCOM_BASE_URL) to a folder or URL that holds SHA256SUMS",
    });
  return version === undefined ? `${knownReleases}/latest/download` : `${knownReleases}/download/v${version}`;
}

async function read(base: string, name: string, timeoutMs: number): Promise<Buffer> {
  try {
    if (isAbsolute(base)) return Buffer.from(await Bun.file(`${base}/${name}`).arrayBuffer());
    return await get(`${base}/${name}`, timeoutMs);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new IntercomError("bad_config", `${base}/${name} cannot be read: ${why}`, {
      hint: "check upgrade.base_url (or AI_INTERCOM_BASE_URL) and the network; nothing was changed",
      cause,
    });
  }
}

async function get(url: string, timeoutMs: number): Promise<Buffer> {
  const response = await fetch(url, { signal: AbortSignal.timeout(timeoutMs) });
  if (url.startsWith("https:") && !response.url.startsWith("https:"))
    throw new Error(`it redirects to an address without TLS`);
  if (!response.ok) throw new Error(`the server answers ${response.status}`);
  return Buffer.from(await response.arrayBuffer());
}
