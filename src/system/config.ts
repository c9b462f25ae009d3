// The configuration: one schema gives `config.yml`, the environment, the defaults and the help text.
// Order: environment over file over defaults. Reads only; `config-edit.ts` writes.
import { homedir, hostname } from "node:os";
import { z } from "zod";
import { Name, slug } from "../protocol/address.ts";
import { IntercomError } from "../protocol/errors.ts";
import { readTextIfPresent, refuseReadable } from "./files.ts";
import { log } from "./log.ts";
import { homePaths } from "./paths.ts";

export const defaultHubPort = 7700;
const defaultHubListen = `127.0.0.1:${defaultHubPort}`;
export const defaultHubUrl = `http://${defaultHubListen}`;

const HostPort = z
  .string()
  .regex(/^(\[[0-9a-fA-F:]+\]|[^:\s]+):\d{1,5}$/, "write HOST:PORT, for example 127.0.0.1:7700")
  .refine((text) => Number(text.slice(text.lastIndexOf(":") + 1)) <= 65535, "a port is at most 65535");
const HttpUrl = z.url({ protocol: /^https?$/, error: "write a URL that starts with http:// or https://" });
const path = z.string().min(1);
const number = (error: string) => z.coerce.number({ error }).int(error);
const count = (fallback: number) => {
  const allowed = "write a whole number above 0";
  return number(allowed).positive(allowed).default(fallback);
};

const Project = z.object({
  id: Name.optional(),
  path,
  description: z.string().default(""),
  capabilities: z.array(z.string()).default([]),
  tags: z.array(z.string()).default([]),
});

/** YAML gives booleans, the environment words: true/false, yes/no, on/off, 1/0. */
const flag = z.union([z.boolean(), z.stringbool()], { error: "write true or false" });

/** A directory; `~/` is the person's own. Relative to what would nobody know, so it must be absolute. */
const directory = z
  .string()
  .transform((text) => text.replace(/^~(?=\/|$)/, () => process.env.HOME || homedir()))
  .refine((text) => text.startsWith("/"), "write an absolute path, or one that starts with ~/");

/** One way to run an agent for a mission. No shell: each argument is one word of its command line. */
const LaunchCommand = z.object({
  /** looked for in the daemon's PATH, never in a project */
  command: z
    .string()
    .regex(/^(\/.+|[^/\0]+)$/, "write a program's name, which is looked for in PATH, or its absolute path"),
  args: z.array(z.string()).default([]),
  /** how the task gets in: over standard input, or as the last argument */
  prompt: z.enum(["stdin", "argument"]).default("stdin"),
  /** what it prints: Claude Code's stream-json, or text that is the answer */
  format: z.enum(["claude", "text"]).default("text"),
});
export type LaunchCommand = z.output<typeof LaunchCommand>;

/** Not worth a look when searching for projects: caches, what others wrote, what was built, and hidden directories. */
const usualExcludes = [".*", "node_modules", "vendor", "dist", "build", "target", "venv", "__pycache__"];

