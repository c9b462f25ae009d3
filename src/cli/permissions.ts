// `ai-intercom permissions`: whether agents' questions (may I use this tool?) are also put to the person in Telegram.
// The hook for it is in the agents' configuration only while it is not off.
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { type InstallReport, integrations } from "../integrations/integration.ts";
import { fileSize, replaceFile, unlinkIfPresent } from "../system/files.ts";
import { privateHome } from "../system/home.ts";
import { homePaths } from "../system/paths.ts";
import { ownProgram } from "../system/program.ts";
import { command, json, oneOf } from "./command.ts";
import { print, printJson } from "./output.ts";

const states = ["on", "sessions", "off"] as const;
type State = (typeof states)[number];

export const permissions = command({
  name: "permissions",
  description:
    "put agents' permission questions to the person in Telegram too; the first answer wins, silence changes nothing",
  args: {
    switch: {
      type: "positional",
      required: false,
      description: "on (all sessions here), sessions (only those started with AI_INTERCOM_ASK_PERSON=1), off",
    },
    json,
  },
  choices: { switch: [...states] },
  examples: [
    "ai-intercom permissions on",
    "ai-intercom permissions sessions && AI_INTERCOM_ASK_PERSON=1 claude",
    "ai-intercom permissions   # how it is",
  ],
  run: async (args) => {
    const reports = args.switch === undefined ? [] : await change(oneOf("permissions", args.switch, states));
    const [changes, notes] = [reports.flatMap((one) => one.changes), reports.flatMap((one) => one.notes)];
    const is = stateNow();
    if (args.json) return printJson({ permissions: is, changes, notes });
    for (const { file, what } of changes) print(`changed ${file}: ${what}`);
    for (const note of notes) print(`note: ${note}`);
    print(`permission questions in Telegram: ${is}`);
  },
});

async function change(wish: State): Promise<InstallReport[]> {
  const home = resolve(homePaths().home);
  const { askPerson } = homePaths(home);
  privateHome({ home });
  if (wish === "off") unlinkIfPresent(askPerson);
  // the hook's guard looks whether the file is empty
  else replaceFile(askPerson, wish === "on" ? "all sessions\n" : "");
  const reports: InstallReport[] = [];
  for (const integration of integrations) {
    const options = { program: ownProgram(), home };
    if (!integration.permissions || (await integration.check(options)).state === "absent") continue;
    reports.push(await integration.install(options));
  }
  return reports;
}

function stateNow(): State {
  const { askPerson } = homePaths();
  if (!existsSync(askPerson)) return "off";
  return fileSize(askPerson) > 0 ? "on" : "sessions";
}
