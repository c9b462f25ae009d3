// F4: the disk fails under a running program: full (a small tmpfs and a ballast file), an error at every nth call on a
// file (strace injects it), a write cut short (a file-size limit), no file descriptor left (prlimit). What is not
// installed or not allowed is skipped by name.
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { homePaths } from "../../src/system/paths.ts";
import { type CaseResult, type Context, type FaultClass, noViolation, resultOf } from "./fault.ts";
import { lively } from "./manners.ts";
import { patience, type Served } from "./served.ts";
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

/** ms that a program runs with failing calls */
const failingMs = 3_000;

export const disk: FaultClass = {
  name: "F4",
  title: "failing disk",
  cases: ({ slice }) => {
    const rounds = Array.from({ length: slice ? 1 : 10 }, (_, round) => round);
    return [
      ...rounds.map((round) => ({
        id: `F4:full:${round}`,
        run: (context: Context) => fullDisk(slice ? 2 : 5, context),
      })),
      ...rounds.flatMap((round) =>
        calls
          .filter(({ name }) => !slice || name === "inbox")
          .flatMap((call) =>
            (slice ? (["EIO"] as const) : errors).map((error) => ({
              id: `F4:${call.name}:${error}:${round}`,
              run: (context: Context) => failingCalls(call, error, context),
            })),
          ),
      ),
      ...rounds.flatMap((round) => [
        { id: `F4:short:${round}`, run: (context: Context) => shortWrites(slice ? 4 : 12, context) },
        { id: `F4:descriptors:${round}`, run: (context: Context) => noDescriptors(slice ? 2 : 5, context) },
      ]),
    ];
  },
};

async function fullDisk(count: number, context: Context): Promise<CaseResult> {
  const refused = await mountRefused();
  if (refused !== undefined) return skipped(`no tmpfs can be mounted: ${refused}`);
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
      await rm(`${home}/ballast`, { force: true }); // not even its name had room
    }
    await traffic.stop();
    const verdict = await world.drain({ timeoutMs: 90_000 });
    const told = world.book.sent.filter(({ outcome }) => outcome === "refused").length;
    return resultOf(world, verdict, count, `full ${count} times, ${told} messages refused`);
  } finally {
    await unmount(mounts);
  }
}

/** Why this user cannot mount; undefined when it can. */
async function mountRefused(): Promise<string | undefined> {
  const place = mkdtempSync(`${tmpdir()}/aif-mount-`);
  try {
    await run("mount", "-t", "tmpfs", "tmpfs", place);
    await run("umount", place);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message.trim() : String(error);
  } finally {
    rmSync(place, { recursive: true });
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

/** Every nth call fails from the first one on, so that each place in the program meets it. */
async function failingCalls(
  call: Call,
  error: (typeof errors)[number],
  context: Context,
): Promise<CaseResult> {
  if (Bun.which("strace") === null) return skipped("strace is not installed");
  await using world = await World.start(context);
  for (const [at, agent] of world.agents.entries())
    await agent.say(world.agents[(at + 1) % world.agents.length] ?? agent, { lane: `first ${at}` });
  const server = call.role === "hub" ? world.hub : world.dice.pick(world.machines);
  await server.kill();
  const paths = pathsOf(call, world, server).flatMap((path) => ["-P", path]);
  const [first, step] = [world.dice.between(2, 20), world.dice.between(2, 12)];
  const log = `${world.root}/strace.log`;
  const quiet = ["-qq", "-e", "signal=none", "-o", log];
  const inject = `inject=${call.syscalls}:error=${error}:when=${first}+${step}`;
  await server.start({
    wrap: ["strace", "-f", ...quiet, ...paths, "-e", `trace=${call.syscalls}`, "-e", inject, "--"],
  });
  const traffic = new Traffic(world, { manners: lively, lanes: 2, pauseMs: 80 });
  const failures = () => (existsSync(log) ? readFileSync(log, "utf8").split("(INJECTED)").length - 1 : 0);
  const until = performance.now() + patience.timeoutMs;
  await Bun.sleep(failingMs);
  while (failures() === 0 && performance.now() < until) await Bun.sleep(100);
  await server.kill();
  await world.restart();
  await traffic.stop();
  const failed = failures();
  const verdict = await world.drain();
  const result = resultOf(world, verdict, failed, `${failed} calls failed: ${error} at ${first}+${step}`);
  return failed > 0 ? result : { ...result, skipped: "no call was made that could fail" };
}

/** A limit a few bytes behind the end of a file: a write that crosses it is cut short, and the next one fails. */
async function shortWrites(count: number, context: Context): Promise<CaseResult> {
  if (Bun.which("prlimit") === null) return skipped("prlimit is not installed");
  await using world = await World.start(context);
  const traffic = new Traffic(world, { manners: lively, lanes: 3 });
  for (let at = 0; at < count; at++) {
    await Bun.sleep(world.dice.between(100, 400));
    const server = world.dice.pick(world.servers);
    const file = world.dice.pick(growing(server));
    const limit = statSync(file).size + world.dice.between(1, 600);
    await run("prlimit", "--pid", String(server.pid), `--fsize=${limit}:unlimited`);
    await Bun.sleep(world.dice.between(100, 600));
    await run("prlimit", "--pid", String(server.pid), "--fsize=unlimited:unlimited");
  }
  await traffic.stop();
  const verdict = await world.drain({ timeoutMs: 90_000 });
  return resultOf(world, verdict, count, `writes cut short ${count} times`);
}

/** The files of a server that its writes make longer. */
function growing({ name, home }: Served): string[] {
  const paths = homePaths(home);
  if (name === "hub") return [`${paths.hubDatabase}-wal`];
  const mails = readdirSync(paths.inbox).filter((file) => file.endsWith(".jsonl"));
  return [paths.outbox, ...mails.map((file) => `${paths.inbox}/${file}`)];
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
