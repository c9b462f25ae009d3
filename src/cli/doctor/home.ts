// The home directory and what lies in it: modes, owner, room, configuration, key, what was set aside.
import { accessSync, constants, lstatSync, readdirSync, type Stats, statfsSync } from "node:fs";
import { nearMatches } from "../../protocol/address.ts";
import { IntercomError, toIntercomError } from "../../protocol/errors.ts";
import { describeConfig } from "../../system/config.ts";
import { isErrno, readTextIfPresent } from "../../system/files.ts";
import { fingerprint, loadOrCreateMachineKey } from "../../system/keys.ts";
import { lockHolder } from "../../system/lock.ts";
import type { HomePaths } from "../../system/paths.ts";
import { identify } from "../../system/process.ts";
import { socketPathBytes } from "../../system/socket.ts";
import { type Check, fail, ok, shellWord, warn } from "./check.ts";
import type { Observed } from "./observed.ts";

const mb = 1024 * 1024;
/** bytes */
const lowDiskBytes = 100 * mb;
const fullDiskBytes = 10 * mb;
/** ms in which a daemon that runs may still remove what an ended agent left */
const settlingMs = 60_000;

export const homeChecks: ((seen: Observed) => Check[])[] = [
  checkHome,
  checkFiles,
  checkDisk,
  checkConfig,
  checkKey,
  checkSocketPath,
  checkSetAside,
  checkUntold,
  checkStaleNames,
];

/** Directories that the daemon refuses to use unless they are ours and private. */
function checkHome({ paths }: Observed): Check[] {
  if (!look(paths.home))
    return [
      fail(
        "home_missing",
        `${paths.home} does not exist`,
        "ai-intercom standalone   # makes it; or set AI_INTERCOM_HOME",
      ),
    ];
  const problems = [paths.home, paths.run, paths.inbox, paths.pending].flatMap(checkDirectory);
  if (problems.length > 0) return problems;
  const reason = unwritable(paths.home);
  if (reason !== undefined)
    return [
      fail(
        "home_read_only",
        `${paths.home} cannot be written to (${reason})`,
        `make it writable: chmod u+rwx ${shellWord(paths.home)}; on a read-only disk: mount -o remount,rw`,
      ),
    ];
  return [ok("home", `${paths.home} is ours, private (0700) and writable`)];
}

function checkDirectory(path: string): Check[] {
  const stat = look(path);
  if (!stat) return [];
  const word = shellWord(path);
  if (!stat.isDirectory())
    return [fail("home_unusable", `${path} is not a directory`, `mv ${word} ${word}.old`)];
  if (stat.uid !== process.getuid?.())
    return [
      fail(
        "home_unusable",
        `${path} belongs to another user (uid ${stat.uid})`,
        `chown -R "$(id -u)" ${word}`,
      ),
    ];
  if ((stat.mode & 0o077) !== 0)
    return [fail("home_open", `${path} has mode ${octal(stat)}, not 0700`, `chmod 700 ${word}`)];
  return [];
}

/** The key has a check of its own; a config.yml without secrets may be readable. */
function checkFiles({ paths }: Observed): Check[] {
  const open = filesIn(paths).filter(({ path, stat }) => {
    if (path === paths.machineKey || (stat.mode & 0o077) === 0) return false;
    return path !== paths.config || /token|secret|password|:\/\/[^/\s]+@/.test(readQuietly(path));
  });
  if (open.length === 0) return [];
  const words = open.map(({ path }) => shellWord(path)).join(" ");
  const named = open.map(({ path, stat }) => `${path} (${octal(stat)})`).join(", ");
  return [warn("file_open", `not private: ${named}`, `chmod 600 ${words}`)];
}

function checkDisk({ paths }: Observed): Check[] {
  if (!look(paths.home)) return [];
  const { bavail, bsize, files, ffree } = statfsSync(paths.home);
  const free = bavail * bsize;
  const noFiles = files > 0 && ffree === 0;
  const text = noFiles
    ? `no more files can be made on the disk of ${paths.home}`
    : `${Math.floor(free / mb)} MB free on the disk of ${paths.home}`;
  const fix = `make room on that disk: df -h ${shellWord(paths.home)}`;
  if (noFiles || free < fullDiskBytes) return [fail("disk_full", `${text}: mail is refused`, fix)];
  return [free < lowDiskBytes ? warn("disk_low", text, fix) : ok("disk", text)];
}

function checkConfig({ config }: Observed): Check[] {
  if (config instanceof IntercomError)
    return [fail("config_invalid", config.message, config.hint ?? "correct config.yml")];
  const { file, present, unknown } = config;
  if (!present) return [ok("config", `no ${file}: defaults and environment`)];
  if (unknown.length === 0) return [ok("config", `${file} is valid`)];
  const known = describeConfig().map(({ key }) => key);
  return unknown.map((key) => {
    // inside of a list or a map no key of the whole looks like it
    const isInside = known.some((one) => key.startsWith(`${one}.`));
    const [near] = isInside ? [] : nearMatches(key, known);
    const fix = `remove ${key} from ${file}${near ? `, or write ${near}` : ""}`;
    return warn("config_unknown_key", `${file}: unknown key ${key} is ignored`, fix);
  });
}

