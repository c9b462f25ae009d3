// The hook command as `install claude` writes it, for an agent without mail: what every tool batch of every session
// pays. Run like the agent runs it: by /bin/sh, with the event on standard input.
import { mkdir } from "node:fs/promises";
import { type Bench, interleaved, median, ratio } from "./measure.ts";
import { finish, finishSilent, hookInput, Programs } from "./programs.ts";

const baseline = "sh -c true";
const ours = "hook command, no mail";
const bell = "bell command, not needed";

export const guard: Bench = {
  name: "guard",
  about: "the installed hook commands with an empty inbox, in a session with a socket",
  runs: 300,
  async run({ runs }) {
    await using programs = await Programs.prepare();
    const env = { PATH: process.env.PATH ?? "", HOME: `${programs.directory}/home` };
    const [command, bellCommand] = await installedCommands(programs, env);
    const input = hookInput("PostToolBatch");
    const series = await interleaved(
      {
        [baseline]: () => finishSilent(["/bin/sh", "-c", "true"], { env, input }),
        [ours]: () => finishSilent(["/bin/sh", "-c", command], { env, input }),
        [bell]: () => finishSilent(["/bin/sh", "-c", bellCommand], { env, input: hookInput("Stop") }),
      },
      runs,
    );
    return {
      series,
      baseline,
      bounds: [
        { what: "median", value: median(series, ours), below: 5, unit: "ms" },
        { what: `median over ${baseline}`, value: ratio(series, ours, baseline), below: 2, unit: "×" },
        { what: `bell, median over ${baseline}`, value: ratio(series, bell, baseline), below: 2, unit: "×" },
      ],
    };
  },
};

/** From a settings.json that the real `install` wrote: what a tool batch runs, and what the end of a turn runs besides. */
async function installedCommands(
  { ours }: Programs,
  env: { HOME: string; PATH: string },
): Promise<[string, string]> {
  await mkdir(`${env.HOME}/.claude`, { recursive: true });
  await finish([ours, "install", "claude", "--json"], { env, input: "" });
  const { hooks } = await Bun.file(`${env.HOME}/.claude/settings.json`).json();
  const command: unknown = hooks?.PostToolBatch?.[0]?.hooks?.[0]?.command;
  const bell: unknown = hooks?.Stop?.[1]?.hooks?.[0]?.command;
  if (typeof command !== "string" || typeof bell !== "string")
    throw new Error(`install wrote other hooks: ${JSON.stringify(hooks)}`);
  return [command, bell];
}
