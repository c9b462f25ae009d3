// The hook command as `install claude` writes it, for an agent without mail: what every tool batch of every session
// pays. Run like the agent runs it: by /bin/sh, with the event on standard input.
import { mkdir } from "node:fs/promises";
import { type Bench, interleaved, median, ratio } from "./measure.ts";
import { finish, finishSilent, hookInput, Programs } from "./programs.ts";

const baseline = "sh -c true";
const ours = "hook command, no mail";

export const guard: Bench = {
  name: "guard",
  about: "the installed hook command with an empty inbox",
  runs: 300,
  async run({ runs }) {
    await using programs = await Programs.prepare();
    const env = { PATH: process.env.PATH ?? "", HOME: `${programs.directory}/home` };
    const command = await installedCommand(programs, env);
    const input = hookInput("PostToolBatch");
    const series = await interleaved(
      {
        [baseline]: () => finishSilent(["/bin/sh", "-c", "true"], { env, input }),
        [ours]: () => finishSilent(["/bin/sh", "-c", command], { env, input }),
      },
      runs,
    );
    return {
      series,
      baseline,
      bounds: [
        { what: "median", value: median(series, ours), below: 5, unit: "ms" },
        { what: `median over ${baseline}`, value: ratio(series, ours, baseline), below: 2, unit: "×" },
      ],
    };
  },
};

/** From a settings.json that the real `install` wrote. */
async function installedCommand({ ours }: Programs, env: { HOME: string; PATH: string }): Promise<string> {
  await mkdir(`${env.HOME}/.claude`, { recursive: true });
  await finish([ours, "install", "claude", "--json"], { env, input: "" });
  const settings = await Bun.file(`${env.HOME}/.claude/settings.json`).json();
  const command: unknown = settings.hooks?.PostToolBatch?.[0]?.hooks?.[0]?.command;
  if (typeof command !== "string")
    throw new Error(`install wrote no PostToolBatch hook: ${JSON.stringify(settings)}`);
  return command;
}
