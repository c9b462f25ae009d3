// One session through the life of a conversation: it keeps its address and its mail when the context is lost, when the
// conversation begins anew, and when it is taken up again by another process.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { ClaudeTerminal } from "../rig/claude";
import { prompt } from "../rig/fake-script";
import {
  HeldTool,
  type InstalledHome,
  type IntercomSession,
  IntercomStage,
  intercom,
} from "../rig/intercom-stage";
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

describe.skipIf(!installed).each([...claudeVersions])("claude %s", (version) => {
  test(
    "after /compact and /clear the model still reads its address, and mail still arrives",
    async () => {
      const home = await stage.home("atlas");
      await using session = await home.terminal({ version });
      const { thread_id } = await workAndReceive(home, session, "before");
      expect(addressIn(session)).toBe(1);
      await session.claude.waitForStatus("idle");

      await session.claude.compact();
      expect(session.requests().some(({ kind }) => kind === "compaction")).toBe(true);
      await workAndReceive(home, session, "compacted");
      expect(addressIn(session)).toBe(1);
      expect(lastTurn(session)).not.toContain("before prompt");
      // its delivery is gone with the context: the introduction reminds of what has no answer yet
      expect(remindersOf(thread_id, session)).toBe(1);

      await session.claude.waitForStatus("idle");
      await session.claude.clear();
      await workAndReceive(home, session, "cleared");
      expect(addressIn(session)).toBe(1);
      expect(lastTurn(session)).not.toContain("compacted prompt");
      expect(remindersOf(thread_id, session)).toBe(1);
      expect((await session.local())?.session_id).toBe(session.id);
    },
    testMs,
  );

  test(
    "resumed by another process it has the same address, and what was written meanwhile arrives once",
    async () => {
      const home = await stage.home("atlas");
      const first = await home.terminal({ version });
      await using _ = first;
      const { thread_id, message_id: read } = await workAndReceive(home, first, "first");
      const native = (await first.claude.waitForStatus("idle")).sessionId;
      await first.claude.close();
      await waitFor("the session to end at the hub", async () => !(await stage.isOpen(first.address)));
      const queued = await stage.fleet.machine("limn").json("chat", first.address, "kept for it", "--queue");
      expect(queued.status).toBe("queued");
      const replied = await stage.fleet.machine("limn").json("reply", thread_id, "kept in its thread");
      expect(replied.status).toBe("queued");

      await using again = await home.terminal({ version, args: ["--resume", native] });
      expect(again.address).toBe(first.address);
      await workAndReceive(home, again, "again");
      expect(addressIn(again)).toBeGreaterThan(0);
      expect(lastTurn(again)).toContain("first prompt");
      expect(remindersOf(thread_id, again)).toBe(1);
      for (const id of [read, queued.message_id, replied.message_id])
        expect([id, again.counts(`message ${id},`).at(-1)]).toEqual([id, 1]);
      expect(again.counts("| kept for it").at(-1)).toBe(1);
      expect(again.counts("| kept in its thread").at(-1)).toBe(1);
      for (const { message_id } of [queued, replied])
        await waitFor("seen", async () => (await stage.states(message_id)).includes("seen"));
    },
    testMs,
  );

  test(
    "killed in the middle of a turn and resumed: what had not reached the model, and what had not been offered, arrives once",
    async () => {
      const home = await stage.home("atlas");
      const first = await home.terminal({ version });
      await using _ = first;
      const [tool, answering] = [new HeldTool(home), stage.gate()];
      await first.claude.submit(prompt("one", [[bash("echo one")], [tool.step], [answering.step]]));
      await tool.running();
      const offered = await stage.write(first.address, "in a request without an answer");
      await tool.finish();
      await answering.reached();
      const unread = await stage.write(first.address, "never offered");
      const { sessionId } = await first.claude.waitForStatus("busy");
      process.kill(first.claude.pid, "SIGKILL");
      await first.claude.exited;
      await waitFor("the session to end at the hub", async () => !(await stage.isOpen(first.address)));

      await using again = await home.terminal({ version, args: ["--resume", sessionId] });
      expect(again.address).toBe(first.address);
      await again.claude.submit(prompt("two", [[bash("echo two")], [{ text: "end of two" }]]));
      await again.claude.waitForAnswer("end of two");
      // the client died a moment after the request: whether its record got to the disk decides who keeps the text
      for (const { message_id } of [offered, unread])
        expect([message_id, again.counts(`message ${message_id},`).at(-1)]).toEqual([message_id, 1]);
      expect(again.counts("| never offered").at(-1)).toBe(1);
    },
    testMs,
  );

  test(
    "a daemon that dies and comes back in the middle of a turn loses and doubles nothing",
    async () => {
      const machine = await stage.fleet.join(`bento-${version}`);
      const home = await stage.home(machine.name);
      await using session = await home.terminal({ version });
      const [first, second] = [new HeldTool(home), new HeldTool(home)];
      const check = [intercom("check_inbox"), bash("echo three")];
      await session.claude.submit(
        prompt("one", [[first.step], [second.step], check, [{ text: "end of one" }]]),
      );
      await first.running();
      const before = await stage.write(session.address, "before the crash");
      await machine.crash();
      await first.finish();
      await second.running();
      expect(session.counts("before the crash")).toEqual([0, 0]);
      await machine.serve("daemon");
      await waitFor("the session at the hub again", () => stage.isOpen(session.address));
      const after = await stage.write(session.address, "after the crash");
      await second.finish();
      await session.claude.waitForAnswer("end of one");
      expect(session.counts("| before the crash")).toEqual([0, 0, 1, 1]);
      expect(session.counts("| after the crash")).toEqual([0, 0, 1, 1]);
      expect(session.counts('"count":0').at(-1)).toBe(1);
      for (const { message_id } of [before, after])
        await waitFor("seen", async () => (await stage.states(message_id)).includes("seen"));
    },
    testMs,
  );
});

/** One prompt with one tool call, during which mail arrives that must stand in the next request, once. */
async function workAndReceive(home: InstalledHome, session: Session, word: string) {
  const { claude } = session;
  const tool = new HeldTool(home);
  const turns = [[tool.step], [bash(`echo ${word}`)], [{ text: `end of ${word}` }]];
  await claude.submit(prompt(`${word} prompt`, turns));
  await tool.running();
  const sent = await stage.write(session.address, `${word} news`);
  await tool.finish();
  await claude.waitForAnswer(`end of ${word}`);
  expect(session.counts(`| ${word} news`).slice(-3)).toEqual([0, 1, 1]);
  return sent;
}

const lastTurn = (session: Session) => session.turns().at(-1)?.text ?? "";
const addressIn = (session: Session) =>
  lastTurn(session).split(`other agents reach this session as ${session.address}.`).length - 1;
const remindersOf = (thread: string, session: Session) =>
  lastTurn(session).split(`thread ${thread}, answered with intercom_reply(`).length - 1;
