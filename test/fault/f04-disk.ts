// F4: the disk fails under a running program: full (a small tmpfs and a ballast file), an error at the nth call on a
// file (strace injects it), no file descriptor left (prlimit). What is not installed or not allowed is skipped by name.
import { mkdirSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { homePaths } from "../../src/system/paths.ts";
import { type CaseResult, type Context, type FaultClass, noViolation, resultOf } from "./fault.ts";
import { lively } from "./manners.ts";
import type { Served } from "./served.ts";
import { Traffic } from "./traffic.ts";
import { World } from "./world.ts";

const mebibyte = 1024 * 1024;
const errors = ["ENOSPC", "EIO", "EROFS"] as const;
/** calls that fail, counted per file */
const calls = [
  { name: "inbox", role: "daemon", syscalls: "write,pwrite64,fdatasync", file: "inbox" },
  { name: "outbox", role: "daemon", syscalls: "write,fdatasync,ftruncate", file: "outbox" },
  { name: "rename", role: "daemon", syscalls: "rename,renameat,renameat2", file: undefined },
  { name: "wal", role: "hub", syscalls: "pwrite64,fsync,fdatasync", file: "wal" },
] as const;
type Call = (typeof calls)[number];

export const disk: FaultClass = {
  name: "F4",
  title: "failing disk",
  cases: ({ slice }) => {
    if (slice) return [{ id: "F4:full:0", run: (context: Context) => fullDisk(2, context) }];
    return Array.from({ length: 20 }, (_, round) => round).flatMap((round) => [
      { id: `F4:full:${round}`, run: (context: Context) => fullDisk(5, context) },
      ...calls.map((call) => ({
        id: `F4:${call.name}:${round}`,
        run: (context: Context) => failingCalls(call, 3, context),
      })),
      { id: `F4:descriptors:${round}`, run: (context: Context) => noDescriptors(5, context) },
    ]);
  },
};

async function fullDisk(count: number, context: Context): Promise<CaseResult> {
  if (process.getuid?.() !== 0) return skipped("a tmpfs can only be mounted by root");
  const mounts: string[] = [];
  const prepareHome = async (home: string) => {
    await run("mount", "-t", "tmpfs", "-o", "size=24m,mode=0700", "tmpfs", home);
    mounts.push(home);
  };
  try {
    await using world = await World.start({ ...context, prepareHome, releaseHomes: () => unmount(mounts) });
    const traffic = new Traffic(world, { manners: lively, lanes: 3, long: 0.2 });
    for (let at = 0; at < count; at++) {
      await Bun.sleep(world.dice.between(300, 800));
      const { home } = world.dice.pick(world.servers);
      fill(`${home}/ballast`, world.dice.between(0, 64 * 1024));
      await Bun.sleep(world.dice.between(300, 2_000));
      await rm(`${home}/ballast`);
    }
    await traffic.stop();
    const verdict = await world.drain({ timeoutMs: 90_000 });
    const refused = world.book.sent.filter(({ outcome }) => outcome === "refused").length;
    return resultOf(world, verdict, count, `full ${count} times, ${refused} messages refused`);
  } finally {
    await unmount(mounts);
  }
}

/** Takes all the room but `left` bytes. */
function fill(path: string, left: number): void {
  for (let size = 24 * mebibyte; size > 0; size -= 32 * 1024) {
    try {
      writeFileSync(path, Buffer.alloc(size));
      if (left > 0) writeFileSync(path, Buffer.alloc(Math.max(0, size - left)));
      return;
    } catch {
      // not so much room
    }
  }
}

async function failingCalls(call: Call, count: number, context: Context): Promise<CaseResult> {
  if (Bun.which("strace") === null) return skipped("strace is not installed");
  await using world = await World.start(context);
  for (const [at, agent] of world.agents.entries())
    await agent.say(world.agents[(at + 1) % world.agents.length] ?? agent, { lane: `first ${at}` });
  const done: string[] = [];
  let verdict = noViolation;
  for (let at = 0; at < count; at++) {
    const server = call.role === "hub" ? world.hub : world.dice.pick(world.machines);
    const [error, nth] = [world.dice.pick(errors), world.dice.between(2, 100)];
    await server.kill();
    const paths = pathsOf(call, world, server).flatMap((path) => ["-P", path]);
    const inject = `inject=${call.syscalls}:error=${error}:when=${nth}..${nth + world.dice.between(0, 4)}`;
    const quiet = ["-qq", "-e", "signal=none", "-o", "/dev/null"];
    await server.start({
      wrap: ["strace", "-f", ...quiet, ...paths, "-e", `trace=${call.syscalls}`, "-e", inject, "--"],
    });
    const traffic = new Traffic(world, { manners: lively, lanes: 2 });
    await Bun.sleep(3_000);
    await server.kill();
    await world.restart();
    await traffic.stop();
    done.push(`${error} at ${nth}`);
    verdict = await world.drain();
  }
  return resultOf(world, verdict, done.length, `${call.name}: ${done.join(", ")}`);
}

function pathsOf({ file }: Call, world: World, { home }: Served): string[] {
  const paths = homePaths(home);
  if (file === "outbox") return [paths.outbox];
  if (file === "wal") return [`${paths.hubDatabase}-wal`];
  const here = world.agents.filter((agent) => agent.home === home);
  return file === "inbox" ? here.map(({ sessionId }) => `${paths.inbox}/${sessionId}.jsonl`) : [];
}

async function noDescriptors(count: number, context: Context): Promise<CaseResult> {
  if (Bun.which("prlimit") === null) return skipped("prlimit is not installed");
  await using world = await World.start(context);
  const traffic = new Traffic(world, { manners: lively, lanes: 3 });
  for (let at = 0; at < count; at++) {
    await Bun.sleep(world.dice.between(300, 800));
    const server = world.dice.pick(world.servers);
    await run("prlimit", "--pid", String(server.pid), `--nofile=${world.dice.between(3, 20)}:4096`);
    await Bun.sleep(world.dice.between(300, 1_500));
    await run("prlimit", "--pid", String(server.pid), "--nofile=4096:4096");
  }
  await traffic.stop();
  const verdict = await world.drain({ timeoutMs: 90_000 });
  return resultOf(world, verdict, count, `no descriptors ${count} times`);
}

const skipped = (why: string): CaseResult => ({
  verdict: noViolation,
  cases: 0,
  messages: 0,
  skipped: why,
  detail: why,
});

async function unmount(mounts: string[]): Promise<void> {
  for (const mount of mounts.splice(0)) {
    await run("umount", "-l", mount);
    mkdirSync(mount, { recursive: true });
  }
}

async function run(...words: string[]): Promise<void> {
  const child = Bun.spawn(words, { stdin: "ignore", stdout: "ignore", stderr: "pipe" });
  const err = await new Response(child.stderr).text();
  if ((await child.exited) !== 0) throw new Error(`${words.join(" ")}: ${err}`);
}
