// A simulated agent: one process, one session, turns with hooks and tool calls, and a transcript that says what its
// model really got. It speaks to the daemon as MCP server and hook do; a share of its hooks is the real program.
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { SessionClient } from "../../src/mcp/session-client.ts";
import { RegisterAnswer } from "../../src/protocol/local-api.ts";
import { ChatAnswer } from "../../src/protocol/message.ts";
import { homePaths } from "../../src/system/paths.ts";
import { requestOverSocket } from "../../src/system/socket.ts";
import { waitFor } from "../rig/wait.ts";
import { AgentProcess, type AgentTools, type HookStrike, type Process } from "./agent-process.ts";
import type { Book, Read, Sent } from "./book.ts";
import type { Dice } from "./dice.ts";
import { askHook, contextOf } from "./hook-call.ts";
import { calm, type Manners } from "./manners.ts";
import { McpAgentProcess } from "./mcp-agent-process.ts";
import { patience } from "./served.ts";
import { readFrame, readToolAnswer, Transcript } from "./transcript.ts";

type Place = {
  root: string;
  home: string;
  project: string;
  name: string;
  binary: string;
  env: Record<string, string>;
  /** with the real MCP server */
  realMcp: boolean;
  /** its machine's clock, unix ms */
  now: () => number;
};

export class SimAgent {
  readonly native = crypto.randomUUID();
  #place: Place;
  readonly #book: Book;
  readonly #dice: Dice;
  readonly #transcript: Transcript;
  #process: Process;
  #client: AgentTools;
  #replies: Promise<unknown> = Promise.resolve();
  address = "";
  alive = true;
  /** hooks that were killed or stopped */
  hooksStruck = 0;

