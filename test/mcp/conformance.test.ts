// The protocol's own conformance suite against our tools. What a demo server alone has is listed beside this file.
import { expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { serveOverHttp } from "./http-server";
import { conformance, mcpToolsReady } from "./install";

const ready = await mcpToolsReady();

/** must pass, however the suite counts */
const required = ["server-initialize", "ping", "tools-list", "tools-call-error", "dns-rebinding-protection"];

test.skipIf(!ready)(
  "every scenario passes that needs no demo tool",
  async () => {
    await using server = serveOverHttp(async (name) => ({
      result: { status: "error", error: `no daemon for ${name}` },
    }));
    const { code, text } = await runSuite(server.url);
    for (const scenario of required)
      expect(text).toMatch(new RegExp(`✓ ${scenario}: [1-9]\\d* passed, 0 failed`));
    expect(text).toContain("Baseline check passed");
    expect(code).toBe(0);
  },
  180_000,
);

async function runSuite(url: string): Promise<{ code: number; text: string }> {
  const cwd = await mkdtemp("/tmp/aii-mcp-");
  try {
    const baseline = join(import.meta.dir, "expected-failures.yml");
    const run = Bun.spawn(
      [
        process.execPath,
        conformance,
        "server",
        "--url",
        url,
        "--suite",
        "all",
        "--expected-failures",
        baseline,
      ],
      {
        cwd,
        env: { PATH: process.env.PATH, HOME: cwd },
        stdin: "ignore",
        stdout: "pipe",
        stderr: "pipe",
        timeout: 150_000,
      },
    );
    const [out, err, code] = await Promise.all([
      new Response(run.stdout).text(),
      new Response(run.stderr).text(),
      run.exited,
    ]);
    return { code, text: Bun.stripANSI(out + err) };
  } finally {
    await rm(cwd, { recursive: true, force: true });
  }
}
