// One run of a mission, from its start to its end: follows what it prints, keeps its time limit, stops it, and ends what
// it left behind. Every step that must survive this daemon is in its record first.
import { existsSync, writeFileSync } from "node:fs";
import { integrationNamed } from "../integrations/integration.ts";
import type { MissionChange } from "../protocol/mission.ts";
import { crashPoint } from "../system/crash-point.ts";
import { isErrno } from "../system/files.ts";
import { log } from "../system/log.ts";
import { isAlive } from "../system/process.ts";
import { background, delay, every } from "../system/wait.ts";
import { agentEnvironment, markOf } from "./agent-environment.ts";
import { MissionOutput } from "./mission-output.ts";
import { type Exit, findLeader, processesOf, signalAll, startAgent } from "./mission-process.ts";
import { missionPrompt } from "./mission-prompt.ts";
import { type MissionRecord, type MissionRecords, runKeyOf } from "./mission-record.ts";
import { verdictOf } from "./mission-verdict.ts";

export type RunParts = {
  records: MissionRecords;
  home: string;
  language: "en" | "fr";
  env: Record<string, string | undefined>;
  /** seconds; this machine's own limit */
  maxSeconds: number;
  /** ms between a polite signal and the end */
  graceMs: number;
  /** something the hub does not know yet */
  onNews: (run: MissionRun) => void;
  /** its agent has ended, so another may start */
  onEnd: (run: MissionRun) => void;
  /** nothing of it is left */
  onSwept: (run: MissionRun) => void;
};

type Stop = NonNullable<MissionRecord["stop"]>;

/** ms between looks at what it printed and whether it still runs; the hub should know a step within 300 ms */
const lookMs = 60;
/** ms after which what cannot be ended is given up */
const sweepMs = 20_000;
const sweepPauseMs = 100;
/** bytes of a task as an argument; Linux takes 128 KiB for one (execve(2), MAX_ARG_STRLEN) */
const maxArgumentBytes = 100_000;
/** bytes that an agent may print before it is stopped: the disk is not its own */
const maxStdoutBytes = 1024 * 1024 * 1024;

/** In the record before the process is there. */
export const startingNow = () => ({ state: "starting" as const, started_at: new Date().toISOString() });

/** What the operating system says of a start, in words. */
function whyNot(cause: unknown, program: string): string {
  if (isErrno(cause, "ENOENT")) return `${program} is not there, or the interpreter that it names`;
  if (isErrno(cause, "EACCES")) return `${program} may not be executed`;
  if (isErrno(cause, "ENOEXEC")) return `${program} is no program of this machine`;
  if (isErrno(cause, "E2BIG")) return "its arguments and environment are too long";
  return cause instanceof Error ? cause.message : String(cause);
}

export class MissionRun {
  record: MissionRecord;
  readonly story: MissionOutput;
  readonly #parts: RunParts;
  #timer: ReturnType<typeof setInterval> | undefined;
  #exit: Exit | undefined;
  /** we are its parent: the system tells its exit, and nothing else may */
  #isOurs = false;
  #termAt: number | undefined;
  #killed = false;
  readonly #closed = new AbortController();

  constructor(record: MissionRecord, parts: RunParts) {
    this.record = record;
    this.#parts = parts;
    const agent = record.format === undefined ? undefined : integrationNamed(record.format)?.missions;
    this.story = new MissionOutput(parts.records.files(record).stdout, agent);
  }

  get key(): string {
    return runKeyOf(this.record.order);
  }

  get isActive(): boolean {
    return this.record.state === "starting" || this.record.state === "running";
  }