  private constructor(place: Place, book: Book, dice: Dice) {
    this.#place = place;
    this.#book = book;
    this.#dice = dice;
    for (const directory of [`${place.root}/c/sessions`, `${place.root}/c/projects/p`])
      mkdirSync(directory, { recursive: true });
    this.#transcript = new Transcript(`${place.root}/c/projects/p/${this.native}.jsonl`, place.now);
    [this.#process, this.#client] = this.#begin();
  }

  static async start(place: Place, book: Book, dice: Dice): Promise<SimAgent> {
    const agent = new SimAgent(place, book, dice);
    await agent.#register();
    return agent;
  }

  get pid(): number {
    return this.#process.pid;
  }
  get sessionId(): string {
    return this.address.slice(this.address.indexOf("@") + 1);
  }
  get home(): string {
    return this.#place.home;
  }
  get hasMail(): boolean {
    return existsSync(`${homePaths(this.home).pending}/${this.pid}`);
  }

  /** One turn: prompt, tools, stop; each hook only when the guard lets it. Ends where the agent dies. */
  async turn(manners: Manners): Promise<void> {
    try {
      await this.#turn(manners, this.#process);
    } catch (error) {
      if (!(error instanceof Died)) throw error;
    }
  }

  async #turn(manners: Manners, process: Process): Promise<void> {
    this.#tellStatus("busy");
    await this.#prompt(manners, process);
    this.#transcript.answer();
    for (let rounds = this.#dice.between(0, 3); rounds > 0; rounds--) {
      if (this.#dice.chance(manners.check)) await this.#checkInbox(manners, process);
      await this.#take("PostToolBatch", manners, { tool_calls: [] }, process);
      this.#transcript.answer();
    }
    for (let stop = 0; stop < 8; stop++) {
      if (!(await this.#take("Stop", manners, { stop_hook_active: stop > 0 }, process))) break;
      this.#transcript.answer();
    }
    this.#tellStatus("idle");
  }

  /** One look for mail, as several readers may take at a time. */
  async read(manners: Manners): Promise<void> {
    const process = this.#process;
    try {
      if (this.#dice.chance(manners.check)) await this.#checkInbox(manners, process);
      else await this.#take("PostToolBatch", manners, { tool_calls: [] }, process);
      this.#mustLive(process);
      this.#transcript.answer();
    } catch (error) {
      if (!(error instanceof Died)) throw error;
    }
  }

  /** Sends one message; never throws. */
  async say(
    to: SimAgent,
    { thread, lane, size = 0 }: { thread?: string; lane: string; size?: number },
  ): Promise<{ sent: Sent; thread: string | undefined }> {
    const sent = this.#book.write(this.address, to.address, lane, size);
    const given = thread
      ? { thread_id: thread, message: sent.text }
      : { to: to.address, message: sent.text, if_no_session: "queue" };
    try {
      const { result } = await this.#client.call(thread ? "intercom_reply" : "intercom_chat", given);
      const { status, message_id, thread_id, error, reason } = ChatAnswer.parse(result);
      sent.id = message_id;
      sent.answer = [status, error ?? reason].filter(Boolean).join(": ");
      if (status === "delivered" || status === "queued" || status === "held") sent.outcome = "accepted";
      else sent.outcome = error?.includes("whether it took the message is not known") ? "unknown" : "refused";
      return { sent, thread: thread_id };
    } catch (error) {
      sent.outcome = "unknown";
      sent.answer = String(error).slice(0, 200);
      return { sent, thread: undefined };
    }
  }

  /** Resolves when every reply that was begun has its answer. */
  async repliesSent(): Promise<void> {
    await this.#replies;
  }

  /** kill -9 of its MCP server, where it has a real one. */
  async killMcp(): Promise<void> {
    if (this.#client instanceof McpAgentProcess) await this.#client.killServer();
  }

  async stopMcp(ms: number): Promise<void> {
    if (this.#client instanceof McpAgentProcess) await this.#client.stopServer(ms);
  }

  /** The agent's process ends the hard way; its session with it. */
  async die(): Promise<void> {
    this.alive = false;
    void this.#client.stop();
    await this.#process.kill();
  }

  /** The same conversation in a new process; in another project when its directory was moved. */
  async resume({ project = this.#place.project }: { project?: string } = {}): Promise<void> {
    const before = this.address;
    const expected = before.replace(`/${this.#place.project}@`, `/${project}@`);
    this.#place = { ...this.#place, project };
    [this.#process, this.#client] = this.#begin();
    this.alive = true;
    await this.#register("resume");
    if (this.address !== expected) this.#book.wrong.push(`${before} came back as ${this.address}`);
  }

  async close(): Promise<void> {
    this.alive = false;
    void this.#client.stop();
    await this.#process.kill();
  }

  onOther: ((address: string) => SimAgent | undefined) | undefined;

  #registration() {
    const { home, project } = this.#place;
    return { pid: this.pid, project, agent: "claude", cwd: home, native_session_id: this.native };
  }

  #begin(): [Process, AgentTools] {
    const { root, env, binary, realMcp, home } = this.#place;
    if (realMcp) {
      const both = new McpAgentProcess(root, env, binary);
      return [both, both];
    }
    const process = new AgentProcess(root, env);
    const client = new SessionClient({
      socket: homePaths(home).daemonSocket,
      registration: () => ({ ...this.#registration(), pid: process.pid }),
    });
    client.start();
    return [process, client];
  }

  async #register(source = "startup"): Promise<void> {
    const request = { path: "/api/session/register", body: this.#registration() };
    const socket = homePaths(this.home).daemonSocket;
    this.address = await waitFor(
      `${this.#place.name} to be registered`,
      async () =>
        RegisterAnswer.parse(await requestOverSocket(socket, "daemon_unreachable", request)).address,
      patience,
    );
    this.#tellStatus("busy");
    await this.#take("SessionStart", calm, { source }, this.#process);
    this.#transcript.answer();
    this.#tellStatus("idle");
  }

  async #prompt(manners: Manners, process: Process): Promise<void> {
    const text = await this.#hook("UserPromptSubmit", manners, { prompt: "go on" });
    this.#mustLive(process);
    const follows = this.#transcript.prompt("go on");
    if (text === "" || this.#dice.chance(manners.drop)) return;
    await this.#pause(manners, process);
    const nonces = this.#record("UserPromptSubmit", text);
    if (!this.#dice.chance(manners.takeBack)) return;
    // an agent that dies between Esc and the next prompt leaves a line that proves what no model reads
    for (const nonce of nonces) this.#book.takeBack(nonce);
    this.#transcript.prompt("something else", follows);
  }

  /** True when the hook brought text into the context. */
  async #take(event: string, manners: Manners, more: object, process: Process): Promise<boolean> {
    const text = await this.#hook(event, manners, more);
    this.#mustLive(process);
    if (text === "" || this.#dice.chance(manners.drop)) return false;
    await this.#pause(manners, process);
    this.#record(event, text, manners);
    return true;
  }

  async #pause({ lateMs }: Manners, process: Process): Promise<void> {
    await Bun.sleep(this.#dice.between(0, lateMs + 1));
    this.#mustLive(process);
  }

  /** A dead agent writes no transcript and reads nothing. */
  #mustLive(process: Process): void {
    if (!this.alive || this.#process !== process) throw new Died();
  }

  #record(event: string, text: string, manners: Manners = calm): string[] {
    const blocks = readFrame(text);
    if (this.#dice.chance(0.1)) this.#transcript.noise(event, text);
    this.#transcript.hookContext(event, text);
    this.#read(blocks, event, manners);
    return blocks.map(({ nonce }) => nonce);
  }

  #read(blocks: Omit<Read, "session" | "by">[], by: string, { reply }: Manners): void {
    for (const block of blocks) {
      this.#book.reads.push({ ...block, session: this.address, by });
      const other = block.from === "hub" ? undefined : this.onOther?.(block.from);
      if (!other || block.part !== block.of || !this.#dice.chance(reply)) continue;
      const lane = `${block.thread} reply ${this.address}`;
      this.#replies = this.#replies.then(async () => {
        if (this.alive) await this.say(other, { thread: block.thread, lane });
      });
    }
  }

  async #checkInbox(manners: Manners, process: Process): Promise<void> {
    const answer = await this.#client.call("intercom_check_inbox", {}).catch(() => undefined);
    this.#mustLive(process);
    if (!answer || answer.result.status === "error") return;
    if (this.#dice.chance(manners.drop)) return this.#transcript.toolResult("[Request interrupted by user]");
    await this.#pause(manners, process);
    this.#transcript.toolResult(JSON.stringify(answer.result));
    this.#read(readToolAnswer(answer.result), "check_inbox", manners);
    if (answer.confirm) await this.#client.confirm(answer.confirm).catch(() => undefined);
  }

  async #hook(event: string, manners: Manners, more: object): Promise<string> {
    if (event !== "SessionStart" && !this.hasMail) return "";
    const input = JSON.stringify({
      session_id: this.native,
      transcript_path: this.#transcript.path,
      cwd: this.home,
      hook_event_name: event,
      ...more,
    });
    const printed = this.#dice.chance(manners.realHook)
      ? await this.#realHook(input, manners)
      : await askHook(this.home, this.pid, input);
    return contextOf(printed);
  }

  async #realHook(input: string, manners: Manners): Promise<string> {
    const { text, struck } = await this.#process.hook(this.#place.binary, input, this.#strike(manners));
    if (struck) this.hooksStruck += 1;
    return text;
  }

  #strike({ killHook, stopHook, stopMs }: Manners): HookStrike | undefined {
    const afterMs = this.#dice.between(0, 60);
    if (this.#dice.chance(killHook)) return { afterMs };
    if (this.#dice.chance(stopHook)) return { afterMs, stopMs: this.#dice.between(100, stopMs) };
    return undefined;
  }

  /** Its own registry file, as Claude Code keeps it. */
  #tellStatus(status: "busy" | "idle"): void {
    const entry = {
      pid: this.pid,
      procStart: this.#process.startTicks,
      sessionId: this.native,
      status,
      statusUpdatedAt: this.#place.now(),
    };
    writeFileSync(`${this.#place.root}/c/sessions/${this.pid}.json`, JSON.stringify(entry));
  }
}

class Died extends Error {}
