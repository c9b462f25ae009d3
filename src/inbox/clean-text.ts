// Peer text made harmless to read: nothing invisible, nothing that moves the cursor, the reading order or the
// line, nothing that looks like markup. The inbox file keeps the raw text.

/** What stands in for `<` and `>`: code stays readable, and no tag of any reader's syntax can be formed. */
export const lessThan = "‹";
export const greaterThan = "›";

/** CSI, OSC, the other string commands, and two-character escapes; 8-bit introducers too. */
const escapes =
  /(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c\n]*(?:\x07|\x1b\\|\x9c)|\x1b[ -/]*[0-~]/g;
const lineBreaks = /\r\n|[\r\u0085\u2028\u2029\v\f]/g;
/**
 * Controls but tab and newline; every character that Unicode says to draw as nothing (zero-width, bidi, tags,
 * variation selectors, fillers); annotation marks; noncharacters. Joiners go too: a joined emoji falls apart into
 * its members, and in a few scripts letters lose a joining form. Nothing hidden can be written in either.
 */
const invisible =
  /[\0-\x08\x0e-\x1f\x7f-\x9f\ufff9-\ufffb]|\p{Default_Ignorable_Code_Point}|\p{Noncharacter_Code_Point}/gu;

/** Idempotent. A lone surrogate becomes U+FFFD; the rest of the text is kept as written, in Unicode form C. */
export function cleanText(text: string): string {
  return visibleText(text).replaceAll("<", lessThan).replaceAll(">", greaterThan);
}

/** The same with its signs kept: for a task, whose commands and code must stay what they are. */
export function visibleText(text: string): string {
  return text
    .toWellFormed()
    .replace(escapes, "")
    .replace(lineBreaks, "\n")
    .replace(invisible, "")
    .normalize("NFC");
}
