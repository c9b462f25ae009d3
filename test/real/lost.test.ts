// What a hook printed and the client dropped comes again, and never twice: real clients that interrupt a hook, cut it
// off, or hold a typed prompt's hook text back.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import type { ClaudeTerminal } from "../rig/claude";
import { countOccurrences } from "../rig/fake-model";
import { mail, prompt } from "../rig/fake-script";
import { HeldTool, type InstalledHome, type IntercomSession, IntercomStage } from "../rig/intercom-stage";
import { bash, clientsReady, testMs } from "../rig/stage";
import { waitFor } from "../rig/wait";
import { claudeVersions } from "./install";

const installed = await clientsReady();
let stage: IntercomStage;
beforeAll(async () => {
  if (installed) stage = await IntercomStage.open();
}, testMs);
afterAll(async () => stage?.[Symbol.asyncDispose]());

describe.skipIf(!installed).each([...claudeVersions])("claude %s", (version) => {
  test(
    "our hook times out before it has printed: the mail stands in a later request of the same turn, once",
    async () => {
      const home = await stage.home("atlas");
      await stickOnce(home, { timeout: 1 });
      await using session = await home.terminal({ version });
      const [first, second] = [new HeldTool(home), new HeldTool(home)];
      await session.claude.submit(prompt("one", [[first.step], [second.step], [{ text: "end of one" }]]));
      await first.running();
      const { message_id } = await stage.write(session.address, "timed out");
      await first.finish();
      await second.running();
      expect(session.counts("timed out")).toEqual([0, 0]);
      expect(await stage.states(message_id)).toEqual(["accepted", "delivered", "offered"]);
      expect(await cancelled(session.claude)).toMatchObject({ hookEvent: "PostToolBatch", timedOut: true });
      await unreadAgain(session);
      await second.finish();
      await session.claude.waitForAnswer("end of one");
      expect(session.counts("| timed out")).toEqual([0, 0, 1]);
      await waitFor("seen", async () => (await stage.states(message_id)).includes("seen"));
    },
    testMs,
  );

  test(
    "Esc before our hook has printed: it is rung for the mail, which comes once",
    async () => {
      const home = await stage.home("atlas");
      await stickOnce(home);
      await using session = await home.terminal({ version });
      const tool = new HeldTool(home);
      await session.claude.submit(prompt("one", [[tool.step], [{ text: "end of one" }]]));
      await tool.running();
      const { message_id } = await stage.write(session.address, "interrupted");
      await tool.finish();
      await waitFor("offered", async () => (await stage.states(message_id)).includes("offered"));
      session.claude.press("escape");
      await session.claude.waitForScreen("Interrupted");
      expect(await cancelled(session.claude)).toMatchObject({ hookEvent: "PostToolBatch", timedOut: false });
      expect(session.counts("interrupted").at(0)).toBe(0);
      const carrier = await session.turn("the mail", ({ text }) => text.includes("| interrupted"));
      expect(countOccurrences(carrier, "| interrupted")).toBe(1);
      await waitFor("seen", async () => (await stage.states(message_id)).includes("seen"));
      await session.claude.waitForStatus("idle");
      await session.claude.submit(prompt("three", [[bash("echo three")], [{ text: "end of three" }]]));
      await session.claude.waitForAnswer("end of three");
      expect(session.counts("| interrupted").slice(-2)).toEqual([1, 1]);
    },
    testMs,
  );

  test(
    "Esc after our hook has printed, while another one runs: the text stays and comes with the next prompt, once",
    async () => {
      const slow = `[ -e "$HOME/slow" ] || exit 0; exec sleep 60`;
      const home = await stage.home("atlas", {
        hooks: { PostToolBatch: [{ hooks: [{ type: "command", command: slow }] }] },
      });
      await using session = await home.terminal({ version });
      const tool = new HeldTool(home);
      await session.claude.submit(prompt("one", [[tool.step], [{ text: "end of one" }]]));
      await tool.running();
      const { message_id } = await stage.write(session.address, "kept by the client");
      await home.files.write("slow", "");
      await tool.finish();
      await session.claude.waitUntil("the proof in the transcript", async () =>
        (await session.claude.transcript()).some(
          ({ attachment }) =>
            attachment?.type === "hook_additional_context" && attachment.hookEvent !== "SessionStart",
        ),
      );
      session.claude.press("escape");
      await session.claude.waitForScreen("Interrupted");
      expect(await cancelled(session.claude)).toMatchObject({ command: slow });
      await Bun.file(join(home.files.path, "slow")).delete();
      expect(await stage.states(message_id)).toEqual(["accepted", "delivered", "offered"]);
      await session.claude.submit(prompt("two", [[bash("echo two")], [{ text: "end of two" }]]));
      await session.claude.waitForAnswer("end of two");
      expect(session.counts("| kept by the client")).toEqual([0, 1, 1]);
      await waitFor("seen", async () => (await stage.states(message_id)).includes("seen"));
    },
    testMs,
  );

  test(
    "Esc before the first word takes the prompt back, and the mail it carried: it comes in the next turn, once",
    async () => {
      const home = await (await stage.home("atlas")).withoutBell();
      await using session = await home.terminal({ version });
      const { message_id } = await stage.write(session.address, "taken back");
      const answering = stage.gate();
      await session.claude.submit(prompt("one", [[answering.step, { text: "never said" }]]));
      await answering.reached();
      expect(session.counts("| taken back")).toEqual([1]);
      session.claude.press("escape");
      await session.claude.waitForStatus("idle");
      await session.claude.clearInput();
      const tool = new HeldTool(home);
      await session.claude.submit(prompt("two", [[tool.step], [{ text: "end of two" }]]));
      await tool.running();
      expect(session.counts("| taken back")).toEqual([1, 0]);
      await unreadAgain(session);
      expect(await stage.states(message_id)).toEqual(["accepted", "delivered", "offered"]);
      await tool.finish();
      await session.claude.waitForAnswer("end of two");
      expect(session.counts("| taken back")).toEqual([1, 0, 1]);
      await waitFor("seen", async () => (await stage.states(message_id)).includes("seen"));
    },
    testMs,
  );
});

