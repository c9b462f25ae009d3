// One program in the place of another: there, back, and what fails in between leaves the old one and nothing else.
import { expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { swapBack, swapIn, writeBeside } from "../../src/system/swap.ts";

function folder() {
  const directory = mkdtempSync("/tmp/aii-swap-");
  const program = `${directory}/program`;
  writeFileSync(program, "old");
  return { program, names: () => readdirSync(directory).sort(), text: () => readFileSync(program, "utf8") };
}
const bytes = (text: string) => new TextEncoder().encode(text);

test("there and back", () => {
  const { program, names, text } = folder();
  swapIn(program, writeBeside(program, bytes("new")));
  expect([text(), names()]).toEqual(["new", ["program", "program.previous"]]);
  swapBack(program);
  expect([text(), names()]).toEqual(["old", ["program"]]);
});

test("the older one cannot be kept: the program is as it was", () => {
  const { program, names, text } = folder();
  mkdirSync(`${program}.previous/in use`, { recursive: true });
  const next = writeBeside(program, bytes("new"));
  expect(() => swapIn(program, next)).toThrow();
  expect([text(), names()]).toEqual(["old", ["program", "program.previous"]]);
});

test("there is no new one: the program is as it was, and no second name stays", () => {
  const { program, names, text } = folder();
  expect(() => swapIn(program, `${program}.new`)).toThrow();
  expect([text(), names()]).toEqual(["old", ["program"]]);
});
