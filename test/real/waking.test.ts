// Waking where it is hardest to do exactly once: long-lived headless sessions, lost and resumed contexts, floods, a
// ring that comes beside other hooks, and an agent that takes no more rings.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { connect } from "node:net";
import type { ClaudeTerminal } from "../rig/claude";
import type { ClaudeProcess } from "../rig/claude-process";
import { countOccurrences } from "../rig/fake-model";
import { mail, prompt } from "../rig/fake-script";
import { HeldTool, type IntercomSession, IntercomStage } from "../rig/intercom-stage";
import { bash, clientsReady, testMs } from "../rig/stage";
import { waitFor } from "../rig/wait";

const version = "2.1.330";
const ringMark = "[ai-intercom ring ";

const installed = await clientsReady();
let stage: IntercomStage;
beforeAll(async () => {
  if (installed) stage = await IntercomStage.open();
}, testMs);
afterAll(async () => stage?.[Symbol.asyncDispose]());

describe.skipIf(!installed)("claude 2.1.330", () => {
  test(
    "a long-lived stream-json session is woken by each chat, once",
    async () => {
      const home = await stage.home("atlas");
      await using session = await home.print({ version, prompt: undefined });
      for (const word of ["one", "two"]) {
        await session.claude.send(prompt(`prompt ${word}`, [[bash("echo x")], [{ text: `end of ${word}` }]]));
        await session.claude.waitForAnswer(`end of ${word}`);
        await idle(session);
        await wakes(session, word);
        await idle(session);
      }
      await session.claude.endInput();
      expect(await session.claude.finish()).toBe(0);
    },
    testMs,
  );

  test(
    "idle after /compact, after /clear and after resume: woken once each, and it knows its address",
    async () => {
      const home = await stage.home("atlas");
      const first = await home.terminal({ version });
      await using _ = first;
      await first.claude.submit(prompt("first", [[bash("echo one")], [{ text: "end of first" }]]));
      await first.claude.waitForAnswer("end of first");
      await idle(first);
      await first.claude.compact();
      await idle(first);
      await wakes(first, "compacted");
      expect(addressesIn(first)).toBe(1);

      await idle(first);
      const cleared = await first.claude.clear();
      await wakes(first, "cleared");
      expect(addressesIn(first)).toBe(1);
      await idle(first);
      await first.claude.close();
      await waitFor("the session to end at the hub", async () => !(await stage.isOpen(first.address)));

      await using again = await home.terminal({ version, args: ["--resume", cleared.sessionId] });
      expect(again.address).toBe(first.address);
      await idle(again);
      await wakes(again, "resumed");
      expect(addressesIn(again)).toBeGreaterThan(0);
      expect(again.counts("| news cleared").at(-1)).toBe(1);
    },
    testMs,
  );

  test(
    "a working session gets it once, from the hook, and is not rung for it",
    async () => {
      const home = await stage.home("atlas");
      await using session = await home.terminal({ version });
      const tool = new HeldTool(home);
      await session.claude.submit(prompt("one", [[tool.step], [{ text: "end of one" }]]));
      await tool.running();
      const { message_id } = await stage.write(session.address, "while it works");
      await tool.finish();
      await session.claude.waitForAnswer("end of one");
      await waitFor("seen", async () => (await stage.states(message_id)).includes("seen"));
      await idle(session);
      expect(session.counts("| while it works")).toEqual([0, 1]);
      expect(session.rings()).toBe(0);
    },
    testMs,
  );

  test(
    "killed between offer and proof, and resumed: the mail comes again, once",
    async () => {
      const home = await stage.home("atlas");
      // once it has the event, our hook stops the client: what it then prints is offered, and nobody records it
      const told = `cat >"$HOME/event"; exec <"$HOME/event"`;
      await home.beforeMailHook("PostToolBatch", `${told}; kill -STOP $PPID`);
      const first = await home.terminal({ version });
      await using _ = first;
      const tool = new HeldTool(home);
      await first.claude.submit(prompt("one", [[bash("echo one")], [tool.step], [{ text: "never" }]]));
      await tool.running();
      const { message_id } = await stage.write(first.address, "offered and lost");
      await tool.finish();
      await waitFor("offered", async () => (await stage.states(message_id)).includes("offered"));
      const { sessionId } = await first.claude.waitForStatus("busy");
      process.kill(first.claude.pid, "SIGKILL");
      await first.claude.exited;
      await waitFor("the session to end at the hub", async () => !(await stage.isOpen(first.address)));

      await using again = await home.terminal({ version, args: ["--resume", sessionId] });
      await again.turn("the mail", ({ text }) => text.includes("| offered and lost"));
      await waitFor("seen", async () => (await stage.states(message_id)).includes("seen"));
      await idle(again);
      expect(again.counts(`message ${message_id},`).at(-1)).toBe(1);
    },
    testMs,
  );

  test(
    "a ring at the moment of a tool batch: the mail stands in the conversation once",
    async () => {
      // not in bypass mode: there the agent would hold a line that is not its own child's
      const home = await stage.home("atlas", { permissions: { allow: ["Bash"] } });
      await using session = await home.terminal({ version, permissionMode: "default" });
      const tools = Array.from({ length: 4 }, () => new HeldTool(home));
      const turns = [...tools.map(({ step }) => [step]), [{ text: "end of one" }]];
      await session.claude.submit(prompt("one", turns));
      for (const [at, tool] of tools.entries()) {
        await tool.running();
        // the ring as its MCP server would send it, had the agent been idle a moment ago
        const ring = postToSocket(session.claude, `${ringMark}${at}] Mail waits; it comes with this line.`);
        await Promise.all([stage.write(session.address, `beside ring ${at}`), ring, tool.finish()]);
      }
      await session.claude.waitForAnswer("end of one");
      for (const at of tools.keys())
        await waitFor(`the mail beside ring ${at}`, () =>
          session.counts(`| beside ring ${at}`).some((count) => count > 0),
        );
      await waitFor("nothing unread", async () => (await session.local())?.inbox_pending === 0);
      await idle(session);
      for (const at of tools.keys()) expect(session.counts(`| beside ring ${at}`).at(-1)).toBe(1);
    },
    testMs,
  );

  test(
    "a hundred messages at once: a few rings, and every message once, in its thread's order",
    async () => {
      const home = await stage.home("atlas");
      await using session = await home.terminal({ version });
      await session.claude.submit(prompt("first", [[{ text: "end of first" }]]));
      await session.claude.waitForAnswer("end of first");
      await idle(session);
      const threads = await flood(session, 10, 10);
      await waitFor("nothing unread", async () => (await session.local())?.inbox_pending === 0, {
        timeoutMs: testMs / 2,
      });
      await waitFor("the last one in a request", () => countOf(session, `| flood`) === 100);
      await idle(session);
      const text = session.turns().at(-1)?.text ?? "";
      for (const [thread, bodies] of threads) {
        const places = bodies.map((body) => text.indexOf(`| ${body}\n`));
        expect([thread, places.includes(-1), places]).toEqual([
          thread,
          false,
          places.toSorted((a, b) => a - b),
        ]);
        for (const body of bodies) expect([body, text.split(`| ${body}\n`).length]).toEqual([body, 2]);
      }
      expect(session.rings()).toBeLessThan(10);
    },
    testMs,
  );

  test(
    "with the agent's own limit of rings used up nothing is lost: the mail comes later, once",
    async () => {
      const home = await stage.home("atlas");
      await using session = await home.terminal({ version, permissionMode: "default" });
      await session.claude.submit(prompt("first", [[{ text: "end of first" }]]));
      await session.claude.waitForAnswer("end of first");
      await idle(session);
      const before = session.turns().length;
      const lines = Array.from({ length: 60 }, (_, at) => `line ${at} of a chatterer`);
      await Promise.all(lines.map((line) => postToSocket(session.claude, line)));
      const { message_id } = await stage.write(session.address, "after the limit");
      await waitFor("seen", async () => (await stage.states(message_id)).includes("seen"), {
        timeoutMs: 40_000,
      });
      await idle(session);
      expect(session.counts("| after the limit").at(-1)).toBe(1);
      expect(session.turns().length).toBeGreaterThan(before);
      // the limit was reached: not every line of the chatterer came through
      expect(session.counts("of a chatterer").at(-1)).toBeLessThan(lines.length);
    },
    testMs,
  );
});

