// The schema, as the steps that led to it. A step that was released is never edited; add another.
import { Database } from "bun:sqlite";
import { IntercomError } from "../protocol/errors.ts";
import { isNext } from "../protocol/version.ts";
import { backUp, copyFor } from "./backup.ts";
import { missionSchema } from "./mission-schema.ts";
import { telegramStep } from "./telegram-schema.ts";

const steps: readonly string[] = [
  `
  CREATE TABLE machines (
    id TEXT PRIMARY KEY,
    public_key TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('pending', 'approved', 'denied', 'revoked')),
    -- the hub's own machine: its key may be replaced from the hub's host
    local INTEGER NOT NULL DEFAULT 0,
    epoch INTEGER NOT NULL DEFAULT 0,
    display_name TEXT NOT NULL,
    description TEXT NOT NULL,
    created_at TEXT NOT NULL,
    last_seen TEXT
  ) STRICT;

  CREATE TABLE invites (
    hash TEXT PRIMARY KEY,
    expires_at TEXT NOT NULL,
    used_by TEXT
  ) STRICT;

  CREATE TABLE nonces (
    machine_id TEXT NOT NULL,
    nonce TEXT NOT NULL,
    expires_at TEXT NOT NULL,
    PRIMARY KEY (machine_id, nonce)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX nonces_expiry ON nonces (expires_at);

  CREATE TABLE projects (
    machine_id TEXT NOT NULL REFERENCES machines (id),
    project_id TEXT NOT NULL,
    path TEXT NOT NULL,
    description TEXT NOT NULL,
    capabilities TEXT NOT NULL,
    tags TEXT NOT NULL,
    PRIMARY KEY (machine_id, project_id)
  ) STRICT;

  CREATE TABLE sessions (
    machine_id TEXT NOT NULL,
    session_id TEXT NOT NULL,
    project_id TEXT NOT NULL,
    agent TEXT NOT NULL,
    pid INTEGER NOT NULL,
    start TEXT NOT NULL,
    status TEXT NOT NULL,
    summary TEXT NOT NULL,
    inbox_pending INTEGER NOT NULL,
    mission_id TEXT,
    registered_at TEXT NOT NULL,
    ended_at TEXT,
    PRIMARY KEY (machine_id, session_id),
    FOREIGN KEY (machine_id, project_id) REFERENCES projects (machine_id, project_id)
  ) STRICT;
  CREATE INDEX sessions_open ON sessions (machine_id, project_id) WHERE ended_at IS NULL;
  CREATE INDEX sessions_process ON sessions (pid, start) WHERE ended_at IS NULL;

  CREATE TABLE threads (id TEXT PRIMARY KEY, created_at TEXT NOT NULL) STRICT;

  CREATE TABLE thread_members (
    thread_id TEXT NOT NULL REFERENCES threads (id),
    kind TEXT NOT NULL CHECK (kind IN ('human', 'project', 'session')),
    address TEXT NOT NULL,
    machine_id TEXT,
    project_id TEXT,
    session_id TEXT,
    PRIMARY KEY (thread_id, address)
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE messages (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    hash TEXT NOT NULL,
    thread_id TEXT NOT NULL REFERENCES threads (id),
    type TEXT NOT NULL,
    from_agent TEXT NOT NULL,
    -- null for the person and the hub
    from_machine TEXT,
    from_session TEXT,
    to_agent TEXT NOT NULL,
    message TEXT NOT NULL,
    timestamp TEXT NOT NULL
  ) STRICT;
  CREATE INDEX messages_thread ON messages (thread_id, seq);

  -- one row per message and recipient; seq is the order of delivery
  CREATE TABLE deliveries (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    message_id TEXT NOT NULL REFERENCES messages (id),
    thread_id TEXT NOT NULL REFERENCES threads (id),
    kind TEXT NOT NULL CHECK (kind IN ('human', 'project', 'session')),
    address TEXT NOT NULL,
    machine_id TEXT,
    project_id TEXT,
    session_id TEXT,
    state TEXT NOT NULL,
    reason TEXT,
    expires_at TEXT,
    -- proved to be in the recipient's context: it can never be given back
    seen INTEGER NOT NULL DEFAULT 0,
    -- what the sender must still be told about
    notice TEXT CHECK (notice IN ('queued', 'failed', 'expired')),
    UNIQUE (message_id, address)
  ) STRICT;
  CREATE INDEX deliveries_waiting ON deliveries (machine_id, seq) WHERE state IN ('accepted', 'queued');
  CREATE INDEX deliveries_waiting_session ON deliveries (machine_id, session_id)
    WHERE state IN ('accepted', 'queued');
  CREATE INDEX deliveries_unbound ON deliveries (machine_id, project_id, seq) WHERE kind = 'project';
  CREATE INDEX deliveries_human ON deliveries (state, seq) WHERE kind = 'human';
  CREATE INDEX deliveries_received ON deliveries (thread_id) WHERE state IN ('delivered', 'offered', 'seen');
  CREATE INDEX deliveries_expiry ON deliveries (expires_at) WHERE state IN ('accepted', 'queued');
  CREATE INDEX deliveries_notice ON deliveries (seq) WHERE notice IS NOT NULL;

  CREATE TABLE message_states (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    message_id TEXT NOT NULL REFERENCES messages (id),
    address TEXT NOT NULL,
    state TEXT NOT NULL,
    at TEXT NOT NULL,
    reason TEXT
  ) STRICT;
  CREATE INDEX message_states_message ON message_states (message_id, seq);
  `,
  `
  -- messages up to here count no more for the loop guard
  ALTER TABLE threads ADD COLUMN released_seq INTEGER NOT NULL DEFAULT 0;
  CREATE INDEX deliveries_held ON deliveries (thread_id) WHERE state = 'held';

  CREATE TABLE reply_deadlines (
    message_id TEXT PRIMARY KEY REFERENCES messages (id),
    -- null once the recipient was nudged
    nudge_at TEXT,
    due_at TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX reply_deadlines_due ON reply_deadlines (due_at);
  `,
  `
  -- what is left of a forgotten message: its id stands for it for ever
  CREATE TABLE pruned_messages (
    id TEXT PRIMARY KEY,
    hash TEXT NOT NULL,
    state TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX deliveries_thread ON deliveries (thread_id);
  CREATE INDEX sessions_ended ON sessions (ended_at) WHERE ended_at IS NOT NULL;
  `,
  missionSchema,
  telegramStep,
  `
  -- how an idle session is woken; null where its machine does not tell
  ALTER TABLE sessions ADD COLUMN wake TEXT;
  -- a person has no session: these would hold for ever
  UPDATE grants SET revoked_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now')
    WHERE scope = 'session' AND from_agent = 'human' AND revoked_at IS NULL;
  `,
  `
  -- when it was by the clock of the machine that told it; null where it is the hub's own word
  ALTER TABLE message_states ADD COLUMN told_at TEXT;
  `,
  ...(isNext ? ["ALTER TABLE messages ADD COLUMN next_note TEXT"] : []),
];

