// The commands that run until they are told to stop: standalone, hub, daemon; and the two that agents start.
import { resolve } from "node:path";
import { Daemon } from "../daemon/daemon.ts";
import { Hub, type Starter } from "../hub/hub.ts";
import { IntercomError } from "../protocol/errors.ts";
import { type Config, defaultHubUrl, describeConfig, inspectConfig, loadConfig } from "../system/config.ts";
import { privateDirectory } from "../system/files.ts";
import { privateHome } from "../system/home.ts";
import { loadOrCreateMachineKey } from "../system/keys.ts";
import { takeLock } from "../system/lock.ts";
import { keepLog } from "../system/log-file.ts";
import { homeDirectory, homePaths } from "../system/paths.ts";
import { ownProgram } from "../system/program.ts";
import { become } from "../system/successor.ts";
import { command } from "./command.ts";
import { shellWord } from "./doctor/check.ts";
import { print } from "./output.ts";
import { supervisor } from "./service/supervised.ts";

const config = {
  type: "string",
  description: "configuration file (default: config.yml in the home)",
  valueHint: "FILE",
} as const;
const listen = {
  type: "string",
  description: "where the hub listens (default 127.0.0.1:7700)",
  valueHint: "HOST:PORT",
} as const;

const more = () => {
  const keys = describeConfig();
  const width = Math.max(...keys.map(({ key }) => key.length));
  const lines = keys.map(
    ({ key, variable, text }) => `  ${key.padEnd(width)}  ${text}${text ? "; " : ""}${variable}`,
  );
  return `CONFIGURATION (config.yml, each key also as an environment variable)\n\n${lines.join("\n")}`;
};

export const standalone = command({
  name: "standalone",
  description: "run a hub and this machine's daemon in one process, in the foreground",
  args: { config, listen },
  examples: ["ai-intercom standalone", "ai-intercom standalone --listen 127.0.0.1:7800   # another port"],
  more,
  run: serving(async (args, server) => {
    const settings = settingsOf(args);
    const paths = homePaths();
    refuseJoined(settings, paths.config);
    privateHome(paths);
    privateDirectory(paths.run);
    keepLog(paths.logs, "standalone");
    // what can stop the daemon is looked at before the hub opens anything
    takeLock(`${paths.run}/daemon.lock`, "daemon").release();
    const { publicKey } = loadOrCreateMachineKey(paths.machineKey);
    const { restart, starter } = server;
    await using hub = await Hub.start({ config: settings, paths, restart, starter });
    const { id, display_name, description } = settings.machine;
    await hub.enrolLocal({ id, display_name, description, public_key: publicKey });
    await using _daemon = await Daemon.start({ config: settings, paths, hubUrl: hub.url, restart });
    await using _telegram = await startTelegram(hub, settings);
    print(`hub listening on ${hub.url}, machine ${id}, home ${paths.home}`);
    await server.ended;
  }),
});

export const hub = command({
  name: "hub",
  description: "run the hub alone, in the foreground",
  args: { config, listen },
  examples: ["ai-intercom hub", "ai-intercom hub --listen 100.64.0.1:7700   # on a Tailscale address"],
  more,
  run: serving(async (args, { restart, starter, ended }) => {
    const settings = settingsOf(args);
    const paths = homePaths();
    privateHome(paths);
    keepLog(paths.logs, "hub");
    await using running = await Hub.start({ config: settings, paths, restart, starter });
    await using _telegram = await startTelegram(running, settings);
    print(`hub listening on ${running.url}, home ${paths.home}`);
    await ended;
  }),
});

export const daemon = command({
  name: "daemon",
  description: "run this machine's daemon alone, in the foreground; it dials the hub of hub.url",
  args: { config, listen: { ...listen, description: "accepted for symmetry; a daemon opens no TCP port" } },
  examples: ["ai-intercom daemon", "HUB_URL=http://limn:7700 ai-intercom daemon"],
  more,
  run: serving(async (args, { restart, ended }) => {
    const settings = settingsOf(args);
    const paths = homePaths();
    privateHome(paths);
    keepLog(paths.logs, "daemon");
    await using _running = await Daemon.start({
      config: settings,
      paths,
      // again and again: the unknown keys were named at the start
      readHubUrl: () => inspectConfig(sourceOf(args)).config.hub.url,
      restart,
    });
    print(
      `daemon of machine ${settings.machine.id}, hub ${settings.hub.url ?? "at the default address"}, home ${paths.home}`,
    );
    await ended;
  }),
});

