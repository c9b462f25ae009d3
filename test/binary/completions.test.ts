// The completion scripts in the shells themselves, and the help of every command.
import { expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { binary } from "../rig/binary.ts";
import { Screen } from "../rig/screen.ts";
import { waitFor } from "../rig/wait.ts";

const run = (...words: string[]) => {
  const { exitCode, stdout, stderr } = Bun.spawnSync([binary, ...words]);
  return { code: exitCode, out: stdout.toString(), err: stderr.toString() };
};

/** The commands as `--help` lists them. */
const commands = [...run("--help").out.matchAll(/^ {2}([a-z-]+) {2,}\S/gm)].map(([, name = ""]) => name);

test("every command's help has a line on each option and at least one example that is its own", () => {
  expect(commands).toContain("self-upgrade");
  expect(commands.length).toBeGreaterThan(20);
  for (const name of commands) {
    const { code, out } = run(name, "--help");
    expect([name, code]).toEqual([name, 0]);
    const examples = out.split("EXAMPLES\n")[1]?.trim().split("\n") ?? [];
    expect([name, examples.filter((line) => line.includes(`ai-intercom ${name}`)).length > 0]).toEqual([
      name,
      true,
    ]);
  }
  expect(run("help", "machines").out).toBe(run("machines", "--help").out);
});

test("an unknown shell is an error that names the known ones", () => {
  expect(run("completions", "tcsh")).toEqual({
    code: 2,
    out: "",
    err: 'error: there is no completion for "tcsh"\ntry: ai-intercom completions bash | zsh | fish\n',
  });
});

const scripts = { bash: run("completions", "bash").out, fish: run("completions", "fish").out };

/** What bash offers for the last of these words. */
function inBash(...words: string[]): string[] {
  const line = ["ai-intercom", ...words].map((word) => `'${word}'`).join(" ");
  const { stdout, stderr } = Bun.spawnSync([
    Bun.which("bash") ?? "bash",
    "--norc",
    "-c",
    `eval "$0"; COMP_WORDS=(${line}); COMP_CWORD=${words.length}; _ai_intercom; printf '%s\\n' "\${COMPREPLY[@]}"`,
    scripts.bash,
  ]);
  expect(stderr.toString()).toBe("");
  return stdout
    .toString()
    .trim()
    .split("\n")
    .filter((one) => one !== "");
}

/** What fish offers for an unfinished line, without descriptions. */
function inFish(line: string): string[] {
  const { stdout, stderr } = Bun.spawnSync(
    [
      Bun.which("fish") ?? "fish",
      "--no-config",
      "-c",
      `echo $argv[1] | source; complete -C $argv[2]`,
      scripts.fish,
      line,
    ],
    { env: { ...process.env, HOME: "/tmp" } },
  );
  expect(stderr.toString()).toBe("");
  return stdout
    .toString()
    .trim()
    .split("\n")
    .map((one) => one.split("\t")[0] ?? "")
    .filter((one) => one !== "");
}

test("bash: commands, words, options, values of options", () => {
  expect(
    inBash("")
      .filter((one) => !one.startsWith("-"))
      .sort(),
  ).toEqual([...commands, "help"].sort());
  expect(inBash("ma")).toEqual(["machines"]);
  expect(inBash("machines", "")).toEqual(["approve", "deny", "revoke", "upgrade"]);
  expect(inBash("machines", "re")).toEqual(["revoke"]);
  expect(inBash("machines", "revoke", "")).toEqual([]);
  expect(inBash("machines", "--")).toEqual(["--version", "--force", "--json", "--help"]);
  expect(inBash("machines", "--json", "re")).toEqual(["revoke"]); // an option takes no place
  expect(inBash("machines", "--version", "")).toEqual([]); // nobody can guess
  expect(inBash("machines", "--version", "1.2.3", "de")).toEqual(["deny"]); // its value neither
  expect(inBash("check-inbox", "--format", "")).toEqual(["hook", "json"]);
  expect(inBash("approvals", "")).toEqual(["approve", "deny", "revoke"]);
  expect(inBash("approvals", "approve", "a-0123456789ab", "--scope", "")).toEqual([
    "once",
    "mission",
    "session",
    "always",
  ]);
  expect(inBash("missions", "")).toEqual(["show", "cancel"]);
  expect(inBash("missions", "--status", "run")).toEqual(["running"]);
  expect(inBash("service", "")).toEqual(["install", "uninstall", "status", "restart"]);
  expect(inBash("permissions", "")).toEqual(["on", "sessions", "off"]);
  expect(inBash("logs", "--of", "")).toEqual(["standalone", "hub", "daemon"]);
  expect(inBash("agents", "--filter", "")).toEqual(["all", "online"]);
  expect(inBash("install", "c")).toEqual(["claude"]);
  expect(inBash("help", "self")).toEqual(["self-upgrade"]);
  expect(inBash("standalone", "--config", "/etc/host")).toContain("/etc/hosts");
  expect(inBash("nonsense", "")).toEqual([]);
});

test.if(Bun.which("fish") !== null)("fish: commands, words, options, values of options", () => {
  expect(inFish("ai-intercom ").sort()).toEqual([...commands, "help"].sort());
  expect(inFish("ai-intercom machines re")).toEqual(["revoke"]);
  expect(inFish("ai-intercom machines revoke ")).toEqual([]);
  expect(inFish("ai-intercom machines --").sort()).toEqual(["--force", "--help", "--json", "--version"]);
  expect(inFish("ai-intercom check-inbox --format ").sort()).toEqual(["hook", "json"]);
  expect(inFish("ai-intercom help self")).toEqual(["self-upgrade"]);
  expect(inFish("ai-intercom standalone --config /etc/host")).toContain("/etc/hosts");
});

/** Types into a zsh on a terminal until the screen shows `wanted`; the key at the end is Tab. */
async function inZsh(typed: string, wanted: string | RegExp): Promise<void> {
  const home = await mkdtemp("/tmp/aii-zsh-");
  const screen = new Screen(120, 24);
  await Bun.write(`${home}/_ai-intercom`, run("completions", "zsh").out);
  const shell = Bun.spawn([Bun.which("zsh") ?? "zsh", "-f", "-i"], {
    env: { PATH: process.env.PATH ?? "", HOME: home, TERM: "vt100", PS1: "ready> " },
    terminal: { cols: 120, rows: 24, data: (_, bytes) => screen.write(bytes) },
  });
  try {
    const detail = () => screen.text();
    await waitFor("zsh to be ready", () => screen.text().includes("ready>"), { detail });
    shell.terminal?.write(`fpath=(${home} $fpath); autoload -U compinit; compinit -D -u; PS1='g''o> '\r`);
    await waitFor("the completions to be loaded", () => /^go>/m.test(screen.text()), { detail });
    shell.terminal?.write(`${typed}\t`);
    const seen = () =>
      typeof wanted === "string" ? screen.text().includes(wanted) : wanted.test(screen.text());
    await waitFor(`${typed}<tab> to show ${wanted}`, seen, { detail });
  } finally {
    shell.kill("SIGKILL");
    await shell.exited;
    shell.terminal?.close();
    await rm(home, { recursive: true, force: true });
  }
}

test.if(Bun.which("zsh") !== null)("zsh: commands, words, options, values of options", async () => {
  await inZsh("ai-intercom machi", "go> ai-intercom machines");
  await inZsh("ai-intercom machines rev", "go> ai-intercom machines revoke");
  await inZsh("ai-intercom machines ", /approve +deny +revoke +upgrade/);
  await inZsh("ai-intercom check-inbox --format h", "--format hook");
  await inZsh("ai-intercom self-upgrade --ch", "go> ai-intercom self-upgrade --check");
  await inZsh("ai-intercom self-upgrade --", "--version");
  await inZsh("ai-intercom help doc", "go> ai-intercom help doctor");
});