function checkKey({ paths: { machineKey, home, run }, daemon }: Observed): Check[] {
  const running = daemon instanceof IntercomError ? undefined : daemon;
  if (!look(machineKey)) {
    if (!running) return look(home) ? [ok("key", "no machine.key yet; the first start makes it")] : [];
    // a standalone takes its own machine's new key when it starts
    const ownHub = lockHolder(`${run}/hub.lock`) === running.pid;
    const without = ownHub
      ? "restart ai-intercom standalone, which makes a new one and enrols it"
      : "restart the daemon and: ai-intercom join CODE";
    const fix = `put ${shellWord(machineKey)} back from a backup; without one ${without}`;
    return [fail("key_missing", `${machineKey} is gone while the daemon runs`, fix)];
  }
  try {
    const print = fingerprint(loadOrCreateMachineKey(machineKey).publicKey);
    if (running && running.fingerprint !== print)
      return [
        warn(
          "key_changed",
          `machine.key is ${print}, the daemon runs with ${running.fingerprint}`,
          "restart the daemon, or put the old machine.key back",
        ),
      ];
    return [ok("key", `machine.key is ${print}`)];
  } catch (thrown) {
    const error = toIntercomError(thrown);
    return [fail("key_unusable", error.message, error.hint ?? `ls -l ${shellWord(machineKey)}`)];
  }
}

function checkSocketPath({ paths }: Observed): Check[] {
  const bytes = Buffer.byteLength(paths.daemonSocket);
  const text = `${paths.daemonSocket} has ${bytes} bytes, at most ${socketPathBytes} work`;
  if (bytes > socketPathBytes)
    return [fail("socket_path_long", text, "choose a shorter home: export AI_INTERCOM_HOME=~/.aii")];
  return [ok("socket", text)];
}

/** What could not be read and was kept beside, and temporary files of processes that died. */
function checkSetAside({ paths }: Observed): Check[] {
  return filesIn(paths).flatMap(({ path, stat }) => {
    const word = shellWord(path);
    if (path === `${paths.outbox}.corrupt`)
      return [
        warn(
          "outbox_damaged",
          `${path}: ${stat.size} bytes of the outbox that could not be read, set aside ${stat.mtime.toISOString()}: what they held was not sent`,
          `read what was meant to go out, have it sent again, then remove it: less ${word}; rm ${word}`,
        ),
      ];
    if (/\.corrupt(\W|$)/.test(path))
      return [
        warn(
          "quarantined",
          `${path}: ${stat.size} bytes that could not be read, set aside ${stat.mtime.toISOString()}`,
          `look at it, then remove it: less ${word}; rm ${word}`,
        ),
      ];
    const writer = /\.(\d+)\.tmp$/.exec(path)?.[1];
    if (writer !== undefined && !identify(Number(writer)))
      return [warn("stale_file", `${path} was left by process ${writer}, which is gone`, `rm ${word}`)];
    return [];
  });
}

/** What damage took and whose senders do not know it: the daemon tells them within seconds, where it can. */
function checkUntold({ paths }: Observed): Check[] {
  return filesIn(paths).flatMap(({ path }) => {
    if (!path.endsWith(".lost")) return [];
    const word = shellWord(path);
    if (path === `${paths.outbox}.lost`)
      return [
        warn(
          "sender_not_told",
          `${path}: agents whose messages were damaged in the outbox do not know it yet: the daemon is down, or their session or room in its inbox is missing`,
          `start the daemon: ai-intercom daemon; for sessions that never come back: less ${word}; rm ${word}`,
        ),
      ];
    return [
      warn(
        "mail_lost",
        `${path}: this inbox was damaged, and the senders of what it lost do not know it yet: the hub has not been asked, or is too old to be`,
        "start the daemon and let it reach its hub: ai-intercom status; where it has, upgrade the hub",
      ),
    ];
  });
}

/** Markers and bells are named after their agent's process; the daemon removes them, unless it was killed. */
function checkStaleNames({ paths: { pending, bell } }: Observed): Check[] {
  return [pending, bell].flatMap((directory) =>
    namesIn(directory).flatMap((name) => {
      const path = `${directory}/${name}`;
      const stat = look(path);
      const gone = /^[1-9]\d*$/.test(name) && !identify(Number(name));
      if (!stat || !gone || Date.now() - stat.mtimeMs < settlingMs) return [];
      const text = `${path} is of process ${name}, which is gone`;
      return [warn("stale_file", text, `rm ${shellWord(path)}   # or start the daemon: it does so`)];
    }),
  );
}

function filesIn({ home, inbox }: HomePaths): { path: string; stat: Stats }[] {
  return [home, inbox].flatMap((directory) =>
    namesIn(directory).flatMap((name) => {
      const path = `${directory}/${name}`;
      const stat = look(path);
      return stat?.isFile() ? [{ path, stat }] : [];
    }),
  );
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory).sort();
  } catch {
    return []; // missing or closed to us: checkHome says so
  }
}

function look(path: string): Stats | undefined {
  try {
    return lstatSync(path, { throwIfNoEntry: false });
  } catch {
    return undefined; // a file where a directory should be, or no way in
  }
}

function readQuietly(path: string): string {
  try {
    return readTextIfPresent(path) ?? "";
  } catch {
    return "";
  }
}

function unwritable(path: string): string | undefined {
  try {
    accessSync(path, constants.W_OK | constants.X_OK);
    return undefined;
  } catch (error) {
    return isErrno(error, "EROFS") ? "the disk is read-only" : "no permission";
  }
}

const octal = ({ mode }: Stats): string => `0${(mode & 0o777).toString(8)}`;
