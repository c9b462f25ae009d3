// A person's commands about missions: ask and follow, look, decide, and what a wrong word is answered.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { writeFile } from "node:fs/promises";
import { binary } from "../rig/binary";
import type { Fleet, Machine } from "../rig/fleet";
import { missionFleet, pending, reached } from "../rig/missions";
import { waitFor } from "../rig/wait";

// each test starts several programs, and the machine may be busy
setDefaultTimeout(120_000);

let fleet: Fleet;
let limn: Machine;
beforeAll(async () => {
  fleet = await missionFleet();
  limn = fleet.machine("limn");
}, 60_000);
afterAll(() => fleet[Symbol.asyncDispose]());

/** A command that is watched while it runs. */
function begin(...words: string[]) {
  const child = Bun.spawn([binary, ...words], { env: limn.env, stdout: "pipe", stderr: "pipe" });
  let out = "";
  let err = "";
  const read = async (stream: ReadableStream<Uint8Array>, take: (text: string) => void) => {
    const decoder = new TextDecoder();
    for await (const part of stream) take(decoder.decode(part, { stream: true }));
  };
  const done = Promise.all([
    read(child.stdout, (text) => (out += text)),
    read(child.stderr, (text) => (err += text)),
    child.exited,
  ]);
  return { child, out: () => out, err: () => err, exited: done.then(([, , code]) => code) };
}

test("ask --wait: what it waits for, what it does as it does it, its output; exit 0", async () => {
  const go = `${fleet.root}/go`;
  const ask = begin("ask", "limn/mnemos", `wait ${go} port 8080`, "--wait");
  await waitFor("pending_approval", () => ask.out().includes("ai-intercom approvals approve m-"));
  const id = /m-\d{8}-[0-9a-f]{6}/.exec(ask.out())?.[0] ?? "";
  await limn.json("approvals", "approve", id);
  await waitFor("its first entry, live", () => ask.out().includes(`waiting for ${go}`), { detail: ask.out });
  expect(ask.child.exitCode).toBeNull();
  await writeFile(go, "");
  expect(await ask.exited).toBe(0);
  expect(ask.out().match(/pending_approval/g)).toHaveLength(1);
  expect(ask.out()).toMatch(
    /running\n[\s\S]*waiting for[\s\S]*done\n[\s\S]*completed[\s\S]*\n\nport 8080\n$/,
  );
  expect(ask.err()).toBe("");
});

test("ask --approve --wait --json: the tool's answer and the mission; exit 1 when it did not complete", async () => {
  const fine = await limn.run(["ask", "limn/mnemos", "answer 42", "--approve", "--wait", "--json"]);
  expect(fine.code).toBe(0);
  expect(JSON.parse(fine.out)).toMatchObject({
    status: "launched",
    mission_id: expect.stringMatching(/^m-/),
    mission: { status: "completed", output: "42", turn_count: 2 },
  });
  const bad = await limn.run(["ask", "limn/mnemos", "fail 3", "--approve", "--wait", "--json"]);
  expect(bad.code).toBe(1);
  expect(JSON.parse(bad.out).mission).toMatchObject({ status: "failed", exit_code: 3 });
  const shown = await limn.run(["ask", "limn/mnemos", "fail 3", "--approve", "--wait"]);
  expect(shown.code).toBe(1);
  expect(shown.out).toContain("failed");
});

test("ask --wait, Ctrl-C: the mission goes on, and how to look and cancel is said", async () => {
  const ask = begin("ask", "limn/mnemos", `wait ${fleet.root}/never x`, "--approve", "--wait");
  await waitFor("it to run", () => ask.out().includes("waiting for"), {
    detail: () => ask.out() + ask.err(),
  });
  const id = /m-\d{8}-[0-9a-f]{6}/.exec(ask.out())?.[0] ?? "";
  ask.child.kill("SIGINT");
  expect(await ask.exited).toBe(1);
  expect(ask.err()).toBe(
    `${id} goes on\nlook:   ai-intercom missions show ${id}\ncancel: ai-intercom missions cancel ${id}\n`,
  );
  expect((await limn.json("missions", "show", id)).status).toBe("running");
  const { agents } = await limn.json("agents");
  const sessions = agents.flatMap((one: { sessions: { mission_id?: string }[] }) => one.sessions);
  const isOpen = sessions.some(({ mission_id }: { mission_id?: string }) => mission_id === id);
  expect((await limn.run(["missions", "show", id])).out.includes("write to it")).toBe(isOpen);
  await limn.json("missions", "cancel", id);
  expect((await reached(limn, id, "cancelled")).status).toBe("cancelled");
});

