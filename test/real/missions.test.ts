// Missions with the real `claude -p` 2.1.330: from asking over a person's decision to the answer in the asker's inbox,
// what it does seen while it does it, and the same after the death of a hub or a daemon.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mail, prompt } from "../rig/fake-script";
import { intercom } from "../rig/intercom-stage";
import { MissionStage } from "../rig/mission-stage";
import { bash, clientsReady, testMs } from "../rig/stage";
import { waitFor } from "../rig/wait";

const installed = await clientsReady();
let stage: MissionStage;
beforeAll(async () => {
  if (installed) stage = await MissionStage.open();
}, testMs);
afterAll(async () => stage?.[Symbol.asyncDispose]());

const to = "atlas/app";

describe.skipIf(!installed)("claude -p 2.1.330", () => {
  test.serial(
    "ask → approve → tool calls seen while it runs → the answer in the asker's inbox and in status",
    async () => {
      const asker = await stage.asker();
      const gate = stage.gate();
      const task = prompt("Count the files.", [
        [{ text: "I look first." }, bash("echo a < /dev/null > counted.txt && cat counted.txt")],
        [gate.step, { text: "There is one file." }],
      ]);
      const asked = await asker.call("intercom_ask", { to, message: task });
      expect(asked.status).toBe("pending_approval");
      const id: string = asked.mission_id;
      expect(stage.turns(id)).toEqual([]);
      await stage.approve(id);
      await gate.reached({ timeoutMs: 45_000 });
      const running = await stage.until(id, "seen at work", ({ feedback }) => feedback.length === 2);
      expect(running).toMatchObject({
        status: "running",
        output: "",
        feedback: [
          { kind: "text", summary: "I look first." },
          { kind: "command", summary: "echo a ‹ /dev/null › counted.txt && cat counted.txt" },
        ],
      });
      gate.open();
      expect((await stage.response(asker, id)).message).toContain("There is one file.");
      expect(await stage.status(id)).toMatchObject({
        status: "completed",
        output: "There is one file.",
        exit_code: 0,
        turn_count: 2,
        cost_usd: expect.any(Number),
      });
      expect(await Bun.file(`${stage.home.project("app")}/counted.txt`).text()).toBe("a\n");
      const [first] = stage.turns(id);
      expect(first?.text).toContain(`Asked by limn/web@${await asker.registered()}`);
    },
    testMs,
  );

  test.serial(
    "denied: nothing runs, the asker is told; approved for always: the next one runs at once",
    async () => {
      const asker = await stage.asker();
      const task = prompt("Say yes.", [[{ text: "yes" }]]);
      const denied = await asker.call("intercom_ask", { to, message: task });
      await stage.limn.json("approvals", "deny", denied.mission_id);
      expect((await stage.response(asker, denied.mission_id)).message).toContain("denied");
      expect(stage.turns(denied.mission_id)).toEqual([]);

      const first = await asker.call("intercom_ask", { to, message: task });
      await stage.approve(first.mission_id, "--scope", "always");
      expect((await stage.response(asker, first.mission_id)).message).toContain("yes");
      const second = await asker.call("intercom_ask", { to, message: task });
      expect(second).toMatchObject({ status: "launched" });
      expect((await stage.response(asker, second.mission_id)).message).toContain("yes");
      const { grants } = await stage.limn.json("approvals");
      for (const { id } of grants) await stage.limn.json("approvals", "revoke", id);
    },
    testMs,
  );

  test.serial(
    "the receiving machine's policy decides by the text; a broken one lets nothing run",
    async () => {
      const asker = await stage.asker();
      const policies = `${stage.atlas.home}/policies.yml`;
      const task = (say: string) => prompt(say, [[{ text: "looked" }]]);
      await Bun.write(
        policies,
        "rules: [{from: 'limn/*', message_pattern: '^Only look', approval: never}]\n",
      );
      const free = await asker.call("intercom_ask", { to, message: task("Only look.") });
      expect(free.status).toBe("launched");
      expect((await stage.response(asker, free.mission_id)).message).toContain("looked");
      const other = await asker.call("intercom_ask", { to, message: task("Look, and change it.") });
      expect(other.status).toBe("pending_approval");
      await stage.limn.json("approvals", "deny", other.mission_id);
      await Bun.write(policies, "rules: [{message_pattern: '(', approval: never}]\n");
      const closed = await asker.call("intercom_ask", { to, message: task("Only look.") });
      expect(closed).toMatchObject({ status: "denied", error: expect.stringContaining("message_pattern") });
      await Bun.file(policies).delete();
    },
    testMs,
  );

  test.serial(
    "continued: the same conversation with its history, the same address, approved anew",
    async () => {
      const asker = await stage.asker();
      const asked = await asker.call("intercom_ask", {
        to,
        message: prompt("Remember the word tulip.", [[{ text: "I remember it." }]]),
      });
      const id: string = asked.mission_id;
      await stage.approve(id);
      expect((await stage.response(asker, id)).message).toContain("I remember it.");
      const more = await asker.call("intercom_ask", {
        to,
        mission_id: id,
        message: prompt("Which word was it?", [
          [intercom("chat", { to: `limn/web@${await asker.registered()}`, message: "it was tulip" })],
          [{ text: "tulip" }],
        ]),
      });
      expect(more).toMatchObject({ status: "pending_approval", mission_id: id });
      await stage.approve(id);
      expect(
        await stage.until(id, "over again", ({ run, finished_at }) => run === 2 && finished_at !== null),
      ).toMatchObject({
        status: "completed",
        output: "tulip",
      });
      const last = stage.turns(id).at(-1);
      for (const text of ["Remember the word tulip.", "I remember it.", "Which word was it?"])
        expect(last?.text).toContain(text);
      // what it wrote came from the mission's own address
      const chat = await waitFor("the chat of the mission", async () => {
        const answer = await asker.call("intercom_check_inbox");
        if (answer.delivery) await asker.proveContext(JSON.stringify(answer));
        return (answer.messages as { message: string; from_agent: string }[]).find(
          ({ message }) => message === "it was tulip",
        );
      });
      expect(chat.from_agent).toBe(`${to}@${id}`);
    },
    testMs,
  );

  test.serial(
    "a message to a running mission reaches it in the middle of its work, and mail for the project does not",
    async () => {
      const asker = await stage.asker();
      const go = `${stage.home.root}/go-on`;
      const asked = await asker.call("intercom_ask", {
        to,
        message: prompt("Wait for word.", [
          [bash(`touch ${go}-waits; until [ -e ${go} ]; do sleep 0.05; done`)],
          [{ text: "no word came" }],
        ]),
      });
      const id: string = asked.mission_id;
      await stage.approve(id);
      await waitFor("it to wait", () => Bun.file(`${go}-waits`).exists(), { timeoutMs: 45_000 });
      expect((await asker.call("intercom_chat", { to, message: "anybody?" })).status).toBe(
        "no_active_session",
      );
      const sent = await asker.call("intercom_chat", {
        to: `${to}@${id}`,
        message: mail("use port 8080", [[{ text: "port 8080 it is" }]]),
      });
      expect(sent.status).toBe("delivered");
      await Bun.write(go, "");
      expect((await stage.response(asker, id)).message).toContain("port 8080 it is");
      expect(stage.turns(id).at(-1)?.text).toContain("| use port 8080");
      expect(stage.turns(id).at(-1)?.text).not.toContain("anybody?");
    },
    testMs,
  );

  test.serial(
    "nothing of ours in its environment; no program but those of its machine's configuration",
    async () => {
      const asked = await stage.limn.json(
        "ask",
        to,
        prompt("Look.", [[bash("env | sort")], [{ text: "seen" }]]),
        "--approve",
      );
      expect((await stage.ended(asked.mission_id)).status).toBe("completed");
      const seen = stage.turns(asked.mission_id).at(-1)?.text ?? "";
      expect(seen).toContain("AI_INTERCOM_HOME=");
      for (const name of ["AI_INTERCOM_MACHINE_ID=", "HUB_URL=", "TELEGRAM_"])
        expect(seen).not.toContain(name);
      const bad = await stage.limn.run(["ask", to, "x", "--agent-command", "sh", "--json"]);
      expect(JSON.parse(bad.out)).toMatchObject({ status: "denied" });
    },
    testMs,
  );

  test.serial(
    "the hub is killed while it runs: nothing is lost, the end is told after it is back",
    async () => {
      const gate = stage.gate();
      const { mission_id: id } = await stage.limn.json(
        "ask",
        to,
        prompt("Work.", [[bash("echo before")], [gate.step, bash("echo between")], [{ text: "all of it" }]]),
        "--approve",
      );
      await gate.reached({ timeoutMs: 45_000 });
      await stage.until(id, "seen", ({ feedback }) => feedback.length === 1);
      await stage.limn.crash();
      gate.open();
      const record = `${stage.atlas.home}/missions/${id}.1/record.json`;
      await waitFor("its end on atlas", async () => (await Bun.file(record).json()).state === "ended", {
        timeoutMs: 45_000,
      });
      await stage.limn.serve("standalone", "--listen", stage.fleet.hubUrl.replace("http://", ""));
      expect(await stage.ended(id)).toMatchObject({
        status: "completed",
        output: "all of it",
        feedback: [{ summary: "echo before" }, { summary: "echo between" }, { summary: "all of it" }],
      });
    },
    testMs,
  );

  test.serial(
    "the daemon is killed while it runs: the agent goes on undisturbed, and the next daemon tells its end",
    async () => {
      const gate = stage.gate();
      const { mission_id: id } = await stage.limn.json(
        "ask",
        to,
        prompt("Work.", [[bash("echo before")], [gate.step, bash("echo after")], [{ text: "survived" }]]),
        "--approve",
      );
      await gate.reached({ timeoutMs: 45_000 });
      await stage.until(id, "seen", ({ feedback }) => feedback.length === 1);
      await stage.atlas.crash();
      const record = `${stage.atlas.home}/missions/${id}.1/record.json`;
      const { pid } = (await Bun.file(record).json()).process;
      process.kill(pid, 0); // throws when it is gone
      await stage.atlas.serve("daemon");
      await stage.atlas.linked();
      gate.open();
      expect(await stage.ended(id)).toMatchObject({
        status: "completed",
        output: "survived",
        feedback: [{ summary: "echo before" }, { summary: "echo after" }, { summary: "survived" }],
      });
    },
    testMs,
  );
});
