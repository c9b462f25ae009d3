// Sessions without a messaging socket are woken by a hook that waits beside them: a shell at a pipe, that the agent
// started anyway. It is there only where it is needed, ends with its agent, and goes on waiting while a daemon is away.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import type { ClaudeTerminal } from "../rig/claude";
import { mail, prompt } from "../rig/fake-script";
import { type InstalledHome, type IntercomSession, IntercomStage } from "../rig/intercom-stage";
import { bash, clientsReady, testMs } from "../rig/stage";
import { waitFor } from "../rig/wait";
import { claudeVersions } from "./install";

type Session = IntercomSession<ClaudeTerminal>;

const installed = await clientsReady();
let stage: IntercomStage;
beforeAll(async () => {
  if (installed) stage = await IntercomStage.open();
}, testMs);
afterAll(async () => stage?.[Symbol.asyncDispose]());

describe.skipIf(!installed).each([...claudeVersions])("claude %s without a socket", (version) => {
  test(
    "idle after a turn: each mail wakes it, once, and one shell waits at a time",
    async () => {
      const home = await (await stage.home("atlas")).withoutSocket();
      await using session = await home.terminal({ version });
      await session.claude.submit(prompt("first", [[bash("echo one")], [{ text: "end of first" }]]));
      await session.claude.waitForAnswer("end of first");
      for (const word of ["one", "two", "three"]) {
        await idleWithBell(session);
        const before = session.rings();
        const { message_id } = await stage.write(
          session.address,
          mail(`news ${word}`, [[{ text: `read ${word}` }]]),
        );
        const woken = await session.turn(`woken by ${word}`, ({ text }) => text.includes(`| news ${word}`));
        expect(woken.text).toContain("[ai-intercom ring ");
        await session.claude.waitForAnswer(`read ${word}`);
        await waitFor("seen", async () => (await stage.states(message_id)).includes("seen"));
        expect(session.rings()).toBeGreaterThan(before);
        expect(session.counts(`| news ${word}`).at(-1)).toBe(1);
      }
    },
    testMs,
  );

  test(
    "it waits through a daemon's death, an interrupted turn and /clear",
    async () => {
      const machine = await stage.fleet.join(`bell-${version}`);
      const home = await (await stage.home(machine.name)).withoutSocket();
      await using session = await home.terminal({ version });
      await session.claude.submit(prompt("first", [[{ text: "end of first" }]]));
      await session.claude.waitForAnswer("end of first");
      await idleWithBell(session);
      await machine.crash();
      await machine.serve("daemon");
      await waitFor("the session at the hub again", () => stage.isOpen(session.address));
      await wakes(session, "after the crash");

      await idleWithBell(session);
      const answering = stage.gate();
      await session.claude.submit(prompt("never mind", [[{ text: "part" }, answering.step]]));
      await answering.reached();
      session.claude.press("escape");
      await session.claude.waitForScreen("Interrupted");
      await idleWithBell(session);
      await wakes(session, "after Esc");

      await idleWithBell(session);
      await session.claude.clear();
      await wakes(session, "after clear");
    },
    testMs,
  );

  test(
    "the shell ends with its agent, killed or not, daemon or not",
    async () => {
      const machine = await stage.fleet.join(`ends-${version}`);
      const home = await (await stage.home(machine.name)).withoutSocket();
      const killed = await home.terminal({ version });
      await using _ = killed;
      await killed.claude.submit(prompt("first", [[{ text: "end of first" }]]));
      await killed.claude.waitForAnswer("end of first");
      await idleWithBell(killed);
      process.kill(killed.claude.pid, "SIGKILL");
      await killed.claude.exited;
      await waitFor("no shell to wait", () => waitingShells(home).length === 0);
      const bells = () => readdirSync(join(machine.home, "inbox/bell"));
      await waitFor("the pipe to be taken away", () => bells().length === 0);

      const orphaned = await home.terminal({ version });
      await using __ = orphaned;
      await orphaned.claude.submit(prompt("first", [[{ text: "end of first" }]]));
      await orphaned.claude.waitForAnswer("end of first");
      await idleWithBell(orphaned);
      await machine.crash();
      process.kill(orphaned.claude.pid, "SIGKILL");
      await orphaned.claude.exited;
      await waitFor("no shell to wait, without a daemon", () => waitingShells(home).length === 0);
    },
    testMs,
  );
});

