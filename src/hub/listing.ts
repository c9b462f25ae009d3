// Who can be reached: machines, their projects, and the open sessions of those.
import {
  type AgentList,
  type ListedAgent,
  type ListedMachine,
  type ListedSession,
  type MachineList,
  selfTestProject,
} from "../protocol/session.ts";
import type { Machine, Session } from "../store/store.ts";
import type { Links } from "./links.ts";
import type { Parts } from "./parts.ts";
import { requireMachine } from "./recipients.ts";

/** Throws `unknown_machine` where the filter names one that is not enrolled. */
export async function listAgents(parts: Parts, filter: string): Promise<AgentList> {
  const { store, links, now } = parts;
  if (filter.startsWith("machine:")) await requireMachine(parts, filter.slice("machine:".length));
  const wanted = (machine: string) =>
    filter === "all" || (filter === "online" ? links.isLinked(machine) : filter === `machine:${machine}`);
  const machines = new Set(
    (await store.machines())
      .filter(({ status, id }) => status === "approved" && wanted(id))
      .map(({ id }) => id),
  );
  const open = Map.groupBy(
    await store.openSessions(),
    (session) => `${session.machine_id}/${session.project_id}`,
  );
  const projects = (await store.projects()).filter(
    ({ machine_id, project_id }) =>
      machines.has(machine_id) && (project_id !== selfTestProject || open.has(`${machine_id}/${project_id}`)),
  );
  const nowMs = now();
  return {
    agents: projects.map((project) => {
      const sessions = open.get(`${project.machine_id}/${project.project_id}`) ?? [];
      const [only, ...more] = sessions.filter(({ mission_id }) => mission_id === undefined);
      return {
        machine_id: project.machine_id,
        project_id: project.project_id,
        description: project.description,
        capabilities: project.capabilities,
        tags: project.tags,
        path: project.path,
        ...standingOf(links, project.machine_id),
        session: only && more.length === 0 ? listedSession(only, nowMs) : null,
        sessions: sessions.map((session) => listedSession(session, nowMs)),
      };
    }),
  };
}

export async function listMachines({ store, links }: Parts): Promise<MachineList> {
  const machines = await store.machines();
  return { machines: machines.map((machine) => listedMachine(machine, links)) };
}

function listedMachine(machine: Machine, links: Links): ListedMachine {
  const { id, status, display_name, description, fingerprint, last_seen } = machine;
  const about = { display_name, description, fingerprint, last_seen };
  if (status !== "approved") return { id, status, ...about };
  const { machine_status, machine_reason } = standingOf(links, id);
  return { id, status: machine_status, ...(machine_reason ? { reason: machine_reason } : {}), ...about };
}

/** Of an approved machine. */
function standingOf(links: Links, machine: string): Pick<ListedAgent, "machine_status" | "machine_reason"> {
  if (links.isLinked(machine)) return { machine_status: "online" };
  const reason = links.skews.reason(machine);
  return { machine_status: "offline", ...(reason ? { machine_reason: reason } : {}) };
}

function listedSession(session: Session, nowMs: number): ListedSession {
  const { session_id, agent, status, summary, registered_at, inbox_pending, mission_id, wake } = session;
  const uptime = Math.max(0, Math.floor((nowMs - Date.parse(registered_at)) / 1000));
  return {
    session_id,
    agent,
    status,
    summary,
    uptime,
    inbox_pending,
    ...(mission_id === undefined ? {} : { mission_id }),
    ...(wake === undefined ? {} : { wake }),
  };
}
