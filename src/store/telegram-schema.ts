// The schema's step for Telegram (migrations.ts).

export const telegramStep = `
  CREATE TABLE telegram_settings (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;

  -- seq: order of arrival, to forget the oldest
  CREATE TABLE telegram_updates (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    update_id INTEGER NOT NULL UNIQUE
  ) STRICT;

  CREATE TABLE telegram_topics (place TEXT PRIMARY KEY, topic INTEGER NOT NULL UNIQUE) STRICT, WITHOUT ROWID;

  CREATE TABLE telegram_items (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    key TEXT NOT NULL UNIQUE,
    place TEXT NOT NULL,
    kind TEXT NOT NULL,
    ref TEXT NOT NULL,
    body TEXT,
    reply_to INTEGER,
    nonce TEXT UNIQUE,
    -- the part to post next; null once all are posted
    next_part INTEGER DEFAULT 0
  ) STRICT;
  CREATE INDEX telegram_items_waiting ON telegram_items (place, seq) WHERE next_part IS NOT NULL;
  CREATE INDEX telegram_items_kind ON telegram_items (kind, seq);
  CREATE INDEX telegram_items_ref ON telegram_items (ref) WHERE ref <> '';

  CREATE TABLE telegram_posts (
    message_id INTEGER PRIMARY KEY,
    hash TEXT NOT NULL,
    changes INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX telegram_posts_changed ON telegram_posts (message_id) WHERE changes > 0;

  CREATE TABLE telegram_shown (
    message_id INTEGER NOT NULL REFERENCES telegram_posts (message_id),
    seq INTEGER NOT NULL REFERENCES telegram_items (seq),
    part INTEGER NOT NULL,
    PRIMARY KEY (message_id, seq, part)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX telegram_shown_item ON telegram_shown (seq);
`;
