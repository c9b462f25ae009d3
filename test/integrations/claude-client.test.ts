// What `install` writes, judged by the real Claude Code clients: they find the MCP server, they run the hooks, and
// what they rewrite themselves comes apart again. No model is needed: the hooks here fire before the first request.
import { afterEach, describe, expect, test } from "bun:test";
import { chmodSync, existsSync, mkdirSync } from "node:fs";
import { claude } from "../../src/integrations/claude.ts";
import { claudePath, claudeVersions } from "../real/install.ts";
import { read, readJson, type TestHome, testHome, write } from "./claude-home.ts";

const patience = 120_000;
const running = new Set<Bun.Subprocess>();
afterEach(async () => {
  for (const child of running) child.kill("SIGKILL");
  await Promise.all([...running].map((child) => child.exited));
  running.clear();
});

/** The program stands in for ours: notes the event, and leaves mail for the next one. */
const standIn = `#!/bin/sh
[ "$1" = check-inbox ] || exit 1
input=$(cat)
echo "$PPID $* home=\${AI_INTERCOM_HOME-unset} $input" >> "$HOME/fired"
mkdir -p "$HOME/.config/ai-intercom/inbox/pending"
: > "$HOME/.config/ai-intercom/inbox/pending/$PPID"
`;

function start({ root }: TestHome, binary: string, args: string[], extra: Record<string, string> = {}) {
  mkdirSync(`${root}/project`, { recursive: true });
  const child = Bun.spawn([binary, ...args], {
    cwd: `${root}/project`,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    env: {
      HOME: root,
      PATH: "/usr/local/bin:/usr/bin:/bin",
      TERM: "xterm-256color",
      LANG: "C.UTF-8",
      // a closed port: nothing leaves this machine
      ANTHROPIC_BASE_URL: "http://127.0.0.1:9",
      HTTPS_PROXY: "http://127.0.0.1:9",
      ANTHROPIC_API_KEY: "dummy-key-000000000000000000",
      CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1",
      DISABLE_AUTOUPDATER: "1",
      DISABLE_TELEMETRY: "1",
      IS_SANDBOX: "1",
      ...extra,
    },
  });
  running.add(child);
  return child;
}

async function output(child: ReturnType<typeof start>): Promise<string> {
  const [out, err] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  await child.exited;
  return out + err;
}

async function eventually(what: string, condition: () => boolean): Promise<void> {
  const deadline = performance.now() + patience / 2;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`not within ${patience / 2} ms: ${what}`);
    await Bun.sleep(50);
  }
}

function installedHome(files: Record<string, string> = {}): TestHome {
  const home = testHome({ ...files, "bin/ai-intercom": standIn });
  chmodSync(`${home.root}/bin/ai-intercom`, 0o755);
  return home;
}

describe.each([...claudeVersions])("Claude Code %s", (version) => {
  const binary = claudePath(version);
  const there = existsSync(binary);
  const client = (name: string, body: () => Promise<void>) =>
    test.skipIf(!there)(
      there ? name : `${name} (skipped: no client ${version}; bun test/real/install.ts gets it)`,
      body,
      patience,
    );

  client("finds the MCP server, and uninstall takes it out of what the client has rewritten", async () => {
    const home = installedHome({ ".claude.json": '{"theme":"dark"}' });
    await claude.install(home.options);
    const told = await output(start(home, binary, ["mcp", "get", "ai-intercom"]));
    expect(told).toContain("Scope: User config");
    expect(told).toContain(`Command: ${home.root}/bin/ai-intercom`);
    expect(told).toContain("Args: mcp-server");
    expect(told).toContain(`AI_INTERCOM_HOME=${home.home}`);
    const rewritten = readJson(home.globalConfig);
    expect(rewritten).toHaveProperty("firstStartTime");
    expect(await claude.check(home.options)).toMatchObject({ state: "current" });
    await claude.uninstall(home.options);
    const { mcpServers, ...rest } = Object(rewritten);
    expect(Object.keys(mcpServers)).toEqual(["ai-intercom"]);
    expect(read(home.globalConfig)).toBe(JSON.stringify(rest, null, 2));
    expect(await output(start(home, binary, ["mcp", "get", "ai-intercom"]))).toContain("No MCP server");
  });

  client("writes the same entry itself, and in the same file under CLAUDE_CONFIG_DIR", async () => {
    const theirs = installedHome();
    const ours = installedHome();
    for (const { root } of [theirs, ours]) mkdirSync(`${root}/config`);
    const env = { HOME: ours.root, CLAUDE_CONFIG_DIR: `${ours.root}/config` };
    await claude.install({ ...ours.options, env });
    const words = [
      "mcp",
      "add",
      "--scope",
      "user",
      "ai-intercom",
      "-e",
      `AI_INTERCOM_HOME=${ours.home}`,
      "--",
    ];
    const config = { CLAUDE_CONFIG_DIR: `${theirs.root}/config` };
    await output(start(theirs, binary, [...words, `${ours.root}/bin/ai-intercom`, "mcp-server"], config));
    const entry = (root: string) => Object(readJson(`${root}/config/.claude.json`)).mcpServers;
    expect(entry(ours.root)).toEqual(entry(theirs.root));
    const told = await output(start(ours, binary, ["mcp", "get", "ai-intercom"], env));
    expect(told).toContain("Scope: User config");
  });

  client(
    "runs the hooks: SessionStart always, the others only with mail, as the client's own child",
    async () => {
      const home = installedHome({ ".claude/settings.json": '\ufeff{ "model" : "opus" }' });
      await claude.install(home.options);
      const fired = `${home.root}/fired`;
      const child = start(home, binary, ["-p", "hi"]);
      await eventually(
        "SessionStart and UserPromptSubmit",
        () => existsSync(fired) && read(fired).split("\n").length > 2,
      );
      const [first = "", second = ""] = read(fired).split("\n");
      for (const [line, event] of [
        [first, "SessionStart"],
        [second, "UserPromptSubmit"],
      ] as const) {
        expect(line).toStartWith(`${child.pid} check-inbox --format hook home=unset {`);
        expect(claude.parseHookEvent(line.slice(line.indexOf("{")))).toMatchObject({
          event,
          isSubagent: false,
        });
      }
    },
  );

  client("starts nothing of ours at a prompt without mail", async () => {
    const home = installedHome();
    await claude.install(home.options);
    write(
      `${home.root}/bin/ai-intercom`,
      '#!/bin/sh\n[ "$1" = check-inbox ] && echo fired >> "$HOME/fired"\n',
    );
    const settings = read(home.settings);
    // a hook of the person behind ours shows that the prompt's hooks have run
    write(
      home.settings,
      settings
        .replace(/"PostToolBatch"/, '"UserPromptExpansion": [], "PostToolBatch"')
        .replace(
          /"UserPromptSubmit": \[/,
          '$&{"hooks":[{"type":"command","command":"sleep 1; touch $HOME/prompted"}]},',
        ),
    );
    start(home, binary, ["-p", "hi"]);
    await eventually("the prompt's hooks", () => existsSync(`${home.root}/prompted`));
    expect(read(`${home.root}/fired`)).toBe("fired\n");
  });
});
