import { afterAll, describe, expect, test } from "bun:test";
import { statSync } from "node:fs";
import {
  drain,
  freshDirectory,
  freshInbox,
  idsOf,
  mail,
  openInbox,
  reader,
  removeDirectories,
} from "./support.ts";

afterAll(removeDirectories);

describe("compaction", () => {
  const big = "x".repeat(1_000);

  test("drops what is settled from a long file, and still skips it when it is sent again", () => {
    const directory = freshDirectory();
    const options = { compactAbove: 10_000 };
    const inbox = openInbox(directory, options);
    const old = Array.from({ length: 20 }, (_, i) => mail(`old${i}`, big));
    inbox.append(old);
    drain(inbox);
    expect(statSync(inbox.path).size).toBeLessThan(10_000);
    inbox.append([...old, mail("new")]);
    expect(idsOf(drain(inbox))).toEqual(["new"]);
    const reopened = openInbox(directory, options);
    reopened.append(old);
    expect(reopened.unread).toBe(0);
  });

  test("keeps what is unread, claimed or half read", () => {
    const inbox = freshInbox({ compactAbove: 10_000 });
    inbox.append(Array.from({ length: 20 }, (_, i) => mail(`old${i}`, big)));
    inbox.append([mail("claimed", "c"), mail("half", "h".repeat(100)), mail("unread", "u")]);
    const olds = [inbox.claim(reader(10_000)), inbox.claim(reader(10_000))];
    expect(idsOf(inbox.claim(reader(50))?.parts ?? [])).toEqual(["claimed"]);
    inbox.confirm(inbox.claim(reader(50))?.nonce ?? "");
    for (const old of olds) inbox.markSeen(old?.nonce ?? "");
    expect(inbox.records().map(({ id }) => id)).toEqual(["claimed", "half", "unread"]);
    expect(drain(inbox, reader(50)).map(({ record, part }) => `${record.id}${part}`)).toEqual([
      "half2",
      "unread1",
    ]);
  });

  test("keeps what is in context until its claim is gone, over a restart too", () => {
    const directory = freshDirectory();
    const inbox = openInbox(directory, { compactAbove: 10_000 });
    inbox.append(Array.from({ length: 20 }, (_, i) => mail(`old${i}`, big)));
    const [proved, seen] = [inbox.claim(reader(1_000)), inbox.claim(reader(19_000))];
    inbox.confirm(proved?.nonce ?? "");
    inbox.markSeen(seen?.nonce ?? "");
    expect(inbox.records().map(({ id }) => id)).toEqual(["old0"]);
    expect(openInbox(directory).markSeen(proved?.nonce ?? "")).toEqual(["old0"]);
  });

  test("leaves a long file alone that is mostly unread", () => {
    const inbox = freshInbox({ compactAbove: 1_000 });
    inbox.append([mail("a", big), mail("b", big), mail("c", big)]);
    const { ino } = statSync(inbox.path);
    inbox.markSeen(inbox.claim(reader(1_000))?.nonce ?? "");
    expect(statSync(inbox.path).ino).toBe(ino);
  });
});
