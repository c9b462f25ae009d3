// What a Claude Code session says of itself in its own registry file, `<config>/sessions/<pid>.json`: whether it works,
// waits for its person or is idle, and which messaging socket is its own. 2.1.197 writes no status under `-p`.
import { basename, dirname } from "node:path";
import { readTail, readTextIfPresent } from "../system/files.ts";
import { claudeConfigDirectory } from "./claude-places.ts";
import type { Activity, ActivityHints, AgentProcess } from "./integration.ts";
import { type JsonObject, parseObject } from "./json-object.ts";

/** bytes at the end of a transcript that are looked at for the end of a turn */
const tailBytes = 32 * 1024;
/** lines of the main agent's conversation; others (titles, queue operations) may follow a turn's end */
const mainTypes = new Set(["user", "assistant", "attachment", "system"]);

const statuses = new Map([
  ["busy", "working"],
  ["idle", "idle"],
  // the turn is over and a shell command still runs in the background
  ["shell", "idle"],
  ["waiting", "waiting"],
] as const);

export function claudeActivity(agent: AgentProcess, hints: ActivityHints = {}): Activity {
  const entry = readEntry(agent, configDirectory(hints));
  if (!entry) return { status: "unknown" };
  const { sessionId, statusUpdatedAt } = entry;
  const status = statusOf(entry.status);
  const since = typeof statusUpdatedAt === "number" ? statusUpdatedAt : undefined;
  const turnEnd =
    status === "working" && hints.transcriptPath ? lastTurnEnd(hints.transcriptPath) : undefined;
  const onlyBackground = turnEnd !== undefined && since !== undefined && turnEnd > since;
  return {
    status: onlyBackground ? "idle" : status,
    ...(since === undefined ? {} : { since: onlyBackground ? turnEnd : since }),
    ...(typeof sessionId === "string" ? { nativeSessionId: sessionId } : {}),
  };
}

/** The socket that this process listens at, by its own word; undefined where it names none (yet). */
export function claudeSocketOf(agent: AgentProcess, directory: string): string | undefined {
  const path = readEntry(agent, directory)?.messagingSocketPath;
  return typeof path === "string" ? path : undefined;
}

/**
 * When the last turn ended, if nothing of the main agent follows in the transcript, unix ms. The registry says busy
 * as long as a background agent works; the main agent can be woken then as at any other time.
 */
function lastTurnEnd(path: string): number | undefined {
  for (const line of readTail(path, tailBytes).split("\n").reverse()) {
    const record = parseObject(line);
    if (!record || record.isSidechain === true || !mainTypes.has(String(record.type))) continue;
    if (record.type !== "system" || record.subtype !== "turn_duration") return undefined;
    const at = Date.parse(String(record.timestamp));
    return Number.isNaN(at) ? undefined : at;
  }
  return undefined;
}

function statusOf(status: unknown): Activity["status"] {
  for (const [theirs, ours] of statuses) if (theirs === status) return ours;
  return "unknown";
}

/** A transcript is `<config>/projects/<slug>/<id>.jsonl`; it tells where an agent with another HOME keeps its files. */
function configDirectory({ configDirectory, transcriptPath }: ActivityHints): string {
  if (configDirectory !== undefined) return configDirectory;
  const projects = dirname(dirname(transcriptPath ?? ""));
  if (transcriptPath?.endsWith(".jsonl") && basename(projects) === "projects") return dirname(projects);
  return claudeConfigDirectory(process.env);
}

/**
 * Their `procStart`: on Linux the start ticks, with which our identity ends; elsewhere `ps -o lstart` in UTC, of
 * which ours is `ps-<seconds>`. Where either side does not know, the pid must do.
 */
function sameStart(theirs: unknown, ours: string | undefined): boolean {
  if (ours === undefined || typeof theirs !== "string") return true;
  if (ours.startsWith("ps-")) return ours === `ps-${Date.parse(`${theirs} UTC`) / 1000}`;
  return ours.endsWith(`-${theirs}`);
}

/** The file is written in place: a reader can meet it half written, and then knows nothing. */
function readEntry(agent: AgentProcess, directory: string): JsonObject | undefined {
  const entry = parseObject(readTextIfPresent(`${directory}/sessions/${agent.pid}.json`) ?? "");
  return entry?.pid === agent.pid && sameStart(entry.procStart, agent.start) ? entry : undefined;
}
