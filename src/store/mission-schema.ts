// The migration step that brings missions, approvals, grants, logins, sends to many and feedback. Released steps
// are never edited: see migrations.ts.
export const missionSchema = `
  -- null: normal
  ALTER TABLE messages ADD COLUMN priority TEXT CHECK (priority IN ('low', 'high'));

  CREATE TABLE missions (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    -- the current one
    run INTEGER NOT NULL,
    version INTEGER NOT NULL,
    thread_id TEXT NOT NULL UNIQUE REFERENCES threads (id),
    type TEXT NOT NULL,
    machine_id TEXT NOT NULL,
    project_id TEXT NOT NULL
  ) STRICT;
  CREATE INDEX missions_machine ON missions (machine_id, seq);

  CREATE TABLE mission_runs (
    mission_id TEXT NOT NULL REFERENCES missions (id),
    run INTEGER NOT NULL,
    from_agent TEXT NOT NULL,
    -- null for the person
    from_machine TEXT,
    from_session TEXT,
    text TEXT NOT NULL,
    message_id TEXT NOT NULL UNIQUE REFERENCES messages (id),
    hash TEXT NOT NULL,
    -- JSON
    request TEXT NOT NULL,
    context TEXT NOT NULL,
    status TEXT NOT NULL,
    reason TEXT,
    plan_hash TEXT,
    approved_by TEXT,
    cancel_requested INTEGER NOT NULL DEFAULT 0,
    taken_at TEXT,
    requested_at TEXT NOT NULL,
    started_at TEXT,
    finished_at TEXT,
    exit_code INTEGER,
    turn_count INTEGER NOT NULL DEFAULT 0,
    cost_usd REAL,
    -- highest seq of its entries, which have no gap
    entries INTEGER NOT NULL DEFAULT 0,
    -- UTF-16 units
    output_length INTEGER NOT NULL DEFAULT 0,
    -- the asker has not been told the end
    response_owed INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (mission_id, run)
  ) STRICT;
  CREATE INDEX mission_runs_live ON mission_runs (mission_id)
    WHERE status IN ('pending_approval', 'queued', 'running');
  CREATE INDEX mission_runs_owed ON mission_runs (finished_at) WHERE response_owed = 1;
  CREATE INDEX mission_runs_from ON mission_runs (from_machine, from_session);

  CREATE TABLE mission_entries (
    pos INTEGER PRIMARY KEY AUTOINCREMENT,
    mission_id TEXT NOT NULL,
    run INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    -- the newest message of the mission's thread when it came: their common order
    place INTEGER NOT NULL,
    timestamp TEXT NOT NULL,
    kind TEXT NOT NULL,
    summary TEXT NOT NULL,
    UNIQUE (mission_id, run, seq),
    FOREIGN KEY (mission_id, run) REFERENCES mission_runs (mission_id, run)
  ) STRICT;

  -- UTF-16LE: a piece may begin or end in the middle of a pair, and places are counted in units
  CREATE TABLE mission_output (
    mission_id TEXT NOT NULL,
    run INTEGER NOT NULL,
    place INTEGER NOT NULL,
    text BLOB NOT NULL,
    PRIMARY KEY (mission_id, run, place),
    FOREIGN KEY (mission_id, run) REFERENCES mission_runs (mission_id, run)
  ) STRICT;

  CREATE TABLE approvals (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    mission_id TEXT NOT NULL,
    run INTEGER NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('pending', 'approved', 'denied', 'expired', 'withdrawn')),
    from_agent TEXT NOT NULL,
    to_agent TEXT NOT NULL,
    type TEXT NOT NULL,
    text TEXT NOT NULL,
    level TEXT NOT NULL,
    label TEXT,
    -- JSON
    plan TEXT NOT NULL,
    requested_at TEXT NOT NULL,
    expires_at TEXT NOT NULL,
    decided_at TEXT,
    decided_by TEXT,
    UNIQUE (mission_id, run),
    FOREIGN KEY (mission_id, run) REFERENCES mission_runs (mission_id, run)
  ) STRICT;
  CREATE INDEX approvals_pending ON approvals (expires_at) WHERE status = 'pending';

  CREATE TABLE grants (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    scope TEXT NOT NULL CHECK (scope IN ('mission', 'session', 'always')),
    from_agent TEXT NOT NULL,
    to_agent TEXT NOT NULL,
    type TEXT NOT NULL,
    mission_id TEXT,
    -- JSON: the argv that was approved
    command TEXT NOT NULL,
    permission TEXT NOT NULL,
    created_at TEXT NOT NULL,
    created_by TEXT NOT NULL,
    revoked_at TEXT
  ) STRICT;
  CREATE INDEX grants_valid ON grants (to_agent, from_agent) WHERE revoked_at IS NULL;

  CREATE TABLE login_codes (
    hash TEXT PRIMARY KEY,
    expires_at TEXT NOT NULL,
    used_by TEXT
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE logins (
    token_hash TEXT PRIMARY KEY,
    machine_id TEXT NOT NULL REFERENCES machines (id),
    name TEXT NOT NULL,
    created_at TEXT NOT NULL,
    expires_at TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX logins_machine ON logins (machine_id);

  -- whom a message to many meant when it was first sent
  CREATE TABLE sends (
    message_id TEXT PRIMARY KEY,
    hash TEXT NOT NULL,
    at TEXT NOT NULL,
    -- JSON
    targets TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE feedback (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    type TEXT NOT NULL,
    description TEXT NOT NULL,
    context TEXT NOT NULL,
    from_agent TEXT NOT NULL,
    timestamp TEXT NOT NULL
  ) STRICT;
`;
