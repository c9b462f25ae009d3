// F3 in this process, on the product's own modules: the last 2 KB of a file that nobody had been told of, cut off or
// filled with zeros at every byte, one damaged copy each. What was acknowledged before stays whole; what was not is
// there whole or not at all; and whoever sends it again gets it in once.
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { Outbox, type OutboxEntry } from "../../src/daemon/outbox.ts";
import { Inbox } from "../../src/inbox/inbox.ts";
import { openStore } from "../../src/store/open.ts";
import type { NewMessage, Store } from "../../src/store/store.ts";
import type { CaseResult, FaultCase } from "./fault.ts";
import { kinds, nothingWrong, type Verdict } from "./oracle.ts";

const tailBytes = 2_048;

/** A file as it was before the last write, and what a copy of it, damaged behind that, must hold. */
type Subject = {
  directory: string;
  file: string;
  /** the damage begins here at the earliest */
  from: number;
  /** what is wrong in this copy; nothing when all is well */
  inspect(directory: string): Promise<Partial<Verdict>>;
};

const subjects: Record<string, (directory: string) => Promise<Subject>> = { inbox, ledger, outbox, wal };
const damages = {
  cut: (bytes: Buffer, at: number) => bytes.subarray(0, at),
  zeroed: (bytes: Buffer, at: number) =>
    Buffer.concat([bytes.subarray(0, at), Buffer.alloc(bytes.length - at)]),
};

/** Every `step`th byte. */
export function sweeps(step: number): FaultCase[] {
  return Object.entries(subjects).flatMap(([name, prepare]) =>
    Object.entries(damages).map(([how, damage]) => ({
      id: `F3:sweep:${name}:${how}`,
      run: () => sweep(prepare, damage, step),
    })),
  );
}

/** What was acknowledged is damaged too, against every promise: the oracle of the sweeps must see that. */
export async function controlSweep(): Promise<{ verdict: Verdict; messages: number }> {
  const { verdict, cases } = await sweep(outbox, damages.cut, 41, { alsoAcknowledged: true });
  return { verdict, messages: cases };
}

