// This machine's enrolment at a hub: what `join` and `setup` were given, made sense of before anything is asked or
// written. A machine that has a hub of its own keeps running it.
import { existsSync, readdirSync, rmdirSync } from "node:fs";
import { networkInterfaces } from "node:os";
import { z } from "zod";
import { askHub, requestJoin } from "../daemon/hub-client.ts";
import { namePattern } from "../protocol/address.ts";
import { IntercomError } from "../protocol/errors.ts";
import type { JoinAnswer } from "../protocol/hub-api.ts";
import { type InviteCode, parseInvite } from "../protocol/invite.ts";
import { DaemonHealth } from "../protocol/local-api.ts";
import { type Config, defaultHubUrl, loadConfig } from "../system/config.ts";
import { setConfigKeys } from "../system/config-edit.ts";
import { unlinkIfPresent } from "../system/files.ts";
import { privateHome } from "../system/home.ts";
import { loadOrCreateMachineKey, type MachineKey } from "../system/keys.ts";
import { type HomePaths, homePaths } from "../system/paths.ts";
import { askDaemon, askServer, isHubHost } from "./access.ts";

/** ms that a hub on this computer may take to say its name */
const discoverMs = 2_000;

/** `code`, `url` and `machine` as a person gave them. */
export type JoinWords = { code?: string; url?: string; machine?: string };

/** `isOwnHub`: that hub is the one of this home, which goes on running as it does. */
type JoinPlan = { code: InviteCode | undefined; url: string; machine: string; isOwnHub: boolean };

/** Changes nothing. Throws `bad_usage` for words that cannot be meant, `conflict` where it would turn off a hub. */
export async function planJoin(given: JoinWords): Promise<JoinPlan> {
  const config = loadConfig();
  const code = given.code === undefined ? undefined : inviteOf(given.code);
  const url = urlOf(given.url) ?? code?.url ?? config.hub.url ?? defaultHubUrl;
  const machine = machineNameOf(given.machine) ?? config.machine.id;
  if (!hasHub(config)) return { code, url, machine, isOwnHub: false };
  if (await isOwn(url, config)) return { code, url, machine, isOwnHub: true };
  throw new IntercomError("conflict", `a hub of its own runs in ${homePaths().home}; ${url} is another one`, {
    hint: "to give that hub up, stop it, then join again",
  });
}

/** Enrols this machine and writes into config.yml where its hub is, unless it is this home's own. */
export async function joinHub(
  given: JoinWords,
): Promise<{ url: string; machine: string; isOwnHub: boolean; answer: JoinAnswer }> {
  const paths = homePaths();
  const { code, url, machine, isOwnHub } = await planJoin(given);
  const { display_name, description } = loadConfig().machine;
  const answer = await withKey(paths, (key) =>
    requestJoin({ url, machine, key }, { display_name, description, ...(code ? { code: code.secret } : {}) }),
  );
  if (!isOwnHub) setConfigKeys(paths.config, { mode: "daemon", "machine.id": machine, "hub.url": url });
  // a hub that runs alone: the daemon beside it must find it
  else if ((await daemonHealth()) === undefined)
    setConfigKeys(paths.config, { "machine.id": machine, "hub.url": url });
  else if (given.machine !== undefined) setConfigKeys(paths.config, { "machine.id": machine });
  await askDaemon("/api/link/reconnect", {}).catch(() => undefined); // no daemon runs yet: it will read the file
  return { url, machine, isOwnHub, answer };
}

/** Does the hub know this machine by its key, under this name, and let it in? Asks it, and changes nothing. */
export async function isEnrolled(given: JoinWords): Promise<boolean> {
  const { config, machineKey } = homePaths();
  const { mode, hub, machine: now } = loadConfig();
  const { url, machine } = await planJoin(given);
  const isWritten = mode === "daemon" && hub.url === url && now.id === machine;
  if (!isWritten || ![config, machineKey].every((path) => existsSync(path))) return false;
  const access = { url, machine, key: loadOrCreateMachineKey(machineKey) };
  return askHub(access, "POST", "/api/heartbeat", {}).then(
    () => true,
    () => false,
  );
}

/**
 * The key is on disk before a hub hears of it. One that was made for this and refused goes again, with the home; one
 * that the hub may have let in, though its answer is lost, stays: the same words again find it enrolled.
 */
