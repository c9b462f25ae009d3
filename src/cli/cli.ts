// The command line: the table of commands, help, and the one place that turns errors into exit codes.
import { nearMatches } from "../protocol/address.ts";
import { IntercomError, toIntercomError } from "../protocol/errors.ts";
import { build, version } from "../protocol/version.ts";
import type { Command } from "./command.ts";
import { bold, print, printError } from "./output.ts";

type Entry = { description: string; load: () => Promise<Command> };

/** Lazy: a command loads only what it uses. Grouped as `--help` shows them. */
const groups: Record<string, Record<string, Entry>> = {
  "try it": {
    demo: {
      description: "two agents chat and one has a mission done, here and now",
      load: async () => (await import("./demo.ts")).demo,
    },
  },
  run: {
    standalone: {
      description: "a hub and this machine's daemon in one process",
      load: async () => (await import("./run.ts")).standalone,
    },
    hub: { description: "the hub alone", load: async () => (await import("./run.ts")).hub },
    daemon: {
      description: "this machine's daemon alone",
      load: async () => (await import("./run.ts")).daemon,
    },
    "mcp-server": {
      description: "MCP server of one agent session (agents start it)",
      load: async () => (await import("./run.ts")).mcpServer,
    },
    "check-inbox": {
      description: "what the agents' hooks run",
      load: async () => (await import("./run.ts")).checkInbox,
    },
  },
  "set up": {
    setup: {
      description: "make this machine ready: configuration, agents, service, self-test",
      load: async () => (await import("./setup.ts")).setup,
    },
    install: {
      description: "hooks and MCP entry of an agent CLI",
      load: async () => (await import("./install.ts")).install,
    },
    uninstall: {
      description: "remove them without a trace; with --all service and data too",
      load: async () => (await import("./uninstall.ts")).uninstall,
    },
    invite: {
      description: "a code that lets one machine join",
      load: async () => (await import("./machines.ts")).invite,
    },
    join: {
      description: "enrol this machine at a hub",
      load: async () => (await import("./machines.ts")).join,
    },
    machines: {
      description: "list, approve, deny, revoke machines",
      load: async () => (await import("./machines.ts")).machines,
    },
    login: {
      description: "let a person's commands work on a joined machine",
      load: async () => (await import("./login.ts")).login,
    },
    logout: {
      description: "end that",
      load: async () => (await import("./login.ts")).logout,
    },
  },
  talk: {
    agents: { description: "who can be reached", load: async () => (await import("./facts.ts")).agents },
    chat: { description: "write to an agent", load: async () => (await import("./conversation.ts")).chat },
    reply: { description: "write in a thread", load: async () => (await import("./conversation.ts")).reply },
    inbox: {
      description: "what agents wrote to you",
      load: async () => (await import("./conversation.ts")).inbox,
    },
    history: {
      description: "the messages of a thread, the course of a mission",
      load: async () => (await import("./conversation.ts")).history,
    },
    watch: { description: "follow everything live", load: async () => (await import("./watch.ts")).watch },
    release: {
      description: "let held messages of a thread go",
      load: async () => (await import("./conversation.ts")).release,
    },
    status: {
      description: "this machine, or one message or mission",
      load: async () => (await import("./facts.ts")).status,
    },
  },
  "have it done": {
    ask: {
      description: "have a fresh agent do something in a project",
      load: async () => (await import("./ask.ts")).ask,
    },
    missions: {
      description: "list, show, cancel missions",
      load: async () => (await import("./missions.ts")).missions,
    },
    approvals: {
      description: "what waits for your decision; approve, deny, revoke",
      load: async () => (await import("./approvals.ts")).approvals,
    },
    permissions: {
      description: "agents' permission questions also in Telegram, on or off",
      load: async () => (await import("./permissions.ts")).permissions,
    },
    feedback: {
      description: "what agents reported about ai-intercom",
      load: async () => (await import("./feedback.ts")).feedback,
    },
  },
  operate: {
    service: {
      description: "run in the background: install, uninstall, status",
      load: async () => (await import("./service.ts")).service,
    },
    logs: { description: "what hub and daemon logged", load: async () => (await import("./logs.ts")).logs },
    "self-upgrade": {
      description: "replace this program by the latest release, verified",
      load: async () => (await import("./self-upgrade.ts")).selfUpgrade,
    },
    completions: {
      description: "a completion script for bash, zsh or fish",
      load: async () => (await import("./completions.ts")).completions(shown),
    },
    doctor: {
      description: "what is not fine here, and its fix; --canary proves one session's path",
      load: async () => (await import("./doctor.ts")).doctor,
    },
  },
};

