// Who can be reached: machines, their projects, and the open sessions of those.
import {
  type AgentList,
  type ListedMachine,
  type ListedSession,
  type MachineList,
  selfTestProject,
} from "../protocol/session.ts";
import type { Machine, Session } from "../store/store.ts";
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
        machine_status: links.isLinked(project.machine_id) ? "online" : "offline",
        session: only && more.length === 0 ? listedSession(only, nowMs) : null,
        sessions: sessions.map((session) => listedSession(session, nowMs)),
      };
    }),
  };
}

export async function listMachines({ store, links }: Parts): Promise<MachineList> {
  const machines = await store.machines();
  return { machines: machines.map((machine) => listedMachine(machine, links.isLinked(machine.id))) };
}

function listedMachine(machine: Machine, linked: boolean): ListedMachine {
  const { id, status, display_name, description, fingerprint, last_seen } = machine;
  return {
    id,
    status: status === "approved" ? (linked ? "online" : "offline") : status,
    display_name,
    description,
    fingerprint,
    last_seen,
  };
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
