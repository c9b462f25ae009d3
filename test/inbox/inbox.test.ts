import { afterAll, describe, expect, test } from "bun:test";
import { readFileSync, rmSync, statSync } from "node:fs";
import { Inbox } from "../../src/inbox/inbox.ts";
import { InboxRecord } from "../../src/protocol/message.ts";
import {
  agent,
  claimedAt,
  codeOf,
  drain,
  filesOf,
  freshDirectory,
  freshInbox,
  hasMarker,
  idsOf,
  lines,
  mail,
  markerPath,
  openInbox,
  reader,
  removeDirectories,
  sessionId,
} from "./support.ts";

afterAll(removeDirectories);

describe("append", () => {
  test("writes one readable line per message, in the public order of keys, private to the user", () => {
    const directory = freshDirectory();
    openInbox(directory).append([
      { ...mail("a", "hé\n"), type: "chat" },
      { ...mail("b"), local: true },
    ]);
    const { mail: path } = filesOf(directory);
    expect(lines(path)[0]).toBe(
      '{"thread_id":"t-a","from_agent":"limn/mnemo@s-1","timestamp":"2026-11-22T18:00:00.000Z","message":"hé\\n","read":false,"id":"a","type":"chat"}',
    );
    expect(lines(path).map((line) => InboxRecord.parse(JSON.parse(line)).id)).toEqual(["a", "b"]);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(statSync(directory).mode & 0o777).toBe(0o700);
  });

  test("skips ids it has, in the file and in the same call", () => {
    const inbox = freshInbox();
    inbox.append([mail("a"), mail("a", "again"), mail("b")]);
    inbox.append([mail("b"), mail("c")]);
    expect(inbox.records().map(({ id, message }) => [id, message])).toEqual([
      ["a", "body of a"],
      ["b", "body of b"],
      ["c", "body of c"],
    ]);
    expect(inbox.unread).toBe(3);
  });

  test("refuses the whole batch above the limit; known ids do not count", () => {
    const inbox = freshInbox({ unreadLimit: 2 });
    inbox.append([mail("a")]);
    expect(inbox.canAccept(1)).toBe(true);
    expect(inbox.canAccept(2)).toBe(false);
    expect(codeOf(() => inbox.append([mail("b"), mail("c")]))).toBe("inbox_full");
    expect(inbox.records()).toHaveLength(1);
    inbox.append([mail("a"), mail("b")]);
    expect(inbox.unread).toBe(2);
    drain(inbox);
    inbox.append([mail("c"), mail("d")]);
    expect(inbox.unread).toBe(2);
  });

  test("gives the unread ones alone to whoever asks for them", () => {
    const inbox = freshInbox();
    inbox.append([mail("a"), mail("b")]);
    drain(inbox);
    expect(inbox.unreadRecords()).toEqual([]);
    inbox.append([mail("c")]);
    expect(inbox.unreadRecords()).toMatchObject([{ id: "c", message: "body of c", read: false }]);
  });

  test("knows which messages came from a local script", () => {
    const inbox = freshInbox();
    inbox.append([{ ...mail("a"), local: true }, mail("b")]);
    expect([inbox.isLocal("a"), inbox.isLocal("b"), inbox.isLocal("c")]).toEqual([true, false, false]);
  });
});

