// Whether a Claude Code session works, waits for its person or is idle: its own registry file says so, in
// `<config>/sessions/<pid>.json`. 2.1.197 writes no status
// under `-p`.
import { basename, dirname } from "node:path";
import { readTextIfPresent } from "../system/files.ts";
import { claudeConfigDirectory } from "./claude-places.ts";
import type { Activity, ActivityHints, AgentProcess } from "./integration.ts";
import { isRecord, type JsonObject } from "./json-object.ts";

const statuses = new Map([
  ["busy", "working"],
  ["idle", "idle"],
  // the turn is over and a shell command still runs in the background
  ["shell", "idle"],
  ["waiting", "waiting"],
] as const);

export function claudeActivity(agent: AgentProcess, hints: ActivityHints = {}): Activity {
  const entry = readEntry(`${configDirectory(hints)}/sessions/${agent.pid}.json`);
  if (entry?.pid !== agent.pid || !sameStart(entry.procStart, agent.start)) return { status: "unknown" };
  const { status, sessionId, statusUpdatedAt } = entry;
  return {
    status: statusOf(status),
    ...(typeof statusUpdatedAt === "number" ? { since: statusUpdatedAt } : {}),
    ...(typeof sessionId === "string" ? { nativeSessionId: sessionId } : {}),
  };
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
function readEntry(path: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(readTextIfPresent(path) ?? "null");
    return isRecord(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
