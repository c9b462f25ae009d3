// A machine whose disk is full while mail waits there: its agent and the sender are told, and all goes on by itself when
// there is room again. Needs a small file system of its own, which only root may mount.
import { expect, test } from "bun:test";
import { mkdir, rm } from "node:fs/promises";
import { identify } from "../../src/system/process.ts";
import { doctor } from "../rig/doctor";
import { Fleet } from "../rig/fleet";
import { waitFor } from "../rig/wait";

const isRoot = process.getuid?.() === 0;

test.if(isRoot)(
  "mail in the inbox of a machine whose disk is full, and the way back",
  async () => {
    await using fleet = await Fleet.start(["limn"]);
    const limn = fleet.machine("limn");
    const atlas = fleet.add("atlas");
    await mkdir(atlas.home, { mode: 0o700 });
    await Bun.$`mount -t tmpfs -o size=16m,mode=0700 tmpfs ${atlas.home}`;
    try {
      await atlas.json("join", (await limn.json("invite")).code);
      await atlas.serve("daemon");
      await atlas.linked();
      const sender = await limn.agent("sender");
      const reader = await atlas.agent("reader");
      const { pid, nativeSessionId: sessionId } = reader;
      const procStart = identify(pid)?.start.split("-").at(-1);
      const entry = { pid, sessionId, procStart, status: "busy", statusUpdatedAt: Date.now() };
      await Bun.write(`${fleet.root}/.claude/sessions/${pid}.json`, JSON.stringify(entry));
      const sent = await sender.call("intercom_chat", { to: "atlas/reader", message: "before it was full" });
      expect(sent.status).toBe("delivered");
      const stateOf = async (id: string) =>
        (await sender.call("intercom_status", { message_id: id })).states.at(-1);
      // nothing of ours that could be emptied meanwhile, and so leave room
      await waitFor("an empty outbox", async () => (await atlas.json("status")).outbox === 0);
      await Bun.$`dd if=/dev/zero of=${atlas.home}/ballast bs=64k`.quiet().nothrow();

      expect(await reader.call("intercom_check_inbox")).toMatchObject({
        status: "error",
        error: "1 message waits and cannot be handed out: this machine's disk is full",
        hint: expect.stringContaining(`df -h ${atlas.home}/inbox`),
        count: 0,
        waiting: 1,
      });
      expect(await reader.hook("PostToolBatch")).toBe("");
      expect(
        await waitFor("the sender to be told", async () => {
          const state = await stateOf(sent.message_id);
          return state.reason !== undefined && state;
        }),
      ).toMatchObject({ state: "delivered", reason: expect.stringContaining("its machine's disk is full") });
      expect((await doctor(atlas)).fix("session_mail_waits")).toContain("df -h");
      // more than what is left of the inbox file's last block
      const message = `while it is full ${"x".repeat(5_000)}`;
      const later = await sender.call("intercom_chat", { to: "atlas/reader", message });
      expect(later).toMatchObject({
        status: "queued",
        reason: expect.stringContaining("could not store it"),
      });
      const refused = await reader.call("intercom_chat", {
        to: "limn/sender",
        message: "straight to the hub",
      });
      expect(refused.status).toBe("delivered");

      await rm(`${atlas.home}/ballast`);
      await waitFor(
        "the reason to be taken back",
        async () => (await stateOf(sent.message_id)).reason === undefined,
      );
      expect(await stateOf(sent.message_id)).toMatchObject({ state: "delivered" });
      const texts: string[] = [];
      await waitFor("both, once", async () => {
        texts.push(await reader.take());
        return texts.join("").includes("while it is full");
      });
      for (const text of ["before it was full", "while it is full"])
        expect(texts.join("").split(`| ${text}`)).toHaveLength(2);
      for (const { message_id } of [sent, later])
        await waitFor("seen", async () => (await stateOf(message_id)).state === "seen");
    } finally {
      await atlas.close();
      await Bun.$`umount ${atlas.home}`;
    }
  },
  90_000,
);
