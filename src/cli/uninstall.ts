// `uninstall`: out of one agent CLI, out of all, or (`--all`) off this computer: agents' entries, service and home.
// The program itself is removed by install.sh, which put it there.
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { type InstallReport, integrations } from "../integrations/integration.ts";
import { IntercomError, toIntercomError } from "../protocol/errors.ts";
import { inspectConfig } from "../system/config.ts";
import { refuseForeignHome, removeHome } from "../system/home-removal.ts";
import { takeLock } from "../system/lock.ts";
import { homeDirectory, homePaths } from "../system/paths.ts";
import { command, json } from "./command.ts";
import { agentNames, dryRun, knownAgent, showReport } from "./install.ts";
import { bold, print, printJson } from "./output.ts";
import type { ServiceManager } from "./service/manager.ts";
import { servicesOf } from "./service/this-computer.ts";
import { confirmed } from "./setup/questions.ts";
import { refuseInUse, refuseMissions } from "./uninstall/in-use.ts";

type Words = {
  agent?: string;
  all: boolean;
  "keep-data": boolean;
  yes: boolean;
  "dry-run": boolean;
  json: boolean;
};
/** `home`: undefined where it stays, or is not there; `refused`: why none of it may go now */
type Plan = {
  agents: { agent: string; report: InstallReport }[];
  services: ServiceManager[];
  home: string | undefined;
  notes: string[];
  refused: IntercomError | undefined;
};

export const uninstall = command({
  name: "uninstall",
  description:
    "take ai-intercom out of an agent CLI's configuration, or of all; with --all remove service and data too",
  args: {
    agent: { type: "positional", required: false, description: `${agentNames} (default: all)` },
    all: { type: "boolean", default: false, description: "agents' entries, the service, and the home" },
    "keep-data": { type: "boolean", default: false, description: "with --all: the home stays" },
    yes: { type: "boolean", alias: "y", default: false, description: "do not ask" },
    "dry-run": dryRun,
    json,
  },
  choices: { agent: integrations.map((one) => one.name) },
  examples: [
    "ai-intercom uninstall claude",
    "ai-intercom uninstall",
    "ai-intercom uninstall --all --dry-run     # what would go",
    "ai-intercom uninstall --all --keep-data   # keys, messages and settings stay",
  ],
  run: async (args) => {
    if (args.all) return everything(args);
    if (args["keep-data"])
      throw new IntercomError("bad_usage", "--keep-data belongs to --all: without it the data stays anyway", {
        hint: "ai-intercom uninstall --all --keep-data",
      });
    const chosen = args.agent === undefined ? integrations : [knownAgent(args.agent)];
    for (const integration of chosen) {
      const report = await integration.uninstall({ home: resolve(homeDirectory()), dryRun: args["dry-run"] });
      showReport(integration, report, args, "was not installed; nothing to remove");
    }
  },
});

async function everything(args: Words): Promise<void> {
  if (args.agent !== undefined)
    throw new IntercomError("bad_usage", `--all means every agent, not ${args.agent} alone`, {
      hint: `ai-intercom uninstall ${args.agent}`,
    });
  const plan = await planned(args["keep-data"]);
  if (plan.refused && !args["dry-run"]) throw plan.refused;
  if (!args.json) show(plan);
  if (args["dry-run"]) return args.json ? printJson(reportOf(plan, [], true)) : undefined;
  if (plan.home !== undefined && !args.yes) await agreed(plan.home);
  const home = resolve(homeDirectory());
  for (const integration of integrations) await integration.uninstall({ home });
  for (const manager of plan.services) await manager.uninstall();
  const left = plan.home === undefined ? [] : withdrawn(plan.home);
  if (args.json) return printJson(reportOf(plan, left, false));
  print(
    left.length > 0 ? `\nremoved; not ours, so it stays in ${plan.home}: ${left.join(", ")}` : "\nremoved",
  );
  const rest = process.env[installerVariable] ? "" : "install.sh --uninstall removes the program too; ";
  print(`next: ${rest}sessions that run now forget it when they end`);
}

