// An idle agent wakes on a chat, once: the MCP server rings its own session's socket, the hook that fires for the
// ring carries the mail into the same request.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mail, prompt } from "../rig/fake-script";
import { IntercomStage, intercom } from "../rig/intercom-stage";
import { bash, clientsReady, testMs } from "../rig/stage";
import { waitFor } from "../rig/wait";
import { claudeVersions } from "./install";

const installed = await clientsReady();
let stage: IntercomStage;
beforeAll(async () => {
  if (installed) stage = await IntercomStage.open();
}, testMs);
afterAll(async () => stage?.[Symbol.asyncDispose]());

/** ms from the hub's `accepted` to the model's request, of an idle agent (issue: within 2 s) */
const wakeMs = 2_000;

describe.skipIf(!installed)("claude 2.1.330", () => {
  // alone: the time that other clients take of the machine is not the product's
  for (const permissionMode of ["bypassPermissions", "default"] as const)
    test.serial(
      `idle in ${permissionMode} mode: a chat starts a turn within 2 s and stands in it once`,
      async () => {
        const home = await stage.home("atlas");
        await using session = await home.terminal({ version: "2.1.330", permissionMode });
        await session.claude.submit(prompt("first", [[{ text: "end of first" }]]));
        await session.claude.waitForAnswer("end of first");
        await session.claude.waitForStatus("idle");
        const before = session.turns().length;
        const { message_id } = await stage.write(
          session.address,
          mail("wake up", [[{ text: "I am awake" }]]),
        );
        const woken = await session.turn("the woken turn", ({ text }) => text.includes("wake up"));
        const [accepted] = await stage.history(message_id);
        expect(woken.atMs - Date.parse(accepted?.at ?? "")).toBeLessThan(wakeMs);
        await session.claude.waitForAnswer("I am awake");
        await session.claude.waitForStatus("idle");
        expect(session.turns().length).toBe(before + 1);
        expect(session.counts("| wake up").at(-1)).toBe(1);
        expect(woken.text).toContain("[ai-intercom ring ");
      },
      testMs,
    );

  test(
    "two idle sessions of one project: each is woken by its own mail only",
    async () => {
      const home = await stage.home("limn");
      await using left = await home.terminal({ version: "2.1.330" });
      await using right = await home.terminal({ version: "2.1.330" });
      for (const session of [left, right]) {
        await session.claude.submit(prompt("start", [[{ text: `ready ${session.id}` }]]));
        await session.claude.waitForAnswer(`ready ${session.id}`);
        await session.claude.waitForStatus("idle");
      }
      for (const [session, other, word] of [
        [left, right, "left"],
        [right, left, "right"],
      ] as const) {
        const before = other.turns().length;
        const sent = performance.now();
        await stage.write(session.address, mail(`only ${word}`, [[{ text: `${word} woke` }]]));
        await session.claude.waitForAnswer(`${word} woke`);
        expect(session.turns().length).toBe(1 + session.rings());
        expect(session.rings()).toBeLessThanOrEqual(session.ringsSince(sent));
        expect(other.turns().length).toBe(before);
      }
      expect([left.counts("| only left").at(-1), left.counts("only right").at(-1)]).toEqual([1, 0]);
      expect([right.counts("| only right").at(-1), right.counts("only left").at(-1)]).toEqual([1, 0]);
    },
    testMs,
  );

  test(
    "an idle agent answers a peer by itself: two sessions talk without a person",
    async () => {
      const [a, b] = [await stage.home("limn"), await stage.home("atlas")];
      await using asker = await a.terminal({ version: "2.1.330" });
      await using answerer = await b.terminal({ version: "2.1.330" });
      await answerer.claude.submit(prompt("hello", [[{ text: "waiting" }]]));
      await answerer.claude.waitForAnswer("waiting");
      await answerer.claude.waitForStatus("idle");
      const question = mail("what is the port?", [
        [intercom("chat", { to: asker.address, message: "the port is 8080" })],
        [{ text: "answered" }],
      ]);
      await asker.claude.submit(
        prompt("ask", [[intercom("chat", { to: answerer.address, message: question })], [{ text: "asked" }]]),
      );
      await asker.claude.waitForAnswer("asked");
      await asker.turn("the answer", ({ text }) => text.includes("| the port is 8080"));
      await answerer.claude.waitForAnswer("answered");
      expect(asker.counts("| the port is 8080").at(-1)).toBe(1);
    },
    testMs,
  );

  test(
    "while a permission dialog is open the sender learns why its message waits; it arrives once when the dialog closes",
    async () => {
      const home = await stage.home("atlas");
      await using session = await home.terminal({ version: "2.1.330", permissionMode: "default" });
      await session.claude.submit(prompt("ask first", [[bash("touch asked")], [{ text: "end of dialog" }]]));
      await session.claude.waitForStatus("waiting");
      const { message_id } = await stage.write(session.address, "behind a dialog");
      expect((await stage.history(message_id)).at(-1)).toMatchObject({
        state: "delivered",
        reason: expect.stringContaining("dialog"),
      });
      await session.claude.answerDialog("enter");
      await session.claude.waitForAnswer("end of dialog");
      await waitFor("seen", async () => (await stage.states(message_id)).includes("seen"));
      expect(session.counts("| behind a dialog").at(-1)).toBe(1);
    },
    testMs,
  );
});

describe.skipIf(!installed).each([...claudeVersions])("claude %s", (version) => {
  test(
    "an idle agent that cannot be woken: delivered, with the reason, and read with the next prompt",
    async () => {
      const home = await (await stage.home("atlas")).withoutBell();
      await using session = await home.terminal({ version });
      await session.claude.submit(prompt("first", [[{ text: "end of first" }]]));
      await session.claude.waitForAnswer("end of first");
      await session.claude.waitForStatus("idle");
      const { message_id } = await stage.write(session.address, "no bell");
      expect((await stage.history(message_id)).at(-1)).toMatchObject({
        state: "delivered",
        reason: expect.stringContaining("cannot be woken"),
      });
      await session.claude.submit(prompt("second", [[{ text: "end of second" }]]));
      await session.claude.waitForAnswer("end of second");
      expect(session.counts("| no bell")).toEqual([0, 1]);
    },
    testMs,
  );
});
