import { afterAll, describe, expect, test } from "bun:test";
import { appendFileSync, mkdirSync, statSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import type { Claim } from "../../src/inbox/ledger.ts";
import {
  type Activity,
  askerEndedMs,
  type Evidence,
  graceMs,
  judge,
  Settlement,
  type Verdict,
} from "../../src/inbox/settle.ts";
import type { TranscriptReader } from "../../src/inbox/transcript.ts";
import { claimedAt, freshDirectory, removeDirectories } from "./support.ts";

afterAll(removeDirectories);

const nonce = "0123456789abcdef0123456789abcdef";
const hookClaim: Claim = {
  nonce,
  items: [{ id: "a", part: 1, of: 1 }],
  asker: { pid: 1, start: "x" },
  carrier: "hook",
  event: "PostToolBatch",
  transcript: { path: "/x", size: 100 },
  claimedAt,
  inContext: false,
};
const promptClaim: Claim = { ...hookClaim, event: "UserPromptSubmit" };
const toolClaim: Claim = { ...hookClaim, carrier: "tool" };
const now = 50_000;
const grace = now - graceMs;
const askerLong = now - askerEndedMs;

describe("judge", () => {
  const cases: [string, Claim, Partial<Evidence>, Partial<Activity>, Verdict][] = [
    ["nothing known", hookClaim, {}, {}, "wait"],
    ["proof", hookClaim, { proved: true }, {}, "in_context"],
    ["proof and a later answer", hookClaim, { proved: true, answered: true }, {}, "seen"],
    ["a proof of an earlier life", { ...hookClaim, inContext: true }, {}, {}, "in_context"],
    [
      "a proof outweighs all evidence against it",
      hookClaim,
      { proved: true, laterAnswerSince: 0, laterEventSince: 0 },
      { agentDead: true },
      "in_context",
    ],
    ["(a) a later answer, grace over", hookClaim, { laterAnswerSince: grace }, {}, "dead"],
    ["(a) a later answer, grace not over", hookClaim, { laterAnswerSince: grace + 1 }, {}, "wait"],
    ["(b) a later event, grace over", hookClaim, { laterEventSince: grace }, { status: "working" }, "dead"],
    ["(b) a later event, grace not over", hookClaim, { laterEventSince: grace + 1 }, {}, "wait"],
    ["(c) idle, hook gone", hookClaim, { idleSince: grace }, { status: "idle", askerEndedAt: 1 }, "dead"],
    ["(c) idle, hook still running", hookClaim, { idleSince: 0 }, { status: "idle" }, "wait"],
    ["(c) idle, a tool's process stays", toolClaim, { idleSince: grace }, { status: "idle" }, "dead"],
    ["(c) idle, grace not over", toolClaim, { idleSince: grace + 1 }, { status: "idle" }, "wait"],
    ["(d) the asker ended long ago", hookClaim, { askerEndedSince: askerLong }, {}, "dead"],
    [
      "(d) the same, agent waits for a person",
      hookClaim,
      { askerEndedSince: askerLong },
      { status: "waiting" },
      "dead",
    ],
    ["(d) not so long ago", hookClaim, { askerEndedSince: askerLong + 1 }, {}, "wait"],
    ["(d) long ago, but the agent works", hookClaim, { askerEndedSince: 0 }, { status: "working" }, "wait"],
    ["a held prompt: events of the turn know nothing of it", promptClaim, { laterEventSince: 0 }, {}, "wait"],
    [
      "a held prompt: so does a dialog that stands open",
      promptClaim,
      { askerEndedSince: 0 },
      { status: "waiting" },
      "wait",
    ],
    ["a prompt's hook gone, agent tells nothing", promptClaim, { askerEndedSince: askerLong }, {}, "dead"],
    [
      "a prompt's hook gone, agent idle",
      promptClaim,
      { idleSince: grace },
      { status: "idle", askerEndedAt: 1 },
      "dead",
    ],
    ["(e) the agent is dead", hookClaim, {}, { agentDead: true }, "dead"],
    ["(e) dead, but proved", hookClaim, { proved: true, answered: true }, { agentDead: true }, "seen"],
  ];
  test.each(cases)("%s", (_, claim, evidence, activity, verdict) => {
    const full = { status: "unknown", agentDead: false, ...activity } as const;
    expect(judge(claim, { proved: false, answered: false, ...evidence }, full, now)).toBe(verdict);
  });
});

const reader: TranscriptReader = (line) => {
  const [kind, text = "", at] = line.split(" ");
  const time = at === undefined ? undefined : claimedAt + Number(at);
  if (kind === "c") return { kind: "context", texts: ["other text", text], at: time };
  if (kind === "p") return { kind: "prompt", follows: text, at: time };
  return kind === "a" ? { kind: "answer", id: text, at: time } : undefined;
};

/** A settlement over a transcript that can be written on, and a clock that the test sets. */
function scene(before = "a old -1\n", claim: Partial<Claim> = {}) {
  const path = `${freshDirectory()}/transcript.jsonl`;
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, before);
  const open = () =>
    new Settlement({ ...hookClaim, transcript: { path, size: statSync(path).size }, ...claim }, reader);
  const settlement = open();
  return {
    write: (text: string) => appendFileSync(path, text),
    poll: (at: number, activity: Partial<Activity> = {}, wall = claimedAt + 60_000) =>
      settlement.poll({ status: "working", agentDead: false, ...activity }, at, wall),
  };
}

