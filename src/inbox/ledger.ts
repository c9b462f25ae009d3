// `<session>.ledger`: which messages are claimed and not settled, and how far split messages are. Replaced whole
// by rename, so it is never half written. Its loss costs a visible duplicate, never a message (mail-line.ts).
import { z } from "zod";
import { toIntercomError } from "../protocol/errors.ts";
import { type ReplaceOptions, readSecret, replaceFile } from "../system/files.ts";
import { log } from "../system/log.ts";

const Process = z.object({ pid: z.number().int(), start: z.string() });
const PartOf = z
  .object({ id: z.string(), part: z.number().int().min(1), of: z.number().int() })
  .refine(({ part, of }) => part <= of);

/** Mail handed to a reader and not yet settled. */
export const Claim = z.object({
  nonce: z.string().regex(/^[0-9a-f]{32}$/),
  items: z.array(PartOf).min(1),
  asker: Process,
  carrier: z.enum(["hook", "tool"]),
  /** hook event or tool name */
  event: z.string(),
  /** as it was when the claim was made; absent where the agent keeps no readable one */
  transcript: z.object({ path: z.string(), size: z.number().int().nonnegative() }).optional(),
  /** unix ms */
  claimedAt: z.number(),
  /** proved; it only waits for a later answer to be seen */
  inContext: z.boolean(),
});
export type Claim = z.infer<typeof Claim>;

/** `cuts`: end of each part in the message, UTF-16 units. `done`: parts in the agent's context. */
export const Progress = z
  .object({ cuts: z.array(z.number().int().positive()).min(2), done: z.number().int().nonnegative() })
  .refine(
    ({ cuts, done }) => done < cuts.length && cuts.every((cut, i) => i === 0 || cut > (cuts[i - 1] ?? 0)),
  );
export type Progress = z.infer<typeof Progress>;

const LedgerFile = z.object({
  version: z.literal(1),
  session_id: z.string(),
  claims: z.array(Claim),
  progress: z.array(z.tuple([z.string(), Progress])),
});

type Content = { claims: Claim[]; progress: Map<string, Progress> };

/** split messages given back to the hub whose place is kept for a resumed session */
const maxAbsentProgress = 200;
/** bytes a claim may take: about 200 short messages fit into one answer */
const claimRoom = 16 * 1024;

/**
 * Each change survives the death of any process when its method returns; where it cannot be made so, nothing changed.
 * Claims and proofs are not synced: an agent waits for them, and what a power cut takes away comes again, visibly.
 */
export class Ledger {
  readonly #path: string;
  readonly #sessionId: string;
  #content: Content;

  /** An absent ledger is an empty one, and so is a damaged one: every unsettled message is then unread again. */
  constructor(path: string, sessionId: string) {
    this.#path = path;
    this.#sessionId = sessionId;
    this.#content = load(path, sessionId);
  }

  get claims(): readonly Claim[] {
    return this.#content.claims;
  }

  find(nonce: string): Claim | undefined {
    return this.claims.find((claim) => claim.nonce === nonce);
  }

  progressOf(id: string): Progress | undefined {
    return this.#content.progress.get(id);
  }

  /** `cuts`: where the claim's first message was split for it. `isHere`: is this message in the inbox? */
  open(claim: Claim, cuts: number[] | undefined, isHere: (id: string) => boolean): void {
    const progress = new Map(this.#content.progress);
    const [first] = claim.items;
    if (cuts && first) progress.set(first.id, { cuts, done: first.part - 1 });
    forgetOldest(progress, isHere);
    this.#save({ claims: [...this.claims, claim], progress }, { durable: false });
  }

  /** The claim is in context, and so are the parts it carried. */
  prove(claim: Claim): void {
    const progress = new Map(this.#content.progress);
    for (const { id, part, of } of claim.items) {
      const before = progress.get(id);
      if (part === of) progress.delete(id);
      else if (before) progress.set(id, { ...before, done: part });
    }
    const claims = this.claims.map((one) => (one === claim ? { ...one, inContext: true } : one));
    this.#save({ claims, progress }, { durable: false });
  }

  remove(claim: Claim): void {
    this.#save({ ...this.#content, claims: this.claims.filter((one) => one !== claim) });
  }

  /** Changes nothing; throws what would keep the next claim from being noted. */
  tryRoom(): void {
    replaceFile(this.#path, `${this.#text(this.#content)}${" ".repeat(claimRoom)}\n`, { durable: false });
  }

  /** Claims keep only messages that are in the inbox; one that is left with none is gone. */
  dropAbsent(isHere: (id: string) => boolean): void {
    if (this.claims.every(({ items }) => items.every(({ id }) => isHere(id)))) return;
    const claims = this.claims
      .map((claim) => ({ ...claim, items: claim.items.filter(({ id }) => isHere(id)) }))
      .filter(({ items }) => items.length > 0);
    this.#save({ ...this.#content, claims });
  }

  #save(content: Content, options: ReplaceOptions = {}): void {
    replaceFile(this.#path, `${this.#text(content)}\n`, options);
    this.#content = content;
  }

  #text({ claims, progress }: Content): string {
    const file: z.input<typeof LedgerFile> = {
      version: 1,
      session_id: this.#sessionId,
      claims,
      progress: [...progress],
    };
    return JSON.stringify(file);
  }
}

function load(path: string, sessionId: string): Content {
  const text = readSecret(path);
  if (text === undefined) return { claims: [], progress: new Map() };
  try {
    const file = LedgerFile.parse(JSON.parse(text));
    if (file.session_id !== sessionId) throw new Error(`it belongs to session ${file.session_id}`);
    return { claims: file.claims, progress: new Map(file.progress) };
  } catch (error) {
    replaceFile(`${path}.corrupt`, text);
    log.warn("a claim ledger cannot be read and is kept beside; mail it may have claimed is unread again", {
      path,
      error: toIntercomError(error).message,
    });
    return { claims: [], progress: new Map() };
  }
}

function forgetOldest(progress: Map<string, Progress>, isHere: (id: string) => boolean): void {
  const absent = [...progress.keys()].filter((id) => !isHere(id));
  for (const id of absent.slice(0, Math.max(0, absent.length - maxAbsentProgress))) progress.delete(id);
}
