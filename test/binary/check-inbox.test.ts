// The hook's program against a daemon of our own making: when it asks, what it asks, and that whatever goes wrong it
// is silent and exits 0.
import { afterAll, beforeEach, expect, setDefaultTimeout, test } from "bun:test";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { binary } from "../rig/binary";
import { within } from "../rig/wait";

setDefaultTimeout(20_000);
const home = await mkdtemp("/tmp/aii-hook-");
await mkdir(`${home}/run`);
await mkdir(`${home}/inbox/pending`, { recursive: true });
const marker = `${home}/inbox/pending/${process.pid}`;

type Asked = { path: string; input: string; agent: string | null; asker: string | null };
let asked: Asked[] = [];
let reply: () => Response | Promise<Response>;
let daemon = serve();

beforeEach(async () => {
  asked = [];
  reply = () => new Response("the mail");
  await rm(marker, { force: true });
});
afterAll(async () => {
  await daemon.stop(true);
  await rm(home, { recursive: true, force: true });
});

function serve() {
  return Bun.serve({
    unix: `${home}/run/daemon.sock`,
    async fetch(request) {
      const { pathname, search } = new URL(request.url);
      const agent = request.headers.get("x-ai-intercom-agent-pid");
      const asker = request.headers.get("x-ai-intercom-pid");
      asked.push({ path: pathname + search, input: await request.text(), agent, asker });
      return reply();
    },
  });
}

const eventInput = (event: string) => JSON.stringify({ hook_event_name: event });
const batch = eventInput("PostToolBatch");

/** `input` undefined: standard input stays open and empty. */
async function checkInbox(input: string | undefined, ...words: string[]) {
  const child = Bun.spawn([binary, "check-inbox", ...words], {
    env: { AI_INTERCOM_HOME: home, HOME: home },
    stdin: "pipe",
    stdout: "pipe",
    stderr: "pipe",
  });
  if (input !== undefined) {
    child.stdin.write(input);
    await child.stdin.end();
  }
  const code = await within("check-inbox to exit", child.exited);
  const [out, err] = [await new Response(child.stdout).text(), await new Response(child.stderr).text()];
  return { code, out, err, pid: child.pid };
}

const silence = { code: 0, out: "", err: "" };

test("without a marker the daemon is not asked", async () => {
  expect(await checkInbox(batch, "--format", "hook")).toMatchObject(silence);
  expect(asked).toEqual([]);
});

test("with a marker it hands over the event and both pids, and prints the answer once", async () => {
  await Bun.write(marker, "{}");
  const { pid, ...rest } = await checkInbox(batch, "--format", "hook");
  expect(rest).toEqual({ code: 0, out: "the mail\n", err: "" });
  expect(asked).toEqual([
    { path: "/api/hook", input: batch, agent: String(process.pid), asker: String(pid) },
  ]);
});

test("the start of a session asks without a marker", async () => {
  const { out } = await checkInbox(eventInput("SessionStart"));
  expect(out).toBe("the mail\n");
  expect(asked.map(({ path }) => path)).toEqual(["/api/hook"]);
});

test("a named session asks without a marker, and names it", async () => {
  const { out } = await checkInbox(batch, "--format", "hook", "--session", "s-20261122-abcdef");
  expect(out).toBe("the mail\n");
  expect(asked.map(({ path }) => path)).toEqual(["/api/hook?session=s-20261122-abcdef"]);
});

test("an empty answer, an error and a daemon that does not answer are silence", async () => {
  await Bun.write(marker, "{}");
  const replies: (typeof reply)[] = [
    () => new Response(""),
    () => new Response("no", { status: 500 }),
    () => new Promise<Response>(() => {}),
  ];
  for (const one of replies) {
    reply = one;
    expect(await checkInbox(batch)).toMatchObject(silence);
  }
  expect(asked).toHaveLength(3);
});

test("a daemon that answers after a second is waited for at the start of a session only", async () => {
  await Bun.write(marker, "{}");
  const after = (ms: number) => async () => {
    await Bun.sleep(ms);
    return new Response("late");
  };
  reply = after(1_000);
  expect(await checkInbox(eventInput("SessionStart"))).toMatchObject({ code: 0, out: "late\n", err: "" });
  reply = after(3_000);
  expect(await checkInbox(batch)).toMatchObject(silence);
});

test("what the machine takes away from the hook itself does not count: an answer that came meanwhile is printed", async () => {
  await Bun.write(marker, "{}");
  reply = () => {
    const hook = Number(asked[0]?.asker);
    process.kill(hook, "SIGSTOP");
    setTimeout(() => process.kill(hook, "SIGCONT"), 1_500);
    return new Response("in time");
  };
  expect(await checkInbox(batch)).toMatchObject({ code: 0, out: "in time\n", err: "" });
});

test("without a daemon it is silence", async () => {
  await Bun.write(marker, "{}");
  await daemon.stop(true);
  try {
    expect(await checkInbox(batch)).toMatchObject(silence);
  } finally {
    daemon = serve();
  }
});

test("input that never ends does not hold the agent", async () => {
  await Bun.write(marker, "{}");
  expect(await checkInbox(undefined)).toMatchObject(silence);
  expect(asked).toEqual([]);
});

test("an unknown format is a usage error", async () => {
  const { code, err } = await checkInbox("", "--format", "xml");
  expect(code).toBe(2);
  expect(err).toContain('"xml"');
});
