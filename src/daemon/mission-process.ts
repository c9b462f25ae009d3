// The processes of a run: starts the agent as the leader of a session of its own, its output in files, so that it lives
// on without this daemon; and finds and signals everything that it started.
import { closeSync, constants, openSync } from "node:fs";
import {
  allProcesses,
  ancestry,
  environmentOf,
  identify,
  type ProcessIdentity,
  type ProcessKin,
} from "../system/process.ts";
import { markEntry } from "./agent-environment.ts";

/** How a process ended. Neither where the daemon was not its parent any more. */
export type Exit = { code?: number; signal?: string };

export type AgentStart = {
  argv: readonly string[];
  directory: string;
  env: Record<string, string>;
  /** file that it reads; undefined: nothing */
  stdin: string | undefined;
  stdout: string;
  stderr: string;
};
export type StartedAgent = { process: ProcessIdentity; exited: Promise<Exit> };

/** Throws what the operating system says: no such program, not executable, too long. */
export function startAgent({ argv, directory, env, stdin, stdout, stderr }: AgentStart): StartedAgent {
  const write = constants.O_CREAT | constants.O_WRONLY | constants.O_APPEND | constants.O_NOFOLLOW;
  const fds: number[] = [];
  const opened = (path: string, flags: number) => {
    const fd = openSync(path, flags, 0o600);
    fds.push(fd);
    return fd;
  };
  const close = () => {
    for (const fd of fds.splice(0)) closeSync(fd);
  };
  try {
    const { promise, resolve } = Promise.withResolvers<Exit>();
    const child = Bun.spawn([...argv], {
      cwd: directory,
      env,
      stdin: opened(stdin ?? "/dev/null", constants.O_RDONLY),
      stdout: opened(stdout, write),
      stderr: opened(stderr, write),
      detached: true, // a session and a group of its own
      onExit: (_, code, signal) =>
        resolve({
          ...(code === null ? {} : { code }),
          ...(signal === null ? {} : { signal: nameOfSignal(signal) }),
        }),
    });
    child.unref();
    // the look needs a descriptor, and these were the last ones perhaps
    close();
    // one that has ended already is a zombie, and has no start that could be read
    return { process: identify(child.pid) ?? { pid: child.pid, start: "gone" }, exited: promise };
  } finally {
    close();
  }
}

const nameOfSignal = (signal: number | NodeJS.Signals): string =>
  typeof signal === "string" ? signal : `signal ${signal}`;

/**
 * What runs of a run: its leader's group and session, whatever carries its mark in its environment, and all their
 * descendants. Never this daemon, nor what is above it: an agent may have started the daemon itself.
 */
export function processesOf(leader: ProcessIdentity | undefined, mark: string): ProcessIdentity[] {
  const all = allProcesses();
  const own = new Set(ancestry(process.pid).map(({ pid }) => pid));
  const others = all.filter(({ pid }) => !own.has(pid));
  // another process has the leader's pid by now: group and session of that number are its
  const holder = all.find(({ pid }) => pid === leader?.pid);
  const number = leader && (!holder || holder.start === leader.start) ? leader.pid : undefined;
  const entry = markEntry(mark);
  const found = new Map<number, ProcessKin>();
  for (const one of others)
    if (one.group === number || one.session === number || environmentOf(one.pid).includes(entry))
      found.set(one.pid, one);
  for (let before = -1; before !== found.size; ) {
    before = found.size;
    for (const one of others) if (found.has(one.parent)) found.set(one.pid, one);
  }
  return [...found.values()].map(({ pid, start }) => ({ pid, start }));
}

/** The leader of a run that was started and never noted: the first process that carries its mark. */
export function findLeader(mark: string): ProcessIdentity | undefined {
  const entry = markEntry(mark);
  const leader = allProcesses().find(
    ({ pid, session }) => pid === session && environmentOf(pid).includes(entry),
  );
  return leader && { pid: leader.pid, start: leader.start };
}

/** Signals exactly these processes; one that is gone meanwhile is passed over. */
export function signalAll(processes: readonly ProcessIdentity[], signal: "SIGTERM" | "SIGKILL"): void {
  for (const { pid, start } of processes) {
    if (identify(pid)?.start !== start) continue;
    try {
      process.kill(pid, signal);
    } catch {
      // gone between two calls, or another user's: it is looked at again
    }
  }
}