export const Config = z.object({
  mode: z
    .enum(["standalone", "hub", "daemon"])
    .default("standalone")
    .describe("what `setup` runs on this machine"),
  language: z.enum(["en", "fr"]).default("en").describe("language of what agents and the person read"),
  machine: z
    .object({
      id: Name.default(() => slug(hostname().split(".")[0] ?? "", "machine")).describe(
        "this machine's name in addresses",
      ),
      display_name: z.string().max(128).default("").describe("its name as people read it"),
      description: z.string().max(2000).default("").describe("what it is for; listed at the hub"),
      tailscale_ip: z
        .string()
        .optional()
        .describe("address that invitations name where the hub listens on every address"),
    })
    .prefault({}),
  hub: z
    .object({
      url: HttpUrl.optional().describe(`where the daemon finds its hub (default ${defaultHubUrl})`),
      listen: HostPort.default(defaultHubListen).describe("where the hub listens"),
      store: z
        .string()
        .optional()
        .describe("path of the hub's SQLite database (default: hub.db in the home)"),
      keep_days: number("write a whole number of days")
        .nonnegative("write 0 or more days")
        .max(36_500, "write at most 36500 days")
        .default(90)
        .describe("days that finished threads and ended sessions are kept; 0: for ever"),
      allowed_hosts: z.array(z.string()).default([]).describe("further Host names the hub answers to"),
      allow_plain_http: flag
        .default(false)
        .describe("listen without TLS off loopback (behind a proxy or VPN)"),
    })
    .prefault({}),
  approvals: z
    .object({ expire_minutes: count(60).describe("minutes that a mission waits for a person's decision") })
    .prefault({}),
  projects: z.array(Project).default([]).describe("projects with a name, description or tags of your choice"),
  upgrade: z
    .object({
      allowed: flag
        .default(false)
        .describe("the person at the hub may upgrade this machine: ai-intercom machines upgrade"),
      patience: count(60).describe("seconds a hub or daemon may take to be well after an upgrade"),
      base_url: z
        .string()
        .min(1)
        .optional()
        .describe(
          "http(s) URL or folder of SHA256SUMS and the files it lists, for self-upgrade (default: the project's releases)",
        ),
    })
    .prefault({}),
  discovery: z
    .object({
      enabled: flag.default(true).describe("look for projects below scan_paths"),
      scan_paths: z.array(directory).default([]).describe("where projects are looked for; empty: nowhere"),
      detect_by: z
        .array(z.string().regex(/^[^/\0]+$/, "write the name of a file or directory"))
        .default(["CLAUDE.md", "AGENTS.md", ".git"])
        .describe("a directory that holds one of these is a project"),
      exclude: z
        .array(z.string().min(1))
        .default(usualExcludes)
        .describe("directories left out: names, or absolute paths; * and ? stand for any characters"),
    })
    .prefault({}),
  agent_launcher: z
    .object({
      default_command: Name.default("claude").describe("what runs a mission: claude, or a name in commands"),
      default_args: z.array(z.string()).default([]).describe("further arguments of the default command"),
      allowed_paths: z
        .array(directory)
        .default([])
        .describe("missions run only in projects below these; empty: none may run"),
      max_mission_duration: count(1800).describe("seconds a mission may run"),
      max_parallel: count(2).describe("missions that run at once; further ones wait"),
      commands: z
        .record(Name, LaunchCommand)
        .default({})
        .describe("other agents by name: {command, args, prompt: stdin|argument, format: text|claude}"),
    })
    .prefault({}),
  telegram: z
    .object({
      bot_token: z
        .string()
        .regex(/^\d+:[A-Za-z0-9_-]+$/, "a bot token looks like 123456:ABC…, as @BotFather gives it")
        .optional()
        .describe("of the hub's bot; without it there is no Telegram"),
      supergroup_id: number("write a whole number, for example -1001234567890")
        .optional()
        .describe("the chat in which everything is shown; a supergroup with topics, or a plain group"),
      api_root: HttpUrl.default("https://api.telegram.org").describe("where the Bot API is reached"),
      security: z
        .object({
          allowed_users: z
            .array(number("write a user's id, a whole number").positive("write a user's id, above 0"))
            .default([])
            .describe("ids of the users the bot obeys; TELEGRAM_OWNER_ID adds one"),
          restrict_to_supergroup: flag.default(true).describe("obey in the supergroup only"),
          ignore_private_messages: flag
            .default(true)
            .describe("answer nobody in private, not even an allowed user"),
        })
        .prefault({}),
    })
    .prefault({}),
  dispatcher: z
    .object({
      enabled: flag
        .default(false)
        .describe("a plain message to the bot becomes a mission of dispatcher.target"),
      target: z
        .string()
        .regex(/^[^/@\s]+\/[^/@\s]+$/, "write machine/project")
        .optional()
        .describe("machine/project that answers"),
      system_prompt: z.string().max(10_000).default("").describe("stands before every such message"),
      memory: z
        .object({
          enabled: flag.default(true).describe("earlier messages and answers go along"),
          exchanges: count(10).describe("how many of them"),
          hours: count(24).describe("how old they may be"),
        })
        .prefault({}),
    })
    .prefault({}),
  metrics: z
    .object({
      token: z.string().optional().describe("bearer token of the hub's /metrics; without it closed"),
    })
    .prefault({}),
  limits: z
    .object({
      message_bytes: count(65_536).describe("longest message, bytes of UTF-8"),
      rate: count(20).describe("messages a second from one session"),
      burst: count(100).describe("messages at once from one session"),
      unread: count(10_000).describe("unread messages one session may have"),
      loop: count(30).describe("agent messages in a thread without a person"),
    })
    .prefault({}),
});
export type Config = z.output<typeof Config>;