describe("claim", () => {
  test("takes the oldest first and flips exactly their flags, whatever the bodies contain", () => {
    const directory = freshDirectory();
    const inbox = openInbox(directory);
    const nasty = [
      '"read":false,"id":"x"}',
      ',"read":false,',
      '\\","read":false,"id":"b"}\n{"thread_id":"t"',
    ];
    inbox.append(nasty.map((text, i) => mail(`m${i}`, text)));
    const before = readFileSync(inbox.path, "utf8");
    const delivery = inbox.claim(reader(nasty[0]?.length));
    expect(idsOf(delivery?.parts ?? [])).toEqual(["m0"]);
    expect(delivery?.nonce).toMatch(/^[0-9a-f]{32}$/);
    const after = readFileSync(inbox.path, "utf8");
    expect(after).toBe(before.replace('"read":false,"id":"m0"', '"read":true ,"id":"m0"'));
    expect(inbox.records().map(({ message }) => message)).toEqual(nasty);
    expect(
      openInbox(directory)
        .records()
        .map(({ read }) => read),
    ).toEqual([true, false, false]);
  });

  test("gives no message twice, to two readers at once or to one after another", () => {
    const inbox = freshInbox();
    inbox.append([mail("a"), mail("b"), mail("c")]);
    const hook = inbox.claim(reader(20));
    const tool = inbox.claim(reader(20, { carrier: "tool", event: "intercom_check_inbox" }));
    expect([idsOf(hook?.parts ?? []), idsOf(tool?.parts ?? [])]).toEqual([["a", "b"], ["c"]]);
    expect(inbox.claim(reader())).toBeUndefined();
    expect([hook?.waiting, tool?.waiting]).toEqual([1, 0]);
  });

  test("keeps the order of a thread: nothing of it goes out while a claim of it is open", () => {
    const inbox = freshInbox();
    inbox.append([mail("a1", "1", "t-a"), mail("b1", "2", "t-b")]);
    const first = inbox.claim(reader());
    inbox.append([mail("a2", "3", "t-a"), mail("c1", "4", "t-c")]);
    const second = inbox.claim(reader());
    expect(idsOf(second?.parts ?? [])).toEqual(["c1"]);
    expect(second?.waiting).toBe(1);
    expect([inbox.unread, inbox.waitingOnClaim]).toEqual([1, 1]);
    expect(inbox.claim(reader())).toBeUndefined();
    inbox.drop(first?.nonce ?? "");
    expect(idsOf(inbox.claim(reader())?.parts ?? [])).toEqual(["a1", "b1", "a2"]);
  });

  test("goes on with a thread once its claim is in context", () => {
    const inbox = freshInbox();
    inbox.append([mail("a1", "1", "t-a")]);
    const first = inbox.claim(reader());
    inbox.append([mail("a2", "2", "t-a")]);
    inbox.confirm(first?.nonce ?? "");
    expect(inbox.waitingOnClaim).toBe(0);
    expect(idsOf(inbox.claim(reader())?.parts ?? [])).toEqual(["a2"]);
    expect(inbox.openClaims().map(({ inContext }) => inContext)).toEqual([true, false]);
  });

  test("keeps what it was told about the reader, over a restart too", () => {
    const directory = freshDirectory();
    const inbox = openInbox(directory);
    inbox.append([mail("a")]);
    const transcript = { path: "/x.jsonl", size: 77 };
    const delivery = inbox.claim(reader(9_000, { transcript }));
    const expected = {
      nonce: delivery?.nonce ?? "",
      items: [{ id: "a", part: 1, of: 1 }],
      asker: { pid: 1, start: "x" },
      carrier: "hook" as const,
      event: "PostToolBatch",
      transcript,
      claimedAt,
      inContext: false,
    };
    expect(inbox.openClaims()).toEqual([expected]);
    expect(openInbox(directory).openClaims()).toEqual([expected]);
  });

  test("says read only for what is wholly handed over", () => {
    const inbox = freshInbox();
    inbox.append([mail("long", "x".repeat(25))]);
    const reads = [];
    for (let delivery = inbox.claim(reader(10)); delivery; delivery = inbox.claim(reader(10))) {
      reads.push(delivery.parts.map(({ record, part, of }) => [record.read, part, of]));
      inbox.confirm(delivery.nonce);
    }
    expect(reads).toEqual([[[false, 1, 3]], [[false, 2, 3]], [[true, 3, 3]]]);
  });
});

describe("settling", () => {
  test("confirm, then seen: the ids are told once each, and unknown nonces do nothing", () => {
    const inbox = freshInbox();
    inbox.append([mail("a"), mail("b")]);
    const { nonce = "" } = inbox.claim(reader()) ?? {};
    expect(inbox.confirm(nonce)).toEqual(["a", "b"]);
    expect(inbox.confirm(nonce)).toEqual([]);
    expect(inbox.openClaims()).toHaveLength(1);
    expect(inbox.markSeen(nonce)).toEqual(["a", "b"]);
    expect(inbox.openClaims()).toHaveLength(0);
    expect([inbox.markSeen(nonce), inbox.confirm("f".repeat(32))]).toEqual([[], []]);
    inbox.drop(nonce);
    inbox.forget(nonce);
    expect(inbox.unread).toBe(0);
  });

  test("a dropped claim's messages are unread again, in their old order, with the marker", () => {
    const directory = freshDirectory();
    const inbox = openInbox(directory);
    inbox.append([mail("a"), mail("b")]);
    const before = readFileSync(inbox.path, "utf8");
    const { nonce = "" } = inbox.claim(reader()) ?? {};
    expect([inbox.unread, hasMarker(directory)]).toEqual([0, false]);
    inbox.drop(nonce);
    expect([inbox.unread, hasMarker(directory)]).toEqual([2, true]);
    expect(readFileSync(inbox.path, "utf8")).toBe(before);
    expect(idsOf(drain(inbox))).toEqual(["a", "b"]);
  });

  test("what is in context can no longer be dropped", () => {
    const inbox = freshInbox();
    inbox.append([mail("a")]);
    const { nonce = "" } = inbox.claim(reader()) ?? {};
    inbox.confirm(nonce);
    inbox.drop(nonce);
    expect([inbox.unread, inbox.openClaims().length, inbox.takeBack()]).toEqual([0, 1, []]);
  });

  test("forget without a proof counts as printed", () => {
    const directory = freshDirectory();
    const inbox = openInbox(directory);
    inbox.append([mail("a")]);
    inbox.forget(inbox.claim(reader())?.nonce ?? "");
    expect([inbox.openClaims().length, openInbox(directory).unread]).toEqual([0, 0]);
  });
});

