// Facts about Claude Code that the delivery of mail is built on, held against every pinned client. A
// failure here after a version change means: read docs/architecture.md again before you touch the test.

import { describe, expect, test } from "bun:test";
import { ClaudeTerminal } from "../rig/claude";
import type { TranscriptLine } from "../rig/claude-files";
import { countOccurrences, type FakeModel } from "../rig/fake-model";
import { mail, prompt, type Step } from "../rig/fake-script";
import { bash, clientsReady, isMainTurn, Stage, testMs } from "../rig/stage";
import { claudeVersions } from "./install";

const installed = await clientsReady();
const agent = (task: string): Step => ({
  tool: "Agent",
  input: { description: "d", subagent_type: "general-purpose", run_in_background: true, prompt: task },
});

describe.skipIf(!installed).each([...claudeVersions])("claude %s", (version) => {
  test(
    "a proof line and the first answer below it in the chain name the request that carried the text",
    async () => {
      await using on = await Stage.open(version);
      await on.hooks.sayOnce("SessionStart", "nonce-of-start");
      await using claude = await ClaudeTerminal.start({ home: on.home, version });
      await on.hooks.sayOnce("UserPromptSubmit", "nonce-of-prompt");
      await on.hooks.sayOnce("PostToolBatch", "nonce-of-batch");
      await on.hooks.sayOnce("Stop", "nonce-of-stop");
      const first: Step[] = [bash("echo tool-output"), { sleep: 300 }, { text: "tail of the same message" }];
      await claude.submit(prompt("one", [first, [{ text: "first end" }], [{ text: "second end" }]]));
      await claude.waitForAnswer("second end");
      for (const nonce of ["nonce-of-start", "nonce-of-prompt", "nonce-of-batch", "nonce-of-stop"]) {
        expect([nonce, answerBelow(await claude.transcript(), nonce)]).toEqual([
          nonce,
          carrierOf(on.model, nonce),
        ]);
      }
    },
    testMs,
  );

  test(
    "a prompt typed while the agent works: 2.1.330 runs its hook at once and holds the text back",
    async () => {
      await using on = await Stage.open(version);
      await using claude = await ClaudeTerminal.start({ home: on.home, version });
      await claude.submit(prompt("one", [[{ text: "part" }, { gate: "answering" }, { text: "end of one" }]]));
      await on.model.gate("answering").reached();
      await on.hooks.sayOnce("UserPromptSubmit", "nonce-of-queued");
      await claude.submit(mail("two", [[{ text: "end of two" }]]));
      if (version === "2.1.330")
        await on.hooks.waitForCall("UserPromptSubmit", ({ input }) => String(input.prompt).startsWith("two"));
      await claude.waitUntil("the prompt in the queue", async () =>
        (await claude.transcript()).some(
          (line) => line.type === "queue-operation" && line.operation === "enqueue",
        ),
      );
      expect((await on.hooks.calls("UserPromptSubmit")).length).toBe(version === "2.1.330" ? 2 : 1);
      on.model.gate("answering").open();
      await claude.waitForAnswer("end of two");
      const lines = await claude.transcript();
      expect(answerBelow(lines, "nonce-of-queued")).toBe(carrierOf(on.model, "nonce-of-queued"));
      // The trap: its time is that of the hook, although an answer that never saw it came in between.
      const proof = proofOf(lines, "nonce-of-queued");
      const unaware = await claude.waitForAnswer("end of one");
      const hookFirst = Date.parse(proof?.timestamp ?? "") < Date.parse(unaware.timestamp ?? "");
      expect(hookFirst).toBe(version === "2.1.330");
    },
    testMs,
  );

  test(
    "a hook that times out leaves hook_cancelled and its text reaches nobody",
    async () => {
      await using on = await Stage.open(version, { PostToolBatch: 1 });
      await using claude = await ClaudeTerminal.start({ home: on.home, version });
      await on.hooks.slowOnce("PostToolBatch", 5);
      await on.hooks.sayOnce("PostToolBatch", "nonce-too-late");
      await claude.submit(prompt("one", [[bash("echo tool-output")], [{ text: "end of one" }]]));
      await claude.waitForAnswer("end of one");
      const lines = await claude.transcript();
      const cancelled = lines.find((line) => line.attachment?.type === "hook_cancelled");
      expect(cancelled?.attachment).toMatchObject({
        hookEvent: "PostToolBatch",
        timedOut: true,
        timeoutMs: 1_000,
      });
      expect(on.model.requests().some((request) => countOccurrences(request, "nonce-too-late") > 0)).toBe(
        false,
      );
    },
    testMs,
  );

  test(
    "the registry says busy while only a background agent works, and shell while a background command runs",
    async () => {
      await using on = await Stage.open(version);
      await using claude = await ClaudeTerminal.start({ home: on.home, version });
      const job = prompt("job", [[{ gate: "in the agent" }, { text: "agent done" }]]);
      await claude.submit(
        prompt("one", [[agent(job)], [{ text: "end of one" }], [{ text: "woken by agent" }]]),
      );
      await on.model.gate("in the agent").reached();
      await claude.waitForAnswer("end of one");
      await claude.waitUntil("the end of the turn", async () => (await claude.transcript()).some(isTurnEnd));
      // written in place: it may be met empty
      const registry = await claude.waitUntil("its registry file", () => claude.registry());
      expect(registry.status).toBe("busy");
      on.model.gate("in the agent").open();
      await claude.waitForAnswer("woken by agent");
      await claude.waitForStatus("idle");

      // Ends when the test says so.
      const command = `while [ ! -e "$HOME/enough" ]; do sleep 0.05; done`;
      await claude.submit(
        prompt("two", [
          [bash(command, { run_in_background: true })],
          [{ text: "end of two" }],
          [{ text: "woken by command" }],
        ]),
      );
      await claude.waitForAnswer("end of two");
      await claude.waitForStatus("shell");
      await on.home.write("enough", "");
      await claude.waitForAnswer("woken by command");
      await claude.waitForStatus("idle");
    },
    testMs,
  );

  test(
    "the registry says waiting while a permission dialog is open",
    async () => {
      await using on = await Stage.open(version);
      await using claude = await ClaudeTerminal.start({ home: on.home, version, permissionMode: "default" });
      await claude.submit(prompt("one", [[bash("touch made-by-tool")], [{ text: "end of one" }]]));
      const waiting = await claude.waitForStatus("waiting");
      expect(waiting.waitingFor).toBe("permission prompt");
      await claude.waitForScreen("Do you want to proceed?");
      await claude.answerDialog();
      await claude.waitForAnswer("end of one");
      await claude.waitForStatus("idle");
    },
    testMs,
  );
});

