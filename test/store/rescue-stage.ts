// A database in which every table has rows, most of them on several pages.
import { Database } from "bun:sqlite";
import { newMessageId } from "../../src/protocol/ids.ts";
import { accept } from "../../src/store/messages.ts";
import { openStore } from "../../src/store/open.ts";
import {
  a,
  at,
  b,
  created,
  furnish,
  human,
  joinRequest,
  newMessage,
  present,
  report,
  roomy,
} from "./fixtures.ts";

const plan = {
  hash: "plan",
  argv: ["claude", "-p"],
  cwd: "/api",
  permission: "default",
} as const;

/** Returns `path`, closed. */
export async function everything(path: string): Promise<string> {
  const store = openStore(path);
  await furnish(store);
  await store.enrolLocal({ ...joinRequest("hubhost"), at: at(0) });
  for (let n = 0; n < 30; n++) await store.join(joinRequest(`waiting-${n}`, { max_pending: 100 }));
  for (const machine of ["mac", "limn"]) for (let n = 0; n < 3; n++) await store.acquireEpoch(machine);
  const many = Array.from({ length: 40 }, (_, n) => report("web", `s-a${n}`, { pid: 1000 + n }));
  await present(store, "mac", [report("web", "s-a"), ...many]);
  for (let n = 0; n < 60; n++) {
    const message = newMessage(`word ${n} ${"x".repeat(200)}`, {
      ...(n % 5 === 0 ? { reply_by: { nudge_at: at(100), due_at: at(200) } } : {}),
    });
    await store.accept(message, n % 7 === 0 ? [b, human] : [b], roomy);
    const state = (["delivered", "offered", "seen", undefined] as const)[n % 4];
    if (state === undefined) continue;
    const receipt = { message_id: message.id, session_id: "s-b", state, at: at(n) };
    await store.applyReceipts("limn", [receipt], { at: at(n), expires_at: at(9_999_999) });
    if (state === "seen")
      await store.accept(
        newMessage(`answer ${n}`, {
          thread_id: message.thread_id,
          opens_thread: false,
          from: b,
          to_agent: "mac/web@s-a",
        }),
        [a],
        roomy,
      );
    await store.keepTargets({ message_id: newMessageId(), hash: "h", at: at(n) }, []);
    await store.useNonce("mac", `nonce ${n}`, at(1_000));
    await store.createInvite({ hash: `invite ${n}`, expires_at: at(1_000) });
    await store.createLoginCode({ hash: `code ${n}`, expires_at: at(1_000) });
    await store.useLoginCode(`code ${n}`, {
      token_hash: `t ${n}`,
      machine: "mac",
      name: "p",
      at: at(1),
      expires_at: at(9_000),
    });
    await store.addFeedback({
      type: "bug",
      description: "d".repeat(300),
      context: "",
      from_agent: "mac/web@s-a",
      timestamp: at(n),
    });
  }
  for (let n = 0; n < 6; n++) await mission(store, n);
  await store.close();
  telegram(path);
  return path;
}

async function mission(store: ReturnType<typeof openStore>, n: number): Promise<void> {
  const asked = await created(store, { text: `task ${n} ${"y".repeat(300)}` });
  const { mission_id, version } = asked;
  if (n % 3 === 0) {
    const approval = {
      id: `a-${String(n).padStart(12, "0")}`,
      mission_id,
      run: 1,
      from: "mac/web@s-a",
      to: "limn/api",
      type: "ask",
      text: "t",
      level: "once",
      plan,
      requested_at: at(n),
      expires_at: at(5_000),
    } as unknown as Parameters<typeof store.requestApproval>[0]; // the plan's other fields play no part here
    await store.requestApproval(approval, version);
    if (n % 2 === 0)
      await store.decideApproval(approval.id, "approve", {
        by: "me",
        at: at(n),
        scope: "always",
        grant_id: `g-${n}`,
      });
    return;
  }
  await store.moveMission(mission_id, version, { status: "running", taken_at: at(1) }, at(1));
  for (let step = 0; step < 6; step++)
    await store.reportMission(
      "limn",
      {
        mission_id,
        run: 1,
        entries: [{ seq: step + 1, timestamp: at(step), kind: "tool", summary: "s".repeat(200) }],
        output: { offset: step * 700, text: "o".repeat(700) },
        ...(step === 5 && n % 3 === 1 ? { change: { status: "completed", at: at(9), exit_code: 0 } } : {}),
      },
      at(9),
    );
}

/** As the store writes it; what the rows say plays no part here. */
function telegram(path: string): void {
  using db = new Database(path);
  db.run("PRAGMA foreign_keys = ON");
  for (const key of ["chat", "messages", "states", "newest", "offset"])
    db.run("INSERT INTO telegram_settings VALUES (?, ?)", [key, key === "chat" ? "-100" : "7"]);
  for (let n = 1; n <= 50; n++) {
    db.run("INSERT INTO telegram_updates (update_id) VALUES (?)", [n]);
    db.run("INSERT INTO telegram_topics VALUES (?, ?)", [`t-${String(n).padStart(12, "0")}`, n]);
    db.run(
      "INSERT INTO telegram_items (key, place, kind, ref, body, nonce) VALUES (?, 'main', 'text', ?, ?, ?)",
      [`key ${n}`, `ref ${n}`, "b".repeat(100), `n ${n}`],
    );
    db.run("INSERT INTO telegram_posts VALUES (?, 'h', 1)", [n]);
    db.run("INSERT INTO telegram_shown VALUES (?, ?, 0)", [n, n]);
    db.run("INSERT INTO pruned_messages VALUES (?, 'h', 'delivered')", [`old-${n}-${"z".repeat(50)}`]);
  }
}

/** As many messages from `a` to `b`, none of them read, without a commit for each; their ids. */
export async function manyMessages(path: string, count: number): Promise<string[]> {
  const store = openStore(path);
  await furnish(store);
  await store.close();
  using db = new Database(path, { strict: true });
  db.run("PRAGMA synchronous = OFF");
  const sent = Array.from({ length: count }, (_, n) => newMessage(`word ${n} ${"x".repeat(300)}`));
  db.transaction(() => {
    for (const message of sent) accept(db, message, [b], roomy);
  })();
  return sent.map(({ id }) => id);
}