/** Variables with a name of their own (contract.md); every other key is `AI_INTERCOM_<KEY>`. */
const ownerVariable = "TELEGRAM_OWNER_ID";
const namedVariables: Record<string, string> = {
  HUB_URL: "hub.url",
  TELEGRAM_BOT_TOKEN: "telegram.bot_token",
  TELEGRAM_SUPERGROUP_ID: "telegram.supergroup_id",
  [ownerVariable]: "telegram.security.allowed_users",
  AI_INTERCOM_BASE_URL: "upgrade.base_url",
};
/** objects have no form in the environment */
const inFileOnly = new Set(["projects", "agent_launcher.commands"]);
const shownVariable = (key: string) =>
  inFileOnly.has(key)
    ? "in the file only"
    : (Object.keys(namedVariables).find((name) => namedVariables[name] === key && name !== ownerVariable) ??
      variableOf(key));

export type ConfigSource = { file?: string; env?: Record<string, string | undefined> };

/** Reads `file` (default: the home's config.yml) and the environment. Warns of unknown keys; throws on wrong values. */
export function loadConfig(options: ConfigSource = {}): Config {
  const { config, file, unknown } = inspectConfig(options);
  for (const key of unknown) log.warn(`${file}: unknown key ${key} is ignored`);
  return config;
}

/** The same without a warning: names the keys that nobody knows. */
export function inspectConfig(options: ConfigSource = {}): {
  config: Config;
  file: string;
  /** false: there is no such file */
  present: boolean;
  unknown: string[];
} {
  const file = options.file ?? homePaths().config;
  const text = readTextIfPresent(file);
  if (text === undefined && options.file !== undefined)
    throw new IntercomError("bad_config", `there is no file ${file}`, {
      hint: "leave out --config to use the home's config.yml",
    });
  const raw = text === undefined ? {} : parseYaml(file, text);
  if (holdsSecret(raw)) refuseReadable(file);
  const unknown = unknownKeys(raw, Config, "");
  const fromEnvironment = applyEnvironment(raw, options.env ?? process.env);
  const parsed = Config.safeParse(raw);
  if (parsed.success) return { config: parsed.data, file, present: text !== undefined, unknown };
  throw badValue(file, raw, parsed.error, fromEnvironment);
}

/** Every key with its default and meaning, for `--help` and docs. */
export function describeConfig(): { key: string; variable: string; text: string }[] {
  return leafKeys(Config).map(({ key, schema }) => ({
    key,
    variable: shownVariable(key),
    text: schema.description ?? "",
  }));
}

function parseYaml(file: string, text: string): Record<string, unknown> {
  try {
    const value: unknown = Bun.YAML.parse(text);
    if (value === null || value === undefined) return {};
    if (isRecord(value)) return value;
  } catch (error) {
    throw new IntercomError(
      "bad_config",
      `${file} is not valid YAML: ${error instanceof Error ? error.message : error}`,
      {
        hint: `correct the file; every key and its meaning: ai-intercom standalone --help`,
      },
    );
  }
  throw new IntercomError("bad_config", `${file} must hold keys and values, not a single value or list`);
}

/** `hub.store`: the address of a database may hold a password */
const secretKeys = ["telegram.bot_token", "metrics.token", "hub.store"];

/** A secret, or what a file whose shape is wrong has in the place of a section with one: that is never shown. */
function mayHoldSecret(key: string): boolean {
  return secretKeys.some((secret) => secret === key || secret.startsWith(`${key}.`));
}

function holdsSecret({ telegram, metrics }: Record<string, unknown>): boolean {
  return (isRecord(telegram) && "bot_token" in telegram) || (isRecord(metrics) && "token" in metrics);
}