/** install.sh sets it: it removes the program itself once this command has ended well */
const installerVariable = "AI_INTERCOM_INSTALLER";

/** Nothing is changed by planning, and what cannot go is found here, before anything has gone. */
async function planned(keepData: boolean): Promise<Plan> {
  const home = resolve(homeDirectory());
  const services = await servicesOf(home);
  const goes = !keepData && existsSync(home);
  const refused = await refusal(home, services, goes);
  const agents = await Promise.all(
    integrations.map(async (integration) => ({
      agent: integration.name,
      report: await integration.uninstall({ home, dryRun: true }),
    })),
  );
  const notes = goes ? storedElsewhere(home) : [];
  return { agents, services, home: goes ? home : undefined, notes, refused };
}

/** A program that runs on without its file and its entries is no more wanted than a home removed under it. */
async function refusal(
  home: string,
  services: ServiceManager[],
  goes: boolean,
): Promise<IntercomError | undefined> {
  const paths = homePaths(home);
  try {
    if (goes) refuseForeignHome(paths);
    refuseMissions(paths);
    await refuseInUse(paths, services);
    return undefined;
  } catch (thrown) {
    return toIntercomError(thrown);
  }
}

function storedElsewhere(home: string): string[] {
  try {
    const { store } = inspectConfig().config.hub;
    if (store === undefined || resolve(store).startsWith(`${home}/`)) return [];
    return [`the hub's database ${store} (hub.store) is outside the home and stays`];
  } catch {
    return []; // a configuration that cannot be read keeps nobody from removing it
  }
}

async function agreed(home: string): Promise<void> {
  if (process.stdin.isTTY !== true)
    throw new IntercomError(
      "bad_usage",
      `uninstall asks before it removes ${home}, and nobody can answer here`,
      {
        hint: "ai-intercom uninstall --all --yes, or with --keep-data",
      },
    );
  if (await confirmed(`\nremove all of it, with this machine's key and every message? [y/N] `, false)) return;
  throw new IntercomError("bad_usage", "nothing was changed", {
    hint: "ai-intercom uninstall --all --keep-data",
  });
}

/** Under both locks, so that neither daemon nor hub starts in what is going away. */
function withdrawn(home: string): string[] {
  const { run } = homePaths(home);
  const roles = existsSync(run) ? ["daemon", "hub"] : [];
  const locks = roles.map((role) => takeLock(`${run}/${role}.lock`, role));
  try {
    return removeHome(home);
  } finally {
    for (const lock of locks) lock.release();
  }
}

function show({ agents, services, home, notes, refused }: Plan): void {
  const changes = agents.flatMap(({ report }) => report.changes);
  print(bold("goes"));
  for (const { file, what } of changes) print(`  ${file}: ${what}`);
  for (const { file, name } of services) print(`  ${file}: the service (${name}) is stopped`);
  if (home !== undefined) print(`  ${home}: settings, this machine's key, messages, missions, logs`);
  if (changes.length === 0 && services.length === 0 && home === undefined)
    print("  nothing is left to remove");
  for (const note of [...agents.flatMap(({ report }) => report.notes), ...notes]) print(`note: ${note}`);
  if (refused)
    print(
      `refused as it is now: ${refused.message}${refused.hint === undefined ? "" : `\ntry: ${refused.hint}`}`,
    );
}

function reportOf({ agents, services, home, notes, refused }: Plan, left: string[], isDry: boolean): unknown {
  return {
    dry_run: isDry,
    agents: agents.map(({ agent, report }) => ({ agent, ...report })),
    services: services.map(({ file }) => file),
    home: home ?? null,
    left,
    notes,
    refused: refused ? { code: refused.code, message: refused.message, hint: refused.hint ?? null } : null,
  };
}
