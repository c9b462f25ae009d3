// One server process of the product: started, killed, stopped and started again, always in the same home.
import { readFileSync } from "node:fs";
import { waitFor, within } from "../rig/wait.ts";

export type Arm = { crash?: string; wrap?: string[] };

/** for what must happen, on a machine that may be busy with other things */
export const patience = { timeoutMs: 60_000 };
/** characters of a process's output that are kept for a report */
const keptOutput = 60_000;

export class Served {
  #child: Bun.Subprocess<"ignore", "pipe", "pipe"> | undefined;
  #output = "";
  #wrapped = false;
  /** a crash point waits for it */
  armed = false;
  /** how often it was started */
  starts = 0;

  constructor(
    readonly name: string,
    readonly home: string,
    private readonly words: readonly [string, ...string[]],
    private readonly env: Record<string, string>,
  ) {}

  get running(): boolean {
    const child = this.#child;
    return child !== undefined && child.exitCode === null && child.signalCode === null;
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  get output(): string {
    return this.#output;
  }

  /** False when it died before it was ready: an armed crash point was in its way. */
  async start({ crash, wrap = [] }: Arm = {}): Promise<boolean> {
    if (this.running) throw new Error(`${this.name} runs already`);
    this.starts += 1;
    let ready = false;
    const child = Bun.spawn([...wrap, ...this.words], {
      env: { ...this.env, ...(crash === undefined ? {} : { AI_INTERCOM_CRASH: crash }) },
      cwd: this.home,
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
    this.#child = child;
    this.armed = crash !== undefined;
    this.#wrapped = wrap.length > 0;
    const take = (text: string) => {
      ready ||= /listening on|daemon of machine/.test(text);
      this.#output = (this.#output + text).slice(-keptOutput);
    };
    for (const stream of [child.stdout, child.stderr]) void collect(stream, take);
    await waitFor(`${this.name} to start`, () => ready || !this.running, {
      ...patience,
      detail: () => this.#output,
    });
    if (this.running || child.signalCode === "SIGKILL") return this.running;
    throw new Error(`${this.name} did not start (${child.exitCode ?? child.signalCode}): ${this.#output}`);
  }

  signal(signal: NodeJS.Signals): void {
    if (this.running) this.#child?.kill(signal);
  }

  async kill(signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
    const child = this.#child;
    if (!child) return;
    const wrapped = signal === "SIGKILL" && this.#wrapped && this.running ? childrenOf(this.pid) : [];
    // a tracer ends by itself when what it traces has: then nothing holds a lock any more
    for (const pid of wrapped) process.kill(pid, "SIGKILL");
    if (wrapped.length === 0) this.signal(signal);
    if (signal === "SIGKILL") this.signal("SIGCONT");
    await within(`${this.name} to end`, child.exited, patience);
  }

  /** True when it ended by itself within `ms`. */
  async endsWithin(ms: number): Promise<boolean> {
    const until = performance.now() + ms;
    while (this.running && performance.now() < until) await Bun.sleep(5);
    return !this.running;
  }
}

function childrenOf(pid: number): number[] {
  const text = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8");
  return text
    .trim()
    .split(" ")
    .map(Number)
    .filter((child) => child > 0);
}

async function collect(stream: ReadableStream<Uint8Array>, take: (text: string) => void): Promise<void> {
  const decoder = new TextDecoder();
  for await (const part of stream) take(decoder.decode(part, { stream: true }));
}
