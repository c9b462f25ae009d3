// Who a process is. A pid alone can be reused; a pid with its start identity cannot (boot id and start ticks on
// Linux, start time on macOS), not even between machines.
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { basename } from "node:path";
import { isErrno } from "./files.ts";

export type ProcessIdentity = { pid: number; start: string };

/** What a process looks like from outside: to recognise an agent CLI or a wrapper. */
export type ProcessLook = ProcessIdentity & {
  parent: number;
  name: string;
  argv: string[];
  /** it has a controlling terminal */
  terminal?: boolean;
};

/** The process that runs as `pid` now; undefined when there is none (a zombie counts as none). Throws what kept it from looking. */
function lookAt(pid: number): ProcessLook | undefined {
  if (!isPid(pid)) return undefined;
  return process.platform === "linux" ? lookAtLinux(pid) : lookAtPs(pid);
}

/** Throws what kept it from looking. */
export function identify(pid: number): ProcessIdentity | undefined {
  if (process.platform === "linux") {
    const stat = isPid(pid) ? readStat(pid) : undefined;
    return stat && { pid, start: stat.start };
  }
  const look = lookAt(pid);
  return look && { pid, start: look.start };
}

/** True while exactly this process, not merely its pid, is running. Throws what kept it from looking. */
export function isAlive({ pid, start }: ProcessIdentity): boolean {
  return identify(pid)?.start === start;
}

/**
 * How long it runs already, ms: to 10 ms on Linux, where a tick of its start is 1/100 s for every program (USER_HZ,
 * time(7)), elsewhere to the second. undefined where its start tells no time.
 */
export function ageOf({ start }: ProcessIdentity): number | undefined {
  const at = /-(\d+)$/.exec(start)?.[1];
  if (at === undefined) return undefined;
  if (start.startsWith("ps-")) return Date.now() - Number(at) * 1_000;
  const upSeconds = Number(readFileSync("/proc/uptime", "utf8").split(" ")[0]);
  return upSeconds * 1_000 - Number(at) * 10;
}

/** `pid` itself, its parent, and so on up to init: nearest first. */
export function ancestry(pid: number): ProcessLook[] {
  const chain: ProcessLook[] = [];
  for (let at = lookAt(pid); at && chain.length < 64; at = lookAt(at.parent)) chain.push(at);
  return chain;
}

/** A process and whose it is: its parent, its process group and its session, by the pids of their leaders. */
export type ProcessKin = ProcessIdentity & { parent: number; group: number; session: number };

/** Every process that runs now, zombies left out. */
export function allProcesses(): ProcessKin[] {
  if (process.platform !== "linux") return allFromPs();
  return readdirSync("/proc").flatMap((name) => {
    const pid = Number(name);
    const stat = isPid(pid) ? readStat(pid) : undefined;
    return stat ? [{ pid, ...stat }] : [];
  });
}

/** The environment a process was started with, as `NAME=value`; empty where it cannot be read. */
export function environmentOf(pid: number): string[] {
  if (process.platform !== "linux") return [];
  try {
    return readFileSync(`/proc/${pid}/environ`, "utf8").split("\0");
  } catch (error) {
    return unlessGone(error, []); // another user's, or gone
  }
}

/** One variable of the environment that a process was started with; what it has changed since does not show. */
export function variableOf(pid: number, name: string): string | undefined {
  return environmentOf(pid)
    .find((entry) => entry.startsWith(`${name}=`))
    ?.slice(name.length + 1);
}

const isPid = (pid: number) => Number.isSafeInteger(pid) && pid > 0;

type Stat = Pick<ProcessLook, "name" | "parent" | "start" | "terminal"> & { group: number; session: number };

/** `/proc/<pid>/stat`: pid (comm) state ppid pgrp session tty_nr … field 22 = start in ticks since boot (proc(5)). */
function readStat(pid: number): Stat | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const close = stat.lastIndexOf(")");
    const fields = stat.slice(close + 2).split(" ");
    if (fields[0] === "Z" || fields[0] === "X") return undefined;
    const name = stat.slice(stat.indexOf("(") + 1, close);
    const [, parent, group, session, terminal] = fields.map(Number);
    if (parent === undefined || group === undefined || session === undefined) return undefined;
    return { name, parent, group, session, terminal: terminal !== 0, start: `${bootId()}-${fields[19]}` };
  } catch (error) {
    return unlessGone(error, undefined);
  }
}

/** Without a free descriptor, say, nobody can tell: who takes that for an end closes a session whose agent works. */
function unlessGone<T>(error: unknown, nothing: T): T {
  if (["ENOENT", "ESRCH", "EACCES", "EPERM"].some((code) => isErrno(error, code))) return nothing;
  throw error;
}

function lookAtLinux(pid: number): ProcessLook | undefined {
  const stat = readStat(pid);
  if (!stat) return undefined;
  try {
    const argv = readFileSync(`/proc/${pid}/cmdline`, "utf8")
      .split("\0")
      .filter((part) => part !== "");
    return { pid, ...stat, name: executableName(pid, stat.name), argv };
  } catch (error) {
    return unlessGone(error, undefined); // gone between two reads
  }
}

/** `comm` can be a thread's title; the executable's own name is surer where we may read it. */
function executableName(pid: number, comm: string): string {
  try {
    return basename(readlinkSync(`/proc/${pid}/exe`)).replace(/ \(deleted\)$/, "");
  } catch {
    return comm;
  }
}

function lookAtPs(pid: number): ProcessLook | undefined {
  try {
    const line = execFileSync("/bin/ps", ["-o", "ppid=,stat=,tty=,lstart=,command=", "-p", String(pid)], {
      encoding: "utf8",
      env: { LC_ALL: "C" },
    });
    const match = /^\s*(\d+)\s+(\S+)\s+(\S+)\s+(\w{3} \w{3}\s+\d+ [\d:]+ \d{4})\s+(.*)$/.exec(line.trimEnd());
    if (!match || match[2]?.startsWith("Z")) return undefined;
    const argv = (match[5] ?? "").split(" ");
    return {
      pid,
      parent: Number(match[1]),
      terminal: !/^[?-]/.test(match[3] ?? "?"),
      start: `ps-${Date.parse(match[4] ?? "") / 1000}`,
      name: basename(argv[0] ?? ""),
      argv,
    };
  } catch {
    return undefined;
  }
}

/** `sess` of macOS is no pid: there the group stands for the session too. */
function allFromPs(): ProcessKin[] {
  const text = execFileSync("/bin/ps", ["-axo", "pid=,ppid=,pgid=,stat=,lstart="], {
    encoding: "utf8",
    env: { LC_ALL: "C" },
  });
  return text.split("\n").flatMap((line) => {
    const match = /^\s*(\d+)\s+(\d+)\s+(\d+)\s+(\S+)\s+(.*\S)\s*$/.exec(line);
    if (!match || match[4]?.startsWith("Z")) return [];
    const [pid, parent, group] = [Number(match[1]), Number(match[2]), Number(match[3])];
    return [{ pid, parent, group, session: group, start: `ps-${Date.parse(match[5] ?? "") / 1000}` }];
  });
}

let boot: string | undefined;
function bootId(): string {
  boot ??= readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim().slice(0, 8);
  return boot;
}