/** started by other commands, not by people */
const hidden: Record<string, Entry> = {
  "stand-in": {
    description: "the scripted agent of the demo's mission",
    load: async () => (await import("./stand-in.ts")).standIn,
  },
};

const shown: Record<string, Entry> = Object.assign({}, ...Object.values(groups));
const commands: Record<string, Entry> = { ...shown, ...hidden };

/** Runs one command line (without the program's name); the number is the exit code. */
export async function main(argv: string[]): Promise<number> {
  const words = argv.includes("--") ? argv.slice(0, argv.indexOf("--")) : argv;
  const asJson = words.some((word) => word === "--json" || /^--json=(?!false$)/.test(word));
  // a script finds one object on stderr, or nothing: no warning beside it
  if (asJson) (await import("../system/log.ts")).log.level = Number.NEGATIVE_INFINITY;
  // `… | head` closes our stdout: nobody reads any more, so there is nothing left to do
  process.stdout.on("error", () => process.exit(0));
  try {
    return (await run(argv, words)) ?? 0;
  } catch (thrown) {
    const error = toIntercomError(thrown);
    printError(error, asJson);
    if (error.code === "internal" && process.env.AI_INTERCOM_DEBUG) console.error(thrown);
    return error.exitCode;
  }
}

async function run(argv: string[], words: string[]): Promise<number | undefined> {
  const [name, ...rest] = argv;
  if (name === "--version" || name === "-v") {
    if (words.includes("--json")) {
      const { databaseKnown: schema } = await import("../hub/database.ts");
      print(JSON.stringify({ ...build, schema }));
    } else print(version);
    return undefined;
  }
  if (name === undefined || name === "--help" || name === "-h" || name === "help") {
    await help(rest[0]);
    return undefined;
  }
  const entry = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (!entry) throw unknownCommand(name);
  const command = await entry.load();
  if (!words.includes("--help") && !words.includes("-h")) return command.run(rest);
  print(await command.usage());
  return undefined;
}

async function help(name: string | undefined): Promise<void> {
  if (name !== undefined) {
    const entry = Object.hasOwn(commands, name) ? commands[name] : undefined;
    if (!entry) throw unknownCommand(name);
    return print(await (await entry.load()).usage());
  }
  const width = Math.max(...Object.keys(shown).map((one) => one.length));
  print(
    `ai-intercom ${version}: coding agents that run now talk to each other\n\nusage: ai-intercom COMMAND [options]`,
  );
  for (const [title, entries] of Object.entries(groups)) {
    print(`\n${bold(title)}`);
    for (const [command, { description }] of Object.entries(entries))
      print(`  ${command.padEnd(width)}  ${description}`);
  }
  print("\nai-intercom COMMAND --help shows a command's options and examples.");
  print("Everything is kept under $AI_INTERCOM_HOME (default ~/.config/ai-intercom).");
}

function unknownCommand(name: string): IntercomError {
  const matches = nearMatches(name, Object.keys(shown));
  return new IntercomError("bad_usage", `there is no command "${name}"`, {
    hint: matches.length > 0 ? `ai-intercom ${matches[0]}` : "ai-intercom --help",
  });
}
