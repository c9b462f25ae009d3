// An inbox in a directory of its own, and the smallest records and requests that tests need.

import { afterAll } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { framedLength } from "../../src/inbox/framing.ts";
import { type ClaimRequest, type DeliveredPart, Inbox, type InboxOptions } from "../../src/inbox/inbox.ts";
import { IntercomError } from "../../src/protocol/errors.ts";
import type { InboxRecord } from "../../src/protocol/message.ts";
import { log } from "../../src/system/log.ts";

export const sessionId = "s-20261122-1a2b3c";
export const agent = { pid: 4242, start: "boot-1" };
export const claimedAt = 1_800_000_000_000;
export type Arriving = Omit<InboxRecord, "read">;

const made: string[] = [];

/** In memory where the system offers it: these tests sync thousands of times and cut no power. */
export function freshDirectory(): string {
  const directory = mkdtempSync(`${existsSync("/dev/shm") ? "/dev/shm" : tmpdir()}/aii-inbox-`);
  made.push(directory);
  return `${directory}/inbox`;
}

/** For `afterAll` of every file that makes some: what lies in memory must not stay there. */
export function removeDirectories(): void {
  for (const directory of made.splice(0)) rmSync(directory, { recursive: true, force: true });
}

export function openInbox(directory: string, options: Partial<InboxOptions> = {}): Inbox {
  const inbox = Inbox.open({ directory, sessionId, unreadLimit: 100, now: () => claimedAt, ...options });
  inbox.attach(agent);
  return inbox;
}

export const freshInbox = (options: Partial<InboxOptions> = {}): Inbox =>
  openInbox(freshDirectory(), options);

export function mail(id: string, message = `body of ${id}`, thread_id = `t-${id}`): Arriving {
  return { thread_id, from_agent: "limn/mnemo@s-1", timestamp: "2026-11-22T18:00:00.000Z", message, id };
}

/** A reader whose delivery may carry `maxChars` characters of bodies, whatever stands around them. */
export function reader(maxChars = 9_000, more: Partial<ClaimRequest> = {}): ClaimRequest {
  const measure = (parts: DeliveredPart[]) => parts.reduce((sum, { text }) => sum + text.length, 0);
  return {
    asker: { pid: 1, start: "x" },
    carrier: "hook",
    event: "PostToolBatch",
    maxChars,
    measure,
    ...more,
  };
}

/** A reader with the real frame around the bodies. */
export function framedReader(maxChars: number, language: "en" | "fr" = "en"): ClaimRequest {
  const measure = (parts: DeliveredPart[], waiting: number) =>
    framedLength(parts, { waiting, language, carrier: "hook" });
  return reader(maxChars, { measure });
}

/** Claims and proves until nothing can be taken: what entered the context, part by part. */
export function drain(inbox: Inbox, request = reader()): DeliveredPart[] {
  const seen: DeliveredPart[] = [];
  for (let left = 1_000; left > 0; left--) {
    const delivery = inbox.claim(request);
    if (!delivery) return seen;
    seen.push(...delivery.parts);
    inbox.markSeen(delivery.nonce);
  }
  throw new Error("the inbox is never empty");
}

export const idsOf = (parts: readonly { record: { id: string } }[]): string[] =>
  parts.map(({ record }) => record.id);
export const markerPath = (directory: string, pid = agent.pid): string => `${directory}/pending/${pid}`;
export const hasMarker = (directory: string, pid = agent.pid): boolean =>
  existsSync(markerPath(directory, pid));
export const lines = (path: string): string[] => readFileSync(path, "utf8").split("\n").slice(0, -1);
export const filesOf = (directory: string) => ({
  mail: `${directory}/${sessionId}.jsonl`,
  ledger: `${directory}/${sessionId}.ledger`,
  corrupt: `${directory}/${sessionId}.corrupt`,
  ids: `${directory}/${sessionId}.ids`,
});

/** Overwrites bytes as a foreign hand or a failing disk would. */
export function damage(path: string, change: (bytes: Buffer) => Buffer): void {
  writeFileSync(path, change(readFileSync(path)));
}

export const codeOf = (work: () => unknown): string => {
  try {
    work();
  } catch (error) {
    return error instanceof IntercomError ? error.code : String(error);
  }
  return "nothing thrown";
};

/** No log lines from here to the end of the test file. */
export function quiet(): void {
  const before = log.level;
  log.level = 0;
  afterAll(() => {
    log.level = before;
  });
}
