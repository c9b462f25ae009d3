// What missions need on this machine: policies that can be read, directories that are there, an agent to start.
import { existsSync } from "node:fs";
import { Policies } from "../../daemon/policies.ts";
import { IntercomError } from "../../protocol/errors.ts";
import type { Config } from "../../system/config.ts";
import { type Check, fail, ok, warn } from "./check.ts";
import type { Observed } from "./observed.ts";

export const missionChecks: ((seen: Observed) => Check[])[] = [checkPolicies, checkLauncher];

function checkPolicies({ paths }: Observed): Check[] {
  if (!existsSync(paths.policies)) return [];
  const verdict = new Policies(paths.policies).decide({ from: "human", to: "a/b", type: "ask", text: "" });
  if (verdict.verdict === "level") return [ok("policies", `${paths.policies} can be used`)];
  return [fail("policies_invalid", `${verdict.reason}: every mission is denied here`, verdict.hint)];
}

/** Nothing to say where no mission may run. */
function checkLauncher({ config, paths }: Observed): Check[] {
  if (config instanceof IntercomError) return [];
  const settings = config.config.agent_launcher;
  if (settings.allowed_paths.length === 0) return [];
  const found = [
    ...settings.allowed_paths
      .filter((path) => !existsSync(path))
      .map((path) =>
        warn(
          "launcher_path_missing",
          `agent_launcher.allowed_paths names ${path}, which is not there`,
          `mkdir -p it, or correct ${paths.config} and start the daemon again`,
        ),
      ),
    ...checkCommand(settings, paths.config),
  ];
  return found.length > 0
    ? found
    : [ok("launcher", `missions may run below ${settings.allowed_paths.join(", ")}`)];
}

function checkCommand(settings: Config["agent_launcher"], file: string): Check[] {
  const name = settings.default_command;
  const program = settings.commands[name]?.command ?? (name === "claude" ? name : undefined);
  if (program === undefined)
    return [
      fail(
        "launcher_command_unknown",
        `agent_launcher.default_command is "${name}", which is neither claude nor a name in commands`,
        `correct ${file} and start the daemon again`,
      ),
    ];
  if (Bun.which(program) !== null) return [];
  return [
    warn(
      "launcher_command_missing",
      `missions start ${program}, which is not on this PATH`,
      `install it, or name another in agent_launcher.default_command of ${file}`,
    ),
  ];
}
