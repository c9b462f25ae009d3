// Mail on its way into a working agent: real clients with the hooks and the MCP entry that `install` wrote, the built
// product, and the requests that reach the model as the judge of what the model saw, and how often.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { instructions } from "../../src/protocol/tools.ts";
import { mail, prompt, type Step } from "../rig/fake-script";
import { HeldTool, IntercomStage, intercom } from "../rig/intercom-stage";
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
    "a chat that comes while a tool runs stands in the next request, once; `seen` is said when the model has answered it",
    async () => {
      const home = await stage.home("atlas");
      await using session = await home.terminal({ version });
      const [tool, answering] = [new HeldTool(home), stage.gate()];
      await session.claude.submit(
        prompt("one", [[tool.step], [answering.step, bash("echo more")], [{ text: "end of one" }]]),
      );
      await tool.running();
      const { message_id } = await stage.write(session.address, "the news");
      expect(await stage.states(message_id)).toEqual(["accepted", "delivered"]);

      await tool.finish();
      const carrier = await answering.reached();
      expect(session.counts("| the news")).toEqual([0, 1]);
      // the model reads it and has not said a word: the proof is on disk, and no more than `offered` is true
      await waitFor("the proof in the transcript", async () =>
        (await session.claude.transcript()).some(
          ({ attachment }) => attachment && JSON.stringify(attachment).includes("| the news"),
        ),
      );
      await waitFor("offered", async () => (await stage.states(message_id)).includes("offered"));
      expect(await stage.states(message_id)).toEqual(["accepted", "delivered", "offered"]);
      answering.open();
      await session.claude.waitForAnswer("end of one");
      const seen = await waitFor("seen", async () =>
        (await stage.history(message_id)).find(({ state }) => state === "seen"),
      );
      expect(Date.parse(seen.at)).toBeGreaterThan(carrier.atMs);
      expect(await stage.states(message_id)).toEqual(["accepted", "delivered", "offered", "seen"]);
      expect(session.counts("| the news")).toEqual([0, 1, 1]);
      expect(session.claude.screen()).not.toContain("hook error");
    },
    testMs,
  );

  test(
    "two sessions of one project side by side get their own mail only",
    async () => {
      const home = await stage.home("limn");
      await using left = await home.terminal({ version });
      await using right = await home.terminal({ version });
      const tools = [new HeldTool(home), new HeldTool(home)] as const;
      await left.claude.submit(prompt("left", [[tools[0].step], [{ text: "end of left" }]]));
      await right.claude.submit(prompt("right", [[tools[1].step], [{ text: "end of right" }]]));
      for (const tool of tools) await tool.running();
      await stage.write(left.address, "for the left one");
      await stage.write(right.address, "for the right one");
      for (const tool of tools) await tool.finish();
      await left.claude.waitForAnswer("end of left");
      await right.claude.waitForAnswer("end of right");
      expect([left.counts("| for the left one"), left.counts("| for the right one")]).toEqual([
        [0, 1],
        [0, 0],
      ]);
      expect([right.counts("| for the right one"), right.counts("| for the left one")]).toEqual([
        [0, 1],
        [0, 0],
      ]);
    },
    testMs,
  );

  test(
    "the tools of a subagent take no mail; the main agent gets it afterwards, once",
    async () => {
      const home = await stage.home("atlas");
      await using session = await home.terminal({ version });
      const [tool, ending] = [new HeldTool(home), stage.gate()];
      const job = prompt("job", [[tool.step], [ending.step, { text: "job done" }]]);
      const agent: Step = {
        tool: "Agent",
        input: { description: "d", subagent_type: "general-purpose", run_in_background: false, prompt: job },
      };
      await session.claude.submit(prompt("one", [[agent], [{ text: "end of one" }], [{ text: "woken" }]]));
      await tool.running();
      const { message_id } = await stage.write(session.address, "for the main agent");
      await tool.finish();
      expect((await ending.reached()).agentId).toBeDefined();
      // 2.1.330 runs it in the background: its turn is over, and the bell brings the mail to the main agent meanwhile
      const inBackground = version === "2.1.330";
      const mail = () => session.turn("the mail", ({ text }) => text.includes("| for the main agent"));
      if (inBackground) await mail();
      else expect(await stage.states(message_id)).toEqual(["accepted", "delivered"]);
      ending.open();
      await mail();
      await session.claude.waitForAnswer("end of one");
      const ofSubagent = session.requests().filter(({ agentId }) => agentId !== undefined);
      expect(ofSubagent.length).toBeGreaterThan(1);
      expect(ofSubagent.some(({ text }) => text.includes("for the main agent"))).toBe(false);
      expect(session.counts("| for the main agent").at(-1)).toBe(1);
    },
    testMs,
  );

  test(
    "two messages of one thread, one with the prompt and one a moment later, stand in two requests, in order",
    async () => {
      const home = await (await stage.home("atlas")).withoutBell();
      await using session = await home.terminal({ version });
      const { thread_id } = await stage.write(session.address, "first of two");
      const tool = new HeldTool(home);
      await session.claude.submit(prompt("one", [[tool.step], [{ text: "end of one" }]]));
      await tool.running();
      expect(session.counts("| first of two")).toEqual([1]);
      const second = await stage.fleet.machine("limn").json("reply", thread_id, "second of two");
      expect(second.status).toBe("delivered");
      await tool.finish();
      await session.claude.waitForAnswer("end of one");
      expect(session.counts("| first of two")).toEqual([1, 1]);
      expect(session.counts("| second of two")).toEqual([0, 1]);
    },
    testMs,
  );

  test(
    "three tool calls of one turn carry it once",
    async () => {
      const home = await stage.home("atlas");
      await using session = await home.terminal({ version });
      const calling = stage.gate();
      const calls = [bash("echo out-a"), bash("echo out-b"), bash("echo out-c")];
      await session.claude.submit(prompt("one", [[calling.step, ...calls], [{ text: "end of one" }]]));
      await calling.reached();
      await stage.write(session.address, "for all three");
      calling.open();
      await session.claude.waitForAnswer("end of one");
      expect(session.counts("| for all three")).toEqual([0, 1]);
      for (const output of ["out-a", "out-b", "out-c"])
        expect(session.turns().at(-1)?.text).toContain(output);
    },
    testMs,
  );

  test(
    "intercom_check_inbox hands it over once; the hook after it repeats nothing",
    async () => {
      const home = await stage.home("atlas");
      await using session = await home.terminal({ version });
      const calling = stage.gate();
      await session.claude.submit(
        prompt("one", [
          [calling.step, intercom("check_inbox"), bash("echo out-a")],
          [intercom("check_inbox")],
          [{ text: "end of one" }],
        ]),
      );
      await calling.reached();
      const { message_id } = await stage.write(session.address, "fetched by hand");
      calling.open();
      await session.claude.waitForAnswer("end of one");
      expect(session.counts("fetched by hand")).toEqual([0, 1, 1]);
      expect(session.counts("Mail from ai-intercom.")).toEqual([0, 0, 0]);
      expect(session.counts('"count":0')).toEqual([0, 0, 1]);
      await waitFor("seen", async () => (await stage.states(message_id)).includes("seen"));
    },
    testMs,
  );

  test(
    "mail of its last moment: an interactive agent takes it up before it goes idle",
    async () => {
      const home = await stage.home("atlas");
      await using session = await home.terminal({ version });
      const ending = stage.gate();
      await session.claude.submit(prompt("one", [[{ text: "part" }, ending.step, { text: "end of one" }]]));
      await ending.reached();
      const late = mail("at the last moment", [[bash("echo more")], [{ text: "taken up" }]]);
      const { message_id } = await stage.write(session.address, late);
      ending.open();
      await session.claude.waitForAnswer("taken up");
      expect(session.counts("| at the last moment")).toEqual([0, 1, 1]);
      await waitFor("seen", async () => (await stage.states(message_id)).includes("seen"));
    },
    testMs,
  );

  test(
    "mail of its last moment: a headless run takes it up before it ends",
    async () => {
      const home = await stage.home("atlas");
      const ending = stage.gate();
      await using session = await home.print({
        version,
        prompt: prompt("one", [[{ text: "part" }, ending.step, { text: "end of one" }]]),
      });
      await ending.reached();
      const late = mail("at the last moment", [[bash("echo more")], [{ text: "taken up" }]]);
      const { message_id } = await stage.write(session.address, late);
      ending.open();
      expect(await session.claude.finish()).toBe(0);
      expect(session.claude.lines.at(-1)).toMatchObject({ type: "result", result: "taken up" });
      expect(session.counts("| at the last moment")).toEqual([0, 1, 1]);
      await waitFor("seen", async () => (await stage.states(message_id)).includes("seen"));
    },
    testMs,
  );

  test(
    "an idle session is woken, and the mail comes with the ring, once",
    async () => {
      const home = await stage.home("atlas");
      await using session = await home.terminal({ version });
      await session.claude.submit(prompt("one", [[{ text: "end of one" }]]));
      await session.claude.waitForAnswer("end of one");
      await session.claude.waitForStatus("idle");
      const steered = mail("while idle", [[bash("echo more")], [{ text: "taken up" }]]);
      const sent = performance.now();
      const { message_id } = await stage.write(session.address, steered);
      await session.claude.waitForAnswer("taken up");
      const counts = session.counts("| while idle");
      const carrier = counts.indexOf(1);
      expect(counts.slice(carrier)).toEqual([1, 1]);
      const rings = session.counts("not the user's words.");
      expect(rings[carrier]).toBe((rings[carrier - 1] ?? 0) + 1);
      expect(session.rings()).toBeLessThanOrEqual(session.ringsSince(sent));
      await waitFor("seen", async () => (await stage.states(message_id)).includes("seen"));
    },
    testMs,
  );

  test(
    "without mail the model reads its own address and nothing else of ai-intercom, and the hooks print nothing",
    async () => {
      const home = await stage.home("atlas");
      const calling = stage.gate();
      const script = prompt("one", [
        [calling.step, bash("echo out-a")],
        [bash("echo out-b")],
        [{ text: "end" }],
      ]);
      await using session = await home.print({ version, prompt: script, args: ["--include-hook-events"] });
      calling.open();
      expect(await session.claude.finish()).toBe(0);
      const said = session.claude.lines.filter(({ subtype }) => subtype === "hook_response");
      const told = said.map(
        ({ hook_event, outcome, stdout }) => `${hook_event} ${outcome}: ${stdout !== ""}`,
      );
      expect(told.toSorted()).toEqual([
        "PostToolBatch success: false",
        "PostToolBatch success: false",
        // the inbox hook and the bell
        "SessionStart success: false",
        "SessionStart success: true",
        "Stop success: false",
        "Stop success: false",
        "UserPromptSubmit success: false",
      ]);
      expect(session.counts(`other agents reach this session as ${session.address}.`)).toEqual([1, 1, 1]);
      for (const { text } of session.turns())
        expect(withoutIntroduction(text)).not.toMatch(/.{0,60}intercom.{0,60}/i);
    },
    testMs,
  );
});

/** What the session is told once: its address, the names of the tools, and the MCP server's instructions. */
function withoutIntroduction(text: string): string {
  return text
    .replace(/ai-intercom: other agents reach this session as \S+ .*intercom_list_agents.*/, "")
    .replaceAll(/^mcp__ai-intercom__\w+$/gm, "")
    .replace("## ai-intercom\n", "")
    .replace(instructions, "");
}
