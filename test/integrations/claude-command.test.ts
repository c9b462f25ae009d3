// The hooks' command lines, run for real in dash and bash under odd paths.
import { describe, expect, test } from "bun:test";
import { chmodSync, mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import {
  askingHookCommand,
  bellHookCommand,
  firstBellHookCommand,
  guardedHookCommand,
  hookCommand,
  ourHookCommand,
  readHookCommand,
} from "../../src/integrations/claude-command.ts";
import { makeFifo, writeToFifo } from "../../src/system/fifo.ts";
import { waitFor } from "../rig/wait.ts";

const shells = ["dash", "bash"].filter((shell) => Bun.which(shell));
if (shells.length < 2) console.warn(`skipped: the hook's command in ${"dash or bash"} (not installed)`);

/** Directory names; each becomes part of the home and of the program's path. */
const names = [
  "plain",
  "with space",
  "don't",
  'double " quote',
  `$HOME and \${PATH} and $$`,
  "$(touch pwned) `touch pwned`",
  "back\\slash \\n \\",
  "brace } { }}",
  "semi; rm -rf & | > < ( )",
  "glob * ? [a] ~ # !",
  "line\nbreak",
  "é 😀 \u00a0",
  "-dash=%s",
];

type Place = { root: string; home: string; program: string };

/** A home and a program that says who started it, with what, in which environment. */
function place(name: string): Place {
  const root = mkdtempSync(`${process.env.HOME}/cmd-`);
  const home = `${root}/h ${name}`;
  const program = `${root}/p ${name}/ai-intercom`;
  mkdirSync(`${home}/inbox/pending`, { recursive: true });
  mkdirSync(`${root}/p ${name}`);
  const told = ["BUN_OPTIONS", "BUN_BE_BUN", "AI_INTERCOM_HOME"].map((variable) => `\${${variable}-unset}`);
  const report = `printf '%s\\n' "$PPID|$*|${told.join("|")}"; cat`;
  writeFileSync(program, `#!/bin/sh\n${report}\n`);
  chmodSync(program, 0o755);
  return { root, home, program };
}

/** Where an agent that is this process is rung. */
function hangBell(home: string): string {
  mkdirSync(`${home}/inbox/bell`, { recursive: true });
  const path = `${home}/inbox/bell/${process.pid}`;
  makeFifo(path);
  return path;
}

async function run(shell: string, command: string, cwd: string, env: Record<string, string> = {}) {
  const child = Bun.spawn([shell, "-c", command], {
    cwd,
    env: {
      PATH: process.env.PATH ?? "",
      HOME: "/nonexistent",
      BUN_OPTIONS: "--smol",
      BUN_BE_BUN: "1",
      ...env,
    },
    stdin: new Blob(["<stdin>"]),
    stdout: "pipe",
    stderr: "pipe",
  });
  const [out, err] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  return { code: await child.exited, out, err };
}

const silence = { code: 0, out: "", err: "" };

test.each(names)("home and program are read again from the line that names them: %p", (name) => {
  const options = {
    program: [`/opt/${name}/ai-intercom`] as const,
    home: `/srv/${name}`,
    env: { HOME: "/home/me" },
  };
  for (const command of [guardedHookCommand(options), askingHookCommand(options)])
    expect(readHookCommand(command, {})).toEqual({ program: options.program[0], home: options.home });
  expect(readHookCommand(bellHookCommand(options), {})).toEqual({ program: undefined, home: options.home });
  expect(readHookCommand(hookCommand(options), {}).program).toBe(options.program[0]);
});

test("a plugin's line looks home and program up where it runs", () => {
  const command = guardedHookCommand({ portable: true });
  const usual = { program: "/home/me/.local/bin/ai-intercom", home: "/home/me/.config/ai-intercom" };
  expect(readHookCommand(command, { HOME: "/home/me" })).toEqual(usual);
  expect(readHookCommand(command, { HOME: "/home/me", AI_INTERCOM_BINARY: "/x/y" }).program).toBe("/x/y");
});

describe.each(shells)("in %s", (shell) => {
  test.each(names)("below %j: silent without mail, the program with mail", async (name) => {
    const { root, home, program } = place(name);
    const options = { program: [program] as const, home, env: { HOME: root } };
    const guarded = guardedHookCommand(options);
    expect(await run(shell, guarded, root)).toEqual(silence);
    writeFileSync(`${home}/inbox/pending/${process.pid}`, "");
    const told = {
      code: 0,
      out: `${process.pid}|check-inbox --format hook|unset|unset|${home}\n<stdin>`,
      err: "",
    };
    expect(await run(shell, guarded, root)).toEqual(told);
    expect(await run(shell, hookCommand(options), root)).toEqual(told);
    expect(await Bun.file(`${root}/pwned`).exists()).toBe(false);
  });

  test.each(names)("AI_INTERCOM_HOME below %j comes before the home of the installation", async (name) => {
    const { root, home, program } = place(name);
    const guarded = guardedHookCommand({
      program: [program],
      home: "/installed/for/this",
      env: { HOME: root },
    });
    const env = { AI_INTERCOM_HOME: home };
    expect(await run(shell, guarded, root, env)).toEqual(silence);
    writeFileSync(`${home}/inbox/pending/${process.pid}`, "");
    const { out } = await run(shell, guarded, root, env);
    expect(out).toBe(`${process.pid}|check-inbox --format hook|unset|unset|${home}\n<stdin>`);
  });

  test("an empty AI_INTERCOM_HOME counts as none; an inherited CLAUDE_PID as nothing", async () => {
    const { root, home, program } = place("plain");
    const guarded = guardedHookCommand({ program: [program], home, env: { HOME: root } });
    writeFileSync(`${home}/inbox/pending/1`, "");
    expect(await run(shell, guarded, root, { CLAUDE_PID: "1" })).toEqual(silence);
    writeFileSync(`${home}/inbox/pending/${process.pid}`, "");
    expect((await run(shell, guarded, root, { AI_INTERCOM_HOME: "" })).out).toContain("check-inbox");
  });

  test("a program that is gone is silence", async () => {
    const { root, home } = place("plain");
    const options = { program: [`${root}/gone`] as const, home, env: { HOME: root } };
    writeFileSync(`${home}/inbox/pending/${process.pid}`, "");
    expect(await run(shell, guardedHookCommand(options), root)).toEqual(silence);
    expect(await run(shell, hookCommand(options), root)).toEqual(silence);
  });

  test.each(names)(
    "below %j: the bell waits only where there is a pipe, and passes on what comes",
    async (name) => {
      const { root, home, program } = place(name);
      const command = bellHookCommand({ program: [program], home, env: { HOME: root } });
      expect(await run(shell, command, root)).toEqual(silence);
      const bell = hangBell(home);
      let ended = false;
      const waiting = run(shell, command, root).finally(() => {
        ended = true;
      });
      const text = "a ring: é \\n %s $HOME `x` ";
      // a ring while the one who waited before is being sent away is lost, as any ring may be: the next one is heard
      await waitFor("the bell to be heard", () => {
        if (!ended) writeToFifo(bell, () => `${text}\n`);
        return ended;
      });
      expect(await waiting).toEqual({ code: 2, out: "", err: `${text}\n` });
      expect(await Bun.file(`${root}/pwned`).exists()).toBe(false);
    },
  );

  test("one bell an agent: who waited before ends in silence, and so does who waits when the pipe goes", async () => {
    const { root, home, program } = place("plain");
    const command = bellHookCommand({ program: [program], home, env: { HOME: root } });
    const bell = hangBell(home);
    const shells: ReturnType<typeof run>[] = [run(shell, command, root)];
    let firstEnded = false;
    shells[0]?.finally(() => {
      firstEnded = true;
    });
    await waitFor("the first to end", () => {
      if (!firstEnded) shells.push(run(shell, command, root));
      return firstEnded;
    });
    // the last ones may not have got to the pipe yet, and wait there from then on
    let left = shells.length;
    for (const one of shells) void one.finally(() => (left -= 1));
    await waitFor("all to end with the pipe", () => {
      if (left > 0) writeToFifo(bell, () => "");
      return left === 0;
    });
    for (const one of shells) expect(await one).toEqual(silence);
  });

  test("half a line, as when another shell took the rest, is no ring: it waits for a whole one", async () => {
    const { root, home, program } = place("plain");
    const command = bellHookCommand({ program: [program], home, env: { HOME: root } });
    const bell = hangBell(home);
    let ended = false;
    const waiting = run(shell, command, root).finally(() => {
      ended = true;
    });
    await waitFor("half a line to be heard", () => writeToFifo(bell, () => "half"));
    await waitFor("the ring to be heard", () => {
      if (!ended) writeToFifo(bell, () => "a ring\n");
      return ended;
    });
    expect(await waiting).toEqual({ code: 2, out: "", err: expect.stringMatching(/^(half)?a ring\n$/) });
  });

  test("the first bell waits for its pipe, in an interactive agent without a socket only", async () => {
    const { root, home, program } = place("plain");
    const command = firstBellHookCommand({ program: [program], home, env: { HOME: root } });
    const interactive = { CLAUDE_CODE_ENTRYPOINT: "cli" };
    expect(await run(shell, command, root)).toEqual(silence);
    expect(await run(shell, command, root, { CLAUDE_CODE_ENTRYPOINT: "sdk-cli" })).toEqual(silence);
    expect(await run(shell, command, root, { ...interactive, CLAUDE_CODE_MESSAGING_SOCKET: "/s" })).toEqual(
      silence,
    );
    let ended = false;
    const waiting = run(shell, command, root, interactive).finally(() => {
      ended = true;
    });
    const bell = hangBell(home);
    // lost, as any ring may be, while the one who waited before is sent away: the next one is heard
    await waitFor("the bell to be heard", () => {
      if (!ended) writeToFifo(bell, () => "ring\n");
      return ended;
    });
    expect(await waiting).toEqual({ code: 2, out: "", err: "ring\n" });
  });

  test("a program of several words", async () => {
    const { root, home, program } = place("don't $x");
    const options = { program: ["/bin/sh", program] as const, home, env: { HOME: root } };
    const { out } = await run(shell, hookCommand(options), root);
    expect(out).toStartWith(`${process.pid}|check-inbox --format hook|`);
  });
});

test("the usual home is left to the program to find", () => {
  const options = {
    program: ["/home/me/.local/bin/ai-intercom"] as const,
    home: "/home/me/.config/ai-intercom",
    env: { HOME: "/home/me" },
  };
  expect(guardedHookCommand(options)).toBe(
    `[ -e "\${AI_INTERCOM_HOME:-/home/me/.config/ai-intercom}/inbox/pending/$PPID" ] || exit 0; ` +
      '[ -x "/home/me/.local/bin/ai-intercom" ] || exit 0; unset BUN_OPTIONS BUN_BE_BUN; ' +
      'exec "/home/me/.local/bin/ai-intercom" check-inbox --format hook',
  );
});

test("which commands are ours", () => {
  for (const name of names) {
    const options = { program: [`/p/${name}/tool`] as const, home: `/h/${name}`, env: {} };
    expect(ourHookCommand(guardedHookCommand(options))).toBe("inbox");
    expect(ourHookCommand(hookCommand(options))).toBe("inbox");
    expect(ourHookCommand(bellHookCommand(options))).toBe("bell");
    expect(ourHookCommand(firstBellHookCommand(options))).toBe("bell");
  }
  expect(ourHookCommand("ai-intercom check-inbox --format hook")).toBe("inbox");
  expect(ourHookCommand("/opt/ai-intercom/bin/x check-inbox --format hook\n")).toBe("inbox");
  for (const foreign of [
    "",
    "othertool check-inbox --format hook",
    "ai-intercom check-inbox --format json",
    "echo 'ai-intercom check-inbox --format hook' >> log",
    "ai-intercom status",
  ])
    expect(ourHookCommand(foreign)).toBeUndefined();
});
