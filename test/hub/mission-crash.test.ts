// kill -9 of the hub between any two steps of a mission: it goes on where it was, its machine begins it once, and
// who asked gets one answer.
import { expect, test } from "bun:test";
import { Glob } from "bun";
import { newMessageId } from "../../src/protocol/ids.ts";
import { type MissionAnswer, type MissionDetail, newMissionId } from "../../src/protocol/mission.ts";
import { KillableWorld } from "./killable.ts";
import { askInput, detail, pending, responses } from "./launcher.ts";

type Course = {
  /** the machine's policy wants a person */
  asks?: boolean;
  decision?: "approve" | "deny";
  refused?: boolean;
  cancelled?: boolean;
  ends: MissionDetail["status"];
};
const runs: Course = { ends: "completed" };
const approved: Course = { asks: true, decision: "approve", ends: "completed" };
const denied: Course = { asks: true, decision: "deny", ends: "denied" };
const refused: Course = { refused: true, ends: "failed" };
const cancelled: Course = { asks: true, cancelled: true, ends: "cancelled" };

/** point → courses in which the hub passes it */
const courses: Record<string, Course[]> = {
  "mission.asked": [runs, approved],
  "mission.planned": [runs, approved],
  "mission.cleared": [runs],
  "mission.approval-asked": [approved],
  "mission.begun": [runs, approved],
  "mission.refused": [refused],
  "mission.reported": [runs],
  "mission.moved": [cancelled],
  "mission.present": [runs],
  "mission.response-stored": [runs, denied, refused],
  "approval.decided": [approved, denied],
  "hub.accepted": [runs],
};
const cases = Object.entries(courses).flatMap(([point, list]) =>
  list.map((course) => [point, course.ends, course] as const),
);

test("every point of missions is in the table", async () => {
  const named = new Set<string>();
  for await (const file of new Glob("src/hub/*.ts").scan(`${import.meta.dir}/../..`)) {
    const source = await Bun.file(`${import.meta.dir}/../../${file}`).text();
    for (const [, name = ""] of source.matchAll(/\bcrashPoint\("((?:mission|approval)\.[^"]+)"\)/g))
      named.add(name);
  }
  expect([...named].filter((name) => !(name in courses))).toEqual([]);
});

// The nth commit from the hub's start on: presence, receipts, the mission's own steps, whichever it is.
const commits = [4, 6, 8].flatMap((n) =>
  ["before", "after"].map((side) => [`store.${side}-commit:${n}`, approved.ends, approved] as const),
);

test.each([...cases, ...commits])("%s, %s", async (point, _, course) => {
  await using world = new KillableWorld();
  const { hub, mac, limn } = world;
  limn.level = course.asks ? "once" : "never";
  if (course.refused)
    limn.plan = () => ({ verdict: "refused", status: "launch_failed", reason: "no such program" });
  await world.start(point.includes(":") ? point : `${point}:1`);

  const asking = askInput("mac/web@s-a", "the task", {
    mission: { id: newMissionId() },
    message_id: newMessageId(),
  });
  const { mission_id: id = "" } = await world.until("an answer", () =>
    mac.request<MissionAnswer>("route", asking),
  );
  if (course.decision)
    await world.until("a decision", async () => {
      const [approval] = await pending(hub);
      if (!approval) return !["pending_approval", "queued"].includes((await detail(hub, id)).status);
      return (
        (await hub.person("POST", `/api/approvals/${approval.id}`, { decision: course.decision })).status ===
        200
      );
    });
  if (course.cancelled)
    await world.until("a cancel", () => mac.request("mission_cancel", { id, session_id: "s-a" }));
  if (course.ends === "completed") {
    await world.until("a run", async () => limn.runs.length > 0);
    await world.until("its end is taken", async () => {
      const { output, unwanted } = await limn.end(id, "completed", { text: "the answer" });
      if (unwanted) throw new Error("unwanted");
      return output === 10;
    });
  }
  await world.until("the response", async () => responses(mac).length > 0);
  const after = await world.until("the end", async () => {
    const mission = await detail(hub, id);
    return mission.finished_at !== null && mission;
  });
  expect(after).toMatchObject({ mission_id: id, run: 1, status: course.ends });
  if (course.ends === "completed") expect(after.output).toBe("the answer");
  // it did die, and everything that was owed is told
  expect(world.deaths).toBe(1);
  const { messages } = await world.until(
    "its history",
    async () => (await hub.person("GET", `/api/missions/${id}/history`)).body,
  );
  expect(messages.map(({ type }) => type)).toEqual(["ask", "response"]);
  expect(new Set(responses(mac).map((one) => one.id)).size).toBe(1);
  expect(limn.begun).toBe(course.ends === "completed" ? 1 : 0);
});
