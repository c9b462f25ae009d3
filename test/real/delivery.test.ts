import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { countOccurrences } from "../rig/fake-model";
import { prompt } from "../rig/fake-script";
import { HeldTool, IntercomStage } from "../rig/intercom-stage";
import { clientsReady, testMs } from "../rig/stage";
import { claudeVersions } from "./install";

const installed = await clientsReady();
let stage: IntercomStage;
beforeAll(async () => {
  if (installed) stage = await IntercomStage.open();
}, testMs);
afterAll(async () => stage?.[Symbol.asyncDispose]());

describe.skipIf(!installed).each([...claudeVersions])("claude %s", (version) => {
  test(
    "a chat that arrives while a tool runs stands in the next request, once",
    async () => {
      const t0 = performance.now();
      const home = await stage.home("atlas");
      console.log("home", performance.now() - t0);
      await using session = await home.terminal({ version });
      console.log("session", performance.now() - t0, session.address);
      const tool = new HeldTool(home);
      await session.claude.submit(prompt("one", [[tool.step], [{ text: "end of one" }]]));
      await tool.running();
      await stage.write(session.address, "hello-nonce");
      await tool.finish();
      await session.claude.waitForAnswer("end of one");
      console.log("answer", performance.now() - t0);
      expect(session.turns().map((r) => countOccurrences(r, "| hello-nonce"))).toEqual([0, 1]);
      for (const r of session.requests()) console.log(r.kind, r.headers["x-test-client"], r.sessionId, r.body.tools.filter(t => t.name.includes("intercom")).length, r.text.slice(-1500));
    },
    testMs,
  );
});
