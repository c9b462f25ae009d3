// `setup`: one command that makes this machine ready. Shows what it will change before it changes it, changes nothing
// that is as it should be, and ends with a proof.
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { integrations } from "../integrations/integration.ts";
import { IntercomError, toIntercomError } from "../protocol/errors.ts";
import { inspectConfig, loadConfig } from "../system/config.ts";
import { setConfigKeys } from "../system/config-edit.ts";
import { readTextIfPresent } from "../system/files.ts";
import { privateHome } from "../system/home.ts";
import { loadOrCreateMachineKey } from "../system/keys.ts";
import { homeDirectory, homePaths } from "../system/paths.ts";
import { ownProgram } from "../system/program.ts";
import { isServed } from "./access.ts";
import { command, json } from "./command.ts";
import { askedToJoin, isEnrolled, joinHub } from "./enrolment.ts";
import { bold, dim, oneLine, print, printJson } from "./output.ts";
import { serviceManager } from "./service/this-computer.ts";
import { serviceJob } from "./service.ts";
import { type Choice, choiceOf, completed } from "./setup/choices.ts";
import { refuseTakenAddress } from "./setup/listen.ts";
import { confirmed } from "./setup/questions.ts";
import { type SelfTest, selfTest } from "./setup/self-test.ts";
import type { Step } from "./setup/step.ts";
import { telegramStep } from "./setup/telegram.ts";

type Mode = "standalone" | "hub" | "daemon";

export const setup = command({
  name: "setup",
  description:
    "make this machine ready: configuration, key, hooks and MCP entry of every agent CLI found, service, self-test",
  args: {
    yes: { type: "boolean", alias: "y", default: false, description: "do not ask" },
    join: {
      type: "string",
      description: "join a hub with a code of `ai-intercom invite`",
      valueHint: "CODE",
    },
    "hub-url": {
      type: "string",
      description: "join the hub at this address; without a code a person there approves",
      valueHint: "URL",
    },
    "machine-id": {
      type: "string",
      description: "this machine's name in addresses (default: its host name)",
      valueHint: "NAME",
    },
    service: { type: "boolean", default: true, description: "run in the background from log-in on" },
    telegram: {
      type: "boolean",
      default: false,
      description:
        "the hub's bot, checked: TELEGRAM_BOT_TOKEN, TELEGRAM_SUPERGROUP_ID, TELEGRAM_OWNER_ID, or asked",
    },
    "telegram-group": { type: "string", description: "id of its group", valueHint: "ID" },
    "telegram-owner": { type: "string", description: "id of a user whom it obeys", valueHint: "ID" },
    json,
  },
  examples: [
    "ai-intercom setup                  # shows what it would change, then asks",
    "ai-intercom setup --yes            # the first machine: a hub of its own",
    "ai-intercom setup --yes --join 7K3M-9QXT-2BVN-84HD@http://100.64.0.1:7700",
    "ai-intercom setup --yes --no-service",
    "TELEGRAM_BOT_TOKEN=… ai-intercom setup --yes --telegram --telegram-group -100123 --telegram-owner 4711",
  ],
  run: async (args) => {
    const isAsking = !args.yes && process.stdin.isTTY === true;
    const given = { code: args.join, url: args["hub-url"], machine: args["machine-id"] };
    const flags = await choiceOf(given, args.service);
    const choice = args.json ? flags : await completed(flags, isAsking);
    if (choice.join === undefined) await refuseTakenAddress();
    const telegram = await planTelegram(choice, args, isAsking && !args.json);
    const steps = await plan(choice, telegram);
    const due = steps.filter(({ changes }) => changes.length > 0);
    if (!args.json) show(steps);
    if (due.length > 0 && !args.yes && !(isAsking && (await confirmed("\ngo ahead? [Y/n] ", true)))) {
      if (isAsking) return print("nothing was changed");
      throw new IntercomError(
        "bad_usage",
        "setup asks before it changes anything, and nobody can answer here",
        {
          hint: "ai-intercom setup --yes",
        },
      );
    }
    const notes = steps.flatMap(({ unable = [] }) => unable);
    for (const step of due) notes.push(...(await step.run()));
    await finish(steps, notes, args.json);
  },
});

/** What is to be done, in order; nothing is changed by planning. */
async function plan(choice: Choice, telegram: Step | undefined): Promise<Step[]> {
  const home = resolve(homeDirectory());
  return [
    await configuration(choice),
    ...(telegram === undefined ? [] : [telegram]),
    ...(await Promise.all(
      integrations
        .filter((integration) => integration.isPresent())
        .map(async (integration): Promise<Step> => {
          const options = { program: ownProgram(), home };
          const planned = await integration.install({ ...options, dryRun: true });
          return {
            title: integration.displayName,
            changes: planned.changes.map(({ file, what }) => `${file}: ${what}`),
            run: async () => (await integration.install(options)).notes,
          };
        }),
    )),
    ...(choice.service ? [await background(choice)] : []),
  ];
}

/** The bot is the hub's: a machine that joins another one has none. */
async function planTelegram(
  { join }: Choice,
  args: { telegram: boolean; "telegram-group"?: string; "telegram-owner"?: string },
  isAsking: boolean,
): Promise<Step | undefined> {
  const [group, owner] = [args["telegram-group"], args["telegram-owner"]];
  const wanted = args.telegram || group !== undefined || owner !== undefined;
  const joins = join !== undefined || inspectConfig().config.mode === "daemon";
  if (!joins) return telegramStep({ wanted, group, owner, isAsking });
  if (!wanted) return undefined;
  throw new IntercomError("bad_usage", "the bot is the hub's, and this machine joins another's hub", {
    hint: "at the hub: ai-intercom setup --telegram",
  });
}