describe.skipIf(!installed)("why mail waits", () => {
  test(
    "without hooks: it is rung ever more seldom, and the sender learns that it reads by the tool only",
    async () => {
      const home = await stage.home("atlas");
      await home.files.writeSettings({});
      await using session = await home.terminal({ version });
      await session.claude.submit(prompt("first", [[{ text: "end of first" }]]));
      await session.claude.waitForAnswer("end of first");
      await idle(session);
      const { message_id } = await stage.write(session.address, "never read");
      expect(await reason(message_id, "no hook of ours was seen")).toContain("intercom_check_inbox");
      // each ring began a turn of its own
      await waitFor("the third ring's turn", () => session.rings() === 3, { timeoutMs: 60_000 });
      await idle(session);
      expect(session.counts("| never read").at(-1)).toBe(0);
      expect(await stage.states(message_id)).toEqual(["accepted", "delivered"]);
    },
    testMs,
  );

  test(
    "rings that the agent's settings hold back: the sender learns that it does not stir",
    async () => {
      const home = await stage.home("atlas", { crossSessionInbound: "hold" });
      await using session = await home.terminal({ version });
      await session.claude.submit(prompt("first", [[{ text: "end of first" }]]));
      await session.claude.waitForAnswer("end of first");
      await idle(session);
      const { message_id } = await stage.write(session.address, "behind held rings");
      expect(await reason(message_id, "may hold rings back")).toContain("did not stir");
      expect(await stage.states(message_id)).toEqual(["accepted", "delivered"]);
      await session.claude.submit(prompt("second", [[{ text: "end of second" }]]));
      await session.claude.waitForAnswer("end of second");
      await waitFor("seen", async () => (await stage.states(message_id)).includes("seen"));
      expect(session.counts("| behind held rings").at(-1)).toBe(1);
    },
    testMs,
  );

  test(
    "claude 2.1.197 runs a subagent and waits for it: the sender learns that, and the mail comes when it is done",
    async () => {
      const home = await stage.home("atlas");
      await using session = await home.terminal({ version: "2.1.197" });
      const [first, second] = [new HeldTool(home), new HeldTool(home)];
      const job = prompt("job", [[first.step], [second.step], [{ text: "job done" }]]);
      const input = {
        description: "d",
        subagent_type: "general-purpose",
        run_in_background: false,
        prompt: job,
      };
      await session.claude.submit(prompt("one", [[{ tool: "Agent", input }], [{ text: "end of one" }]]));
      await first.running();
      const { message_id } = await stage.write(session.address, "for the main agent");
      await first.finish();
      await second.running();
      await reason(message_id, "waits for a subagent");
      await second.finish();
      await session.claude.waitForAnswer("end of one");
      await waitFor("seen", async () => (await stage.states(message_id)).includes("seen"));
      expect(session.counts("| for the main agent").at(-1)).toBe(1);
    },
    testMs,
  );
});