describe.skipIf(!installed)("claude 2.1.330", () => {
  const version = "2.1.330";

  test(
    "a prompt typed while a tool runs: waiting mail comes with the tool's batch, once",
    async () => {
      const home = await stage.home("atlas");
      await using session = await home.terminal({ version });
      const tool = new HeldTool(home);
      await session.claude.submit(prompt("one", [[tool.step], [{ text: "end of one" }]]));
      await tool.running();
      const { message_id } = await stage.write(session.address, "beside a prompt");
      await workingLongEnough(session.claude);
      await session.claude.submit(mail("two", [[{ text: "end of two" }]]));
      await session.claude.waitUntil("the prompt in the queue", () => isQueued(session.claude));
      expect(await stage.states(message_id)).toEqual(["accepted", "delivered"]);
      await tool.finish();
      await session.claude.waitForAnswer("end of two");
      expect(session.counts("| beside a prompt").at(1)).toBe(1);
      expect(session.counts("| beside a prompt").at(-1)).toBe(1);
      await waitFor("seen", async () => (await stage.states(message_id)).includes("seen"));
    },
    testMs,
  );

  test(
    "a prompt typed while the agent answers: waiting mail comes at the end of the turn, once",
    async () => {
      const home = await stage.home("atlas");
      await using session = await home.terminal({ version });
      const ending = stage.gate();
      await session.claude.submit(prompt("one", [[{ text: "part" }, ending.step, { text: "end of one" }]]));
      await ending.reached();
      const { message_id } = await stage.write(session.address, "beside a prompt");
      await workingLongEnough(session.claude);
      await session.claude.submit(mail("two", [[{ text: "end of two" }]]));
      await session.claude.waitUntil("the prompt in the queue", () => isQueued(session.claude));
      ending.open();
      await session.claude.waitForAnswer("end of two");
      await waitFor("seen", async () => (await stage.states(message_id)).includes("seen"));
      await session.claude.waitForStatus("idle");
      expect(session.counts("| beside a prompt").at(-1)).toBe(1);
    },
    testMs,
  );
});

/**
 * Lets the next PostToolBatch hook of ours that has mail get stuck where it prints: a pipe that is full takes its
 * output. It has claimed by then, and only the client can end it. `timeout` in seconds; without it, the installed one.
 */
async function stickOnce(home: InstalledHome, { timeout }: { timeout?: number } = {}): Promise<void> {
  const fullPipe = `exec 3<>"$HOME/pipe"; head -c 65536 /dev/zero >&3; exec >&3`;
  await home.beforeMailHook(
    "PostToolBatch",
    `if mkfifo "$HOME/pipe" 2>/dev/null; then ${fullPipe}; fi`,
    timeout,
  );
}

/** What the client says of the hook that it ended. */
async function cancelled(claude: ClaudeTerminal) {
  return claude.waitUntil("the client's record of the hook it ended", async () => {
    const lines = await claude.transcript();
    return lines.find((line) => line.attachment?.type === "hook_cancelled")?.attachment;
  });
}

async function unreadAgain(session: IntercomSession<ClaudeTerminal>): Promise<void> {
  await session.claude.waitUntil(
    "the mail to be unread again",
    async () => (await session.local())?.inbox_pending === 1,
  );
}

/** Within its first second a working agent cannot be told from one whose own prompt just began (daemon/hook.ts). */
async function workingLongEnough(claude: ClaudeTerminal): Promise<void> {
  await claude.waitUntil("it to have worked for a second", async () => {
    const registry = await claude.registry();
    return registry?.status === "busy" && Date.now() - (registry.statusUpdatedAt ?? Date.now()) > 1_100;
  });
}

async function isQueued(claude: ClaudeTerminal): Promise<boolean> {
  return (await claude.transcript()).some(
    (line) => line.type === "queue-operation" && line.operation === "enqueue",
  );
}
