// Missions at the hub with scripted machines: what is asked for, planned, started, reported, answered; every end.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { ask, detail, Launcher, responded } from "./launcher.ts";
import { Peer } from "./peer.ts";
import { startHub, type TestHub } from "./rig.ts";

let hub: TestHub;
let mac: Peer;
let limn: Launcher;
beforeAll(async () => {
  hub = await startHub({ limits: { rate: 1e6, burst: 1e6 } });
  mac = await Peer.online(hub, "mac", "web@s-a", "web@s-other");
  limn = await Launcher.online(hub);
});
afterAll(() => hub.hub.stop());

test("asked, launched, followed, answered: in status, in history and in the asker's inbox", async () => {
  const answer = await ask(mac, "web@s-a", "count the tests", { mission: { timeout: 60 } });
  expect(answer).toMatchObject({ status: "launched" });
  const id = String(answer.mission_id);
  expect(limn.starts.at(-1)).toMatchObject({
    order: { mission_id: id, run: 1, type: "ask", from_agent: "mac/web@s-a", project: "api", timeout: 60 },
  });
  expect(limn.starts.at(-1)?.approved_by).toBeUndefined();
  const entry = (seq: number, kind: string, summary: string) => ({
    seq,
    timestamp: new Date().toISOString(),
    kind,
    summary,
  });
  expect(await limn.report(id, { entries: [entry(1, "tool", "Read"), entry(2, "text", "so far")] })).toEqual({
    entries: 2,
    output: 0,
    unwanted: false,
  });
  await limn.report(id, { output: { offset: 0, text: "There are " } });
  await limn.report(id, {
    output: { offset: 10, text: "41." },
    change: { status: "completed", at: new Date().toISOString(), exit_code: 0, turn_count: 2, cost_usd: 0.1 },
  });
  expect(await detail(hub, id)).toMatchObject({
    status: "completed",
    output: "There are 41.",
    output_length: 13,
    feedback: [
      { kind: "tool", summary: "Read" },
      { kind: "text", summary: "so far" },
    ],
    turn_count: 2,
    cost_usd: 0.1,
    exit_code: 0,
    address: `limn/api@${id}`,
  });
  const [response] = await responded(mac, 1);
  expect(response).toMatchObject({
    id: `response-${id}-1`,
    thread_id: String(answer.thread_id),
    from_agent: `limn/api@${id}`,
    to_agent: "mac/web@s-a",
    message: `Mission ${id} (limn/api) completed.\n\nThere are 41.`,
  });
  const history = (await hub.person("GET", `/api/missions/${id}/history`)).body;
  expect(history.messages.map(({ message }) => message)).toEqual([
    "count the tests",
    "Read",
    "so far",
    response?.message ?? "",
  ]);
});
