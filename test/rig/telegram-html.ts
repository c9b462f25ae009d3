// Telegram's HTML as its Bot API reads it: a few tags, nested properly, and text that is escaped.

const tags = new Set(["b", "code", "pre", "blockquote"]);
const entities: Record<string, string> = { "&amp;": "&", "&lt;": "<", "&gt;": ">", "&quot;": '"' };

/** The text without its tags; throws what the Bot API answers. */
export function visibleText(html: string): string {
  const open: string[] = [];
  let text = "";
  for (const [token] of html.matchAll(/<[^>]*>|&[a-z]+;|[\s\S]/g)) {
    if (token.length > 1 && token.startsWith("<")) {
      const [, closing = "", name = "", attributes = ""] =
        /^<(\/?)([a-z]+)( expandable)?>$/.exec(token) ?? [];
      if (!tags.has(name) || (attributes !== "" && name !== "blockquote"))
        throw new Error(`can't parse entities: unsupported start tag "${token}"`);
      if (closing === "") open.push(name);
      else if (open.pop() !== name) throw new Error("can't parse entities: unexpected end tag");
    } else if (token.length > 1 && token.startsWith("&")) text += entities[token] ?? token;
    else if (token === "<") throw new Error("can't parse entities: unclosed start tag");
    else text += token;
  }
  if (open.length > 0) throw new Error("can't parse entities: can't find end tag");
  return text;
}
