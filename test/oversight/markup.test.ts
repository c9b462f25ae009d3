// Text as Telegram takes it: whatever it holds, it is read back as it was, within the limit, in the same parts.
import { expect, test } from "bun:test";
import {
  type Block,
  bold,
  code,
  length,
  lines,
  partLimit,
  plain,
  pre,
  quote,
  split,
} from "../../src/oversight/telegram/markup.ts";
import { Pace } from "../../src/oversight/telegram/pace.ts";
import { Dice } from "../fault/dice.ts";
import { visibleText } from "../rig/telegram-html.ts";

const pieces = [
  "<b>",
  "</code>",
  "&amp;",
  "&",
  "<",
  ">",
  "😀",
  "é",
  " ",
  "\n",
  "a",
  "word ",
  "_*[`",
  "\\",
  '"',
  "\t",
];

test("random text in random styles: nothing is lost, nothing is misread, every part fits", () => {
  const dice = new Dice(7);
  const styles = [plain, bold, code, pre, quote];
  for (let round = 0; round < 300; round++) {
    const blocks: Block[] = Array.from({ length: dice.between(1, 6) }, () => {
      const text = Array.from({ length: dice.between(0, 3_000) }, () => dice.pick(pieces)).join("");
      return dice.pick(styles)(text);
    });
    const text = blocks.map((block) => block.text).join("");
    const parts = split(blocks);
    for (const { html, plain } of parts) {
      expect(plain.length).toBeLessThanOrEqual(partLimit);
      expect(visibleText(html) === plain).toBe(true);
      expect(plain.isWellFormed()).toBe(true);
      expect(plain.trim()).not.toBe("");
    }
    if (text.trim() !== "" && parts.length > 0)
      expect(
        parts
          .map(({ plain }) => plain)
          .join("")
          .replace(/\s/g, "") === text.replace(/\s/g, ""),
      ).toBe(true);
    expect(split(blocks)).toEqual(parts);
    expect(length(blocks)).toBe(text.length);
  }
});

test("cuts at line breaks, else at spaces, never in a character", () => {
  const [first, second] = split([plain(`${"x".repeat(3_000)}\n${"y".repeat(3_000)}`)]);
  expect([first?.plain, second?.plain]).toEqual([`${"x".repeat(3_000)}\n`, "y".repeat(3_000)]);
  const faces = split([plain("😀".repeat(3_000))]);
  expect(faces.every(({ plain }) => plain.isWellFormed() && plain.length % 2 === 0)).toBe(true);
});

test("what deceives a reader is not shown: controls, bidi, tags, lone surrogates", () => {
  const [part] = split([plain("a\u0000\u001b[31m\u202eb\u2066\u{e0041}\ud800c\r\nd")]);
  expect(part?.plain).toBe("a[31mb\ufffdc\nd");
});

test("lines leave out what is not there", () => {
  const [part] = split(lines(bold("a"), undefined, [plain("b"), code("c")]));
  expect(part).toEqual({ html: "<b>a</b>\nb<code>c</code>", plain: "a\nbc" });
});

test("the pace: 20 a minute over any minute, 30 a second, four kept for who waits", async () => {
  let now = 0;
  const clock = { now: () => now, sleep: () => Promise.resolve() };
  const pace = new Pace(clock, "group");
  const taken: { at: number; urgent: boolean }[] = [];
  const dice = new Dice(3);
  while (now < 600_000) {
    const urgent = dice.chance(0.2);
    const waitMs = pace.waitMs(urgent);
    if (waitMs === 0) {
      await pace.counted(async () => {});
      taken.push({ at: now, urgent });
    } else if (urgent) {
      now += waitMs;
      expect(pace.waitMs(true)).toBe(0);
    } else now += dice.between(1, 3_000);
  }
  for (const { at } of taken) {
    const minute = taken.filter((one) => one.at > at - 60_000 && one.at <= at);
    expect(minute.length).toBeLessThanOrEqual(20);
  }
  expect(taken.length).toBeGreaterThan(150);
  pace.pause(5_000);
  expect(pace.waitMs(true)).toBeGreaterThanOrEqual(5_000);
});

test("the pace counts a call from its end: where it lasts, it may arrive as late as that", async () => {
  let now = 0;
  const pace = new Pace({ now: () => now, sleep: () => Promise.resolve() }, "group");
  for (let n = 0; n < 20; n++)
    await pace.counted(async () => {
      now += 1_000;
    });
  now = 60_000;
  expect(pace.waitMs(true)).toBe(1_000);
  // one that fails may have arrived
  now = 61_000;
  await expect(pace.counted(() => Promise.reject(new Error("no answer")))).rejects.toThrow("no answer");
  expect(pace.waitMs(true)).toBe(1_000);
});
