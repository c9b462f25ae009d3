// Two real agents on two machines talk: one asks with intercom_chat, the other gets the question in the middle of its
// work and answers with intercom_reply, and the answer reaches the asker in the middle of its own.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mail, prompt, type Step } from "../rig/fake-script";
import { HeldTool, IntercomStage, intercom } from "../rig/intercom-stage";
import { clientsReady, testMs } from "../rig/stage";
import { waitFor } from "../rig/wait";

const installed = await clientsReady();
let stage: IntercomStage;
beforeAll(async () => {
  if (installed) stage = await IntercomStage.open();
}, testMs);
afterAll(async () => stage?.[Symbol.asyncDispose]());

/** What a model does with the line that ends every delivery. */
const answer = (message: string): Step =>
  intercom("reply", { thread_id: 'READ:intercom_reply\\("(t-[0-9a-f]{12})"', message });

describe.skipIf(!installed).each([
  ["2.1.330", "2.1.330"],
  ["2.1.330", "2.1.197"],
] as const)("claude %s on one machine and claude %s on another", (askerVersion, askedVersion) => {
  test(
    "ask and answer, each in the middle of its work, each text once",
    async () => {
      const [limn, atlas] = [await stage.home("limn"), await stage.home("atlas")];
      await using asker = await limn.terminal({ version: askerVersion });
      await using asked = await atlas.terminal({ version: askedVersion });
      const [askersTool, askedsTool] = [new HeldTool(limn), new HeldTool(atlas)];
      await asked.claude.submit(prompt("work", [[askedsTool.step], [{ text: "without mail" }]]));
      await askedsTool.running();

      const question = mail("the question", [[answer("the answer")], [{ text: "end of asked" }]]);
      await asker.claude.submit(
        prompt("ask", [
          [intercom("chat", { to: asked.address, message: question })],
          [askersTool.step],
          [intercom("status", { message_id: 'READ:"message_id":"(msg-[0-9a-f]+)"' })],
          [{ text: "end of asker" }],
        ]),
      );
      await askersTool.running();
      expect((await asked.local())?.inbox_pending).toBe(1);
      await askedsTool.finish();
      await asked.claude.waitForAnswer("end of asked");
      expect(asked.counts("| the question")).toEqual([0, 1, 1]);

      await waitFor(
        "the answer in the asker's inbox",
        async () => (await asker.local())?.inbox_pending === 1,
      );
      await askersTool.finish();
      await asker.claude.waitForAnswer("end of asker");
      expect(asker.counts("| the answer")).toEqual([0, 0, 1, 1]);
      expect(asker.counts(`from ${asked.address}, thread `)).toEqual([0, 0, 1, 1]);
      expect(asked.counts(`from ${asker.address}, thread `)).toEqual([0, 1, 1]);
      // what the asker's model was told of its question when it looked
      expect(asker.turns().at(-1)?.text).toContain('"status":"replied"');
    },
    testMs,
  );
});
