// A fresh machine: install.sh fetches a release from loopback into an empty home, `setup` makes it ready, and two real
// sessions chat through what these two commands left behind, and nothing else. Then it is taken off again.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { hostTarget } from "../../build/targets.ts";
import { version } from "../../src/protocol/version.ts";
import { binary } from "../rig/binary";
import { ClaudeTerminal } from "../rig/claude";
import { ClaudeHome } from "../rig/claude-home";
import { countOccurrences, FakeModel, type LoggedRequest } from "../rig/fake-model";
import { mail, prompt } from "../rig/fake-script";
import { intercom } from "../rig/intercom-stage";
import { release, serveRelease } from "../rig/release";
import { clientsReady, isMainTurn, testMs } from "../rig/stage";
import { waitFor } from "../rig/wait";
import { claudePath } from "./install";

const installed = await clientsReady();
const script = join(import.meta.dir, "../../install.sh");
let model: FakeModel;
let home: ClaudeHome;
let folder: string;
let served: ReturnType<typeof serveRelease>;
beforeAll(async () => {
  if (!installed) return;
  model = FakeModel.start();
  home = await ClaudeHome.create({ modelUrl: model.url, projects: ["asks", "answers"] });
  // where its own installer puts it, and where `setup` finds it
  mkdirSync(`${home.path}/.local/bin`, { recursive: true });
  symlinkSync(claudePath("2.1.330"), `${home.path}/.local/bin/claude`);
  folder = mkdtempSync("/tmp/aii-rel-");
  await release(folder, {
    [`ai-intercom-${version}-${hostTarget().name}.gz`]: await Bun.file(binary).bytes(),
  });
  served = serveRelease(folder);
}, testMs);
afterAll(async () => {
  if (!installed) return;
  await model[Symbol.asyncDispose]();
  await home[Symbol.asyncDispose]();
  await served[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

const environment = () =>
  home.env({
    PATH: `${home.path}/.local/bin:/usr/local/bin:/usr/bin:/bin`,
    AI_INTERCOM_BASE_URL: served.url,
    AI_INTERCOM_HUB_LISTEN: "127.0.0.1:0",
  });

async function run(...words: string[]): Promise<string> {
  const child = Bun.spawn(words, {
    cwd: home.path,
    env: environment(),
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    timeout: testMs,
  });
  const [out, err, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  if (code !== 0) throw new Error(`${words.join(" ")} exited ${code}: ${out}${err}`);
  return out;
}

type Listed = { agents: { project_id: string; sessions: { session_id: string }[] }[] };

/** A real session in that project; resolves when it is listed. */
async function session(program: string, project: string) {
  const claude = await ClaudeTerminal.start({
    home,
    version: "2.1.330",
    cwd: home.project(project),
    env: { ANTHROPIC_CUSTOM_HEADERS: `x-test-client: ${project}` },
  });
  let listed = "";
  const id = await waitFor(
    `${project} to be listed`,
    async () => {
      listed = await run(program, "agents", "--json");
      const { agents } = JSON.parse(listed) as Listed;
      return agents.find(({ project_id }) => project_id === project)?.sessions[0]?.session_id;
    },
    { detail: () => `${listed}\n${claude.describe()}` },
  );
  const isOwn = (request: LoggedRequest) =>
    request.headers["x-test-client"] === project && isMainTurn(request);
  return {
    id,
    claude,
    counts: (text: string) =>
      model
        .requests()
        .filter(isOwn)
        .map((request) => countOccurrences(request, text)),
  };
}

describe.skipIf(!installed)("claude 2.1.330", () => {
  test(
    "install.sh and setup, then two sessions chat; uninstalled, the home is as it was",
    async () => {
      const before = await Bun.file(`${home.path}/.claude.json`).text();
      const said = await run("sh", script, "--no-setup");
      const program = `${home.path}/.local/bin/ai-intercom`;
      expect(said).toContain(`installed ai-intercom ${version} as ${program}`);
      expect(served.asked).toEqual(["SHA256SUMS", `ai-intercom-${version}-${hostTarget().name}.gz`]);
      const set = await run(program, "setup", "--yes", "--no-service");
      expect(set).toContain(`${home.path}/.claude.json: mcpServers.ai-intercom: adds the MCP server`);
      expect(set).toContain("the answer comes back");

      const hub = Bun.spawn([program, "standalone"], {
        cwd: home.path,
        env: environment(),
        stdio: ["ignore", "ignore", "ignore"],
      });
      try {
        await waitFor("the link", async () => {
          const { link } = JSON.parse(await run(program, "status", "--json").catch(() => "{}"));
          return link === "linked";
        });
        await chat(program);
      } finally {
        hub.kill();
        await hub.exited;
      }
      await run("sh", script, "--uninstall", "--all");
      expect(existsSync(program)).toBe(false);
      expect(existsSync(`${home.path}/.config/ai-intercom`)).toBe(false);
      const after = JSON.parse(await Bun.file(`${home.path}/.claude.json`).text());
      expect(after.mcpServers ?? {}).toEqual(JSON.parse(before).mcpServers ?? {});
      const settings = Bun.file(`${home.path}/.claude/settings.json`);
      expect((await settings.exists()) ? await settings.text() : "").not.toContain("ai-intercom");
    },
    2 * testMs,
  );
});

/** The question wakes the idle other one, whose reply comes back to the asker; each text stands there once. */
async function chat(program: string): Promise<void> {
  const asks = await session(program, "asks");
  await using _asks = asks.claude;
  const answers = await session(program, "answers");
  await using _answers = answers.claude;
  const reply = intercom("reply", {
    thread_id: 'READ:intercom_reply\\("(t-[0-9a-f]{12})"',
    message: mail("the answer", [[{ text: "end of asks" }]]),
  });
  const question = mail("the question", [[reply], [{ text: "end of answers" }]]);
  const { machine_id } = JSON.parse(await run(program, "status", "--json"));
  await asks.claude.submit(
    prompt("ask", [
      [intercom("chat", { to: `${machine_id}/answers@${answers.id}`, message: question })],
      [{ text: "asked" }],
    ]),
  );
  await answers.claude.waitForAnswer("end of answers");
  await asks.claude.waitForAnswer("end of asks");
  expect(answers.counts("| the question").at(-1)).toBe(1);
  expect(asks.counts("| the answer").at(-1)).toBe(1);
}
