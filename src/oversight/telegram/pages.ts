// From items to what one post holds: a part of a long item, or several short ones of one topic together.
import { createHash } from "node:crypto";
import type { ShownPart, TelegramItem, TelegramPost } from "../../store/telegram-store.ts";
import type { Card, Cards } from "./cards.ts";
import { length, type Part, part, partLimit, split } from "./markup.ts";

export type Content = Part & {
  buttons: { text: string; callback_data: string }[];
  quiet: boolean;
  /** of everything that an edit can change */
  hash: string;
};
/** Without `content` there is nothing to post: the parts are done. */
export type Page = { parts: ShownPart[]; content?: Content };

const separator = "\n\n";

export class Pages {
  readonly #cards: Cards;

  constructor(cards: Cards) {
    this.#cards = cards;
  }

  /** Of the topic that begins with this item. */
  topicName(item: TelegramItem): Promise<string> {
    return this.#cards.topicName(item);
  }

  /** What to post next of these items of one place, in their order. */
  async next(items: readonly TelegramItem[]): Promise<Page> {
    const [first, ...others] = items;
    if (!first) return { parts: [] };
    const at = first.next_part ?? 0;
    const card = await this.#cards.card(first);
    const all = card ? split(card.blocks) : [];
    const last = at >= all.length - 1;
    const shown = all[at];
    const parts = [{ seq: first.seq, part: at, last }];
    if (!card || !shown) return { parts: [{ seq: first.seq, part: at, last: true }] };
    if (!card.sociable || all.length > 1 || first.reply_to !== null)
      return { parts, content: contentOf([shown], last ? buttonsOf(first, card) : [], card.quiet) };
    return this.#together(parts, card, others);
  }

  /** What the post would be if it were made now; undefined: leave it as it is. */
  async again({ parts }: TelegramPost): Promise<Content | undefined> {
    const [only, ...more] = parts;
    if (!only) return undefined;
    const cards: { card: Card; item: TelegramItem; part: number }[] = [];
    for (const { item, part } of parts) {
      const card = await this.#cards.card(item);
      if (!card) return undefined;
      cards.push({ card, item, part });
    }
    const [first] = cards;
    if (!first) return undefined;
    if (more.length > 0)
      return contentOf(
        cards.map(({ card }) => part(card.blocks)),
        [],
        first.card.quiet,
      );
    const all = split(first.card.blocks);
    const shown = all[only.part];
    const buttons = only.part === all.length - 1 ? buttonsOf(only.item, first.card) : [];
    return shown && contentOf([shown], buttons, first.card.quiet);
  }

  async #together(parts: ShownPart[], first: Card, others: readonly TelegramItem[]): Promise<Page> {
    const pieces = [part(first.blocks)];
    let room = partLimit - length(first.blocks);
    for (const item of others) {
      if (item.reply_to !== null) break;
      const card = await this.#cards.card(item);
      if (!card?.sociable || card.quiet !== first.quiet) break;
      // room for a state line that grows
      room -= length(card.blocks) + separator.length + 200;
      if (room < 0) break;
      pieces.push(part(card.blocks));
      parts.push({ seq: item.seq, part: 0, last: true });
    }
    return { parts, content: contentOf(pieces, [], first.quiet) };
  }
}

export const refs = ({ parts }: Page): string => parts.map(({ seq }) => seq).join(",");

function buttonsOf({ nonce }: TelegramItem, { buttons }: Card): Content["buttons"] {
  if (nonce === null) return [];
  return buttons.map(({ label, choice }) => ({ text: label, callback_data: `${nonce}:${choice}` }));
}

function contentOf(pieces: readonly Part[], buttons: Content["buttons"], quiet: boolean): Content {
  const html = pieces.map((piece) => piece.html).join(separator);
  const text = pieces.map((piece) => piece.plain).join(separator);
  const hash = createHash("sha256")
    .update(JSON.stringify([html, buttons]))
    .digest("base64url");
  return { html, plain: text, buttons, quiet, hash };
}
