// The agent of a mission, scripted: reads its prompt from standard input as an agent does, does what the task's last
// line says, and prints Claude Code's stream-json. Not a test.
//   answer TEXT          says TEXT
//   wait FILE TEXT       says so, then TEXT once FILE is there
//   run COMMAND          runs a shell command and says what it printed
//   listen               starts its MCP server and says the first message that comes
//   fail CODE            prints a word to stderr and exits with CODE
//   recall               says what it was told first, in this run and before it
import { appendFileSync, existsSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { binary } from "./binary";

const prompt = await Bun.stdin.text();
const task = prompt.trimEnd().split("\n").at(-1) ?? "";
const [verb = "", ...words] = task.split(" ");
const resumed = process.argv.indexOf("--resume");
const session = resumed === -1 ? crypto.randomUUID() : (process.argv[resumed + 1] ?? "");
const memory = `${process.env.MEMORY ?? tmpdir()}/${session}.told`;
appendFileSync(memory, `${task}\n`);

emit({ type: "system", subtype: "init", session_id: session });

switch (verb) {
  case "answer":
    end(words.join(" "));
    break;
  case "wait": {
    const [file = "", ...rest] = words;
    say(`waiting for ${file}`);
    while (!existsSync(file)) await Bun.sleep(10);
    end(rest.join(" "));
    break;
  }
  case "run": {
    const command = words.join(" ");
    emit({ type: "assistant", message: answer([{ type: "tool_use", name: "Bash", input: { command } }]) });
    const run = Bun.spawnSync(["/bin/sh", "-c", `(${command}) 2>&1`], { cwd: process.cwd() });
    end(run.stdout.toString());
    break;
  }
  case "listen":
    end(`I heard: ${await firstMessage()}`);
    break;
  case "fail":
    say("this will fail");
    process.stderr.write("no such luck\n");
    process.exit(Number(words[0]));
    break;
  case "recall":
    end(readFileSync(memory, "utf8").trimEnd().split("\n").join(" | "));
    break;
  default:
    end(`I do not know how to "${task}"`);
}

async function firstMessage(): Promise<string> {
  const client = new Client({ name: "scripted", version: "1" });
  const env = Object.fromEntries(
    Object.entries(process.env).flatMap(([key, value]) => (value === undefined ? [] : [[key, value]])),
  );
  await client.connect(new StdioClientTransport({ command: binary, args: ["mcp-server"], env }));
  for (;;) {
    const { structuredContent } = await client.callTool({ name: "intercom_check_inbox", arguments: {} });
    const { messages = [] } = structuredContent as { messages?: { message: string }[] };
    if (messages[0]) {
      await client.close();
      return messages[0].message;
    }
    await Bun.sleep(20);
  }
}

function say(text: string): void {
  emit({ type: "assistant", message: answer([{ type: "text", text }]) });
}

function end(result: string): void {
  say("done");
  const about = { session_id: session, num_turns: 2, total_cost_usd: 0.0125 };
  emit({ type: "result", subtype: "success", is_error: false, result, ...about });
}

function answer(content: unknown[]) {
  return { id: `msg_${crypto.randomUUID()}`, role: "assistant", content };
}

function emit(line: unknown): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}
