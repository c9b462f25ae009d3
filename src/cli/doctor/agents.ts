// This program on the PATH, and in each agent CLI of this machine: hooks and MCP entry there and current (which
// includes the path in the hooks' guard), and nothing in the agent's settings that switches them off.
import { realpathSync } from "node:fs";
import { resolve } from "node:path";
import { type Integration, integrations } from "../../integrations/integration.ts";
import { toIntercomError } from "../../protocol/errors.ts";
import { homeDirectory } from "../../system/paths.ts";
import { ownProgram } from "../../system/program.ts";
import { type Check, fail, ok, shellWord, warn } from "./check.ts";

/** differences named; the rest is counted */
const shownDifferences = 3;

export function checkProgram(): Check[] {
  const [program, ...script] = ownProgram();
  if (script.length > 0) return []; // run from source
  const found = Bun.which("ai-intercom", { PATH: process.env.PATH ?? "" });
  if (found === null)
    return [
      warn(
        "program_not_on_path",
        "ai-intercom is not on the PATH",
        `mkdir -p ~/.local/bin && ln -sf ${shellWord(program)} ~/.local/bin/ai-intercom, and have ~/.local/bin on the PATH`,
      ),
    ];
  if (realpathSync(found) === realpathSync(program)) return [ok("program", found)];
  return [
    warn(
      "program_other",
      `the PATH leads to ${found}, this is ${program}`,
      `ln -sf ${shellWord(program)} ${shellWord(found)}   # or use that one`,
    ),
  ];
}

export async function checkAgents(): Promise<Check[]> {
  const present = integrations.filter((integration) => integration.isPresent());
  return (await Promise.all(present.map(checkAgent))).flat();
}

async function checkAgent(integration: Integration): Promise<Check[]> {
  const { name, displayName } = integration;
  const install = `ai-intercom install ${name}`;
  try {
    const report = await integration.check({ program: ownProgram(), home: resolve(homeDirectory()) });
    const notes =
      report.state === "absent"
        ? []
        : report.notes.map((note) =>
            warn(
              "agent_hindered",
              `${displayName}: ${note}`,
              "change that setting, then: ai-intercom doctor",
            ),
          );
    switch (report.state) {
      case "absent":
        return [
          warn("agent_not_installed", `${displayName} is here without our hooks and MCP entry`, install),
        ];
      case "outdated": {
        const named = report.differences.map(({ file, what }) => `${file}: ${what}`);
        const more = named.length - shownDifferences;
        const text = named.slice(0, shownDifferences).join("; ") + (more > 0 ? `; and ${more} more` : "");
        return [warn("agent_outdated", `${displayName}: ${text}`, install), ...notes];
      }
      case "current":
        return [ok("agent", `${displayName}: hooks and MCP entry are installed and current`), ...notes];
      default:
        return report.state satisfies never;
    }
  } catch (thrown) {
    const error = toIntercomError(thrown);
    return [
      fail(
        "agent_unreadable",
        `${displayName}: ${error.message}`,
        error.hint ?? `correct that file: ${install}`,
      ),
    ];
  }
}
