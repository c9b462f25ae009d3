// What every engine must remember of Telegram.
import { expect, test } from "bun:test";
import type { Store } from "../../src/store/store.ts";
import type { NewTelegramItem } from "../../src/store/telegram-store.ts";
import { b, newMessage, roomy } from "./fixtures.ts";

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
