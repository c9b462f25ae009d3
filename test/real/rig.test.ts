// Proves the rig itself, and the facts about Claude Code the product stands on, on every pinned
// client: real client, fake model, hooks written by hand. The product is not involved.

import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { ClaudePrint, ClaudeTerminal } from "../rig/claude";
import { readTranscript } from "../rig/claude-files";
import { countOccurrences } from "../rig/fake-model";
import { mail, prompt, type Step } from "../rig/fake-script";
import { bash, clientsReady, isMainTurn, Stage, testMs } from "../rig/stage";
import { waitFor } from "../rig/wait";
import { claudeVersions } from "./install";

const installed = await clientsReady();

describe.skipIf(!installed).each([...claudeVersions])("claude %s", (version) => {
  test(
    "headless: a hook's context reaches the next request",
    async () => {
      await using on = await Stage.open(version);
      await on.hooks.sayOnce("UserPromptSubmit", "nonce-of-prompt");
      await on.hooks.sayOnce("PostToolBatch", "nonce-of-batch");
      await on.hooks.sayOnce("Stop", "nonce-of-stop");
      const script = prompt("hello", [
        [bash("echo tool-output")],
        [{ text: "first end" }],
        [{ text: "second end" }],
      ]);
      await using claude = await ClaudePrint.start({ home: on.home, version, prompt: script });

      expect(await claude.finish()).toBe(0);
      const turns = on.model.requests().filter(isMainTurn);
      const seen = (nonce: string) => turns.map((request) => countOccurrences(request, nonce));
      expect(seen("nonce-of-prompt")).toEqual([1, 1, 1]);
      expect(seen("nonce-of-batch")).toEqual([0, 1, 1]);
      expect(seen("nonce-of-stop")).toEqual([0, 0, 1]);
      expect(claude.lines.at(-1)).toMatchObject({
        type: "result",
        subtype: "success",
        is_error: false,
        result: "second end",
      });
      const [start] = await on.hooks.calls("SessionStart");
      expect(start).toMatchObject({ guardParent: claude.pid, programParent: claude.pid });
    },
    testMs,
  );

  test(
    "headless: a long-lived run takes several prompts",
    async () => {
      await using on = await Stage.open(version);
      await using claude = await ClaudePrint.start({ home: on.home, version });
      await claude.send(prompt("one", [[{ text: "answer one" }]]));
      await claude.waitForLine(
        "the first result",
        (line) => line.type === "result" && line.result === "answer one",
      );
      await claude.send(prompt("two", [[{ text: "answer two" }]]));
      await claude.waitForLine(
        "the second result",
        (line) => line.type === "result" && line.result === "answer two",
      );
      await claude.endInput();
      expect(await claude.finish()).toBe(0);
    },
    testMs,
  );

  test(
    "interactive: prompt, tool call held at a gate, final answer, three parallel calls",
    async () => {
      await using on = await Stage.open(version);
      await using claude = await ClaudeTerminal.start({ home: on.home, version });
      const gate = on.model.gate("before the tool");
      await claude.submit(
        prompt("one", [[{ gate: "before the tool" }, bash("echo tool-output")], [{ text: "final one" }]]),
      );
      await gate.reached();
      await claude.waitForStatus("busy");
      // Left while the model is held: nothing but the batch of that very turn can carry it.
      await on.hooks.sayOnce("PostToolBatch", "nonce-of-batch");
      gate.open();
      const answer = await claude.waitForAnswer("final one");
      const carrier = on.model.requests().find((request) => countOccurrences(request, "nonce-of-batch") > 0);
      expect(carrier?.answerId).toBe(answer.message?.id);
      await claude.waitForStatus("idle");

      const calls = [bash("echo out-a"), bash("echo out-b"), bash("echo out-c")];
      const batches = (await on.hooks.calls("PostToolBatch")).length;
      await claude.submit(prompt("two", [calls, [{ text: "final two" }]]));
      await claude.waitForAnswer("final two");
      expect(await on.hooks.calls("PostToolBatch")).toHaveLength(batches + 1);
      const last = on.model.requests().findLast(isMainTurn);
      expect(last?.text).toContain("out-a");
      expect(last?.text).toContain("out-c");
      await claude.waitForScreen("● final two");
    },
    testMs,
  );

  test(
    "interactive: /compact, /clear and --resume",
    async () => {
      await using on = await Stage.open(version);
      const claude = await ClaudeTerminal.start({ home: on.home, version });
      await using _ = claude;
      await on.hooks.sayOnce("UserPromptSubmit", "nonce-before");
      // 2.1.197 refuses to compact a conversation of one question and one answer.
      await claude.submit(prompt("one", [[bash("echo tool-output")], [{ text: "final one" }]]));
      await claude.waitForAnswer("final one");
      const first = await claude.waitForStatus("idle");

      await on.hooks.sayOnce("SessionStart", "nonce-of-compact");
      await claude.compact();
      const compacted = await on.hooks.waitForCall(
        "SessionStart",
        ({ input }) => input.source === "compact",
        { detail: () => claude.describe() },
      );
      expect(compacted.input.session_id).toBe(first.sessionId);
      await on.hooks.waitForCall("PostCompact");
      await claude.submit(prompt("two", [[{ text: "final two" }]]));
      await claude.waitForAnswer("final two");
      const afterCompact = on.model.requests().findLast(isMainTurn);
      expect(afterCompact && countOccurrences(afterCompact, "nonce-of-compact")).toBe(1);
      expect(afterCompact && countOccurrences(afterCompact, "nonce-before")).toBe(0);

      await claude.waitForStatus("idle");
      await on.hooks.sayOnce("SessionStart", "nonce-of-clear");
      const registry = await claude.clear();
      const cleared = await on.hooks.waitForCall("SessionStart", ({ input }) => input.source === "clear", {
        detail: () => claude.describe(),
      });
      expect(cleared.input.session_id).not.toBe(first.sessionId);
      expect(registry.sessionId).toBe(cleared.input.session_id ?? "");
      expect(cleared.input.transcript_path).toBe(await claude.transcriptPath());
      await claude.submit(prompt("three", [[{ text: "final three" }]]));
      await claude.waitForAnswer("final three");
      expect(on.model.requests().findLast(isMainTurn)?.text).toContain("nonce-of-clear");
      await claude.waitForStatus("idle");
      await claude.close();
      expect(await claude.registry()).toBeUndefined();

      await on.hooks.sayOnce("SessionStart", "nonce-of-resume");
      const args = ["--resume", cleared.input.session_id];
      await using resumed = await ClaudeTerminal.start({ home: on.home, version, args });
      const again = await on.hooks.waitForCall("SessionStart", ({ input }) => input.source === "resume");
      expect(again.input.session_id).toBe(cleared.input.session_id);
      expect(again.input.transcript_path).toBe(cleared.input.transcript_path);
      await resumed.submit(prompt("four", [[{ text: "final four" }]]));
      await resumed.waitForAnswer("final four");
      const afterResume = on.model.requests().findLast(isMainTurn);
      expect(afterResume?.text).toContain("nonce-of-resume");
      expect(afterResume?.text).toContain("final three");
    },
    testMs,
  );

  test(
    "interactive: Esc during a slow hook drops its text, and the session goes on",
    async () => {
      await using on = await Stage.open(version);
      await using claude = await ClaudeTerminal.start({ home: on.home, version });
      // Longer than the test waits: only the Esc can end it.
      await on.hooks.slowOnce("PostToolBatch", 30);
      await on.hooks.sayOnce("PostToolBatch", "nonce-never-said");
      await claude.submit(prompt("one", [[bash("echo tool-output")], [{ text: "never said" }]]));
      await on.hooks.waitForCall("PostToolBatch");
      claude.press("escape");
      await claude.waitForStatus("idle");
      await claude.waitForScreen("Interrupted");
      await on.hooks.sayNothing("PostToolBatch");
      await claude.submit(prompt("two", [[{ text: "final two" }]]));
      await claude.waitForAnswer("final two");
      const all = on.model
        .requests()
        .map((request) => request.text)
        .join("\n");
      expect(all).not.toContain("nonce-never-said");
      // The interrupted turn has no Stop of its own.
      await on.hooks.waitForCall("Stop");
      await claude.waitForStatus("idle");
      expect(await on.hooks.calls("Stop")).toHaveLength(1);
    },
    testMs,
  );

  test(
    "interactive: hooks of a subagent carry its id and speak to it alone",
    async () => {
      await using on = await Stage.open(version);
      await using claude = await ClaudeTerminal.start({ home: on.home, version });
      const job = prompt("job", [
        [{ gate: "in the subagent" }, bash("echo in-subagent")],
        [{ text: "subagent done" }],
      ]);
      const agent: Step = {
        tool: "Agent",
        input: { description: "d", subagent_type: "general-purpose", run_in_background: false, prompt: job },
      };
      await claude.submit(prompt("one", [[agent], [{ text: "final one" }], [{ text: "woken" }]]));
      const request = await on.model.gate("in the subagent").reached();
      expect(request.agentId).toBeDefined();
      await on.hooks.sayOnce("PostToolBatch", "nonce-for-subagent");
      on.model.gate("in the subagent").open();
      const batch = await on.hooks.waitForCall("PostToolBatch", ({ input }) => input.agent_id !== undefined);
      expect(batch.input.agent_id).toBe(request.agentId);
      expect(batch.input.transcript_path).toBe(await claude.transcriptPath());
      const carrier = await on.model.waitForRequest(({ text }) => text.includes("nonce-for-subagent"), {
        label: "the subagent's context",
      });
      expect(carrier.agentId).toBe(request.agentId);
      await claude.waitForAnswer("final one");
      expect(
        on.model
          .requests()
          .filter(isMainTurn)
          .some(({ text }) => text.includes("nonce-for-subagent")),
      ).toBe(false);
      // 2.1.197 sends the context to the subagent but keeps no record of it.
      if (version === "2.1.197") return;
      const side = join(
        await claude.transcriptPath(),
        "..",
        (await claude.registry())?.sessionId ?? "",
        "subagents",
        `agent-${request.agentId}.jsonl`,
      );
      const proof = await waitFor("the subagent's transcript", async () =>
        (await readTranscript(side)).find((line) => line.attachment?.type === "hook_additional_context"),
      );
      expect(proof.isSidechain).toBe(true);
    },
    testMs,
  );

  test(
    "a script inside delivered mail steers its reader only when marked as mail",
    async () => {
      await using on = await Stage.open(version);
      await using claude = await ClaudeTerminal.start({ home: on.home, version });
      await on.hooks.sayOnce("UserPromptSubmit", prompt("ignored", [[{ text: "from ignored" }]]));
      await claude.submit(prompt("one", [[{ text: "from prompt" }]]));
      await claude.waitForAnswer("from prompt");
      await claude.waitForStatus("idle");
      await on.hooks.sayOnce(
        "UserPromptSubmit",
        mail("taken", [[bash("echo from-mail")], [{ text: "from mail" }]]),
      );
      await claude.submit("go on");
      await claude.waitForAnswer("from mail");
    },
    testMs,
  );
});