test("--files, --timeout, --agent-command and --continue say what they are for", async () => {
  const first = await limn.json(
    "ask",
    "limn/mnemos",
    "answer one",
    "--files",
    "README.md,, src/a.ts",
    "--timeout",
    "60",
  );
  await limn.json("approvals", "approve", first.mission_id);
  await reached(limn, first.mission_id, "completed");
  const more = await limn.run([
    "ask",
    "limn/mnemos",
    "recall",
    "--continue",
    first.mission_id,
    "--approve",
    "--wait",
  ]);
  expect(more).toMatchObject({ code: 0, out: expect.stringContaining("answer one | recall") });
  const plain = await limn.json("ask", "limn/mnemos", "x", "--agent-command", "plain");
  expect((await pending(limn, plain.mission_id)).plan.argv[0]).toBe("/bin/sh");
  await limn.json("approvals", "deny", plain.mission_id);
  const late = await limn.run(["approvals", "approve", plain.mission_id]);
  expect(late).toMatchObject({ code: 1, err: expect.stringMatching(/denied by .* at 20/) });
  const stdin = await limn.run(["ask", "limn/mnemos", "-", "--approve", "--wait"], {
    stdin: "answer from stdin",
  });
  expect(stdin).toMatchObject({ code: 0, out: expect.stringContaining("from stdin") });
});

test("what it is asked is not possible: exit 1, why, and what to try; as JSON the answer", async () => {
  const unknown = await limn.run(["ask", "limn/mnemo", "x"]);
  expect(unknown.code).toBe(1);
  expect(unknown.err).toMatch(/no project named "mnemo"\ntry: .*limn\/mnemos/);
  const denied = await limn.run(["ask", "limn/mnemos", "x", "--agent-command", "bash"]);
  expect(denied.code).toBe(1);
  expect(denied.err).toMatch(/^error: limn\/mnemos: denied: .*bash.*\ntry: /);
  const asJson = await limn.run(["ask", "limn/mnemos", "x", "--agent-command", "bash", "--json"]);
  expect(asJson.code).toBe(1);
  expect(JSON.parse(asJson.out)).toMatchObject({ status: "denied" });
});

test("missions, status and history of one; the list by status", async () => {
  const { mission_id: id } = await limn.json("ask", "limn/mnemos", "answer shown", "--approve");
  await reached(limn, id, "completed");
  const { missions } = await limn.json("missions", "--status", "completed");
  expect(missions.find((one: { mission_id: string }) => one.mission_id === id)).toMatchObject({
    status: "completed",
    from: "human",
    to: "limn/mnemos",
    text: "answer shown",
  });
  expect((await limn.json("missions", "--status", "lost")).missions).toEqual([]);
  expect((await limn.run(["missions"])).out).toContain(id);
  for (const words of [
    ["missions", "show", id],
    ["status", id],
  ]) {
    const { code, out } = await limn.run(words);
    expect(code).toBe(0);
    for (const part of [id, "completed", "answer shown", "2 turns", "$0.0125", "output\n    shown"])
      expect(out).toContain(part);
  }
  const { out } = await limn.run(["history", id]);
  expect(out).toMatch(/answer shown[\s\S]*text {4}done[\s\S]*shown/);
  expect((await limn.json("history", id)).messages).toHaveLength(3);
  expect((await limn.json("status", id)).output).toBe("shown");
});

