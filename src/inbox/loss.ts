// `<session>.lost`: bytes of this inbox were damaged, and nobody knows yet which messages they held; only the hub can
// tell. Made before the mended file takes the damaged one's place and gone when every lost message's receipt is
// durable, so that no crash in between forgets it.
import { readdirSync } from "node:fs";
import { sessionIdPattern } from "../protocol/address.ts";
import { randomHex } from "../protocol/ids.ts";
import { readTextIfPresent, replaceFile, unlinkIfPresent } from "../system/files.ts";

/** Durable when it returns. Each loss is told from the one before: what is found while one is looked into is another. */
export function noteLoss(mailPath: string): void {
  replaceFile(lossPath(mailPath), `${randomHex(8)}\n`);
}

/** Which loss is noted; undefined: none. */
export function notedLoss(mailPath: string): string | undefined {
  return readTextIfPresent(lossPath(mailPath));
}

/** This loss was looked into; a later one stays noted. */
export function forgetLoss(mailPath: string, loss: string | undefined): void {
  if (notedLoss(mailPath) === loss) unlinkIfPresent(lossPath(mailPath));
}

/** Sessions, ended ones too, whose inbox lost something. */
export function sessionsWithLoss(inboxDirectory: string): string[] {
  return readdirSync(inboxDirectory).flatMap((name) => {
    const id = name.endsWith(ending) ? name.slice(0, -ending.length) : "";
    return sessionIdPattern.test(id) ? [id] : [];
  });
}

const ending = ".lost";
const lossPath = (mailPath: string): string => mailPath.replace(/\.jsonl$/, ending);
