// `service`: has this computer run the hub or the daemon by itself, from log-in or boot on, and again when it fails.
import { resolve } from "node:path";
import { IntercomError } from "../protocol/errors.ts";
import { loadConfig } from "../system/config.ts";
import { privateHome } from "../system/home.ts";
import { homeDirectory, homePaths } from "../system/paths.ts";
import { ownProgram } from "../system/program.ts";
import { askDaemon } from "./access.ts";
import { command, json } from "./command.ts";
import { print, printJson, table } from "./output.ts";
import type { ServiceJob, ServiceManager } from "./service/manager.ts";
import { serviceManager } from "./service/this-computer.ts";

export const service = command({
  name: "service",
  description: "run in the background from log-in on (systemd, launchd): install, uninstall, status, restart",
  args: {
    action: { type: "positional", required: false, description: "install, uninstall, status or restart" },
    system: { type: "boolean", default: false, description: "for the whole computer (root, Linux)" },
    "dry-run": { type: "boolean", default: false, description: "print the definition, change nothing" },
    json,
  },
  choices: { action: ["install", "uninstall", "status", "restart"] },
  examples: [
    "ai-intercom service install     # what config.yml's mode says: standalone, hub or daemon",
    "ai-intercom service status",
    "sudo ai-intercom service install --system",
    "ai-intercom service uninstall",
  ],
  run: async (args) => {
    const manager = serviceManager({ system: args.system });
    switch (args.action ?? "status") {
      case "install":
        return install(manager, args);
      case "uninstall":
        return uninstall(manager, args.json);
      case "status":
        return status(manager, args.json);
      case "restart":
        await manager.restart();
        return args.json ? printJson(await manager.status()) : print("restarted");
      default:
        throw new IntercomError(
          "bad_usage",
          `"${args.action}" is not install, uninstall, status or restart`,
          {
            hint: "ai-intercom service --help",
          },
        );
    }
  },
});

/** What the service of this home runs. */
export function serviceJob(): ServiceJob {
  return {
    program: ownProgram(),
    mode: loadConfig().mode,
    home: resolve(homeDirectory()),
    searchPath: process.env.PATH || "/usr/local/bin:/usr/bin:/bin",
  };
}

async function install(manager: ServiceManager, args: { json: boolean; "dry-run": boolean }): Promise<void> {
  const job = serviceJob();
  if (args["dry-run"]) return print(`# ${manager.file}\n${manager.definition(job)}`);
  await refuseRunning(manager);
  privateHome(homePaths());
  await manager.install(job);
  const [now, notes] = [await manager.status(), await manager.notes()];
  if (args.json) return printJson({ ...now, mode: job.mode, notes });
  print(`installed ${manager.file}: runs \`ai-intercom ${job.mode}\` (${now.detail})`);
  for (const note of notes) print(`note: ${note}`);
  print("\nnext: ai-intercom doctor");
}

/** Another one in a terminal holds the home: the service would fail again and again. */
async function refuseRunning(manager: ServiceManager): Promise<void> {
  const health = await askDaemon("/health").catch(() => undefined);
  const pid =
    typeof health === "object" && health !== null && "pid" in health ? Number(health.pid) : undefined;
  if (pid === undefined || (await manager.status()).pid === pid) return;
  throw new IntercomError("conflict", `a daemon of this home runs already, as process ${pid}`, {
    hint: `stop it first: kill ${pid}`,
  });
}

async function uninstall(manager: ServiceManager, asJson: boolean): Promise<void> {
  const removed = await manager.uninstall();
  if (asJson) return printJson({ removed, file: manager.file });
  print(removed ? `stopped, and removed ${manager.file}` : "no service is installed; nothing to remove");
}

async function status(manager: ServiceManager, asJson: boolean): Promise<void> {
  const now = await manager.status();
  if (asJson) return printJson(now);
  print(
    table(
      ["what", "state"],
      [
        ["manager", manager.name],
        ["file", now.installed ? now.file : `${now.file} (not installed)`],
        ["state", now.detail],
        ["at log-in", now.enabled ? "started" : "not started"],
        ["process", now.pid === null ? "none" : String(now.pid)],
      ],
    ),
  );
  if (!now.installed) print("\nnext: ai-intercom service install");
}