async function sweep(
  prepare: (directory: string) => Promise<Subject>,
  damage: (bytes: Buffer, at: number) => Buffer,
  step: number,
  { alsoAcknowledged = false } = {},
): Promise<CaseResult> {
  const root = mkdtempSync(`${existsSync("/dev/shm") ? "/dev/shm" : tmpdir()}/aif-`);
  try {
    const { directory, file, from, inspect } = await prepare(`${root}/whole`);
    const bytes = readFileSync(`${directory}/${file}`);
    const verdict = nothingWrong();
    let cases = 0;
    const first = alsoAcknowledged ? 0 : Math.max(from, bytes.length - tailBytes);
    for (let at = first; at < bytes.length; at += step) {
      const copy = `${root}/copy`;
      rmSync(copy, { recursive: true, force: true });
      cpSync(directory, copy, { recursive: true });
      writeFileSync(`${copy}/${file}`, damage(bytes, at));
      const found = await inspect(copy);
      for (const kind of kinds)
        verdict[kind].push(...(found[kind] ?? []).map((what) => `byte ${at} of ${bytes.length}: ${what}`));
      cases += 1;
    }
    return { verdict, cases, messages: 0, detail: `${file}, ${bytes.length} bytes` };
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

/** lost: of `must`. doubled: more than once. stuck: not there after it was sent again. */
function compare(
  must: string[],
  found: string[],
  foundAfterRetry: string[],
  retried: string[],
): Partial<Verdict> {
  return {
    lost: must.filter((id) => !found.includes(id)),
    doubled: foundAfterRetry.filter((id, at) => foundAfterRetry.indexOf(id) !== at),
    stuck: retried.filter((id) => !foundAfterRetry.includes(id)),
    misplaced: foundAfterRetry.filter((id) => !must.includes(id) && !retried.includes(id)),
  };
}

const sessionId = "s-20261122-0000fa";
const long = "0123456789abcdef ".repeat(130);
const record = (id: string, message: string) => ({
  thread_id: `t-${id}`,
  from_agent: "a/p@s-1",
  timestamp: "2026-11-22T00:00:00.000Z",
  message,
  id,
});
const openInbox = (directory: string) => Inbox.open({ directory, sessionId, unreadLimit: 100 });
const taking = {
  asker: { pid: 1, start: "x" },
  carrier: "hook" as const,
  event: "Stop",
  transcript: undefined,
  maxChars: 9_000,
  measure: (parts: { text: string }[]) => parts.reduce((sum, { text }) => sum + text.length, 0),
};

/** Takes and proves all there is. */
function readAll(inbox: Inbox): string[] {
  const ids: string[] = [];
  for (let left = 50; left > 0; left--) {
    const delivery = inbox.claim(taking);
    if (!delivery) break;
    inbox.markSeen(delivery.nonce);
    ids.push(...delivery.parts.filter(({ part, of }) => part === of).map(({ record: { id } }) => id));
  }
  inbox.close();
  return ids;
}

async function inbox(directory: string): Promise<Subject> {
  mkdirSync(directory, { mode: 0o700 });
  const own = openInbox(directory);
  own.append([record("one", "acknowledged"), record("two", "acknowledged")]);
  const from = statSync(own.path).size;
  own.append([record("last", long)]);
  own.close();
  return {
    directory,
    file: `${sessionId}.jsonl`,
    from,
    inspect: async (copy) => {
      const damaged = openInbox(copy);
      const found = damaged.records().map(({ id }) => id);
      damaged.append([record("last", long)]);
      return compare(["one", "two"], found, readAll(damaged), ["last"]);
    },
  };
}

/** Replaced whole and never synced: any damage may cost a second delivery of what was unproved, never a message. */
async function ledger(directory: string): Promise<Subject> {
  mkdirSync(directory, { mode: 0o700 });
  const own = openInbox(directory);
  const ids = Array.from({ length: 12 }, (_, n) => `claimed-${n}`);
  for (const id of ids) {
    own.append([record(id, "claimed")]);
    own.claim(taking);
  }
  own.append([record("unread", "unread")]);
  own.close();
  return {
    directory,
    file: `${sessionId}.ledger`,
    from: 0,
    inspect: async (copy) => {
      const damaged = openInbox(copy);
      const found = damaged.records().map(({ id }) => id);
      for (const { nonce } of [...damaged.openClaims()]) damaged.drop(nonce);
      return compare([...ids, "unread"], found, readAll(damaged), [...ids, "unread"]);
    },
  };
}

const entry = (id: string, message: string): OutboxEntry => ({
  kind: "route",
  session_id: sessionId,
  at: "2026-11-22T00:00:00.000Z",
  input: {
    from_agent: `a/p@${sessionId}`,
    to_agent: "b/p",
    type: "chat",
    payload: {
      message,
      message_id: id,
      new_thread_id: "t-0123456789ab",
      if_no_session: "fail",
      priority: "normal",
    },
  },
});

async function outbox(directory: string): Promise<Subject> {
  mkdirSync(directory, { mode: 0o700 });
  const file = "outbox.jsonl";
  const own = Outbox.open(`${directory}/${file}`);
  own.add([entry("one", "acknowledged"), entry("two", "acknowledged")], { durable: true });
  const from = statSync(`${directory}/${file}`).size;
  own.add([entry("last", long)], { durable: true });
  own.close();
  const idsOf = (box: Outbox) => ["one", "two", "last"].filter((id) => box.find(id));
  return {
    directory,
    file,
    from,
    inspect: async (copy) => {
      const damaged = Outbox.open(`${copy}/${file}`);
      const found = idsOf(damaged);
      // as the sender does it: what still waits is not added again
      if (!damaged.find("last")) damaged.add([entry("last", long)], { durable: true });
      damaged.close();
      const again = Outbox.open(`${copy}/${file}`);
      const size = again.size;
      again.close();
      const extra = size > 3 ? ["last", "last"] : [];
      return compare(["one", "two"], found, [...idsOf(again), ...extra], ["last"]);
    },
  };
}

const message = (id: string, text: string): NewMessage => ({
  id,
  hash: id,
  thread_id: `t-${id}`,
  opens_thread: true,
  type: "chat",
  from: { kind: "session", machine: "a", project: "p", session: sessionId },
  to_agent: `b/p@${sessionId}`,
  text,
  at: "2026-11-22T00:00:00.000Z",
});

async function accept(store: Store, id: string, text: string): Promise<void> {
  const to = { kind: "session", machine: "b", project: "p", session: sessionId } as const;
  await store.accept(message(id, text), [to], { max_waiting: 1_000, expires_at: "2027-01-01T00:00:00.000Z" });
}

/** The last transaction of the log was not acknowledged: its frames may stand there in part. */
async function wal(directory: string): Promise<Subject> {
  const live = `${directory}-live`;
  for (const path of [directory, live]) mkdirSync(path, { mode: 0o700 });
  const store = openStore(`${live}/hub.db`);
  const machine = { public_key: "k", fingerprint: "f", display_name: "", description: "" };
  const at = "2026-11-22T00:00:00.000Z";
  for (const id of ["a", "b"]) await store.enrolLocal({ ...machine, id, public_key: `k-${id}`, at });
  const session = { session_id: sessionId, project_id: "p", agent: "claude", pid: 1, start: "x" };
  const more = { status: "idle", summary: "", registered_at: at, inbox_pending: 0 } as const;
  for (const id of ["a", "b"])
    await store.presence(id, { sessions: [{ ...session, ...more }], projects: [] }, { at, expires_at: at });
  const ids = Array.from({ length: 5 }, (_, n) => `acknowledged-${n}`);
  for (const id of ids) await accept(store, id, "acknowledged");
  const from = statSync(`${live}/hub.db-wal`).size;
  await accept(store, "last", long);
  for (const name of ["hub.db", "hub.db-wal"]) cpSync(`${live}/${name}`, `${directory}/${name}`);
  await store.close();
  const idsOf = async (one: Store) => (await one.undelivered("b", 0, 100)).map((each) => each.message.id);
  return {
    directory,
    file: "hub.db-wal",
    from,
    inspect: async (copy) => {
      const damaged = openStore(`${copy}/hub.db`);
      try {
        const found = await idsOf(damaged);
        await accept(damaged, "last", long);
        return compare(ids, found, await idsOf(damaged), ["last"]);
      } finally {
        await damaged.close();
      }
    },
  };
}