describe("marker", () => {
  test("stands while mail is unread, for the attached process only", () => {
    const directory = freshDirectory();
    const inbox = openInbox(directory);
    expect(hasMarker(directory)).toBe(false);
    inbox.append([mail("a"), mail("b")]);
    expect(JSON.parse(readFileSync(markerPath(directory), "utf8"))).toEqual({
      session_id: sessionId,
      start: agent.start,
    });
    const first = inbox.claim(reader(9));
    expect(hasMarker(directory)).toBe(true);
    inbox.claim(reader(9));
    expect(hasMarker(directory)).toBe(false);
    inbox.drop(first?.nonce ?? "");
    inbox.attach({ pid: 4343, start: "boot-2" });
    expect([hasMarker(directory), hasMarker(directory, 4343)]).toEqual([false, true]);
    inbox.attach(undefined);
    expect(hasMarker(directory, 4343)).toBe(false);
    inbox.append([mail("c")]);
    expect(hasMarker(directory, 4343)).toBe(false);
  });

  test("a removed one comes back when the session is attached again", () => {
    const directory = freshDirectory();
    openInbox(directory).append([mail("a")]);
    rmSync(markerPath(directory));
    openInbox(directory);
    expect(hasMarker(directory)).toBe(true);
  });

  test("another session's marker under a reused pid is left alone", () => {
    const directory = freshDirectory();
    const old = openInbox(directory);
    old.append([mail("a")]);
    const other = Inbox.open({ directory, sessionId: "s-other", unreadLimit: 10 });
    other.append([mail("b")]);
    other.attach({ pid: agent.pid, start: "boot-9" });
    old.attach(undefined);
    expect(JSON.parse(readFileSync(markerPath(directory), "utf8"))).toEqual({
      session_id: "s-other",
      start: "boot-9",
    });
  });
});

describe("the end of a session", () => {
  test("gives back what is not proved, keeps what is", () => {
    const directory = freshDirectory();
    const inbox = openInbox(directory);
    inbox.append([mail("proved"), mail("claimed"), mail("unread")]);
    inbox.confirm(inbox.claim(reader(15))?.nonce ?? "");
    inbox.claim(reader(15));
    const ids = inbox.takeBack();
    expect(ids).toEqual(["claimed", "unread"]);
    expect(inbox.takeBack()).toEqual(ids);
    inbox.removeReturned(ids);
    expect([inbox.unread, hasMarker(directory), inbox.openClaims().length]).toEqual([0, false, 1]);
    expect(inbox.records().map(({ id }) => id)).toEqual(["proved"]);
    // the session resumes: what was given back arrives again, what was read does not
    const resumed = openInbox(directory);
    resumed.append([mail("proved"), mail("claimed"), mail("unread")]);
    expect(idsOf(drain(resumed))).toEqual(["claimed", "unread"]);
  });

  test("a half-read message goes on with its next part when the session resumes", () => {
    const directory = freshDirectory();
    const inbox = openInbox(directory);
    const text = "0123456789".repeat(4);
    inbox.append([mail("long", text)]);
    inbox.markSeen(inbox.claim(reader(10))?.nonce ?? "");
    const second = inbox.claim(reader(10));
    expect(second?.parts[0]).toMatchObject({ part: 2, of: 4 });
    expect(inbox.takeBack()).toEqual(["long"]);
    inbox.removeReturned(["long"]);
    inbox.close();
    const resumed = openInbox(directory);
    resumed.append([mail("long", text)]);
    const rest = drain(resumed, reader(10));
    expect(rest.map(({ part, of }) => [part, of])).toEqual([
      [2, 4],
      [3, 4],
      [4, 4],
    ]);
    expect(rest.map((part) => part.text).join("")).toBe(text.slice(10));
  });
});

test("priority is kept in the file; only what is not low is worth waking an idle agent for", () => {
  const directory = freshDirectory();
  const inbox = openInbox(directory);
  inbox.append([{ ...mail("1"), priority: "low" }]);
  expect(inbox.worthWaking).toBe(false);
  inbox.append([{ ...mail("2"), priority: "high" }]);
  expect(inbox.worthWaking).toBe(true);
  inbox.close();
  const again = openInbox(directory);
  expect(again.records().map(({ priority }) => priority)).toEqual(["low", "high"]);
  expect(again.worthWaking).toBe(true);
  const delivery = again.claim(reader());
  expect(again.worthWaking).toBe(false);
  again.drop(delivery?.nonce ?? "");
  expect(again.worthWaking).toBe(true);
  again.append([mail("3", "held back", "t-2"), { ...mail("4"), priority: "low" }]);
  expect(again.claim(reader(10))?.parts.map(({ record }) => record.id)).toEqual(["1"]);
  expect(again.worthWaking).toBe(true);
});
