// A release folder (a forge's, a mirror's, a path): SHA256SUMS says what there is, and nothing is used that is not
// what it says. The same rules as install.sh.
import { createHash } from "node:crypto";
import { isAbsolute, resolve } from "node:path";
import { IntercomError } from "../protocol/errors.ts";
import { Version } from "../protocol/upgrade.ts";

/** the forge's release pages that the build was told of; empty in a build from source */
declare const AI_INTERCOM_RELEASES: string | undefined;
const knownReleases = typeof AI_INTERCOM_RELEASES === "undefined" ? "" : AI_INTERCOM_RELEASES;

export type Release = { version: string; target: string; file: string; sha256: string; base: string };

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
  // a baseline build that is not there is not needed: the default one asks no more of the processor
  for (const target of new Set([wanted.target, wanted.target.replace(/-baseline$/, "")])) {
    const found = listed(text, target)
      .filter(({ version }) =>
        wanted.version === undefined ? !version.includes("-") : version === wanted.version,
      )
      .sort((one, other) => Bun.semver.order(other.version, one.version));
    if (found[0]) return { ...found[0], target, base };
  }
  const what = wanted.version === undefined ? "ai-intercom" : `ai-intercom ${wanted.version}`;
  throw new IntercomError("not_found", `${base}/SHA256SUMS lists no ${what} for ${wanted.target}`, {
    hint: "look at the list, or name another version with --version",
  });
}

/** The lines of SHA256SUMS that are programs for a target; others are none of our business. */
function listed(text: string, target: string): { version: string; file: string; sha256: string }[] {
  const ends = [`-${target}.gz`, `-${target}.exe.gz`];
  return text.split("\n").flatMap((line) => {
    const [, sha256, file = ""] = /^([0-9a-f]{64}) {2}(ai-intercom-\S+)$/.exec(line) ?? [];
    const end = ends.find((one) => file.endsWith(one));
    const version = end === undefined ? "" : file.slice("ai-intercom-".length, -end.length);
    return sha256 !== undefined && Version.safeParse(version).success ? [{ version, file, sha256 }] : [];
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
  if (base !== undefined && /^https?:\/\//.test(base)) return base.replace(/\/+$/, "");
  if (base !== undefined) return resolve(base.replace(/^file:\/\//, ""));
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
    if (cause instanceof IntercomError) throw cause;
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new IntercomError("bad_config", `${base}/${name} cannot be read: ${why}`, {
      hint: "check upgrade.base_url (or AI_INTERCOM_BASE_URL) and the network; nothing was changed",
      cause,
    });
  }
}

/** Throws `conflict` for a download that was cut, an Error in our own words for whatever else went wrong. */
async function get(url: string, timeoutMs: number): Promise<Buffer> {
  const signal = AbortSignal.timeout(timeoutMs);
  // as it is listed, whatever the server says it is packed in
  const response = await fetch(url, { signal, decompress: false }).catch((cause: unknown) => {
    throw new Error(signal.aborted ? `no answer within ${timeoutMs / 1000} s` : unanswered(cause), { cause });
  });
  if (url.startsWith("https:") && !response.url.startsWith("https:"))
    throw new Error(`it redirects to an address without TLS`);
  if (!response.ok) throw new Error(`the server answers ${response.status}`);
  const parts: Uint8Array[] = [];
  let got = 0;
  const length = response.headers.get("content-length");
  const cut = (cause?: unknown) =>
    new IntercomError(
      "conflict",
      `the download of ${url} was cut${signal.aborted ? ` after ${timeoutMs / 1000} s` : ""}: ${got} of ${length ?? "an unknown number of"} bytes were read`,
      { hint: "nothing was changed; try again", cause },
    );
  try {
    for await (const part of response.body ?? []) {
      parts.push(part);
      got += part.length;
    }
  } catch (cause) {
    throw cut(cause);
  }
  if (length !== null && got !== Number(length)) throw cut();
  return Buffer.concat(parts);
}

/** What Bun's fetch (1.4.5) says is made for programmers; its code tells as much. */
function unanswered(cause: unknown): string {
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "";
  switch (code) {
    case "ConnectionRefused":
    case "ECONNREFUSED":
      return "nobody answers there";
    case "ENOTFOUND":
    case "FailedToOpenSocket":
      return "that address cannot be found or reached";
    case "ECONNRESET":
    case "ConnectionClosed":
      return "the connection was closed before an answer came";
    default:
      return code === "" ? "the connection failed" : `the connection failed (${code})`;
  }
}
