// Answers as a person reads them: whose sign is green, what became of a `/chat`, one and many.
import { expect, test } from "bun:test";
import { agentLines, answerLines } from "../../src/oversight/telegram/listings.ts";
import { type Block, split } from "../../src/oversight/telegram/markup.ts";
import { words } from "../../src/oversight/telegram/words.ts";
import type { ListedAgent } from "../../src/protocol/session.ts";
import type { Delivery } from "../../src/store/store.ts";

const [en, fr] = [words("en"), words("fr")];
const textOf = (blocks: Block[]): string =>
  split(blocks)
    .map(({ plain }) => plain)
    .join("");

const agent: ListedAgent = {
  machine_id: "atlas",
  project_id: "web",
  machine_status: "online",
  description: "",
  path: "/web",
  session: null,
  capabilities: [],
  tags: [],
  sessions: [],
};
const session: ListedAgent["sessions"][number] = {
  session_id: "s-a",
  agent: "claude",
  status: "idle",
  summary: "",
  uptime: 1,
  inbox_pending: 1,
};

test.each([
  ["online", [session], "🟢 atlas/web\n   @s-a · claude · idle · 1 unread"],
  ["online", [], "⚪ atlas/web\n   no open session"],
  ["offline", [session], "⚪ atlas/web · offline\n   @s-a · claude · idle · 1 unread"],
  ["offline", [], "⚪ atlas/web · offline\n   no open session"],
] as const)("a project of a machine that is %s", (machine_status, sessions, shown) => {
  expect(textOf(agentLines(en, [{ ...agent, machine_status, sessions: [...sessions] }]))).toBe(shown);
});

const copy: Delivery = {
  seq: 1,
  address: "atlas/web@s-a",
  machine_id: "atlas",
  project_id: "web",
  session_id: "s-a",
  state: "queued",
  reason: "machine atlas is offline",
};
const sent = { thread_id: "t-0123456789ab", to: "atlas/web@s-a" };
const first = "📨 → atlas/web@s-a [t-0123456789ab]";
const held = {
  status: "held",
  hint: "a person lets it go: ai-intercom release t-0123456789ab",
  ...sent,
} as const;
const queued = {
  status: "queued",
  hint: "it is delivered by itself; intercom_status(message_id) tells when",
  ...sent,
} as const;

test("a chat that waits or is held says so, and why; one on its way or there does not", () => {
  expect(textOf(answerLines(en, queued, copy))).toBe(
    `${first}\n⏳ queued (machine atlas is offline): it is delivered by itself`,
  );
  expect(textOf(answerLines(fr, queued, copy))).toBe(
    `${first}\n⏳ en attente (la machine atlas est hors ligne) : il sera remis de lui-même`,
  );
  expect(textOf(answerLines(en, held, { ...copy, state: "held", reason: "8 agent messages in a row" }))).toBe(
    `${first}\n✋ held (8 agent messages in a row): write in its topic to let it go`,
  );
  expect(textOf(answerLines(fr, held, { ...copy, state: "held", reason: null }))).toBe(
    `${first}\n✋ retenu : écrivez dans son sujet pour le laisser passer`,
  );
  expect(textOf(answerLines(en, queued, { ...copy, state: "accepted", reason: null }))).toBe(first);
  expect(textOf(answerLines(en, { status: "delivered", ...sent }, { ...copy, state: "delivered" }))).toBe(
    first,
  );
});

test("one and many", () => {
  expect([en.turns(1), en.turns(2), fr.turns(1), fr.turns(2)]).toEqual([
    "1 turn",
    "2 turns",
    "1 tour",
    "2 tours",
  ]);
  expect([fr.unread(1), fr.unread(2)]).toEqual(["1 non lu", "2 non lus"]);
});