/** The newest schema that this program can use. */
export const knownSchema = steps.length;

/**
 * Brings the database to this version's schema; refuses one that a newer version has written. What is there is copied
 * first (`backup.ts`). `known` is another list of steps only in tests.
 */
export function migrate(db: Database, path: string, known: readonly string[] = steps): void {
  const from = schemaVersion(db);
  if (from > 0 && from < known.length) backUp(db, path, { from, to: known.length });
  for (;;) {
    const version = schemaVersion(db);
    if (version > known.length) throw newer(path, version, known.length);
    if (version === known.length) return;
    // The version is read again under the write lock: two programs may start on one file.
    db.transaction(() => {
      const current = schemaVersion(db);
      const step = known[current];
      if (step === undefined || current !== version) return;
      db.run(step);
      db.run(`PRAGMA user_version = ${current + 1}`);
    }).immediate();
  }
}

/** A new database of that schema, in memory, to compare with and to copy from; undefined: this program has none such. */
export function emptyDatabase(version: number): Database | undefined {
  if (version < 1 || version > steps.length) return undefined;
  const db = new Database(":memory:", { strict: true });
  for (const step of steps.slice(0, version)) db.run(step);
  return db;
}

function newer(path: string, version: number, known: number): IntercomError {
  const copy = copyFor(path, known);
  return new IntercomError(
    "bad_config",
    `${path} was written by a newer ai-intercom (schema ${version}; this one knows ${known})`,
    {
      hint: copy
        ? `run the newer version; or go back to the copy from before, ${copy}, without what came since: ai-intercom self-upgrade --restore`
        : "run the newer version, or name another file in hub.store",
    },
  );
}

function schemaVersion(db: Database): number {
  return db.query<{ user_version: number }, []>("PRAGMA user_version").get()?.user_version ?? 0;
}
