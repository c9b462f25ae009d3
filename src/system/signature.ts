// Signed HTTP requests: RFC 9421 (signature over method, path, query and body digest, with time and nonce) and
// RFC 9530 (the digest). Says who signed; whether that machine may do something is the hub's business.
import { createHash, timingSafeEqual } from "node:crypto";
import { httpbis } from "http-message-signatures";
import { IntercomError } from "../protocol/errors.ts";
import { randomHex } from "../protocol/ids.ts";
import { type MachineKey, verifySignature } from "./keys.ts";

/** seconds a signature is valid before and after the hub's clock; security.md */
export const signatureWindowSeconds = 300;

const components = ["@method", "@path", "@query", "content-digest"];
const parameters = ["created", "nonce", "keyid", "alg", "tag"];
const tag = "ai-intercom";

export type SignedHeaders = Record<string, string>;
export type HttpRequest = { method: string; url: string; headers: Headers; body: Uint8Array };
export type Signer = { machine: string; nonce: string; createdMs: number };

/** The headers that sign this request as `machine`. An absent body is signed as an empty one. */
export async function signRequest(
  machine: string,
  key: MachineKey,
  request: { method: string; url: string; body?: Uint8Array },
): Promise<SignedHeaders> {
  const headers: Record<string, string> = {
    "Content-Digest": contentDigest(request.body ?? new Uint8Array()),
  };
  const signed = await httpbis.signMessage(
    {
      name: "sig1",
      fields: components,
      params: parameters,
      paramValues: { nonce: randomHex(16), tag },
      key: { id: machine, alg: "ed25519", sign: async (data) => key.sign(data) },
    },
    { method: request.method, url: request.url, headers },
  );
  return Object.fromEntries(Object.entries(signed.headers).map(([name, value]) => [name, String(value)]));
}

/**
 * Checks digest, covered components, signature and time; returns who signed. Throws `unauthenticated` or
 * `clock_skew`. `publicKeyOf` returns the enrolled key of a machine, or throws why it has none.
 * The caller must still refuse a nonce it has seen. `onSkewed` learns who signed what only its time makes invalid.
 */
export async function verifyRequest(
  request: HttpRequest,
  publicKeyOf: (machine: string) => Promise<string>,
  nowMs: number,
  onSkewed: (signer: Signer) => Promise<void> = async () => {},
): Promise<Signer> {
  if (!request.headers.get("signature-input") || !request.headers.get("signature"))
    throw new IntercomError("unauthenticated", "this request is not signed");
  checkDigest(request);
  const found: Signer[] = [];
  let publicKey = "";
  const verified = await refuseMalformed(() =>
    httpbis.verifyMessage(
      {
        requiredFields: components,
        requiredParams: parameters,
        // time is judged below against the hub's clock, both ways, with its own error
        notAfter: Number.MAX_SAFE_INTEGER,
        keyLookup: async (given) => {
          const signer = readSigner(given);
          found.push(signer);
          publicKey = await publicKeyOf(signer.machine);
          return {
            id: signer.machine,
            algs: ["ed25519"],
            verify: async (data, signature) => verifySignature(publicKey, data, signature),
          };
        },
      },
      { method: request.method, url: request.url, headers: Object.fromEntries(request.headers) },
    ),
  );
  const [signer, ...more] = found;
  if (verified !== true || !signer || more.length > 0 || publicKey === "")
    throw new IntercomError("unauthenticated", "the signature does not fit this request");
  if (Math.abs(nowMs - signer.createdMs) <= signatureWindowSeconds * 1000) return signer;
  await onSkewed(signer);
  throw new IntercomError(
    "clock_skew",
    `the request was signed at ${new Date(signer.createdMs).toISOString()}, the hub's clock says ${new Date(nowMs).toISOString()}`,
  );
}

/** RFC 9530 §2: `sha-256=:<base64>:`. */
function contentDigest(body: Uint8Array): string {
  return `sha-256=:${createHash("sha256").update(body).digest("base64")}:`;
}

function checkDigest(request: HttpRequest): void {
  const given = Buffer.from(request.headers.get("content-digest") ?? "");
  const wanted = Buffer.from(contentDigest(request.body));
  if (given.length !== wanted.length || !timingSafeEqual(given, wanted))
    throw new IntercomError("unauthenticated", "the body's digest is missing or does not fit the body");
}

function readSigner(given: Record<string, unknown>): Signer {
  const { keyid, nonce, created, alg } = given;
  const complete =
    typeof keyid === "string" && typeof nonce === "string" && created instanceof Date && alg === "ed25519";
  if (
    !complete ||
    Number.isNaN(created.getTime()) ||
    given.tag !== tag ||
    nonce.length < 16 ||
    nonce.length > 128
  )
    throw new IntercomError(
      "unauthenticated",
      "the signature lacks keyid, created, a nonce of 16 to 128 characters, alg ed25519 or its tag",
    );
  return { machine: keyid, nonce, createdMs: created.getTime() };
}

/** The library throws plain errors for malformed input; for us they all mean the same. */
async function refuseMalformed<T>(check: () => Promise<T>): Promise<T> {
  try {
    return await check();
  } catch (error) {
    if (error instanceof IntercomError) throw error;
    throw new IntercomError("unauthenticated", "the signature headers cannot be read", { cause: error });
  }
}
