// A message between two machines: `intercom_chat` through a real MCP server on one, until the answer says that it is
// on the other machine's disk. A hub and two daemons, each a process of its own. This process is both agents.
import { closeSync, fdatasyncSync, openSync, statSync, writeSync } from "node:fs";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { binary } from "../test/rig/binary.ts";
import { Fleet, type Machine } from "../test/rig/fleet.ts";
import { waitFor } from "../test/rig/wait.ts";
import { type Bench, interleaved, median, p99, timed } from "./measure.ts";

const baseline = "append + round trip";
const append = "bare append, fdatasync";
const roundTrip = "bare HTTP over a socket";
const chatted = "intercom_chat, delivered";

export const chat: Bench = {
  name: "chat",
  about: "intercom_chat on one machine until fsynced in the other machine's inbox",
  runs: 300,
  async run({ runs }) {
    // one sender's ordinary limit of messages a second would be measured otherwise
    const limits = { AI_INTERCOM_LIMITS_RATE: "100000", AI_INTERCOM_LIMITS_BURST: "100000" };
    await using fleet = await Fleet.start(["hub", "atlas", "limn"], limits);
    const inbox = await receiver(fleet.machine("limn"));
    await using sender = await Sender.start(fleet.machine("atlas"));
    await using echo = await Echo.start(`${fleet.root}/echo.sock`);
    using file = new SyncedFile(`${fleet.root}/bare.jsonl`);
    const line = await sizedLike(sender, inbox);
    const series = await interleaved(
      {
        [append]: () => timed(async () => file.append(line)),
        [roundTrip]: () => timed(() => echo.ask(line)),
        [baseline]: () =>
          timed(async () => {
            await echo.ask(line);
            file.append(line);
          }),
        [chatted]: () => sender.chat(inbox),
      },
      runs,
    );
    return {
      series,
      baseline,
      bounds: [
        { what: "median", value: median(series, chatted), below: 10, unit: "ms" },
        { what: "p99", value: p99(series, chatted), below: 30, unit: "ms" },
      ],
      notes: [`${inbox.checked} answers "delivered" checked against the inbox file: each line was there`],
    };
  },
};

/** The receiving session's file, read behind the daemon's back. */
class Inbox {
  checked = 0;
  #read = 0;

  constructor(
    readonly path: string,
    readonly address: string,
  ) {}

  /** The file must hold the message now, written since `startedAt` (unix ms; mtime steps with the kernel's tick). */
  async mustHold(text: string, startedAt: number): Promise<string> {
    const added = await Bun.file(this.path).slice(this.#read).text();
    const { size, mtimeMs } = statSync(this.path);
    if (!added.includes(text) || mtimeMs < startedAt - 10)
      throw new Error(
        `"delivered", but ${this.path} does not hold "${text}" (written ${mtimeMs - startedAt} ms after)`,
      );
    this.#read = size;
    this.checked++;
    return added;
  }
}

async function receiver(machine: Machine): Promise<Inbox> {
  const { body } = await machine.local("POST", "/api/session/register", {
    pid: process.pid,
    project: "bench",
    cwd: "/tmp",
  });
  const session = String(body.session_id);
  await waitFor(`the hub to list session ${session}`, async () => {
    const { agents } = await machine.json("agents");
    return JSON.stringify(agents).includes(session);
  });
  return new Inbox(String(body.inbox_path), String(body.address));
}

class Sender implements AsyncDisposable {
  #count = 0;

  private constructor(private readonly client: Client) {}

  static async start(machine: Machine): Promise<Sender> {
    const client = new Client({ name: "bench", version: "1" });
    await client.connect(
      new StdioClientTransport({ command: binary, args: ["mcp-server"], env: machine.env, cwd: "/tmp" }),
    );
    return new Sender(client);
  }

  /** ms from the call to its answer; a new thread each time. */
  async chat(inbox: Inbox): Promise<number> {
    const message = `message ${++this.#count} of the bench: does the staging server listen on 8080?`;
    const startedAt = Date.now();
    const started = performance.now();
    const { structuredContent } = await this.client.callTool({
      name: "intercom_chat",
      arguments: { to: inbox.address, message },
    });
    const took = performance.now() - started;
    const { status } = structuredContent as { status: string }; // boundary: the tool's answer
    if (status !== "delivered")
      throw new Error(`intercom_chat answered ${JSON.stringify(structuredContent)}`);
    await inbox.mustHold(message, startedAt);
    return took;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.client.close();
  }
}

/** What cannot be cheaper: one small request to another process over a Unix socket. */
class Echo implements AsyncDisposable {
  private constructor(
    private readonly child: Bun.Subprocess,
    private readonly unix: string,
  ) {}

  static async start(unix: string): Promise<Echo> {
    const serve = `Bun.serve({ unix: ${JSON.stringify(unix)}, fetch: async (request) => new Response(await request.text()) })`;
    const child = Bun.spawn([process.execPath, "-e", serve], { stdio: ["ignore", "inherit", "inherit"] });
    const echo = new Echo(child, unix);
    await waitFor("the echo server", () => echo.ask("x").then(() => true));
    return echo;
  }

  async ask(body: string): Promise<void> {
    const response = await fetch("http://localhost/", { unix: this.unix, method: "POST", body });
    await response.text();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.child.kill();
    await this.child.exited;
  }
}

/** What cannot be cheaper: one line on the disk. */
class SyncedFile implements Disposable {
  readonly #fd: number;

  constructor(path: string) {
    this.#fd = openSync(path, "a", 0o600);
  }

  append(line: string): void {
    writeSync(this.#fd, line);
    fdatasyncSync(this.#fd);
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
  }
}

/** A line as long as the inbox's own. */
async function sizedLike(sender: Sender, inbox: Inbox): Promise<string> {
  await sender.chat(inbox);
  return Bun.file(inbox.path).text();
}
