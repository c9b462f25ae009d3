import { expect, test } from "bun:test";
import { Screen } from "./screen";

function shown(columns: number, rows: number, ...chunks: string[]): string[] {
  const screen = new Screen(columns, rows);
  for (const chunk of chunks) screen.write(new TextEncoder().encode(chunk));
  return screen.lines();
}

test("moves, overwrites and erases as a terminal does", () => {
  expect(shown(10, 3, "abc\r\ndef\u001b[1A\rX\u001b[2;2H\u001b[K")).toEqual(["Xbc", "d", ""]);
  expect(shown(10, 3, "gone\u001b[2J\u001b[3;4Hhere")).toEqual(["", "", "   here"]);
  expect(shown(10, 2, "ab\u001b[3Ccd\u001b[2Gz")).toEqual(["az   cd", ""]);
});

test("scrolls at the bottom and wraps at the edge", () => {
  expect(shown(4, 2, "one\r\ntwo\r\nlonger")).toEqual(["long", "er"]);
});

test("ignores colours, titles and modes, also when they arrive in pieces", () => {
  expect(
    shown(20, 1, "\u001b[38;5;1", "74mred\u001b", "[0m \u001b]0;ti", "tle\u0007end\u001b[?2004h\u001b[>0q"),
  ).toEqual(["red end"]);
});

test("keeps a character that arrives in two pieces, and counts a wide one twice", () => {
  const bytes = new TextEncoder().encode("日❯");
  const screen = new Screen(10, 1);
  screen.write(bytes.slice(0, 2));
  screen.write(bytes.slice(2));
  screen.write(new TextEncoder().encode("\u001b[4Gx"));
  expect(screen.lines()).toEqual(["日❯x"]);
});
