// What every engine must remember of Telegram.
import { expect, test } from "bun:test";
import type { Store } from "../../src/store/store.ts";
import type { NewTelegramItem } from "../../src/store/telegram-store.ts";
import { at, b, human, newMessage, roomy } from "./fixtures.ts";

const item = (key: string, place = "main", more: Partial<NewTelegramItem> = {}): NewTelegramItem => ({
  key,
  place,
  kind: "message",
  ref: `ref of ${key}`,
  ...more,
});

export function telegramContract(store: () => Store): void {
  const t = () => store().telegram;
  const keys = async () => (await t().waiting(10)).map(({ key }) => key);

  test("telegram: begins with what comes; another chat begins anew", async () => {
    await store().accept(newMessage("before"), [b], roomy);
    expect(await t().open(-1)).toBe(true);
    expect((await t().news(10)).messages).toEqual([]);
    const after = newMessage("after");
    await store().accept(after, [b], roomy);
    expect(await t().open(-1)).toBe(false);
    const news = await t().news(10);
    expect(news.messages).toMatchObject([{ id: after.id, first: true, to_human: false, type: "chat" }]);
    expect(news.touched).toEqual([after.id]);
    await t().take({ cursor: news.cursor, items: [item("x")] });
    expect((await t().news(10)).messages).toEqual([]);
    expect(await t().open(-2)).toBe(true);
    expect(await keys()).toEqual([]);
  });

  test("telegram: an update is taken once, with all or nothing of its effect", async () => {
    await t().open(-1);
    const change = {
      update: { id: 7, next: 8, message: 55 },
      items: [item("x")],
      settings: { watch: "off" },
    };
    expect(await t().take(change)).toBe(true);
    expect(await t().take({ ...change, items: [item("y")], settings: { watch: "on" } })).toBe(false);
    expect(await keys()).toEqual(["x"]);
    expect([await t().setting("watch"), await t().setting("offset"), await t().setting("newest")]).toEqual([
      "off",
      "8",
      "55",
    ]);
    const bad = item("z", "main", { nonce: "n" });
    await t().take({ items: [item("w", "main", { nonce: "n" })] });
    await expect(t().take({ update: { id: 9, next: 10 }, items: [bad] })).rejects.toThrow();
    expect(await t().knowsUpdate(9)).toBe(false);
  });

  test("telegram: waiting items by place, main first, in order; a key once for ever", async () => {
    await t().open(-1);
    await t().take({ items: [item("a", "t-1"), item("b", "t-2"), item("c", "t-1"), item("a", "t-1")] });
    expect(await keys()).toEqual(["a", "c"]);
    await t().take({ items: [item("d")] });
    expect(await keys()).toEqual(["d"]);
    const [d] = await t().waiting(1);
    await t().set("intent", "{}");
    await t().posted({ message_id: 5, hash: "h", parts: [{ seq: d?.seq ?? 0, part: 0, last: false }] });
    expect(await t().setting("intent")).toBeUndefined();
    expect((await t().waiting(1))[0]?.next_part).toBe(1);
    await t().posted({ message_id: 6, hash: "h", parts: [{ seq: d?.seq ?? 0, part: 1, last: true }] });
    expect(await keys()).toEqual(["a", "c"]);
    expect(await t().waitingCount()).toBe(3);
    await t().take({ items: [item("d")] });
    expect(await keys()).toEqual(["a", "c"]);
  });

  test("telegram: a change between comparison and note is not forgotten", async () => {
    await t().open(-1);
    await t().take({ items: [item("a", "t-1", { nonce: "n1" })] });
    const [a] = await t().waiting(1);
    await t().posted({ message_id: 5, hash: "h0", parts: [{ seq: a?.seq ?? 0, part: 0, last: true }] });
    const [first] = await t().changed(10);
    expect(first).toMatchObject({ message_id: 5, hash: "h0", parts: [{ part: 0, item: { key: "a" } }] });
    await t().take({ touched: ["ref of a"] });
    await t().compared({ message_id: 5, changes: first?.changes ?? 0, hash: "h1" });
    expect(await t().changed(10)).toMatchObject([{ hash: "h1", changes: 1 }]);
    await t().compared({ message_id: 5, changes: 1, hash: "h2" });
    expect(await t().changed(10)).toEqual([]);
    expect((await t().itemOfNonce("n1"))?.key).toBe("a");
    await t().take({ used: "n1" });
    expect(await t().itemOfNonce("n1")).toBeUndefined();
    expect(await t().changed(10)).toHaveLength(1);
    expect(await t().placeOfPost(5)).toBe("t-1");
    await t().forget(5);
    expect(await t().changed(10)).toEqual([]);
  });

  /** Everything that waits is posted, each item by itself. */
  async function post(): Promise<void> {
    for (let id = 100; ; id++) {
      const [next] = await t().waiting(1);
      if (!next) return;
      await t().posted({ message_id: id, hash: "", parts: [{ seq: next.seq, part: 0, last: true }] });
      await t().compared({ message_id: id, changes: 1, hash: "" });
    }
  }
  async function prune(limit = 100): Promise<number> {
    for (let [after, steps]: [number | undefined, number] = [0, 0]; ; steps++) {
      if (after === undefined) return steps;
      after = (await store().prune({ before: at(90 * 24 * 3600), after, limit })).next;
    }
  }
  const left = async (...names: string[]) => {
    const found = await Promise.all(names.map((key) => t().item(key)));
    return names.filter((_, n) => found[n] !== undefined);
  };

  test("telegram: what showed forgotten threads goes with them; what is open, unsent or younger stays", async () => {
    await t().open(-1);
    const old = newMessage("old");
    const young = newMessage("young", { at: at(91 * 24 * 3600) });
    for (const message of [old, young]) await store().accept(message, [human], roomy);
    await store().readHumanInbox({ limit: 10, unread: true, at: at(5) });
    const text = { kind: "text", ref: "" } as const;
    await t().take({
      items: [
        item("notice", "main", text),
        item("join", "main", { kind: "join", nonce: "n-join" }),
        item("permission", "main", { kind: "permission" }),
        item("refused", "t-refused", { kind: "refused", body: "{}" }),
        item("old", old.thread_id, { ref: old.id }),
        item("young", young.thread_id, { ref: young.id }),
        item("later", "main", text),
      ],
    });
    await t().setTopic(old.thread_id, 20);
    await t().setTopic(young.thread_id, 21);
    const all = ["notice", "join", "permission", "refused", "old", "young", "later"];
    await prune();
    expect(await store().message(old.id)).toBeDefined();
    await post();
    await t().take({ touched: ["ref of permission"] });
    expect(await prune(2)).toBeGreaterThan(1);
    expect(await store().message(old.id)).toBeUndefined();
    // to be edited, to be pressed, known for ever, young
    expect(await left(...all)).toEqual(["join", "permission", "refused", "young", "later"]);
    expect(await t().topic(old.thread_id)).toBeUndefined();
    expect(await t().topic(young.thread_id)).toBe(21);
    expect((await t().changed(10)).map(({ parts }) => parts[0]?.item.key)).toEqual(["permission"]);
    expect(await t().item("refused")).toMatchObject({ body: null, next_part: null });
    for (const { message_id } of await t().changed(10))
      await t().compared({ message_id, changes: 1, hash: "" });
    await t().take({ used: "n-join" });
    for (const { message_id } of await t().changed(10))
      await t().compared({ message_id, changes: 1, hash: "" });
    await prune();
    expect(await left(...all)).toEqual(["refused", "young", "later"]);
    await t().take({ items: [item("refused", "t-refused", { kind: "refused", body: "{}" })] });
    expect(await t().waiting(10)).toEqual([]);
  });

  test("telegram: a post that shows old and young together stays whole", async () => {
    await t().open(-1);
    const old = newMessage("old");
    const young = newMessage("young", { at: at(91 * 24 * 3600) });
    for (const message of [old, young]) await store().accept(message, [human], roomy);
    await store().readHumanInbox({ limit: 10, unread: true, at: at(5) });
    await t().take({
      items: [item("old", "main", { ref: old.id }), item("young", "main", { ref: young.id })],
    });
    const parts = (await t().waiting(2)).map(({ seq }) => ({ seq, part: 0, last: true }));
    await t().posted({ message_id: 7, hash: "", parts });
    await t().compared({ message_id: 7, changes: 1, hash: "" });
    await prune();
    expect(await store().message(old.id)).toBeUndefined();
    expect(await left("old", "young")).toEqual(["old", "young"]);
    expect(await t().placeOfPost(7)).toBe("main");
  });

  test("telegram: topics: one a place, replaced, forgotten", async () => {
    await t().open(-1);
    await t().setTopic("t-1", 20);
    await t().take({ topic: { place: "topic:30", id: 30 } });
    expect([await t().topic("t-1"), await t().placeOfTopic(20), await t().placeOfTopic(30)]).toEqual([
      20,
      "t-1",
      "topic:30",
    ]);
    await t().setTopic("t-1", 21);
    expect(await t().placeOfTopic(20)).toBeUndefined();
    await t().setTopic("t-1", undefined);
    expect(await t().topic("t-1")).toBeUndefined();
  });
}
