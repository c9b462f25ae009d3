// `install`: our hooks and MCP entry in an agent CLI's own configuration.

import { resolve } from "node:path";
import type { InstallReport, Integration } from "../integrations/integration.ts";
import { integrationNamed, integrations } from "../integrations/integration.ts";
import { IntercomError } from "../protocol/errors.ts";
import { privateHome } from "../system/home.ts";
import { homeDirectory } from "../system/paths.ts";
import { ownProgram } from "../system/program.ts";
import { command, json } from "./command.ts";
import { print, printJson } from "./output.ts";

export const agentNames = integrations.map((one) => one.name).join(", ");
export const dryRun = {
  type: "boolean",
  default: false,
  description: "show what would change, change nothing",
} as const;

export const install = command({
  name: "install",
  description:
    "merge ai-intercom's hooks and MCP entry into an agent CLI's configuration; nothing else is touched",
  args: { agent: { type: "positional", required: true, description: agentNames }, "dry-run": dryRun, json },
  choices: { agent: integrations.map((one) => one.name) },
  examples: ["ai-intercom install claude", "ai-intercom install claude --dry-run"],
  run: async (args) => {
    const integration = knownAgent(args.agent);
    const home = resolve(homeDirectory());
    if (!args["dry-run"]) privateHome({ home });
    const report = await integration.install({ program: ownProgram(), home, dryRun: args["dry-run"] });
    showReport(integration, report, args, "already installed; nothing to change");
    if (!args.json && !args["dry-run"] && report.changes.length > 0)
      print(`\nnext: run ${integration.name} as always; sessions that run already take part after a restart`);
  },
});

export function showReport(
  integration: Integration,
  report: InstallReport,
  args: { json: boolean; "dry-run": boolean },
  nothing: string,
): void {
  if (args.json) {
    printJson({ agent: integration.name, dry_run: args["dry-run"], ...report });
    return;
  }
  if (report.changes.length === 0) print(`${integration.displayName}: ${nothing}`);
  for (const { file, what } of report.changes)
    print(`${args["dry-run"] ? "would change" : "changed"} ${file}: ${what}`);
  for (const note of report.notes) print(`note: ${note}`);
}

export function knownAgent(name: string): Integration {
  const integration = integrationNamed(name);
  if (integration) return integration;
  throw new IntercomError("bad_usage", `there is no integration for "${name}"`, {
    hint: `known: ${agentNames}`,
  });
}
