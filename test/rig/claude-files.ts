// What a real Claude Code client leaves on disk: its session registry file and its transcript.

import { join } from "node:path";
import { z } from "zod";
import type { ClaudeHome } from "./claude-home";

/** `~/.claude/sessions/<pid>.json`; 2.1.197 has no `messagingSocketPath`. Times in milliseconds since the epoch. */
export const SessionRegistry = z.looseObject({
  pid: z.number(),
  sessionId: z.string(),
  cwd: z.string(),
  version: z.string(),
  status: z.string().optional(),
  statusUpdatedAt: z.number().optional(),
  messagingSocketPath: z.string().optional(),
});
export type SessionRegistry = z.infer<typeof SessionRegistry>;

/** One line of a transcript, as loosely as the vendor keeps it. */
export const TranscriptLine = z.looseObject({
  type: z.string(),
  timestamp: z.string().optional(),
  uuid: z.string().optional(),
  isSidechain: z.boolean().optional(),
  message: z
    .looseObject({ id: z.string().optional(), role: z.string().optional(), content: z.unknown().optional() })
    .optional(),
  attachment: z.looseObject({ type: z.string() }).optional(),
});
export type TranscriptLine = z.infer<typeof TranscriptLine>;

/** The registry file of a running client, `undefined` before it is written and after the client ended. */
export async function readRegistry(home: ClaudeHome, pid: number): Promise<SessionRegistry | undefined> {
  const file = Bun.file(join(home.path, ".claude/sessions", `${pid}.json`));
  const text = await file.text().catch(() => "");
  // Written in place: a reader can meet it empty or half written.
  const parsed = SessionRegistry.safeParse(parseJson(text));
  return parsed.success ? parsed.data : undefined;
}

/** Where the client keeps the transcript of a session that works in `cwd`. */
export function transcriptPath(home: ClaudeHome, cwd: string, sessionId: string): string {
  return join(home.path, ".claude/projects", cwd.replaceAll(/[^a-zA-Z0-9]/g, "-"), `${sessionId}.jsonl`);
}

/** The whole lines of a transcript, in file order; empty while there is no file. */
export async function readTranscript(path: string): Promise<TranscriptLine[]> {
  const text = await Bun.file(path)
    .text()
    .catch(() => "");
  const whole = text.slice(0, text.lastIndexOf("\n") + 1);
  return whole
    .split("\n")
    .filter(Boolean)
    .map((line) => TranscriptLine.parse(JSON.parse(line)));
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