  /** Starts the agent. Throws why it cannot; the record then says that it ended so. */
  start(): void {
    const { records, home, language, env } = this.#parts;
    const { order, plan, prompt } = this.record;
    const files = records.files(this.record);
    const text = missionPrompt(order, language);
    // on the disk before anything runs: a daemon that dies here finds it by its mark, or tells that it is lost
    if (this.record.state !== "starting") this.#save(startingNow());
    crashPoint("launcher.before-start");
    try {
      if (prompt === "argument" && Buffer.byteLength(text) > maxArgumentBytes)
        throw new Error(`the task is too long for an argument (${Buffer.byteLength(text)} bytes)`);
      writeFileSync(files.prompt, text, { mode: 0o600 });
      const { process, exited } = startAgent({
        argv: prompt === "argument" ? [...plan.argv, text] : plan.argv,
        directory: plan.directory,
        env: agentEnvironment(env, { home, mark: this.#mark(), directory: plan.directory }),
        stdin: prompt === "stdin" ? files.prompt : undefined,
        stdout: files.stdout,
        stderr: files.stderr,
      });
      crashPoint("launcher.started");
      this.#save({ state: "running", process }, { durable: false });
      this.#isOurs = true;
      background("mission", () => exited.then((exit) => this.#ended(exit)));
    } catch (cause) {
      const reason = `it could not be started: ${whyNot(cause, plan.argv[0] ?? "")}`;
      this.#finish({ status: "failed", at: new Date().toISOString(), reason: reason.slice(0, 2000) });
      throw new Error(reason, { cause });
    }
    this.#follow();
  }

  /** After a restart of the daemon: goes on where the record and the processes stand. */
  adopt(): void {
    const { state, process } = this.record;
    switch (state) {
      case "queued":
        break;
      case "starting":
        this.#adoptStarted();
        break;
      case "running":
        if (process && isAlive(process)) this.#follow();
        else this.#ended({});
        break;
      case "ended":
        while (this.story.read()) {}
        this.story.finish();
        if (this.record.unswept) background("ending what a mission left", () => this.#sweep());
        break;
      default:
        state satisfies never;
    }
  }

  /** Its output file is made right before its process: without one, nothing was ever started. */
  #adoptStarted(): void {
    const found = findLeader(this.#mark());
    if (found) {
      this.#save({ state: "running", process: found });
      this.#follow();
    } else if (existsSync(this.#parts.records.files(this.record).stdout)) this.#ended({});
    else this.#save({ state: "queued", started_at: undefined });
  }

  /** Politely first; who asks again, or for another reason, changes nothing. */
  stop(status: Stop["status"], reason: string): void {
    if (this.record.state === "ended") return;
    if (this.record.state === "queued") {
      this.#finish({ status, reason, at: new Date().toISOString() });
      return;
    }
    if (!this.record.stop) this.#save({ stop: { status, reason, at: new Date().toISOString() } });
    this.#urge();
  }

  /** The hub has everything, or wants nothing of it any more. */
  told(): void {
    if (this.record.told_at === undefined) this.#save({ told_at: new Date().toISOString() });
  }

  /** This daemon ends; the agent does not. */
  close(): void {
    clearInterval(this.#timer);
    this.#closed.abort();
    this.story.close();
  }

  #follow(): void {
    if (this.record.stop) this.#urge();
    this.#timer = every(lookMs, "following a mission", () => this.#look());
    this.#parts.onNews(this);
  }

  #look(): void {
    const { process, stop } = this.record;
    this.#hear();
    if (this.#exit) return;
    if (stop) this.#urge();
    else if (this.#overdue()) this.stop("timed_out", `it was still running after its ${this.#seconds()} s`);
    else if (this.story.size > maxStdoutBytes) this.stop("failed", "it printed more than 1 GiB");
    if (!this.#isOurs && process && !isAlive(process)) this.#ended({});
  }

  #hear(): void {
    const before = this.story.entries.length + this.story.output.length;
    this.story.read();
    const { nativeSessionId } = this.story;
    if (nativeSessionId !== undefined && nativeSessionId !== this.record.native_session_id)
      this.#save({ native_session_id: nativeSessionId }, { durable: false });
    if (this.story.entries.length + this.story.output.length !== before) this.#parts.onNews(this);
  }

  #seconds(): number {
    return Math.min(this.record.order.timeout ?? Number.POSITIVE_INFINITY, this.#parts.maxSeconds);
  }

  #overdue(): boolean {
    return Date.now() > Date.parse(this.record.started_at ?? "") + this.#seconds() * 1000;
  }

  /** TERM once to everything of this run, KILL after the grace to what is left. */
  #urge(): void {
    const now = performance.now();
    this.#termAt ??= now;
    if (this.#termAt === now) signalAll(this.#processes(), "SIGTERM");
    else if (!this.#killed && now - this.#termAt >= this.#parts.graceMs) {
      this.#killed = true;
      signalAll(this.#processes(), "SIGKILL");
    }
  }

  #processes() {
    return processesOf(this.record.process, this.#mark());
  }

  #mark(): string {
    return markOf(this.key, this.#parts.home);
  }

  /** The agent is gone. What it printed is read to its end before it is judged. */
  #ended(exit: Exit): void {
    if (this.#exit || this.record.state === "ended" || this.#closed.signal.aborted) return;
    this.#exit = exit;
    clearInterval(this.#timer);
    background("the end of a mission", async () => {
      while (this.story.read()) await Bun.sleep(0);
      if (this.#closed.signal.aborted) return;
      this.#hear();
      this.story.finish();
      const { stderr } = this.#parts.records.files(this.record);
      this.#finish(verdictOf(this.record, this.story, exit, stderr));
    });
  }

  #finish(end: MissionChange): void {
    const started = this.record.state !== "queued";
    this.#save({ state: "ended", end, ...(started ? { unswept: true } : {}) });
    crashPoint("launcher.ended");
    log.info("mission ended", { mission: this.key, status: end.status });
    this.#parts.onNews(this);
    this.#parts.onEnd(this);
    if (started) background("ending what a mission left", () => this.#sweep());
  }

  /** What an agent left behind ends with it: asked first, then ended. */
  async #sweep(): Promise<void> {
    const started = performance.now();
    const termAt = this.#termAt ?? started;
    const asked = new Set<string>();
    for (;;) {
      const left = this.#processes();
      if (left.length === 0 || this.#closed.signal.aborted) break;
      const fresh = left.filter(({ start, pid }) => !asked.has(`${pid} ${start}`));
      for (const { pid, start } of fresh) asked.add(`${pid} ${start}`);
      if (performance.now() - termAt >= this.#parts.graceMs) signalAll(left, "SIGKILL");
      else signalAll(fresh, "SIGTERM");
      if (performance.now() - started > sweepMs) {
        log.warn("processes that a mission left behind cannot be ended", {
          mission: this.key,
          left: left.length,
        });
        break;
      }
      await delay(sweepPauseMs, this.#closed.signal);
    }
    if (this.#closed.signal.aborted) return;
    const { unswept: _, ...rest } = this.record;
    this.#replace(rest, { durable: false });
    this.#parts.onSwept(this);
  }

  #save(changes: Partial<MissionRecord>, how?: { durable: boolean }): void {
    this.#replace({ ...this.record, ...changes }, how);
  }

  #replace(record: MissionRecord, how?: { durable: boolean }): void {
    this.#parts.records.put(record, how);
    this.record = record;
  }
}