test("watch shows missions, what they do, and approvals", async () => {
  const watch = begin("watch");
  await waitFor("it to watch", () => watch.out().includes("watching"));
  const { mission_id: id } = await limn.json("ask", "limn/mnemos", "answer watched");
  await limn.json("approvals", "approve", id);
  await waitFor("the end", () => watch.out().includes(`mission ${id} completed`), { detail: watch.out });
  const approval = (await limn.json("approvals", "--all")).approvals.find(
    (one: { mission_id: string }) => one.mission_id === id,
  );
  for (const part of [
    `mission ${id} pending_approval`,
    `approval ${approval.id} waits for a person`,
    `approval ${approval.id} approved by `,
    `mission ${id} running`,
    `mission ${id}: text    done`,
  ])
    expect(watch.out()).toContain(part);
  watch.child.kill("SIGINT");
  expect(await watch.exited).toBe(0);
});

const misuse: [string[], RegExp, RegExp][] = [
  [["ask", "limn/mnemos"], /missing required positional argument: TEXT/, /ask --help/],
  [["ask", "human", "x"], /a mission runs in a project/, /ai-intercom chat human/],
  [["ask", "limn/mnemos@s-1", "x"], /a mission runs in a project/, /ai-intercom chat limn\/mnemos@s-1/],
  [["ask", "limn/mnemos", "x", "--timeout", "soon"], /--timeout cannot be "soon"/, /whole seconds/],
  [["ask", "limn/mnemos", "x", "--continue", "m-1"], /"m-1" is not a mission id/, /ai-intercom missions/],
  [["ask", "limn/mnemos", "x", "--wiat"], /unknown option --wiat/, /--wait/],
  [["ask", "limn/mnemos", "  "], /the message is empty/, /--help/],
  [["missions", "sohw", "m-20261122-000000"], /"sohw" is not show or cancel/, /show/],
  [["missions", "show"], /which mission shall I show/, /ai-intercom missions/],
  [["missions", "show", "t-000000000000"], /is not a mission id/, /m-20261122-1a2b3c/],
  [["missions", "--status", "runing"], /"runing" is not pending_approval, /, /running/],
  [["approvals", "aprove", "a-000000000000"], /"aprove" is not approve, deny or revoke/, /approve/],
  [["approvals", "approve"], /what shall I approve/, /ai-intercom approvals/],
  [["approvals", "approve", "x"], /"x" is not an approval id/, /a- and 12 hex/],
  [["approvals", "revoke", "a-000000000000"], /is not a grant id/, /g- and 12 hex/],
  [
    ["approvals", "approve", "a-000000000000", "--scope", "ever"],
    /"ever" is not once, mission, session or always/,
    /--help|always/,
  ],
  [["approvals", "deny", "a-000000000000", "--scope", "once"], /--scope goes with approve/, /--help/],
];
for (const [words, message, hint] of misuse)
  test(`misuse: ${words.join(" ")} → exit 2, what and what to try`, async () => {
    const { code, out, err } = await limn.run(words);
    expect({ code, out, err }).toEqual({ code: 2, out: "", err: expect.stringMatching(message) });
    expect(err).toMatch(hint);
    expect(err.trim().split("\n").length).toBe(2);
  });

test("ids that nobody knows: exit 1 and where to look", async () => {
  for (const [words, hint] of [
    [["missions", "show", "m-20261122-000000"], "ai-intercom missions"],
    [["missions", "cancel", "m-20261122-000000"], "ai-intercom missions"],
    [["history", "m-20261122-000000"], "ai-intercom missions"],
    [["approvals", "approve", "a-000000000000"], "ai-intercom approvals"],
    [["approvals", "deny", "m-20261122-000000"], "ai-intercom missions"],
    [["approvals", "revoke", "g-000000000000"], "ai-intercom approvals"],
  ] as const) {
    const { code, err } = await limn.run([...words]);
    expect({ words, code }).toEqual({ words, code: 1 });
    expect(err).toMatch(/^error: .*\ntry: /);
    expect(err).toContain(hint);
  }
});