export const mcpServer = command({
  name: "mcp-server",
  description:
    "MCP server on stdin and stdout for one agent session; `install` puts it into the agents' configuration",
  args: {},
  examples: [
    "claude mcp add --scope user ai-intercom -- ai-intercom mcp-server   # what `install claude` writes",
  ],
  run: async () => {
    const { serveStdio } = await import("../mcp/stdio.ts");
    await serveStdio();
  },
});

/** Only its help is here; main.ts runs it without loading the command line. */
export const checkInbox = command({
  name: "check-inbox",
  description: "prints an agent's waiting mail; the hooks that `install` writes run it",
  args: {
    format: {
      type: "enum",
      options: ["hook", "json"],
      default: "hook",
      description: "hook: what the agent's hook must print; json: the messages",
    },
    session: {
      type: "string",
      description: "whose inbox (default: the agent that started this command)",
      valueHint: "ID",
    },
  },
  examples: ["ai-intercom check-inbox --format json --session s-20261122-1a2b3c"],
  run: async () => {},
});

/** A hub of its own would take what waits here for the hub that this machine has joined. */
function refuseJoined({ mode, hub }: Config, file: string): void {
  if (mode !== "daemon") return;
  throw new IntercomError("conflict", `this machine has joined the hub at ${hub.url ?? defaultHubUrl}`, {
    hint: `ai-intercom daemon   # or, to leave that hub for one of its own: mode: standalone, and no hub.url, in ${file}`,
  });
}

const sourceOf = ({ config }: ServerArgs) => (config === undefined ? {} : { file: config });

function settingsOf(args: ServerArgs): Config {
  const { listen } = args;
  const source = sourceOf(args);
  if (listen === undefined) return loadConfig(source);
  inspectConfig(source); // what is wrong without --listen is the file's error; its warnings come below
  try {
    return loadConfig({ ...source, env: { ...process.env, AI_INTERCOM_HUB_LISTEN: listen } });
  } catch (error) {
    // it was well without --listen
    if (!(error instanceof IntercomError) || error.code !== "bad_config") throw error;
    throw new IntercomError("bad_usage", `--listen cannot be "${listen}"`, {
      hint: "HOST:PORT, for example 127.0.0.1:7700",
      cause: error,
    });
  }
}

/** Loaded only where there is a token: nobody else pays for it. */
async function startTelegram(hub: Hub, config: Config): Promise<AsyncDisposable | undefined> {
  if (config.telegram.bot_token === undefined) return undefined;
  const { Telegram } = await import("../oversight/telegram/telegram.ts");
  return Telegram.start({ hub: hub.view, config });
}

type Serving = { restart: () => void; starter: Starter; ended: Promise<void> };
type ServerArgs = { config?: string; listen?: string };

/**
 * Runs a server until a signal ends it. Told to restart, it closes everything first and then becomes the program that
 * now lies in its place: same process, same terminal, same place under a service manager. One that meets damage ends
 * with an error where its service starts it again.
 */
function serving(serve: (args: ServerArgs, server: Serving) => Promise<void>) {
  return async (args: ServerArgs): Promise<void> => {
    const [program, ...words] = ownProgram();
    const argv = Bun.argv.slice(2);
    let again = false;
    let failed = false;
    const { promise: ended, resolve: end } = Promise.withResolvers<void>();
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(signal, () => end());
    const restart = () => {
      again = true;
      end();
    };
    const fail = () => {
      failed = true;
      end();
    };
    const starter = await starterOf([program, ...words, ...argv], fail);
    await serve(args, { restart, starter, ended });
    if (failed)
      throw new IntercomError("internal", "the hub's database is damaged", { hint: starter.restart });
    if (again) become(program, [...words, ...argv]);
  };
}

async function starterOf(command: string[], end: () => void): Promise<Starter> {
  const service = await supervisor(resolve(homeDirectory()));
  if (!service) return { restart: command.map(shellWord).join(" ") };
  return { restart: `ai-intercom service restart${service.name === "systemd" ? " --system" : ""}`, end };
}
