// `setup` and `uninstall --all` as a person at a terminal meets them: defaults by Enter, other answers, wrong ones, and
// leaving in the middle, which changes nothing.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { Dialog } from "../rig/dialog";
import { Fleet, type Machine } from "../rig/fleet";
import { newcomerIn } from "../rig/newcomer";

let fleet: Fleet;
beforeAll(async () => {
  fleet = await Fleet.start(["limn"]);
}, 60_000);
afterAll(() => fleet[Symbol.asyncDispose]());

const enter = "\r";
const questions = {
  code: "code of a hub to join (Enter: a hub of its own here): ",
  name: (now: string) => `this machine's name (Enter: ${now}): `,
  telegram: "see and steer your agents from Telegram? [y/N] ",
  sure: "go ahead? [Y/n] ",
};

const newcomer = (name: string) => newcomerIn(fleet, name, { TERM: "xterm-256color" });

const dialog = (machine: Machine, ...words: string[]) =>
  new Dialog([machine.program, ...words], { env: machine.env, cwd: fleet.root });
const config = (machine: Machine) => readFileSync(`${machine.home}/config.yml`, "utf8");
const isUntouched = (machine: Machine) =>
  !existsSync(machine.home) && readdirSync(`${machine.env.HOME}/.claude`).length === 0;

test("Enter all the way: a hub of its own, the plan before the question, the proof after it", async () => {
  const machine = newcomer("first");
  await using setup = dialog(machine, "setup", "--no-service");
  await setup.answer(questions.code, enter);
  await setup.answer(questions.name("first"), enter);
  await setup.answer(questions.telegram, enter);
  await setup.answer(questions.sure, enter);
  expect(await setup.ended()).toBe(0);
  expect(config(machine)).toBe("mode: standalone\nmachine:\n  id: first\n");
  const { text } = setup;
  const order = [
    "settings.json: hooks.Stop: adds the inbox hook",
    questions.sure,
    "the answer comes back",
    "next:",
  ];
  expect(order.map((part) => text.indexOf(part))).toEqual(
    order.map((part) => text.indexOf(part)).sort((a, b) => a - b),
  );
  expect(order.every((part) => text.includes(part))).toBe(true);
  // a second time there is nothing to ask but Telegram, and nothing to do
  await using again = dialog(machine, "setup", "--no-service");
  await again.answer(questions.telegram, enter);
  expect(await again.ended()).toBe(0);
  expect(again.text).not.toContain(questions.sure);
}, 60_000);

test("other answers: a wrong code and a wrong name are asked again, then it joins under another name", async () => {
  const { code } = await fleet.machine("limn").json("invite");
  const machine = newcomer("second");
  // a name in the environment would stand above the one that is written
  const { AI_INTERCOM_MACHINE_ID: _, ...env } = machine.env;
  await using setup = new Dialog([machine.program, "setup", "--no-service"], { env, cwd: fleet.root });
  await setup.answer(questions.code, `junk${enter}`);
  await setup.answer(questions.code, `${code}${enter}`);
  const name = "this machine's name (Enter: ";
  for (const answer of ["no/name", "n", "Y", "study"]) await setup.answer(name, `${answer}${enter}`);
  await setup.answer(questions.sure, `y${enter}`);
  expect(await setup.ended()).toBe(0);
  expect(setup.text).toContain('"junk": ');
  expect(setup.text).toContain('cannot be "no/name"');
  expect(setup.text).toContain('"n" answers no question here: it would be this machine\'s name; try: ');
  expect(setup.text).toContain("ai-intercom setup --machine-id Y");
  expect(config(machine)).toContain("mode: daemon\n");
  expect(config(machine)).toContain("id: study\n");
  const { machines } = await fleet.machine("limn").json("machines");
  expect(machines.map(({ id }: { id: string }) => id)).toContain("study");
}, 60_000);

test("no, Ctrl-C and Ctrl-D at any question: nothing is changed", async () => {
  const machine = newcomer("third");
  const path = [questions.code, questions.name("third"), questions.telegram, questions.sure];
  const ways: [keys: string, end: number | string][] = [
    ["\u0003", "SIGINT"],
    ["\u0004", 2],
  ];
  for (const at of path.keys())
    for (const [keys, end] of ways) {
      await using setup = dialog(machine, "setup", "--no-service");
      for (const question of path.slice(0, at)) await setup.answer(question, enter);
      await setup.answer(path[at] ?? "", keys);
      expect([path[at], await setup.ended()]).toEqual([path[at], end]);
      expect(isUntouched(machine)).toBe(true);
    }
  await using setup = dialog(machine, "setup", "--no-service");
  for (const question of path.slice(0, -1)) await setup.answer(question, enter);
  await setup.answer(questions.sure, `n${enter}`);
  expect(await setup.ended()).toBe(0);
  expect(setup.text).toContain("nothing was changed");
  expect(isUntouched(machine)).toBe(true);
}, 60_000);

test("uninstall --all asks: Enter and Ctrl-C keep everything, y does it", async () => {
  const machine = newcomer("fourth");
  await machine.json("setup", "--yes", "--no-service");
  const question = "remove all of it, with this machine's key and every message? [y/N] ";
  for (const [keys, end] of [
    [enter, 2],
    ["\u0003", "SIGINT"],
  ] as const) {
    await using asked = dialog(machine, "uninstall", "--all");
    await asked.answer(question, keys);
    expect(await asked.ended()).toBe(end);
    expect(existsSync(`${machine.home}/machine.key`)).toBe(true);
  }
  await using done = dialog(machine, "uninstall", "--all");
  await done.answer(question, `y${enter}`);
  expect(await done.ended()).toBe(0);
  expect(isUntouched(machine)).toBe(true);
}, 60_000);
