// A release as install.sh and self-upgrade find it: a folder of compressed programs with SHA256SUMS, on disk or
// served on loopback; and the ways in which one can be wrong.
import { createHash } from "node:crypto";
import { chmod, copyFile, mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import type { Machine } from "./fleet.ts";

/** `ai-intercom-VERSION-TARGET.gz` for each file; the sums are written over all that is there. */
export async function release(folder: string, files: Record<string, string | Uint8Array>): Promise<void> {
  for (const [name, content] of Object.entries(files))
    await Bun.write(
      join(folder, name),
      Bun.gzipSync(typeof content === "string" ? Buffer.from(content) : Buffer.from(content), { level: 1 }),
    );
  const lines: string[] = [];
  for (const name of (await readdir(folder)).sort()) {
    if (name === "SHA256SUMS") continue;
    const bytes = await Bun.file(join(folder, name)).bytes();
    lines.push(`${createHash("sha256").update(bytes).digest("hex")}  ${name}\n`);
  }
  await Bun.write(join(folder, "SHA256SUMS"), lines.join(""));
}

/** A stand-in that tells its version and writes down what it was asked to do. */
export const program = (version: string, calls = "/dev/null"): string =>
  `#!/bin/sh\necho "$@" >>"${calls}"\n[ "$1" != --version ] || echo "${version}"\n`;

/** Before a command line: it runs as a user who owns nothing. Only root can. */
export const nobody = [Bun.which("setpriv") ?? "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];

/** Programs that a machine can fetch whole and cannot run: what they lack, how they are made, what the kernel says. */
export const foreignPrograms: [what: string, content: () => Promise<Uint8Array>, why: string][] = [
  [
    "another C library",
    () => patchedTrue(Buffer.from("/ld-linux"), Buffer.from("/ld-other")),
    "the loader or C library",
  ],
  ["another processor", () => patchedTrue(elfMachine(0x3e), elfMachine(0xf3)), "another processor or system"],
  [
    "instructions that are missing",
    async () => Buffer.from("#!/bin/sh\nkill -ILL $$\n"),
    "instructions that this processor does not have",
  ],
];

/** Bytes 16 to 19 of an ELF file: a shared object (as position-independent programs are), and its machine. */
const elfMachine = (machine: number) => Buffer.from([3, 0, machine, 0]);

/** A small program of this computer with one part of it changed. */
async function patchedTrue(part: Buffer, other: Buffer): Promise<Uint8Array> {
  const bytes = Buffer.from(await Bun.file(Bun.which("true") ?? "/bin/true").bytes());
  const at = bytes.indexOf(part);
  if (at === -1 || part.length !== other.length) throw new Error("this computer's `true` is built otherwise");
  other.copy(bytes, at);
  return bytes;
}

/** Gives a machine a program of its own, as install.sh leaves it. Returns its folder. */
export async function installed(machine: Machine, from: string): Promise<string> {
  const bin = `${machine.home}-bin`;
  await mkdir(bin, { recursive: true });
  await copyFile(from, `${bin}/ai-intercom`);
  await chmod(`${bin}/ai-intercom`, 0o755);
  machine.program = `${bin}/ai-intercom`;
  return bin;
}

/** Builds this source as another version; `--next`: as the release after this one. */
export function built(version: string, out: string, ...flags: string[]): string {
  const { exitCode, stderr } = Bun.spawnSync(
    [process.execPath, "build.ts", "--as", version, "--out", out, ...flags],
    { cwd: join(import.meta.dir, "../..") },
  );
  if (exitCode !== 0) throw new Error(stderr.toString());
  return out;
}

/** An address that outlives a restart of who listens there. */
export function freeAddress(): string {
  const probe = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  probe.stop(true);
  return `127.0.0.1:${probe.port}`;
}

/** Serves a folder on loopback; `cut` names a file whose connection breaks half way. */
export function serveRelease(folder: string, cut?: string) {
  const asked: string[] = [];
  const broken = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: sendHalf } });
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    async fetch(request) {
      const name = new URL(request.url).pathname.slice(1);
      asked.push(name);
      if (name === cut) return Response.redirect(`http://127.0.0.1:${broken.port}/${name}`);
      const file = Bun.file(join(folder, name));
      return (await file.exists()) ? new Response(file) : new Response("not here", { status: 404 });
    },
  });
  return {
    url: `http://127.0.0.1:${server.port}`,
    asked,
    [Symbol.asyncDispose]: async () => {
      await server.stop(true);
      broken.stop(true);
    },
  };
}

function sendHalf(socket: Bun.Socket): void {
  socket.write("HTTP/1.1 200 OK\r\ncontent-length: 1000\r\nconnection: close\r\n\r\n");
  socket.write("x".repeat(500));
  socket.end();
}