describe.skipIf(!installed)("claude 2.1.197", () => {
  test(
    "just started, without any prompt: mail wakes it, once",
    async () => {
      const home = await stage.home("atlas");
      await using session = await home.terminal({ version: "2.1.197" });
      await idleWithBell(session);
      const started = performance.now();
      await wakes(session, "first of all");
      expect(session.turns().length).toBe(session.rings());
      expect(session.rings()).toBeLessThanOrEqual(session.ringsSince(started));
    },
    testMs,
  );

  test(
    "started in the shell of a session with a socket: it never rings that one, and is woken by its hook",
    async () => {
      const outer = `/tmp/aii-outer-${process.pid}.sock`;
      let rings = 0;
      await using server = createServer(() => rings++).listen(outer);
      const home = await stage.home("atlas");
      const env = { CLAUDE_CODE_MESSAGING_SOCKET: outer, CLAUDE_CODE_MESSAGING_TOKEN: "outer" };
      await using session = await home.terminal({ version: "2.1.197", env });
      await session.claude.submit(prompt("first", [[{ text: "end of first" }]]));
      await session.claude.waitForAnswer("end of first");
      await idleWithBell(session);
      await wakes(session, "inside");
      expect({ rings, listening: server.listening }).toEqual({ rings: 0, listening: true });
    },
    testMs,
  );

  test(
    "a run of `claude -p` waits for no shell at its end",
    async () => {
      const home = await stage.home("atlas");
      const calling = stage.gate();
      await using session = await home.print({
        version: "2.1.197",
        prompt: prompt("one", [[calling.step, { text: "end" }]]),
      });
      calling.open();
      expect(await session.claude.finish()).toBe(0);
      await nobodyWaits(home);
    },
    testMs,
  );
});

describe.skipIf(!installed)("claude 2.1.330", () => {
  test(
    "with its socket no shell ever waits",
    async () => {
      const home = await stage.home("atlas");
      await using session = await home.terminal({ version: "2.1.330" });
      await session.claude.submit(prompt("one", [[bash("echo one")], [{ text: "end" }]]));
      await session.claude.waitForAnswer("end");
      await session.claude.waitForStatus("idle");
      await wakes(session, "by the socket");
      await session.claude.waitForStatus("idle");
      await nobodyWaits(home);
      expect(readdirSync(join(home.machine.home, "inbox/bell"))).not.toContain(String(session.claude.pid));
    },
    testMs,
  );
});

/** Mail comes, and a turn with it begins by itself; the mail stands in it once. */
async function wakes(session: Session, word: string): Promise<void> {
  await stage.write(session.address, mail(`mail ${word}`, [[{ text: `read ${word}` }]]));
  await session.claude.waitForAnswer(`read ${word}`);
  expect(session.counts(`| mail ${word}`).at(-1)).toBe(1);
}

async function idleWithBell(session: Session): Promise<void> {
  await session.claude.waitForStatus("idle");
  const own = () => waitingShells(session.home).filter(({ parent }) => parent === session.claude.pid);
  await session.claude.waitUntil("one shell to wait", () => own().length === 1);
}

/** A hook that looks for its pipe is there for a moment; one that waits stays for weeks. */
async function nobodyWaits(home: InstalledHome): Promise<void> {
  await waitFor("no shell to wait", () => waitingShells(home).length === 0);
}

/** The shells of this home's hooks that wait at a pipe. */
function waitingShells({ files }: InstalledHome): { pid: number; parent: number }[] {
  const shells: { pid: number; parent: number }[] = [];
  for (const name of readdirSync("/proc").filter((one) => /^\d+$/.test(one))) {
    try {
      const command = readFileSync(`/proc/${name}/cmdline`, "utf8");
      if (!command.includes("# ai-intercom bell")) continue;
      if (!readFileSync(`/proc/${name}/environ`, "utf8").includes(`HOME=${files.path}\0`)) continue;
      const stat = readFileSync(`/proc/${name}/stat`, "utf8");
      const parent = Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
      shells.push({ pid: Number(name), parent });
    } catch {
      // ended between two reads
    }
  }
  return shells;
}
