// Text as Telegram takes it: blocks of one style each, made into parts that fit, each as HTML and as plain text.
// Everything is escaped here and nowhere else; the plain form is what is sent when Telegram cannot read the HTML.

type Style = "plain" | "bold" | "code" | "pre" | "quote";
/** `quote` is folded by Telegram and opens at a tap: nothing of it is cut away. */
export type Block = { text: string; style: Style };
export type Part = { html: string; plain: string };

/** UTF-16 units after entities are read: core.telegram.org/bots/api#sendmessage allows 4096 */
export const partLimit = 4000;
/** A part that is cut inside a block is refilled from there, unless this little room is left. */
const leastPiece = 200;

export const plain = (text: string): Block => ({ text, style: "plain" });
export const bold = (text: string): Block => ({ text, style: "bold" });
export const code = (text: string): Block => ({ text, style: "code" });
export const pre = (text: string): Block => ({ text, style: "pre" });
export const quote = (text: string): Block => ({ text, style: "quote" });

/** Lines of blocks, put together: each entry of `lines` is one line (or a block of lines). */
export function lines(...entries: (Block | readonly Block[] | undefined)[]): Block[] {
  const given = entries.filter((entry) => entry !== undefined);
  return given.flatMap((entry, at) => [
    ...(at === 0 ? [] : [plain("\n")]),
    ...("style" in entry ? [entry] : entry),
  ]);
}

/** Always the same parts for the same blocks. */
export function split(blocks: readonly Block[], limit = partLimit): Part[] {
  const parts: Block[][] = [[]];
  let room = limit;
  for (const block of blocks) {
    let rest = visible(block.text);
    while (rest !== "") {
      const piece = rest.length <= room ? rest : cut(rest, room >= leastPiece ? room : 0);
      if (piece !== "") parts.at(-1)?.push({ ...block, text: piece });
      rest = rest.slice(piece.length);
      room -= piece.length;
      if (rest === "") break;
      parts.push([]);
      room = limit;
    }
  }
  return parts.map(part).filter(({ plain }) => plain.trim() !== "");
}

export function length(blocks: readonly Block[]): number {
  return blocks.reduce((sum, { text }) => sum + visible(text).length, 0);
}

export function part(blocks: readonly Block[]): Part {
  return {
    html: blocks.map(html).join(""),
    plain: blocks.map(({ text }) => visible(text)).join(""),
  };
}

/** At the last line break that fits, else at a space, else between two characters. */
function cut(text: string, room: number): string {
  if (room <= 0) return "";
  const head = text.slice(0, room);
  for (const separator of ["\n", " "]) {
    const at = head.lastIndexOf(separator);
    if (at > room / 2) return head.slice(0, at + 1);
  }
  const last = head.charCodeAt(room - 1);
  // never inside a surrogate pair
  return last >= 0xd800 && last <= 0xdbff ? head.slice(0, -1) : head;
}

function html({ text, style }: Block): string {
  const escaped = escapeHtml(visible(text));
  switch (style) {
    case "plain":
      return escaped;
    case "bold":
      return `<b>${escaped}</b>`;
    case "code":
      return `<code>${escaped}</code>`;
    case "pre":
      return `<pre>${escaped}</pre>`;
    case "quote":
      return `<blockquote expandable>${escaped}</blockquote>`;
    default:
      return style satisfies never;
  }
}

function escapeHtml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

/** Without what Telegram refuses or a reader could be deceived by: control, bidi, tag characters, lone surrogates. */
function visible(text: string): string {
  return text
    .toWellFormed()
    .replace(/\r\n?/g, "\n")
    .replace(
      /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g,
      "",
    )
    .replace(/[\u{e0000}-\u{e007f}]/gu, "");
}