async function withKey<T>(paths: HomePaths, use: (key: MachineKey) => Promise<T>): Promise<T> {
  const { home, machineKey } = paths;
  const made = [home, machineKey].filter((path) => !existsSync(path));
  privateHome(paths);
  const key = loadOrCreateMachineKey(machineKey);
  try {
    return await use(key);
  } catch (error) {
    const isRefused = error instanceof IntercomError && (error.code !== "hub_unreachable" || isAbsent(error));
    if (isRefused && made.includes(machineKey)) unlinkIfPresent(machineKey);
    if (isRefused && made.includes(home) && readdirSync(home).length === 0) rmdirSync(home);
    throw error;
  }
}

/** Nobody took the connection, or somebody who is no hub: no hub heard of the key. */
function isAbsent({ cause }: IntercomError): boolean {
  if (cause === undefined) return true;
  return cause instanceof Error && "code" in cause && absent.includes(String(cause.code));
}

/** of Bun's fetch (1.4.5) */
const absent = ["ECONNREFUSED", "ConnectionRefused", "ENOTFOUND"];

export function askedToJoin(url: string, machine: string, print: string): string {
  return `asked ${url} to let ${machine} in\na person there compares this fingerprint and approves:\n  ${print}\n  ai-intercom machines approve ${machine}`;
}

export function machineNameOf(text: string | undefined): string | undefined {
  if (text === undefined || namePattern.test(text)) return text;
  throw new IntercomError("bad_usage", `--machine-id cannot be "${text}"`, {
    hint: "1 to 64 of A-Z a-z 0-9 . _ -, first a letter or digit",
  });
}

/** The name of the machine that this home's own hub runs on; undefined where no hub runs here. */
export async function ownMachine(): Promise<string | undefined> {
  if (!isHubHost()) return undefined;
  return (await daemonHealth())?.machine_id ?? loadConfig().machine.id;
}

/** A code that cannot be one is a typing error; whether it is good, only its hub knows. */
function inviteOf(text: string): InviteCode {
  try {
    return parseInvite(text);
  } catch (error) {
    if (!(error instanceof IntercomError)) throw error;
    throw new IntercomError("bad_usage", `"${text}": ${error.message}`, { hint: error.hint, cause: error });
  }
}

function urlOf(text: string | undefined): string | undefined {
  if (text === undefined || /^https?:\/\/[^\s/@]+\/?$/.test(text)) return text?.replace(/\/$/, "");
  throw new IntercomError("bad_usage", `--hub-url cannot be "${text}"`, { hint: "http://HOST:PORT" });
}

/** A hub runs here. One that was only tried, and stopped, is given up by joining another. */
function hasHub({ mode }: Config): boolean {
  return mode !== "daemon" && isHubHost();
}

/** By the names it is known under here; on this computer by its port, or by what it calls itself. */
async function isOwn(url: string, config: Config): Promise<boolean> {
  const { host, hostname, port } = new URL(url);
  const known = [config.hub.url, (await daemonHealth())?.hub_url, `http://${config.hub.listen}`]
    .map((one) => (one === undefined ? null : URL.parse(one)))
    .filter((one) => one !== null);
  if (known.some((one) => one.host === host)) return true;
  if (!isThisComputer(hostname.replace(/^\[(.*)\]$/, "$1"))) return false;
  return known.some((one) => one.port === port) || (await isSameHub(url));
}

/** `hub --listen` chose a port that no file holds. */
async function isSameHub(url: string): Promise<boolean> {
  const Discovered = z.object({ hub: z.literal(true), name: z.string() });
  try {
    const response = await fetch(`${url}/api/discover`, { signal: AbortSignal.timeout(discoverMs) });
    const there = Discovered.parse(await response.json());
    const here = Discovered.parse(await askServer("hub", "/api/discover"));
    return there.name === here.name;
  } catch {
    return false; // no hub runs here, or none answers there
  }
}

function isThisComputer(hostname: string): boolean {
  if (hostname === "localhost") return true;
  return Object.values(networkInterfaces()).some((all) => all?.some(({ address }) => address === hostname));
}

async function daemonHealth(): Promise<DaemonHealth | undefined> {
  return askDaemon("/health").then(DaemonHealth.parse, () => undefined);
}
