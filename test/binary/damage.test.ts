// Lines that a disk damaged after they were promised: the rest goes on, and whoever wrote what is lost is told.
import { expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import type { ScriptedAgent } from "../rig/agent";
import { doctor } from "../rig/doctor";
import { Fleet } from "../rig/fleet";
import { waitFor } from "../rig/wait";

/** Zeros in the middle of the line that holds this text. */
function damage(path: string, text: string): void {
  const bytes = readFileSync(path);
  const at = bytes.indexOf(text);
  if (at === -1) throw new Error(`${path} holds no ${text}`);
  writeFileSync(path, bytes.fill(0, at, at + text.length));
}

const textsOf = async (agent: ScriptedAgent) =>
  (await agent.call("intercom_check_inbox")).messages.map(({ message }: { message: string }) => message);

test("a damaged line of an inbox: the sender hears that its message is lost, the recipient reads the others", async () => {
  await using fleet = await Fleet.start(["limn", "atlas"]);
  const [limn, atlas] = [fleet.machine("limn"), fleet.machine("atlas")];
  const sender = await limn.agent("mnemos");
  const reader = await atlas.agent("website");
  const sent = [];
  for (const message of ["first words", "second words", "third words"])
    sent.push(await sender.call("intercom_chat", { to: "atlas/website", message }));
  expect(sent.map(({ status }) => status)).toEqual(["delivered", "delivered", "delivered"]);
  const { session_id, inbox_path } = await reader.session();
  await atlas.crash();
  damage(inbox_path, "second words");
  await atlas.serve("daemon");
  const lost = sent[1]?.message_id;
  const told = await waitFor("the sender to be told", async () => {
    const status = await sender.call("intercom_status", { message_id: lost });
    return status.status === "failed" && status;
  });
  const why = "the line that held it was damaged on atlas's disk; whether it was read is not known";
  expect(told.states.map(({ state }: { state: string }) => state)).toEqual([
    "accepted",
    "delivered",
    "failed",
  ]);
  expect(told.states.at(-1).reason).toBe(why);
  await waitFor("the notice", async () => (await sender.session()).inbox_pending === 1);
  expect(await textsOf(sender)).toEqual([
    `Your message ${lost} to atlas/website@${session_id} could not be delivered: ${why}.`,
  ]);
  await waitFor("the others", async () => (await reader.session())?.inbox_pending === 2);
  expect(await textsOf(reader)).toEqual(["first words", "third words"]);
  await waitFor("the note to go", () =>
    readdirSync(`${atlas.home}/inbox`).every((name) => !name.endsWith(".lost")),
  );
  const { codes } = await doctor(atlas);
  expect([codes.includes("quarantined"), codes.includes("mail_lost")]).toEqual([true, false]);
  // nothing else was called failed
  for (const { message_id } of [sent[0], sent[2]].flatMap((one) => one ?? []))
    expect((await sender.call("intercom_status", { message_id })).status).not.toBe("failed");
}, 60_000);

test("a damaged line of the outbox: its sender hears that it does not go out, the others go", async () => {
  await using fleet = await Fleet.start(["limn"]);
  const [limn, port] = [fleet.machine("limn"), new URL(fleet.hubUrl).port];
  const atlas = await fleet.join("atlas");
  const reader = await limn.agent("mnemos");
  const sender = await atlas.agent("website");
  const { session_id } = await reader.session();
  const to = `limn/mnemos@${session_id}`;
  await limn.crash();
  await waitFor("atlas to notice", async () => (await atlas.json("status")).link === "connecting");
  const sent = [];
  for (const message of ["first words", "second words"])
    sent.push(await sender.call("intercom_chat", { to, message }));
  expect(sent.map(({ status }) => status)).toEqual(["queued", "queued"]);
  await atlas.crash();
  damage(`${atlas.home}/outbox.jsonl`, "first words");
  await atlas.serve("daemon");
  const lost = sent[0]?.message_id;
  const notice = `Your message ${lost} to ${to} waited on this machine for the hub, and its line was damaged on the disk: it is not sent from here. What is left of it is kept in ${atlas.home}/outbox.jsonl.corrupt. Unless intercom_status says that it arrived, send it again.`;
  await waitFor("the notice", async () => (await sender.session())?.inbox_pending === 1);
  expect(await textsOf(sender)).toEqual([notice]);
  expect(readFileSync(`${atlas.home}/outbox.jsonl.corrupt`, "utf8")).toContain(lost);
  expect(existsSync(`${atlas.home}/outbox.jsonl.lost`)).toBe(false);
  await limn.serve("standalone", "--listen", `127.0.0.1:${port}`);
  await waitFor("the second", async () => (await reader.session())?.inbox_pending === 1);
  expect(await textsOf(reader)).toEqual(["second words"]);
  expect(await sender.call("intercom_status", { message_id: lost })).toMatchObject({
    status: "failed",
    states: [{ state: "failed", reason: notice }],
  });
  expect((await doctor(atlas)).codes).toContain("outbox_damaged");
}, 60_000);