function isTurnEnd(line: TranscriptLine): boolean {
  return line.type === "system" && line.subtype === "turn_duration";
}

/** The answer to the first request that carried the text: the truth the transcript is held against. */
function carrierOf(model: FakeModel, nonce: string): string | undefined {
  return model.requests().find((request) => isMainTurn(request) && countOccurrences(request, nonce) > 0)
    ?.answerId;
}

function proofOf(lines: readonly TranscriptLine[], nonce: string): TranscriptLine | undefined {
  return lines.find(
    ({ attachment }) =>
      attachment?.type === "hook_additional_context" && JSON.stringify(attachment.content).includes(nonce),
  );
}

/** The first answer that descends from the proof line by `parentUuid` and is not already above it. */
function answerBelow(lines: readonly TranscriptLine[], nonce: string): string | undefined {
  const byId = new Map(lines.map((line) => [line.uuid, line]));
  const chain = (line: TranscriptLine | undefined): TranscriptLine[] =>
    line ? [line, ...chain(typeof line.parentUuid === "string" ? byId.get(line.parentUuid) : undefined)] : [];
  const proof = proofOf(lines, nonce);
  if (!proof) return undefined;
  const above = new Set(chain(proof).map((line) => line.message?.id));
  const below = lines.find(
    (line) => line.type === "assistant" && !above.has(line.message?.id) && chain(line).includes(proof),
  );
  return below?.message?.id;
}
