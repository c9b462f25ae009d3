// Sessions, projects and machines as they are reported and listed.
import { z } from "zod";
import { Name, SessionId } from "./address.ts";
import { Timestamp } from "./message.ts";

/** `active` where the agent does not tell whether it works or waits. */
export const SessionStatus = z.enum(["active", "working", "idle", "waiting"]);
export type SessionStatus = z.infer<typeof SessionStatus>;

/** By its own messaging socket, by a hook that waits beside it, or not at all. */
export const WakeRoute = z.enum(["socket", "hook", "none"]);
export type WakeRoute = z.infer<typeof WakeRoute>;

/** An open session as its daemon reports it to the hub. */
export const SessionReport = z.object({
  session_id: SessionId,
  project_id: Name,
  /** agent CLI: `claude`, `codex`, … or `unknown` */
  agent: z.string().max(64),
  pid: z.number().int().positive(),
  /** start identity of the process: boot id and start ticks, unique across machines */
  start: z.string().max(128),
  status: SessionStatus,
  summary: z.string().max(2000),
  registered_at: Timestamp,
  inbox_pending: z.number().int().nonnegative(),
  /** set for a session that a mission started */
  mission_id: z.string().optional(),
  /** left out by older daemons */
  wake: WakeRoute.optional(),
});
export type SessionReport = z.infer<typeof SessionReport>;

export const ProjectReport = z.object({
  project_id: Name,
  path: z.string().max(4096),
  description: z.string().max(2000),
  capabilities: z.array(z.string().max(200)).max(50),
  tags: z.array(z.string().max(64)).max(50),
});
export type ProjectReport = z.infer<typeof ProjectReport>;

export const ListedSession = z.object({
  session_id: z.string(),
  agent: z.string(),
  status: z.string(),
  summary: z.string(),
  /** whole seconds since the session registered */
  uptime: z.number(),
  inbox_pending: z.number(),
  /** set for a session that a mission started: `machine/project` never reaches it */
  mission_id: z.string().optional(),
  /** how it is woken when idle; absent where its machine does not tell */
  wake: WakeRoute.optional(),
});
export type ListedSession = z.infer<typeof ListedSession>;

/** One row of `intercom_list_agents`: a project on a machine with its open sessions. */
export const ListedAgent = z.object({
  machine_id: z.string(),
  project_id: z.string(),
  description: z.string(),
  capabilities: z.array(z.string()),
  tags: z.array(z.string()),
  path: z.string(),
  machine_status: z.enum(["online", "offline"]),
  /** why it is offline, where the hub knows */
  machine_reason: z.string().optional(),
  /** the session that `machine/project` reaches; null when there is none or more than one */
  session: ListedSession.nullable(),
  sessions: z.array(ListedSession),
});
export type ListedAgent = z.infer<typeof ListedAgent>;
export const AgentList = z.object({ agents: z.array(ListedAgent) });
export type AgentList = z.infer<typeof AgentList>;

/** Project of the two sessions by which `setup` proves itself; listed only while they are open. */
export const selfTestProject = "ai-intercom-self-test";
export const selfTestWords = { question: "are you there?", answer: "yes" };

/** What `setup` says to itself, and nothing that an agent could say beside it under that project's name. */
export function isSelfTest(said: { from_agent: string; to_agent: string; message: string }): boolean {
  const ofSelfTest = (address: string) => address.includes(`/${selfTestProject}@`);
  return (
    ofSelfTest(said.from_agent) &&
    ofSelfTest(said.to_agent) &&
    Object.values(selfTestWords).includes(said.message)
  );
}

/** `all`, `online`, or `machine:ID`. */
export const AgentFilter = z
  .string()
  .regex(/^(all|online|machine:[A-Za-z0-9][A-Za-z0-9._-]{0,63})$/, "a filter is all, online or machine:ID");

export const ListedMachine = z.object({
  id: z.string(),
  /** `online`/`offline` are both approved machines, with and without a link */
  status: z.enum(["pending", "online", "offline", "denied", "revoked"]),
  /** why it is offline, where the hub knows */
  reason: z.string().optional(),
  display_name: z.string(),
  description: z.string(),
  fingerprint: z.string(),
  last_seen: Timestamp.nullable(),
});
export type ListedMachine = z.infer<typeof ListedMachine>;
export const MachineList = z.object({ machines: z.array(ListedMachine) });
export type MachineList = z.infer<typeof MachineList>;
