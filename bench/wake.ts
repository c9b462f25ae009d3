// How soon an idle agent reads: from a person's send at the hub until the real client asks its model with the mail in
// the request, beside the same client's time for a bare line that this process writes to its messaging socket.
import { connect } from "node:net";
import type { ClaudeTerminal } from "../test/rig/claude.ts";
import { prompt } from "../test/rig/fake-script.ts";
import { type IntercomSession, IntercomStage } from "../test/rig/intercom-stage.ts";
import { waitFor } from "../test/rig/wait.ts";
import { type Bench, interleaved, median } from "./measure.ts";

const baseline = "bare line on its socket";
const ours = "chat to an idle claude";
const version = "2.1.330";
/** each takes 30 lines before its own limit; a round needs two */
const sessions = 3;

export const wake: Bench = {
  name: "wake",
  about: `from the send to the request of an idle claude ${version} (needs bun test/real/install.ts)`,
  runs: 30,
  async run({ runs }) {
    await using stage = await IntercomStage.open();
    await using first = await idleSession(stage);
    await using second = await idleSession(stage);
    await using third = await idleSession(stage);
    let round = 0;
    const next = () => [first, second, third][round++ % sessions] ?? first;
    const series = await interleaved(
      {
        [baseline]: () => untilRequest(next(), (session, text) => post(session.claude, text)),
        [ours]: () => untilRequest(next(), (session, text) => chat(stage, session.address, text)),
      },
      Math.min(runs, 30),
    );
    const added = median(series, ours) - median(series, baseline);
    return {
      series,
      baseline,
      bounds: [{ what: "difference of the medians", value: added, below: 100, unit: "ms" }],
    };
  },
};

/** Not in bypass mode: there a client holds lines that are not its own child's. */
async function idleSession(stage: IntercomStage): Promise<IntercomSession<ClaudeTerminal>> {
  const home = await stage.home("atlas");
  const session = await home.terminal({ version, permissionMode: "default" });
  await session.claude.submit(prompt("first", [[{ text: "ready" }]]));
  await session.claude.waitForAnswer("ready");
  return session;
}

/** ms until the model reads what `send` sent; before, all that went before has come to rest. */
async function untilRequest(
  session: IntercomSession<ClaudeTerminal>,
  send: (session: IntercomSession<ClaudeTerminal>, text: string) => Promise<void>,
): Promise<number> {
  await session.claude.waitForStatus("idle");
  await waitFor("an empty inbox", async () => (await session.local())?.inbox_pending === 0);
  await Bun.sleep(300);
  const text = `the bench says ${crypto.randomUUID()}`;
  const started = performance.now();
  const asked = session.turn(text, (request) => request.text.includes(text)).then(() => performance.now());
  await send(session, text);
  return (await asked) - started;
}

async function chat(stage: IntercomStage, to: string, message: string): Promise<void> {
  const hex = crypto.randomUUID().replaceAll("-", "");
  const payload = {
    message,
    message_id: `msg-${hex.slice(0, 16)}`,
    new_thread_id: `t-${hex.slice(0, 12)}`,
    if_no_session: "fail",
  };
  const response = await fetch("http://hub/api/route", {
    unix: `${stage.fleet.machine("limn").home}/run/hub.sock`,
    method: "POST",
    body: JSON.stringify({ from_agent: "human", to_agent: to, type: "chat", payload }),
    headers: { "content-type": "application/json", "x-ai-intercom-pid": String(process.pid) },
  });
  if (!response.ok) throw new Error(`chat to ${to}: ${await response.text()}`);
}

async function post(claude: ClaudeTerminal, content: string): Promise<void> {
  const path = (await claude.registry())?.messagingSocketPath;
  if (!path) throw new Error(`claude ${claude.pid} has no messaging socket`);
  const frame = { type: "user", message: { role: "user", content }, msgV: 1, msg_id: crypto.randomUUID() };
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  connect(path)
    .once("error", reject)
    .once("close", () => resolve())
    .end(`${JSON.stringify(frame)}\n`);
  await promise;
}
