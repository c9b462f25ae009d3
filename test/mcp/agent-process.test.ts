// Whom an MCP server takes for its agent, with real shells: typed into at a terminal, or given a command or a script.
import { expect, test } from "bun:test";
import { mkdtempSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { waitFor } from "../rig/wait";

const module = join(import.meta.dir, "../../src/mcp/agent-process.ts");
const root = mkdtempSync("/tmp/aii-agp-");
const server = `${root}/server.ts`;
writeFileSync(
  server,
  `import { agentAbove } from ${JSON.stringify(module)};
   await Bun.write(Bun.argv[2], JSON.stringify({ own: process.pid, parent: process.ppid, ...agentAbove(process.ppid) }));`,
);
let made = 0;

type Found = { own: number; parent: number; pid: number; agent: string };
/** Runs `shell words` at a terminal, types `line` into it if it takes any, and tells what the server in it found. */
async function found(words: string[], line: (run: string) => { argument?: string; typed?: string }) {
  const out = `${root}/${++made}`;
  const { argument, typed } = line(`${process.execPath} ${server} ${out}; true`);
  const shell = Bun.spawn([...words, ...(argument === undefined ? [] : [argument])], {
    env: { PATH: process.env.PATH ?? "", HOME: root, PS1: "$ " },
    terminal: { cols: 200, rows: 24, data: () => {} },
  });
  try {
    if (typed !== undefined) shell.terminal?.write(`${typed}\n`);
    return await waitFor(`what the server in ${words} found`, async () => {
      const text = await Bun.file(out).text();
      return text === ""
        ? undefined
        : ({ ...JSON.parse(text), shell: shell.pid } as Found & { shell: number });
    });
  } finally {
    shell.kill("SIGKILL");
    await shell.exited;
    shell.terminal?.close();
  }
}

const typedInto = [["sh"], ["sh", "-i"], ["bash", "--norc"], ["bash", "--rcfile", "/dev/null", "-i"]];
for (const words of typedInto)
  test(`typed into ${words.join(" ")}: the server stands for itself, the person's shell is no agent`, async () => {
    const answer = await found(words, (run) => ({ typed: run }));
    expect({ parent: answer.parent, pid: answer.pid }).toEqual({ parent: answer.shell, pid: answer.own });
  });

test("a shell in a shell is the person's too", async () => {
  const answer = await found(["bash", "--norc"], (run) => ({ typed: `sh\n${run}` }));
  expect(answer.pid).toBe(answer.own);
});

for (const words of [
  ["sh", "-c"],
  ["bash", "--norc", "-lc"],
])
  test(`${words.join(" ")}: whoever was given a command is the agent, at a terminal too`, async () => {
    const answer = await found(words, (run) => ({ argument: run }));
    expect({ parent: answer.parent, pid: answer.pid }).toEqual({ parent: answer.shell, pid: answer.shell });
  });

test("a script is an agent", async () => {
  const answer = await found(["bash"], (run) => {
    writeFileSync(`${root}/agent.sh`, `${run}\n`);
    return { argument: `${root}/agent.sh` };
  });
  expect(answer.pid).toBe(answer.shell);
});

test("without a terminal nobody types", async () => {
  const out = `${root}/${++made}`;
  await using shell = Bun.spawn(["sh"], {
    stdin: new Blob([`${process.execPath} ${server} ${out}; true\n`]),
  });
  const { pid } = shell;
  await shell.exited;
  const answer: Found = await Bun.file(out).json();
  expect(answer.pid).toBe(pid);
});
