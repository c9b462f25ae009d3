// A release as install.sh and self-upgrade find it: a folder of compressed programs with SHA256SUMS, on disk or
// served on loopback; and the ways in which one can be wrong.
import { createHash } from "node:crypto";
import { readdir } from "node:fs/promises";
import { join } from "node:path";

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