/** Home, key, mode, and for a joining machine its enrolment. */
async function configuration({ join, machine: name }: Choice): Promise<Step> {
  const paths = homePaths();
  const { config, present } = inspectConfig();
  const title = "configuration";
  if (join !== undefined)
    return {
      title,
      changes: (await isEnrolled(join))
        ? []
        : [
            `${paths.config}: mode daemon, machine.id, hub.url`,
            ...(existsSync(paths.machineKey) ? [] : [`${paths.machineKey}: this machine's key`]),
            "enrols this machine at the hub",
          ],
      run: async () => {
        const { url, machine, answer } = await joinHub(join);
        return answer.status === "approved" ? [] : [askedToJoin(url, machine, answer.fingerprint)];
      },
    };
  const wanted = { mode: config.mode, "machine.id": name ?? config.machine.id };
  const text = present ? (readTextIfPresent(paths.config) ?? "") : "";
  const renamed = name !== undefined && name !== config.machine.id;
  const missing = renamed || !/^mode:/m.test(text) || !/^machine:/m.test(text);
  const key = readTextIfPresent(paths.machineKey) === undefined;
  return {
    title,
    changes: [
      ...(missing ? [`${paths.config}: mode ${wanted.mode}, machine.id ${wanted["machine.id"]}`] : []),
      ...(key ? [`${paths.machineKey}: this machine's key`] : []),
    ],
    run: async () => {
      privateHome(paths);
      setConfigKeys(paths.config, wanted);
      loadOrCreateMachineKey(paths.machineKey);
      return [];
    },
  };
}

/** The service; where there is no manager for it, that is a note and no failure. */
async function background({ join }: Choice): Promise<Step> {
  const title = "service";
  const mode: Mode = join !== undefined ? "daemon" : loadConfig().mode;
  try {
    const manager = serviceManager({ system: false });
    await manager.requireAnswer();
    const definition = manager.definition({ ...serviceJob(), mode });
    const { installed, running } = await manager.status();
    const current = installed && (await Bun.file(manager.file).text()) === definition;
    return {
      title,
      changes:
        current && running
          ? []
          : [`${manager.file}: runs \`ai-intercom ${mode}\` from log-in on (${manager.name})`],
      run: async () => {
        try {
          await manager.install(serviceJob());
          return await manager.notes();
        } catch (thrown) {
          return [await withoutService(toIntercomError(thrown), mode)];
        }
      },
    };
  } catch (thrown) {
    const error = toIntercomError(thrown);
    if (error.code !== "not_supported") throw error;
    return { title, changes: [], unable: await withoutService(error, mode), run: async () => [] };
  }
}

async function withoutService({ message, code }: IntercomError, mode: Mode): Promise<string> {
  if (code !== "not_supported" && code !== "service_failed" && code !== "conflict")
    return `no service: ${message}`;
  if (await isServed(mode === "hub" ? "hub" : "daemon"))
    return `no service: ${message}; ai-intercom ${mode} runs already, but is not started at log-in`;
  return `no service: ${message}; run it in a terminal: ai-intercom ${mode}`;
}

function show(steps: readonly Step[]): void {
  for (const { title, changes, unable, found = [] } of steps) {
    const state = unable === undefined ? ": as it should be" : ": cannot be had here";
    print(`${bold(title)}${changes.length === 0 ? state : ""}`);
    for (const change of changes) print(`  ${change}`);
    for (const { state, code, text, fix = "" } of found)
      print(`  ${state.padEnd(4)}  ${code}: ${oneLine(text, 600)}${fix && `; fix: ${oneLine(fix, 600)}`}`);
  }
}

async function finish(steps: readonly Step[], notes: string[], asJson: boolean): Promise<void> {
  const { mode } = loadConfig();
  const isPending = notes.some((note) => note.startsWith("asked "));
  const proof = isPending || mode === "hub" ? undefined : await selfTest(mode, resolve(homeDirectory()));
  if (asJson) {
    const found = steps.flatMap(({ found = [] }) => found);
    const changes = steps.flatMap(({ title, changes }) => changes.map((change) => ({ part: title, change })));
    return printJson({ mode, changes, notes, self_test: proof ?? null, found });
  }
  for (const note of notes) print(`note: ${note}`);
  if (proof) showProof(proof);
  print(
    `\nnext:\n${nextSteps(mode, isPending, await isServed(mode === "hub" ? "hub" : "daemon"))
      .map((line) => `  ${line}`)
      .join("\n")}`,
  );
}

function showProof(proof: SelfTest): void {
  print(`\n${bold("self-test")}`);
  for (const { step, ms } of proof) print(`${dim(`${ms.toFixed(1)} ms`.padStart(10))}  ${step}`);
}

function nextSteps(mode: Mode, isPending: boolean, isServed: boolean): string[] {
  const hasAgents = integrations.some((integration) => integration.isPresent());
  const lines = [
    ...(isServed ? [] : [`ai-intercom ${mode}    # start it; nothing runs in the background here`]),
    hasAgents
      ? "run your agents as always; sessions that run now take part after a restart"
      : "no agent CLI was found here; when one is installed: ai-intercom setup",
  ];
  if (isPending) lines.unshift("a person approves this machine at its hub; then it links by itself");
  if (mode !== "daemon")
    lines.push("ai-intercom invite    # a code for another machine: ai-intercom setup --join CODE");
  return [
    ...lines,
    "ai-intercom agents    # who can be reached",
    "ai-intercom doctor    # if something is not as it should be",
  ];
}