function badValue(
  file: string,
  raw: unknown,
  error: z.ZodError,
  fromEnvironment: Map<string, string>,
): IntercomError {
  const [issue] = error.issues;
  const key = issue?.path.join(".") ?? "";
  const value = issue?.path.reduce<unknown>(
    (at, part) => (isRecord(at) || Array.isArray(at) ? Reflect.get(at, part) : undefined),
    raw,
  );
  const source = fromEnvironment.get(key) ?? file;
  const shown = mayHoldSecret(key) ? "its value" : JSON.stringify(value);
  return new IntercomError("bad_config", `${source}: ${key} cannot be ${shown}: ${issue?.message}`, {
    hint: `correct ${key} in ${source}`,
  });
}

/** Puts values of the environment into `raw`; returns key → variable for error messages. */
function applyEnvironment(
  raw: Record<string, unknown>,
  env: Record<string, string | undefined>,
): Map<string, string> {
  const used = new Map<string, string>();
  const names = [
    ...Object.entries(namedVariables).filter(([name]) => name !== ownerVariable),
    ...leafKeys(Config)
      .filter(({ key }) => !inFileOnly.has(key))
      .map(({ key }) => [variableOf(key), key] as const),
    [ownerVariable, "telegram.security.allowed_users"] as const,
  ];
  for (const [variable, key] of names) {
    const value = env[variable];
    if (value === undefined || value === "" || (used.has(key) && variable !== ownerVariable)) continue;
    const path = key.split(".");
    if (variable === ownerVariable) {
      // one more on the list, whatever the file names
      const listed = path.reduce<unknown>((at, part) => (isRecord(at) ? at[part] : undefined), raw);
      setAt(raw, path, [...(Array.isArray(listed) ? listed : []), value]);
      continue;
    }
    setAt(raw, path, isListKey(key) ? value.split(",").map((part) => part.trim()) : value);
    used.set(key, variable);
  }
  return used;
}

const variableOf = (key: string) => `AI_INTERCOM_${key.replaceAll(".", "_").toUpperCase()}`;

function setAt(target: Record<string, unknown>, [head = "", ...rest]: string[], value: unknown): void {
  if (rest.length === 0) {
    target[head] = value;
    return;
  }
  const inner = target[head];
  const next = isRecord(inner) ? inner : {};
  target[head] = next;
  setAt(next, rest, value);
}

/** Keys of the schema that hold values. */
function leafKeys(schema: z.ZodObject, prefix = ""): { key: string; schema: z.ZodType }[] {
  return Object.entries(schema.shape).flatMap(([name, value]) => {
    const key = prefix + name;
    const inner = unwrap(value);
    if (inner instanceof z.ZodObject) return leafKeys(inner, `${key}.`);
    return [{ key, schema: value }];
  });
}

function isListKey(key: string): boolean {
  const found = leafKeys(Config).find((leaf) => leaf.key === key);
  return found !== undefined && unwrap(found.schema) instanceof z.ZodArray;
}

function unwrap(schema: unknown): unknown {
  if (schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault || schema instanceof z.ZodOptional)
    return unwrap(schema.def.innerType);
  return schema;
}

/** `projects.0.foo`: in lists and in what has names of the person's choice too. */
function unknownKeys(value: unknown, given: unknown, prefix: string): string[] {
  const schema = unwrap(given);
  if (schema instanceof z.ZodArray && Array.isArray(value))
    return value.flatMap((item, at) => unknownKeys(item, schema.element, `${prefix}${at}.`));
  if (!isRecord(value)) return [];
  const entries = Object.entries(value);
  if (schema instanceof z.ZodRecord)
    return entries.flatMap(([name, item]) => unknownKeys(item, schema.valueType, `${prefix}${name}.`));
  if (!(schema instanceof z.ZodObject)) return [];
  return entries.flatMap(([name, item]) =>
    Object.hasOwn(schema.shape, name)
      ? unknownKeys(item, schema.shape[name], `${prefix}${name}.`)
      : [prefix + name],
  );
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
