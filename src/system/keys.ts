// The machine's Ed25519 key pair. The private half stays in `machine.key` (0600) and never leaves the machine.
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
  verify,
} from "node:crypto";
import { IntercomError } from "../protocol/errors.ts";
import { readSecret, replaceFile } from "./files.ts";

export type MachineKey = {
  /** raw public key, base64url, 43 characters */
  publicKey: string;
  sign(data: Uint8Array): Buffer;
};

/** Reads `path`, or makes the key on first use. Refuses a file that others can read, or one that is not a key. */
export function loadOrCreateMachineKey(path: string): MachineKey {
  const existing = readSecret(path);
  if (existing !== undefined) return keyFrom(parsePrivate(path, existing));
  const { privateKey } = generateKeyPairSync("ed25519");
  replaceFile(path, privateKey.export({ type: "pkcs8", format: "pem" }).toString());
  return keyFrom(privateKey);
}

/** Does `signature` over `data` come from the holder of this raw base64url public key? */
export function verifySignature(publicKey: string, data: Uint8Array, signature: Uint8Array): boolean {
  const key = createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x: publicKey }, format: "jwk" });
  return verify(null, data, key, signature);
}

/** What a person compares on both screens: SHA-256 of the raw key, as 8 groups of 4 hex digits (128 bits). */
export function fingerprint(publicKey: string): string {
  const digest = createHash("sha256").update(Buffer.from(publicKey, "base64url")).digest("hex").slice(0, 32);
  return digest.match(/.{4}/g)?.join("-") ?? digest;
}

function parsePrivate(path: string, pem: string): KeyObject {
  try {
    const key = createPrivateKey(pem);
    if (key.asymmetricKeyType === "ed25519") return key;
  } catch {
    // falls through to the one error for "not our key"
  }
  throw new IntercomError("unparsable_file", `${path} holds no Ed25519 private key`, {
    hint: `restore it, or move it away and enrol again: mv ${path} ${path}.old && ai-intercom join CODE`,
  });
}

function keyFrom(privateKey: KeyObject): MachineKey {
  const { x } = createPublicKey(privateKey).export({ format: "jwk" });
  if (typeof x !== "string") throw new IntercomError("internal", "the machine key has no public half");
  return { publicKey: x, sign: (data) => sign(null, data, privateKey) };
}
