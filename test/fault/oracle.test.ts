// The oracle against made-up books: what it must find, and what it must let pass.
import { expect, test } from "bun:test";
import { Book, type Read, type Sent } from "./book.ts";
import { isClean, judge } from "./oracle.ts";

function scene() {
  const book = new Book("t");
  const send = (outcome: Sent["outcome"] = "accepted") => {
    const sent = book.write("a", "b", "lane");
    return Object.assign(sent, { id: `id-${sent.token.slice(1, -1)}`, outcome });
  };
  const read = ({ id = "", text }: Sent, more: Partial<Read> = {}) =>
    book.reads.push({
      session: "b",
      nonce: "n",
      id,
      thread: "t",
      from: "a",
      part: 1,
      of: 1,
      text,
      by: "x",
      ...more,
    });
  const verdict = (elsewhere: [string, string][] = [], absent: string[] = []) =>
    judge(book, new Map(elsewhere), new Set(absent));
  return { send, read, verdict };
}

test("everything once and in order is clean; a failed call may arrive, or not", () => {
  const { send, read, verdict } = scene();
  for (const outcome of ["accepted", "unknown", "accepted"] as const) read(send(outcome));
  send("unknown");
  send("refused");
  expect(isClean(verdict())).toBe(true);
});

test("lost, waiting, told, and waiting for a session that is gone", () => {
  const { send, verdict } = scene();
  const [, waiting, told] = [send(), send(), send()];
  const found = verdict([
    [waiting.id, "unread in b"],
    [told.id, "told failed"],
  ]);
  expect([found.lost.length, found.stuck.length, found.failed.length]).toEqual([1, 1, 1]);
  expect(verdict([[waiting.id, "queued at the hub"]], ["b"]).stuck).toEqual([]);
});

test("doubled: read twice, under another id, or read and still waiting", () => {
  const { send, read, verdict } = scene();
  const [one, two, three] = [send(), send(), send()];
  for (const sent of [one, one, two, three]) read(sent);
  read(two, { id: "another" });
  expect(verdict([[three.id, "unread in b"]]).doubled).toHaveLength(3);
});

test("misplaced, denied, disordered, garbled", () => {
  const { send, read, verdict } = scene();
  const [one, two, refused, four] = [send(), send(), send("refused"), send()];
  read(two);
  read(one, { session: "c" });
  read(refused);
  read(four, { text: `${four.token} another text` });
  const found = verdict();
  expect(
    [found.misplaced, found.denied, found.disordered, found.garbled].map(({ length }) => length),
  ).toEqual([1, 1, 1, 1]);
});

test("parts: each once, in order, however the rest was cut", () => {
  const { send, read, verdict } = scene();
  const sent = send();
  read(sent, { part: 1, of: 3, text: sent.text.slice(0, 10) });
  expect(verdict().lost).toHaveLength(1);
  read(sent, { part: 2, of: 2, text: sent.text.slice(10) });
  expect(isClean(verdict())).toBe(true);
  read(sent, { part: 2, of: 2, text: sent.text.slice(10) });
  expect(verdict().doubled).toHaveLength(1);
});
