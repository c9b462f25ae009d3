// Five hundred messages at once: within Telegram's limits by the fake's own count, complete, in order per topic, and
// a person who acts meanwhile does not wait for all of it.
import { expect, test } from "bun:test";
import { waitFor } from "../rig/wait.ts";
import { chat, setStage } from "./stage.ts";

const many = { limits: { rate: 1e6, burst: 1e6, loop: 1e6 } };

test.each([
  ["one thread", 1],
  ["twenty threads", 20],
])(
  "500 messages in %s",
  async (_, count) => {
    await using stage = await setStage({ speed: 600, settings: many });
    const opened = await Promise.all(Array.from({ length: count }, (_, n) => chat(stage, `n${n}.`)));
    await Promise.all(
      Array.from({ length: 500 - count }, (_, n) =>
        chat(stage, `n${n + count}.`, { thread_id: opened[n % count]?.thread }),
      ),
    );
    const numbers = (topic: number) =>
      stage.fake
        .shown(topic)
        .flatMap(({ text }) => [...text.matchAll(/\bn(\d+)\./g)].map(([, n]) => Number(n)));
    const all = () => [...stage.fake.topics.keys()].flatMap(numbers);
    const asked = stage.fake.say("/machines");
    const askedAt = stage.fake.calls.length;
    await waitFor("the answer", () => stage.fake.shown().find(({ replyTo }) => replyTo === asked));
    expect(
      stage.fake.calls.slice(askedAt).filter(({ method }) => method === "sendMessage").length,
    ).toBeLessThan(40);
    await waitFor("all 500", () => all().length >= 500, {
      timeoutMs: 25_000,
      detail: () => String(all().length),
    });
    expect(all().sort((a, b) => a - b)).toEqual(Array.from({ length: 500 }, (_, n) => n));
    const thread = new Map(opened.map(({ thread }, n) => [thread, n]));
    for (const { id, name } of stage.fake.topics.values()) {
      const shown = numbers(id);
      const first = thread.get(name.slice(-14)) ?? -1;
      expect(shown[0]).toBe(first);
      expect(shown.every((n) => n % count === first)).toBe(true);
    }
    expect(stage.fake.topics.size).toBe(count);
    expect(stage.fake.tooFast).toBe(0);
    // together, not one by one
    expect(stage.fake.shown().length).toBeLessThan(250);
  },
  60_000,
);
