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
