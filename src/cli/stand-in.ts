// `ai-intercom stand-in`: what the demo starts instead of an agent. A script, and no model: it gets a mission's prompt
// on standard input as any agent does, looks into its directory, and prints its answer.
import { readdir } from "node:fs/promises";
import { delay } from "../system/wait.ts";
import { command } from "./command.ts";
import { print } from "./output.ts";

/** ms between its steps, so that they can be seen to arrive one by one */
const stepMs = 150;

export const standIn = command({
  name: "stand-in",
  description: "a scripted stand-in for an agent, without a model; the demo's mission runs it",
  args: {},
  examples: ["echo 'which port?' | ai-intercom stand-in"],
  run: async () => {
    const prompt = await Bun.stdin.text();
    const task = prompt.trimEnd().split("\n").at(-1) ?? "";
    print(`(a scripted stand-in, no model) my task: ${task}`);
    const entries = await readdir(".", { withFileTypes: true });
    for (const { name } of entries
      .filter((one) => one.isFile())
      .sort((a, b) => a.name.localeCompare(b.name))) {
      await delay(stepMs);
      const line = (await Bun.file(name).text()).split("\n").find((one) => /\bport\b/i.test(one));
      print(line ? `${name} says: ${line.trim()}` : `${name} says nothing about it`);
    }
  },
});
