-- The tables of design: configuration (small), log (the bulk of the bytes), queue (narrow).
-- Times are milliseconds since 1970; `seq` carries the moment at which it was drawn.

CREATE TABLE configuration (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    version INTEGER NOT NULL,
    last_seq INTEGER NOT NULL,
    -- Something sealed with the encryption key, to tell another key at once.
    sealed_check BLOB
) STRICT;
INSERT INTO configuration VALUES (1, 0, 0, NULL);

CREATE TABLE tenant (
    tenant_id TEXT NOT NULL PRIMARY KEY,
    created_at_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE api_key (
    key_id TEXT NOT NULL PRIMARY KEY,
    key_hash BLOB NOT NULL,
    name TEXT NOT NULL,
    scopes TEXT NOT NULL,
    tenant_id TEXT,
    created_at_ms INTEGER NOT NULL,
    expires_at_ms INTEGER
) STRICT, WITHOUT ROWID;

-- A deleted subscription stays as a tombstone: its deliveries remain listed.
CREATE TABLE subscription (
    subscription_id TEXT NOT NULL PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    event_type TEXT NOT NULL,
    callback_url TEXT NOT NULL,
    status TEXT NOT NULL,
    disabled_reason TEXT,
    description TEXT,
    sealed_headers BLOB,
    ordering_enabled INTEGER NOT NULL,
    retry_policy TEXT,
    rate_limit_per_second REAL,
    timeout_seconds INTEGER NOT NULL,
    metadata TEXT NOT NULL,
    version INTEGER NOT NULL,
    created_at_ms INTEGER NOT NULL,
    updated_at_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX subscription_by_tenant ON subscription (tenant_id, subscription_id);

CREATE TABLE signing_secret (
    subscription_id TEXT NOT NULL,
    position INTEGER NOT NULL,
    sealed_secret BLOB NOT NULL,
    created_at_ms INTEGER NOT NULL,
    expires_at_ms INTEGER,
    PRIMARY KEY (subscription_id, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE endpoint_health (
    subscription_id TEXT NOT NULL PRIMARY KEY,
    consecutive_failures INTEGER NOT NULL,
    failing_since_ms INTEGER,
    probe_at_ms INTEGER,
    probe_interval_ms INTEGER NOT NULL,
    held_until_ms INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE idempotent_request (
    tenant_id TEXT NOT NULL,
    request_key TEXT NOT NULL,
    fingerprint BLOB NOT NULL,
    sealed_answer BLOB NOT NULL,
    created_at_ms INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, request_key)
) STRICT, WITHOUT ROWID;

-- `event_key` is set only where it differs from `event_id`, so that both keys can be found again.
CREATE TABLE event (
    seq INTEGER PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    event_id TEXT NOT NULL,
    event_key TEXT,
    event_type TEXT NOT NULL,
    occurred_at TEXT NOT NULL,
    ordering_key TEXT,
    body BLOB NOT NULL
) STRICT;
CREATE INDEX event_by_tenant ON event (tenant_id, seq);

CREATE TABLE event_key (
    tenant_id TEXT NOT NULL,
    event_key TEXT NOT NULL,
    event_id TEXT NOT NULL,
    event_seq INTEGER NOT NULL,
    content_hash BLOB NOT NULL,
    deliveries INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, event_key)
) STRICT, WITHOUT ROWID;

-- The unfinished only: a delivery is unfinished exactly while its row is here.
CREATE TABLE delivery (
    seq INTEGER PRIMARY KEY,
    delivery_id TEXT NOT NULL,
    tenant_id TEXT NOT NULL,
    subscription_id TEXT NOT NULL,
    event_seq INTEGER NOT NULL,
    round INTEGER NOT NULL,
    attempt_count INTEGER NOT NULL,
    schedule_position INTEGER NOT NULL,
    due_at_ms INTEGER,
    ordering_key TEXT,
    kept_due_at_ms INTEGER,
    is_single INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX delivery_by_id ON delivery (tenant_id, delivery_id);
CREATE INDEX delivery_by_subscription ON delivery (subscription_id, seq);
CREATE INDEX delivery_by_event ON delivery (event_seq);
CREATE INDEX delivery_by_due ON delivery (due_at_ms, seq) WHERE due_at_ms IS NOT NULL;
CREATE INDEX delivery_by_subscription_due ON delivery (subscription_id, due_at_ms)
    WHERE due_at_ms IS NOT NULL;
CREATE INDEX delivery_by_lane ON delivery (subscription_id, ordering_key, seq)
    WHERE ordering_key IS NOT NULL;

CREATE TABLE finished_delivery (
    tenant_id TEXT NOT NULL,
    delivery_id TEXT NOT NULL,
    subscription_id TEXT NOT NULL,
    event_seq INTEGER NOT NULL,
    round INTEGER NOT NULL,
    attempt_count INTEGER NOT NULL,
    status TEXT NOT NULL,
    reason TEXT,
    finished_at_ms INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, delivery_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX finished_by_subscription ON finished_delivery (subscription_id, delivery_id);
CREATE INDEX finished_by_event ON finished_delivery (event_seq);
CREATE INDEX dead_letter_by_tenant ON finished_delivery (tenant_id, delivery_id)
    WHERE status = 'dead_lettered';
CREATE INDEX dead_letter_by_subscription ON finished_delivery (subscription_id, delivery_id)
    WHERE status = 'dead_lettered';

CREATE TABLE attempt (
    delivery_id TEXT NOT NULL,
    number INTEGER NOT NULL,
    attempt_id TEXT NOT NULL,
    round INTEGER NOT NULL,
    started_at_ms INTEGER NOT NULL,
    duration_ms INTEGER NOT NULL,
    outcome TEXT NOT NULL,
    status_code INTEGER,
    error_class TEXT,
    error_detail TEXT,
    sent_by TEXT NOT NULL,
    custom_header_names TEXT,
    response_headers TEXT,
    response_body BLOB,
    PRIMARY KEY (delivery_id, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE replay (
    replay_id TEXT NOT NULL PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    only TEXT NOT NULL,
    subscription_id TEXT,
    patterns TEXT,
    since_ms INTEGER,
    until_ms INTEGER,
    total INTEGER NOT NULL,
    done INTEGER NOT NULL,
    cursor TEXT NOT NULL,
    created_at_ms INTEGER NOT NULL,
    finished_at_ms INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX replay_unfinished ON replay (replay_id) WHERE finished_at_ms IS NULL;
