// A permission question at the agent's machine: asked until it is answered, withdrawn when the agent waits no more.
import { expect, test } from "bun:test";
import { Permissions } from "../../src/daemon/permissions.ts";
import type { Sessions } from "../../src/daemon/sessions.ts";
import type { Activity } from "../../src/integrations/integration.ts";
import type { PermissionAnswer, PermissionAsk } from "../../src/protocol/permission.ts";
import { waitFor } from "../rig/wait.ts";

const question = (command = "ls") =>
  JSON.stringify({ hook_event_name: "PermissionRequest", tool_name: "Bash", tool_input: { command } });

function stage(
  answers: (ask: PermissionAsk) => PermissionAnswer | Promise<never>,
  activity: () => Activity = () => ({ status: "waiting" }),
) {
  const asked: PermissionAsk[] = [];
  const session = { stored: { session_id: "s-a", pid: process.pid, start: "x", agent: "claude" } };
  const sessions = { byProcess: (pid: number) => (pid === 1 ? session : undefined) };
  const permissions = new Permissions(
    sessions as unknown as Sessions,
    async (ask) => {
      asked.push(ask);
      return answers(ask);
    },
    activity,
  );
  return { permissions, asked };
}
const never = new AbortController().signal;

test("allowed and denied are printed, after as many looks as it takes", async () => {
  let looks = 0;
  const { permissions, asked } = stage(() => {
    looks += 1;
    return looks === 1 ? { status: "pending" } : { status: "denied", by: "@me" };
  });
  expect(JSON.parse(await permissions.answer(question(), 1, never))).toMatchObject({
    hookSpecificOutput: { decision: { behavior: "deny", message: "denied by @me" } },
  });
  expect(asked).toHaveLength(2);
  expect(new Set(asked.map(({ id }) => id)).size).toBe(1);
  expect(asked[0]).toMatchObject({ session_id: "s-a", tool: "Bash", text: "$ ls", withdrawn: false });
});

test("nobody there, another event, an unknown agent, a question too long to show: nothing, at once", async () => {
  const { permissions, asked } = stage(() => ({ status: "nobody" }));
  expect(await permissions.answer(question(), 1, never)).toBe("");
  expect(asked).toHaveLength(1);
  expect(await permissions.answer('{"hook_event_name":"Stop"}', 1, never)).toBe("");
  expect(await permissions.answer(question(), 2, never)).toBe("");
  expect(await permissions.answer(question("x".repeat(30_000)), 1, never)).toBe("");
  expect(asked).toHaveLength(1);
});

test("the hook ends first (Esc, the terminal's answer, its timeout): nothing is printed, the question is withdrawn", async () => {
  const { permissions, asked } = stage(() => ({ status: "pending" }));
  const hook = new AbortController();
  const printed = permissions.answer(question(), 1, hook.signal);
  await waitFor("the question", () => asked.length > 0);
  hook.abort();
  expect(await printed).toBe("");
  await waitFor("the withdrawal", () => asked.at(-1)?.withdrawn === true);
});

test("answered in the terminal: the dialog is gone, so the hook ends in silence and the question is withdrawn", async () => {
  const statuses: Activity["status"][] = ["waiting", "working"];
  const { permissions, asked } = stage(
    () => ({ status: "pending" }),
    () => ({ status: statuses.shift() ?? "working" }),
  );
  expect(await permissions.answer(question(), 1, never)).toBe("");
  await waitFor("the withdrawal", () => asked.at(-1)?.withdrawn === true);
});

test("answered in the terminal between two looks: the agent went on after the question was asked", async () => {
  let since = Date.now() - 60_000;
  const { permissions, asked } = stage(
    () => {
      since = Date.now() + 1;
      return { status: "pending" };
    },
    () => ({ status: "working", since }),
  );
  expect(await permissions.answer(question(), 1, never)).toBe("");
  await waitFor("the withdrawal", () => asked.at(-1)?.withdrawn === true);
});

test("a hub that is away for a moment is asked again", async () => {
  let looks = 0;
  const { permissions } = stage(() => {
    looks += 1;
    return looks === 1 ? Promise.reject(new Error("not linked")) : { status: "allowed" };
  });
  expect(await permissions.answer(question(), 1, never)).toContain('"allow"');
});