/** The newest reason that the sender was given, once it is that one. */
function reason(messageId: string, part: string): Promise<string> {
  return waitFor(
    `the reason "${part}"`,
    async () => {
      const given = (await stage.history(messageId)).at(-1)?.reason;
      return given?.includes(part) && given;
    },
    { timeoutMs: testMs / 2 },
  );
}

function idle<C extends ClaudeProcess>(session: IntercomSession<C>) {
  return waitFor(
    `claude ${session.claude.pid} to be idle`,
    async () => {
      const registry = await session.claude.registry();
      return registry?.status === "idle" && registry;
    },
    { detail: () => session.claude.describe() },
  );
}

/** Mail comes; a turn with it begins by itself, and it stands in it once. On a loaded machine it may be rung again. */
async function wakes<C extends ClaudeProcess>(session: IntercomSession<C>, word: string): Promise<void> {
  const before = session.rings();
  const { message_id } = await stage.write(
    session.address,
    mail(`news ${word}`, [[{ text: `read ${word}` }]]),
  );
  const woken = await session.turn(`woken by ${word}`, ({ text }) => text.includes(`| news ${word}`));
  expect(woken.text).toContain(ringMark);
  await session.claude.waitForAnswer(`read ${word}`);
  await waitFor("seen", async () => (await stage.states(message_id)).includes("seen"));
  expect(session.rings()).toBeGreaterThan(before);
  expect(countOccurrences(woken, `| news ${word}`)).toBe(1);
}

function addressesIn(session: IntercomSession<ClaudeTerminal>): number {
  const text = session.turns().at(-1)?.text ?? "";
  return text.split(`other agents reach this session as ${session.address}.`).length - 1;
}

function countOf<C extends ClaudeProcess>(session: IntercomSession<C>, text: string): number {
  return session.counts(text).at(-1) ?? 0;
}

/** `threads` conversations of `each` messages, side by side, as fast as the hub takes them; the bodies by thread. */
async function flood(session: IntercomSession<ClaudeTerminal>, threads: number, each: number) {
  return new Map(
    await Promise.all(
      Array.from({ length: threads }, async (_, thread): Promise<[string, string[]]> => {
        const bodies = Array.from({ length: each }, (_, at) => `flood ${thread}-${at}.`);
        const thread_id = `t-${crypto.randomUUID().replaceAll("-", "").slice(0, 12)}`;
        for (const [at, body] of bodies.entries())
          await routeAsPerson(
            body,
            at === 0 ? { to: session.address, new_thread_id: thread_id } : { thread_id },
          );
        return [thread_id, bodies];
      }),
    ),
  );
}

/** What `ai-intercom chat` and `reply` send, without a process for each. */
async function routeAsPerson(
  message: string,
  { to, ...thread }: { to?: string; new_thread_id?: string; thread_id?: string },
): Promise<void> {
  const message_id = `msg-${crypto.randomUUID().replaceAll("-", "").slice(0, 16)}`;
  const payload = { message, message_id, ...thread, ...(to ? { if_no_session: "fail" } : {}) };
  const response = await fetch("http://hub/api/route", {
    unix: `${stage.fleet.machine("limn").home}/run/hub.sock`,
    method: "POST",
    body: JSON.stringify({ from_agent: "human", ...(to ? { to_agent: to } : {}), type: "chat", payload }),
    headers: { "content-type": "application/json", "x-ai-intercom-pid": String(process.pid) },
  });
  if (!response.ok) throw new Error(`${message}: ${await response.text()}`);
}

/** One line on the session's own messaging socket, as any process of this user can write it. */
async function postToSocket(claude: ClaudeProcess, content: string): Promise<void> {
  const path = (await claude.registry())?.messagingSocketPath;
  if (!path) throw new Error("the session has no messaging socket");
  const frame = { type: "user", message: { role: "user", content }, msgV: 1, msg_id: crypto.randomUUID() };
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  connect(path)
    .once("error", reject)
    .once("close", () => resolve())
    .end(`${JSON.stringify(frame)}\n`);
  await promise;
}
