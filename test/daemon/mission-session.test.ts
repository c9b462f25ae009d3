// The session of a mission's own agent: known by its process, reached as its mission, in every run again.
import { expect, test } from "bun:test";
import { mkdtempSync } from "node:fs";
import type { MissionProcess } from "../../src/daemon/launcher.ts";
import { Projects } from "../../src/daemon/projects.ts";
import { Sessions } from "../../src/daemon/sessions.ts";
import { DaemonState } from "../../src/daemon/state.ts";
import { waitFor } from "../rig/wait.ts";
import { orderOf, sceneOf } from "./launcher-scene.ts";

function sessionsWith(missionOf: (pid: number) => MissionProcess | undefined) {
  const root = mkdtempSync("/tmp/aii-mss-");
  const state = DaemonState.open(`${root}/daemon.json`);
  const sessions = new Sessions(state, new Projects(state, []), {
    inboxDirectory: `${root}/inbox`,
    unreadLimit: 10,
  });
  sessions.missionOf = missionOf;
  return sessions;
}
const mission_id = "m-20261122-000001";

test("it is the mission's address and project, whatever it says of itself, and again when it runs again", () => {
  const sessions = sessionsWith(() => ({ mission_id, project: "app", own: true }));
  const body = {
    pid: process.pid,
    cwd: "/tmp",
    project: "elsewhere",
    session_id: "s-wished",
    agent: "claude",
  };
  const first = sessions.register(body);
  expect(first.stored).toMatchObject({ session_id: mission_id, project: "app", mission_id });
  expect(first.provisional).toBe(false);
  sessions.bind(first, { native_session_id: "native-1" });
  sessions.end(first);
  const second = sessions.register({ ...body, native_session_id: "native-1" });
  expect(second.stored).toMatchObject({ session_id: mission_id, mission_id, native_session_id: "native-1" });
  sessions.close();
});

test("an agent that the mission's agent started has an address of its own, and is no target of the project either", () => {
  const sessions = sessionsWith(() => ({ mission_id, project: "app", own: false }));
  const { stored } = sessions.register({ pid: process.pid, project: "app", agent: "claude" });
  expect(stored.session_id).toMatch(/^s-/);
  expect(stored.mission_id).toBe(mission_id);
  sessions.close();
});

test("nobody else gets a mission's address, neither by wishing it nor by resuming its conversation", () => {
  let mission: MissionProcess | undefined = { mission_id, project: "app", own: true };
  const sessions = sessionsWith(() => mission);
  const first = sessions.register({ pid: process.pid, project: "app", native_session_id: "native-1" });
  sessions.end(first);
  mission = undefined;
  expect(() => sessions.register({ pid: process.pid, project: "app", session_id: mission_id })).toThrow(
    "mission's own session",
  );
  const person = sessions.register({ pid: process.pid, project: "app", native_session_id: "native-1" });
  expect(person.stored.session_id).toMatch(/^s-/);
  expect(person.stored.mission_id).toBeUndefined();
  sessions.close();
});

test("a run's own agent is the process that was started, or the first agent below a wrapper", async () => {
  using scene = sceneOf("sh -c 'echo $$; sleep 300; true' & wait");
  const order = orderOf(1);
  scene.begin(order);
  const { pid } = JSON.parse(scene.read(`home/missions/${order.mission_id}.1/record.json`)).process;
  const child = await waitFor(
    "the child",
    () => Number(scene.hub.run(`${order.mission_id}.1`).output) || undefined,
  );
  const own = { mission_id: order.mission_id, project: "app", own: true };
  expect(scene.launcher.processOf(pid)).toEqual(own);
  expect(scene.launcher.processOf(child)).toEqual(own);
  expect(scene.launcher.processOf(process.pid)).toBeUndefined();
  scene.launcher.cancel({ mission_id: order.mission_id, run: 1, reason: "end of test" });
  await scene.hub.end(`${order.mission_id}.1`);
  expect(scene.launcher.processOf(pid)).toBeUndefined();
});
