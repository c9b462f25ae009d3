// `check-inbox` itself, behind the guard: without mail, and with one message that a real daemon hands over. This
// process is the agent: the hook is its child, the mail is its session's.
import { appendFile, mkdir } from "node:fs/promises";
import { newThreadId } from "../src/protocol/ids.ts";
import { Fleet, type Machine } from "../test/rig/fleet.ts";
import { waitFor } from "../test/rig/wait.ts";
import { type Bench, type Case, interleaved, ratio } from "./measure.ts";
import { finish, finishSilent, hookInput, Programs } from "./programs.ts";

const baseline = "empty Bun program";
const empty = "check-inbox, no mail";
const one = "check-inbox, one message";

export const hook: Bench = {
  name: "hook",
  about: "check-inbox from spawn to exit, with a daemon running",
  runs: 80,
  async run({ runs }) {
    await using programs = await Programs.prepare();
    await using fleet = await Fleet.start(["limn"]);
    const machine = fleet.machine("limn");
    const { env } = machine;
    const command = [programs.ours, "check-inbox", "--format", "hook"];
    const transcript = `${fleet.root}/projects/bench/transcript.jsonl`;
    await mkdir(`${fleet.root}/projects/bench`, { recursive: true });
    const input = hookInput("PostToolBatch", { transcript_path: transcript });
    const series = await interleaved(
      {
        [baseline]: () => finishSilent([programs.empty], { env, input }),
        [empty]: () => finishSilent(command, { env, input }),
        [one]: await withMail({ machine, command, input, transcript }),
      },
      runs,
    );
    return {
      series,
      baseline,
      bounds: [
        { what: "no mail", value: ratio(series, empty, baseline), below: 1.5, unit: "×" },
        { what: "one message", value: ratio(series, one, baseline), below: 3, unit: "×" },
      ],
    };
  },
};

type Mail = { machine: Machine; command: string[]; input: string; transcript: string };

async function withMail({ machine, command, input, transcript }: Mail): Promise<Case> {
  const { body } = await machine.local("POST", "/api/session/register", { pid: process.pid, cwd: "/tmp" });
  const session_id = String(body.session_id);
  const ledger = `${machine.home}/inbox/${session_id}.ledger`;
  return async () => {
    const thread_id = newThreadId();
    const delivered = await machine.local("POST", "/api/session/deliver", {
      session_id,
      thread_id,
      from_agent: "atlas/website",
      message: "the staging server listens on 8080",
      timestamp: new Date().toISOString(),
    });
    if (delivered.status !== 200) throw new Error(`deliver answered ${JSON.stringify(delivered)}`);
    const { ms, out } = await finish(command, { env: machine.env, input });
    const text = contextOf(out);
    if (!text.includes(thread_id)) throw new Error(`the hook did not hand over thread ${thread_id}: ${out}`);
    await prove(transcript, text);
    await waitFor("the claim to be settled", async () => (await Bun.file(ledger).json()).claims.length === 0);
    return ms;
  };
}

function contextOf(printed: string): string {
  if (printed === "") return "";
  return JSON.parse(printed).hookSpecificOutput.additionalContext;
}

/** As the agent does it: the text in its transcript, then an answer. An open claim would hold back the next mail. */
async function prove(transcript: string, text: string): Promise<void> {
  const timestamp = new Date().toISOString();
  const attachment = { type: "hook_additional_context", content: [text], hookEvent: "PostToolBatch" };
  const message = { id: `msg_${crypto.randomUUID()}`, role: "assistant", model: "fake", content: [] };
  const lines = [
    { type: "attachment", isSidechain: false, timestamp, attachment },
    { type: "assistant", isSidechain: false, timestamp, message },
  ];
  await appendFile(transcript, lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
}
