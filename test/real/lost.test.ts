// What a hook printed and the client dropped comes again, and never twice: real clients that interrupt a hook, cut it
// off, or hold a typed prompt's hook text back.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { z } from "zod";
import type { ClaudeTerminal } from "../rig/claude";
import { mail, prompt } from "../rig/fake-script";
import { HeldTool, type InstalledHome, IntercomStage } from "../rig/intercom-stage";
import { clientsReady, testMs } from "../rig/stage";
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
    "a hook cut off after its claim: the mail stands in a later request of the same turn, once",
    async () => {
      const home = await stage.home("atlas");
      await cutOff(home);
      await using session = await home.terminal({ version });
      const [first, second] = [new HeldTool(home), new HeldTool(home)];
      await session.claude.submit(prompt("one", [[first.step], [second.step], [{ text: "end of one" }]]));
      await first.running();
      await home.files.write("hang", "");
      const { message_id } = await stage.write(session.address, "cut off");
      await first.finish();
      await second.running();
      expect(session.counts("cut off")).toEqual([0, 0]);
      expect(await Bun.file(join(home.files.path, "kept")).text()).toContain("| cut off");
      await waitFor("the mail to be unread again", async () => (await session.local())?.inbox_pending === 1);
      expect(await stage.states(message_id)).not.toContain("seen");
      await second.finish();
      await session.claude.waitForAnswer("end of one");
      expect(session.counts("| cut off")).toEqual([0, 0, 1]);
      await waitFor("seen", async () => (await stage.states(message_id)).includes("seen"));
    },
    testMs,
  );
});

describe.skipIf(!installed)("claude 2.1.330", () => {
  const version = "2.1.330";

  test(
    "Esc while the hooks run drops what ours printed: it comes with the next prompt, once",
    async () => {
      const slow = `[ -e "$HOME/slow" ] || exit 0; touch "$HOME/slow-runs"; exec sleep 60`;
      const home = await stage.home("atlas", {
        hooks: { PostToolBatch: [{ hooks: [{ type: "command", command: slow }] }] },
      });
      await using session = await home.terminal({ version });
      const tool = new HeldTool(home);
      await session.claude.submit(prompt("one", [[tool.step], [{ text: "end of one" }]]));
      await tool.running();
      const { message_id } = await stage.write(session.address, "interrupted");
      await home.files.write("slow", "");
      await tool.finish();
      await waitFor("the slow hook", () => Bun.file(join(home.files.path, "slow-runs")).exists());
      await waitFor("offered", async () => (await stage.states(message_id)).includes("offered"));
      session.claude.press("escape");
      await session.claude.waitForStatus("idle");
      await session.claude.waitForScreen("Interrupted");
      await Bun.file(join(home.files.path, "slow")).delete();
      await waitFor("the mail to be unread again", async () => (await session.local())?.inbox_pending === 1);
      expect(session.counts("interrupted").at(-1)).toBe(0);

      await session.claude.submit(prompt("two", [[{ text: "end of two" }]]));
      await session.claude.waitForAnswer("end of two");
      expect(session.counts("| interrupted").at(-1)).toBe(1);
      await waitFor("seen", async () => (await stage.states(message_id)).includes("seen"));
    },
    testMs,
  );

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
      console.log(session.counts("| beside a prompt"));
    },
    testMs,
  );
});

const Settings = z.looseObject({
  hooks: z.record(
    z.string(),
    z.array(z.looseObject({ hooks: z.array(z.looseObject({ command: z.string() })) })),
  ),
});

/**
 * Puts a shell around the installed PostToolBatch hook. Once, while `~/hang` is there, it keeps what the hook printed
 * from the client until the client has given it up: the hook's own process ends as always, its output comes too late.
 */
async function cutOff({ files }: InstalledHome): Promise<void> {
  const path = join(files.path, ".claude/settings.json");
  const settings = Settings.parse(await Bun.file(path).json());
  const [hook] = settings.hooks.PostToolBatch?.flatMap(({ hooks }) => hooks) ?? [];
  if (!hook) throw new Error("install wrote no PostToolBatch hook");
  const keep = `{ cat "$HOME/pipe" > "$HOME/kept"; sleep 3; cat "$HOME/kept"; }`;
  hook.command = `if mv "$HOME/hang" "$HOME/hung" 2>/dev/null; then mkfifo "$HOME/pipe"; ${keep} & exec > "$HOME/pipe"; fi; ${hook.command}`;
  hook.timeout = 1;
  await files.writeSettings(settings);
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