describe("a settlement", () => {
  test("a prompt held in the first second of a turn: two answers pass before its proof, and it is not doubled", () => {
    const { write, poll } = scene(undefined, { event: "UserPromptSubmit" });
    write("a one 1\na two 3000\n");
    expect([poll(0), poll(10 * graceMs)]).toEqual(["wait", "wait"]);
    write(`c ${nonce}\n`);
    expect(poll(11 * graceMs)).toBe("in_context");
    write("a three 9000\n");
    expect(poll(12 * graceMs)).toBe("seen");
  });

  test("a prompt's delivery that was dropped is dead when a third answer knows nothing of it", () => {
    const { write, poll } = scene(undefined, { event: "UserPromptSubmit" });
    write("a one 1\na two 3000\na three 6000\n");
    expect([poll(0), poll(graceMs - 1), poll(graceMs)]).toEqual(["wait", "wait", "dead"]);
  });

  test("proof, then a new answer", () => {
    const { write, poll } = scene();
    expect(poll(0)).toBe("wait");
    write(`c ${nonce}`);
    expect(poll(1)).toBe("wait"); // half a line is no proof
    write("\n");
    expect(poll(2)).toBe("in_context");
    write("a old 5\n");
    expect(poll(3)).toBe("in_context"); // a later block of an earlier answer
    write("a new 6\n");
    expect(poll(4)).toBe("seen");
  });

  test("an answer that began before the proof is not a later one", () => {
    const { write, poll } = scene();
    write(`a running 5\nc ${nonce}\na running 6\n`);
    expect(poll(0)).toBe("in_context");
    write("a next 7\n");
    expect(poll(1)).toBe("seen");
  });

  test("a prompt that is taken back before an answer takes the proof with it", () => {
    const { write, poll } = scene("p start -2\na old -1\n");
    write(`p old 1\nc ${nonce} 2\n`);
    // it may still be taken back
    expect(poll(0, { status: "idle" })).toBe("wait");
    expect(poll(1, { agentDead: true })).toBe("in_context");
    write("p old 3\na new 4\n");
    expect(poll(2)).toBe("dead");
  });

  test("a prompt that another one follows, or that is answered, cannot be taken back", () => {
    const kept = scene();
    kept.write(`p old 1\nc ${nonce} 2\np error 3\n`);
    expect(kept.poll(0)).toBe("in_context");
    kept.write("p old 4\na new 5\n");
    expect(kept.poll(1)).toBe("seen");
    const answered = scene();
    answered.write(`p old 1\nc ${nonce} 2\na new 3\np old 4\n`);
    expect(answered.poll(0)).toBe("seen");
  });

  test("a proof in the middle of a turn does not hang on its prompt", () => {
    const { write, poll } = scene("p start -2\na old -1\n");
    write(`c ${nonce} 1\n`);
    expect(poll(0)).toBe("in_context");
    write("p start 2\na new 3\n");
    expect(poll(1)).toBe("seen");
  });

  test("proof and answer found in one look", () => {
    const { write, poll } = scene();
    write(`c x${nonce}x\na new 6\n`);
    expect(poll(0)).toBe("seen");
  });

  test("another nonce proves nothing", () => {
    const { write, poll } = scene();
    write(`c ${nonce.replace("0", "1")}\n`);
    expect(poll(0)).toBe("wait");
  });

  test("(a) a new answer later than the claim kills it after the grace, unless the proof comes in time", () => {
    const dying = scene();
    dying.write("a new 1\n");
    expect([dying.poll(0), dying.poll(graceMs - 1), dying.poll(graceMs)]).toEqual(["wait", "wait", "dead"]);
    const saved = scene();
    saved.write("a new 1\n");
    expect(saved.poll(0)).toBe("wait");
    saved.write(`c ${nonce}\n`);
    expect(saved.poll(graceMs)).toBe("in_context");
  });

  test.each([
    ["its time is not later than the claim", "a new 0\n"],
    ["it has no time", "a new\n"],
    ["its id stood there before", "a old 1\n"],
    ["its first block is older than the claim, though written after it", "a new -1\na new 1\n"],
    ["it is not an answer", "c text 1\n"],
  ])("(a) no evidence where %s", (_, line) => {
    const { write, poll } = scene();
    write(line);
    expect([poll(0), poll(graceMs)]).toEqual(["wait", "wait"]);
  });

  test("(a) answers are known as old up to 64 KiB before the claim", () => {
    const filler = `${"x".repeat(1_000)}\n`;
    const near = scene(`a old -1\n${filler.repeat(60)}`);
    near.write("a old 1\n");
    expect([near.poll(0), near.poll(graceMs)]).toEqual(["wait", "wait"]);
  });

  test("(a) where the size was taken in the middle of a line, that line is old", () => {
    const { write, poll } = scene("a ha");
    write("lf 1\n");
    expect([poll(0), poll(graceMs)]).toEqual(["wait", "wait"]);
  });

  test("(b) only an event later than the claim counts", () => {
    const { poll } = scene();
    expect([poll(0), poll(graceMs)]).toEqual(["wait", "wait"]);
    expect([poll(9_000, { laterEvent: true }), poll(9_000 + graceMs)]).toEqual(["wait", "dead"]);
  });

  test("(c) only becoming idle after the claim counts, and only while it lasts", () => {
    const { poll } = scene("", { carrier: "tool" });
    const idle = (since: number) => ({ status: "idle" as const, idleSince: claimedAt + since });
    expect([poll(0, idle(0)), poll(graceMs, idle(0))]).toEqual(["wait", "wait"]);
    expect([poll(5_000, idle(1)), poll(5_000 + graceMs - 1)]).toEqual(["wait", "wait"]);
    expect([poll(9_000, idle(9)), poll(9_000 + graceMs, idle(9))]).toEqual(["wait", "dead"]);
  });

  test("(a) (c) after the clock was set back, what follows is later all the same", () => {
    const day = 24 * 3600 * 1000;
    const [answered, idled] = [scene("", { carrier: "tool" }), scene("", { carrier: "tool" })];
    const wall = claimedAt - day;
    expect([answered.poll(0, {}, wall), idled.poll(0, {}, wall)]).toEqual(["wait", "wait"]);
    answered.write(`a new ${5 - day}\n`);
    const idle = { status: "idle" as const, idleSince: wall + 5 };
    expect([answered.poll(9, {}, wall + 9), idled.poll(9, idle, wall + 9)]).toEqual(["wait", "wait"]);
    const after = 9 + graceMs;
    expect([answered.poll(after, {}, wall + after), idled.poll(after, idle, wall + after)]).toEqual([
      "dead",
      "dead",
    ]);
  });

  test("(d) the time runs from when the asker's end was first known, on our clock", () => {
    const { poll } = scene();
    const ended = { status: "unknown" as const, askerEndedAt: claimedAt - 86_400_000 };
    expect([poll(0, ended), poll(askerEndedMs - 1, ended), poll(askerEndedMs, ended)]).toEqual([
      "wait",
      "wait",
      "dead",
    ]);
  });

  test("(e) a dead agent's transcript is read once more first", () => {
    const { write, poll } = scene();
    expect(poll(0)).toBe("wait");
    write(`c ${nonce}\n`);
    expect(poll(1, { agentDead: true })).toBe("in_context");
    expect(scene().poll(1, { agentDead: true })).toBe("dead");
  });

  test("without a transcript only what the agent does counts", () => {
    const { write, poll } = scene("", { transcript: undefined });
    write(`c ${nonce}\na new 1\n`);
    expect([poll(0), poll(graceMs)]).toEqual(["wait", "wait"]);
    expect(poll(graceMs, { agentDead: true })).toBe("dead");
  });
});
