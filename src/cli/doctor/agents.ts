// This program on the PATH, and in each agent CLI of this machine: hooks and MCP entry there and current (which
// includes the path in the hooks' guard), and nothing in the agent's settings that switches them off.
import { existsSync, realpathSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { type CheckReport, type Integration, integrations } from "../../integrations/integration.ts";
import { toIntercomError } from "../../protocol/errors.ts";
import { version } from "../../protocol/version.ts";
import { lockHolder } from "../../system/lock.ts";
import { homeDirectory, homePaths } from "../../system/paths.ts";
import { ownProgram } from "../../system/program.ts";
import { type Check, fail, ok, shellWord, warn } from "./check.ts";

/** ms a program may take to say its version */
const versionMs = 5_000;
/** differences named; the rest is counted */
const shownDifferences = 3;

export function checkProgram(): Check[] {
  const [program, ...script] = ownProgram();
  if (script.length > 0) return []; // run from source
  return [...checkPath(program), ...checkLeft(program)];
}

function checkPath(program: string): Check[] {
  const found = Bun.which("ai-intercom", { PATH: process.env.PATH ?? "" });
  if (found === null)
    return [
      warn(
        "program_not_on_path",
        "ai-intercom is not on the PATH",
        `export PATH=${shellWord(dirname(program))}:"$PATH"   # and in your shell's profile, to stay`,
      ),
    ];
  if (realpathSync(found) === realpathSync(program)) return [ok("program", found)];
  return [
    warn(
      "program_other",
      `the PATH leads to ${found}, this is ${program}`,
      `ln -sf ${shellWord(realpathSync(program))} ${shellWord(found)}   # or use that one`,
    ),
  ];
}

/** What an upgrade that was killed had fetched. */
function checkLeft(program: string): Check[] {
  const path = `${program}.new`;
  if (!existsSync(path) || lockHolder(`${homePaths().run}/upgrade.lock`) !== undefined) return [];
  return [
    warn("stale_file", `${path} is of an upgrade that did not get to its end`, `rm ${shellWord(path)}`),
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
            (report.hooksStopped.includes(note) ? fail : warn)(
              "agent_hindered",
              `${displayName}: ${note}`,
              "change that setting, then: ai-intercom doctor",
            ),
          );
    const found = [
      ...notes,
      ...checkGuards(report, displayName, install),
      ...checkPrograms(report, displayName, install),
    ];
    switch (report.state) {
      case "absent":
        return [
          warn("agent_not_installed", `${displayName} is here without our hooks and MCP entry`, install),
        ];
      case "outdated":
        return [checkEntries(report, displayName, install), ...found];
      case "current":
        return [
          ok(
            "agent",
            `${displayName}: hooks and MCP entry are installed and current (${version}), and look for mail in ${homeDirectory()}`,
          ),
          ...found,
        ];
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

/** Something of ours is there. Without any hook that brings mail, nothing reaches the agent's sessions. */
function checkEntries(
  { differences, hooksMissing }: CheckReport,
  displayName: string,
  install: string,
): Check {
  const fix = `${install}; then restart the sessions that run`;
  if (hooksMissing !== undefined)
    return fail(
      "agent_hooks_missing",
      `${displayName}: installed, but no hook of ours that brings mail is in ${hooksMissing}: no mail reaches its sessions`,
      fix,
    );
  const named = differences.map(({ file, what }) => `${file}: ${what}`);
  const more = named.length - shownDifferences;
  const text = named.slice(0, shownDifferences).join("; ") + (more > 0 ? `; and ${more} more` : "");
  return warn(
    "agent_outdated",
    `${displayName}: hooks or MCP entry are older than this program (${version}) or were changed since; install would change ${text}`,
    fix,
  );
}

/** A hook tests for mail in one home: the guard of another home's lets nothing of this one through. */
function checkGuards({ homes }: CheckReport, displayName: string, install: string): Check[] {
  const here = resolve(homeDirectory());
  return homes
    .filter((home) => resolve(home) !== here)
    .map((home) =>
      warn(
        "agent_guard_wrong",
        `${displayName}: hooks or MCP entry look for mail in ${home}, not in ${here}`,
        `${install}   # or run with AI_INTERCOM_HOME=${shellWord(home)}`,
      ),
    );
}

/** What hooks and MCP entry start need not be this program: a removed one is silence, an older one is a neighbour. */
function checkPrograms({ programs }: CheckReport, displayName: string, install: string): Check[] {
  return programs.flatMap((program) => {
    const its = versionOf(program);
    if (its === version) return [];
    if (its === undefined)
      return [
        fail(
          "agent_program_missing",
          `${displayName}: hooks or MCP entry start ${program}, which does not run: no mail, no tools`,
          `${install}; then restart the sessions that run`,
        ),
      ];
    return [
      warn(
        "agent_program_version",
        `${displayName}: hooks or MCP entry start ${program}, version ${its}; this program is ${version}`,
        `${shellWord(program)} self-upgrade; or ${install}`,
      ),
    ];
  });
}

function versionOf(program: string): string | undefined {
  const [own] = ownProgram();
  try {
    if (realpathSync(program) === realpathSync(own)) return version;
    const { exitCode, stdout } = Bun.spawnSync([program, "--version"], {
      stdin: "ignore",
      stderr: "ignore",
      timeout: versionMs,
    });
    return exitCode === 0 ? /^\d+\.\d+\.\d+\S*$/.exec(stdout.toString().trim())?.[0] : undefined;
  } catch {
    return undefined; // it is not there, or nothing that runs here
  }
}
