-- The tables of design: configuration (small), log (the bulk of the bytes), queue (narrow), and
-- what several processes on one database agree by. Names and the order of columns are those of
-- SQLite, because the statements are shared.
-- Times are milliseconds since 1970; `seq` carries the moment at which it was drawn.
-- Text sorts by its bytes ("C"), as everywhere else in the program.

-- Configuration.

-- Every transaction that publishes or changes the configuration locks this one row.
CREATE TABLE configuration (
    id bigint PRIMARY KEY CHECK (id = 1),
    version bigint NOT NULL,
    last_seq bigint NOT NULL,
    -- Something sealed with the encryption key, to tell another key at once.
    sealed_check bytea
) WITH (fillfactor = 10);
INSERT INTO configuration VALUES (1, 0, 0, NULL);

-- Which changes the versions of the configuration stand for, for the other processes.
CREATE TABLE configuration_change (
    version bigint PRIMARY KEY,
    kind text COLLATE "C" NOT NULL,
    tenant_id text COLLATE "C",
    object_id text COLLATE "C",
    made_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE tenant (
    tenant_id text COLLATE "C" PRIMARY KEY,
    created_at_ms bigint NOT NULL
);

CREATE TABLE api_key (
    key_id text COLLATE "C" PRIMARY KEY,
    key_hash bytea NOT NULL,
    name text COLLATE "C" NOT NULL,
    scopes text COLLATE "C" NOT NULL,
    tenant_id text COLLATE "C",
    created_at_ms bigint NOT NULL,
    expires_at_ms bigint,
    -- Written once a minute at most, for all keys that were used.
    last_used_at_ms bigint
);

-- A deleted subscription stays as a tombstone: its deliveries remain listed.
CREATE TABLE subscription (
    subscription_id text COLLATE "C" PRIMARY KEY,
    tenant_id text COLLATE "C" NOT NULL,
    event_type text COLLATE "C" NOT NULL,
    callback_url text COLLATE "C" NOT NULL,
    status text COLLATE "C" NOT NULL,
    disabled_reason text COLLATE "C",
    description text COLLATE "C",
    sealed_headers bytea,
    ordering_enabled bigint NOT NULL,
    retry_policy text COLLATE "C",
    rate_limit_per_second double precision,
    timeout_seconds bigint NOT NULL,
    metadata text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    created_at_ms bigint NOT NULL,
    updated_at_ms bigint NOT NULL,
    -- Whether the endpoint owes a proof that it wants events, and when it gave one.
    must_prove bigint NOT NULL DEFAULT 0,
    verified_at_ms bigint,
    content_filter text COLLATE "C",
    payload_format text COLLATE "C" NOT NULL DEFAULT 'tidings',
    thin_above_bytes bigint
);
CREATE INDEX subscription_by_tenant ON subscription (tenant_id, subscription_id);
CREATE INDEX equal_subscription ON subscription (tenant_id, callback_url, event_type)
    WHERE status <> 'deleted';
CREATE INDEX idle_subscription ON subscription (tenant_id)
    WHERE status IN ('disabled', 'pending_verification');

CREATE TABLE signing_secret (
    subscription_id text COLLATE "C" NOT NULL,
    position bigint NOT NULL,
    sealed_secret bytea NOT NULL,
    created_at_ms bigint NOT NULL,
    expires_at_ms bigint,
    PRIMARY KEY (subscription_id, position)
);

CREATE TABLE endpoint_health (
    subscription_id text COLLATE "C" PRIMARY KEY,
    consecutive_failures bigint NOT NULL,
    failing_since_ms bigint,
    probe_at_ms bigint,
    probe_interval_ms bigint NOT NULL,
    held_until_ms bigint,
    -- Whether a lifecycle event has told of the failures.
    is_told bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 50);

CREATE TABLE idempotent_request (
    tenant_id text COLLATE "C" NOT NULL,
    request_key text COLLATE "C" NOT NULL,
    fingerprint bytea NOT NULL,
    sealed_answer bytea NOT NULL,
    created_at_ms bigint NOT NULL,
    PRIMARY KEY (tenant_id, request_key)
);

-- What publishers say about their event types, and the schemas that they have said.
CREATE TABLE event_type (
    tenant_id text COLLATE "C" NOT NULL,
    event_type text COLLATE "C" NOT NULL,
    description text COLLATE "C",
    schema text COLLATE "C",
    example text COLLATE "C",
    validation text COLLATE "C" NOT NULL,
    deprecated bigint NOT NULL,
    version bigint NOT NULL,
    created_at_ms bigint NOT NULL,
    updated_at_ms bigint NOT NULL,
    PRIMARY KEY (tenant_id, event_type)
);

CREATE TABLE event_type_version (
    tenant_id text COLLATE "C" NOT NULL,
    event_type text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    schema text COLLATE "C",
    created_at_ms bigint NOT NULL,
    PRIMARY KEY (tenant_id, event_type, version)
);

-- Who changed what in the configuration; `seq` carries the moment.
CREATE TABLE audit_record (
    seq bigint PRIMARY KEY,
    tenant_id text COLLATE "C",
    by_key_id text COLLATE "C" NOT NULL,
    action text COLLATE "C" NOT NULL,
    object_id text COLLATE "C" NOT NULL,
    before text COLLATE "C",
    after text COLLATE "C"
);
CREATE INDEX audit_record_by_tenant ON audit_record (tenant_id, seq);

-- The log: a partition for each day (partitions.py), which is dropped as a whole.

-- `event_key` is set only where it differs from `event_id`, so that both keys can be found again.
CREATE TABLE event (
    seq bigint PRIMARY KEY,
    tenant_id text COLLATE "C" NOT NULL,
    event_id text COLLATE "C" NOT NULL,
    event_key text COLLATE "C",
    event_type text COLLATE "C" NOT NULL,
    occurred_at text COLLATE "C" NOT NULL,
    ordering_key text COLLATE "C",
    body bytea NOT NULL,
    -- How often what an event tells was received from Tidings and published anew.
    hops bigint NOT NULL DEFAULT 0,
    -- The subscription that a lifecycle event is about, which never gets it itself.
    about text COLLATE "C"
) PARTITION BY RANGE (seq);
CREATE INDEX event_by_tenant ON event (tenant_id, seq);

-- Where the log of events begins: events up to here may have been deleted for their age, so that
-- whoever reads on from below can be told that something is missing.
CREATE TABLE event_span (
    id bigint PRIMARY KEY CHECK (id = 1),
    deleted_seq bigint NOT NULL
);
INSERT INTO event_span VALUES (1, 0);

-- Not partitioned: an id is unique over all days.
CREATE TABLE event_key (
    tenant_id text COLLATE "C" NOT NULL,
    event_key text COLLATE "C" NOT NULL,
    event_id text COLLATE "C" NOT NULL,
    event_seq bigint NOT NULL,
    content_hash bytea NOT NULL,
    deliveries bigint NOT NULL,
    PRIMARY KEY (tenant_id, event_key)
);

CREATE TABLE finished_delivery (
    tenant_id text COLLATE "C" NOT NULL,
    delivery_id text COLLATE "C" NOT NULL,
    subscription_id text COLLATE "C" NOT NULL,
    event_seq bigint NOT NULL,
    round bigint NOT NULL,
    attempt_count bigint NOT NULL,
    status text COLLATE "C" NOT NULL,
    reason text COLLATE "C",
    finished_at_ms bigint NOT NULL,
    form bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant_id, delivery_id)
) PARTITION BY RANGE (delivery_id);
CREATE INDEX finished_by_subscription ON finished_delivery (subscription_id, delivery_id);
CREATE INDEX finished_by_event ON finished_delivery (event_seq);
CREATE INDEX dead_letter_by_tenant ON finished_delivery (tenant_id, delivery_id)
    WHERE status = 'dead_lettered';
CREATE INDEX dead_letter_by_subscription ON finished_delivery (subscription_id, delivery_id)
    WHERE status = 'dead_lettered';

CREATE INDEX cancelled_by_tenant ON finished_delivery (tenant_id, delivery_id)
    WHERE status = 'cancelled';
CREATE INDEX cancelled_by_subscription ON finished_delivery (subscription_id, delivery_id)
    WHERE status = 'cancelled';

CREATE TABLE attempt (
    delivery_id text COLLATE "C" NOT NULL,
    number bigint NOT NULL,
    attempt_id text COLLATE "C" NOT NULL,
    round bigint NOT NULL,
    started_at_ms bigint NOT NULL,
    duration_ms bigint NOT NULL,
    outcome text COLLATE "C" NOT NULL,
    status_code bigint,
    error_class text COLLATE "C",
    error_detail text COLLATE "C",
    sent_by text COLLATE "C" NOT NULL,
    custom_header_names text COLLATE "C",
    response_headers text COLLATE "C",
    response_body bytea,
    PRIMARY KEY (delivery_id, number)
) PARTITION BY RANGE (delivery_id);

-- The queue.

-- The unfinished only: a delivery is unfinished exactly while its row is here. So rows come and go
-- all the time: vacuum often, however large the table has become, and never lock it to shorten it.
CREATE TABLE delivery (
    seq bigint PRIMARY KEY,
    delivery_id text COLLATE "C" NOT NULL,
    tenant_id text COLLATE "C" NOT NULL,
    subscription_id text COLLATE "C" NOT NULL,
    event_seq bigint NOT NULL,
    round bigint NOT NULL,
    attempt_count bigint NOT NULL,
    schedule_position bigint NOT NULL,
    due_at_ms bigint,
    ordering_key text COLLATE "C",
    kept_due_at_ms bigint,
    is_single bigint NOT NULL,
    -- What is sent, fixed when the row is created:
    -- 0 the event, 1 the event without its data, 2 a CloudEvent, 3 a CloudEvent without its data.
    form bigint NOT NULL DEFAULT 0,
    shard bigint NOT NULL DEFAULT 0
) WITH (
    fillfactor = 90,
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 20000,
    autovacuum_vacuum_insert_scale_factor = 0,
    autovacuum_vacuum_insert_threshold = 100000,
    autovacuum_analyze_scale_factor = 0.05,
    autovacuum_analyze_threshold = 5000,
    vacuum_truncate = false
);
CREATE UNIQUE INDEX delivery_by_id ON delivery (tenant_id, delivery_id);
CREATE INDEX delivery_by_subscription ON delivery (subscription_id, seq);
CREATE INDEX delivery_by_event ON delivery (event_seq);
CREATE INDEX delivery_by_due ON delivery (shard, due_at_ms, seq) WHERE due_at_ms IS NOT NULL;
CREATE INDEX delivery_by_subscription_due ON delivery (subscription_id, due_at_ms)
    WHERE due_at_ms IS NOT NULL;
CREATE INDEX delivery_by_lane ON delivery (subscription_id, ordering_key, seq)
    WHERE ordering_key IS NOT NULL;

-- Rows of the queue that somebody else than their owner has changed or ended.
CREATE TABLE row_change (
    seq bigint PRIMARY KEY,
    shard bigint NOT NULL,
    subscription_id text COLLATE "C" NOT NULL,
    row_seq bigint NOT NULL,
    ordering_key text COLLATE "C"
);

CREATE TABLE replay (
    replay_id text COLLATE "C" PRIMARY KEY,
    tenant_id text COLLATE "C" NOT NULL,
    "only" text COLLATE "C" NOT NULL,
    subscription_id text COLLATE "C",
    patterns text COLLATE "C",
    since_ms bigint,
    until_ms bigint,
    total bigint NOT NULL,
    done bigint NOT NULL,
    cursor text COLLATE "C" NOT NULL,
    created_at_ms bigint NOT NULL,
    finished_at_ms bigint
);
CREATE INDEX replay_unfinished ON replay (replay_id) WHERE finished_at_ms IS NULL;

-- Statistics: what came of attempts within a span of time, and how long they took.
-- Without a subscription's id it is the whole tenant.
CREATE TABLE roll_up (
    tenant_id text COLLATE "C" NOT NULL,
    subscription_id text COLLATE "C" NOT NULL,
    start_ms bigint NOT NULL,
    span_seconds bigint NOT NULL,
    -- Who counted: several may within the same span, and each replaces only what is its own.
    writer bigint NOT NULL,
    delivered bigint NOT NULL,
    failed bigint NOT NULL,
    throttled bigint NOT NULL,
    gone bigint NOT NULL,
    blocked bigint NOT NULL,
    our_fault bigint NOT NULL,
    dead_lettered bigint NOT NULL,
    -- Bins and how many lie in each.
    latencies bytea NOT NULL,
    PRIMARY KEY (tenant_id, subscription_id, start_ms, span_seconds, writer)
);
CREATE INDEX roll_up_by_age ON roll_up (span_seconds, start_ms);

-- Coordination (core/ownership.py says what it is for).

-- The sessions of workers. An id is never used again; expiry is by the clock of this database.
CREATE TABLE worker (
    session text COLLATE "C" PRIMARY KEY,
    expires_at timestamptz NOT NULL
) WITH (fillfactor = 10);

-- `version` rises with every change of the owner. Until `silent_until` a lost owner may still have
-- requests on their way, whoever owns the shard meanwhile.
CREATE TABLE shard (
    shard bigint PRIMARY KEY,
    owner text COLLATE "C",
    version bigint NOT NULL,
    silent_until timestamptz
) WITH (fillfactor = 25);
INSERT INTO shard SELECT number, NULL, 0, NULL FROM generate_series(0, 255) AS number;

-- What exactly one process does at a time, such as the retention.
CREATE TABLE lease (
    name text COLLATE "C" PRIMARY KEY,
    session text COLLATE "C" NOT NULL,
    expires_at timestamptz NOT NULL
);

-- The rule of core/pattern.py: whether one of the patterns, separated by commas, selects the type.
-- No patterns select everything. Together they become one regular expression: `*` is a segment, at
-- the end (`@` meanwhile) one or more, and as the first one not that of our own types. It is kept
-- to one expression, so that it is planned as a part of the statement that calls it.
CREATE FUNCTION matches(patterns text, event_type text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN patterns IS NULL OR event_type ~ (
    '^(?:'
    || replace(replace(replace(
        regexp_replace(
            regexp_replace(
                replace(replace(patterns, ' ', ''), '.', '[.]'),
                '[*](?=,|$)', '@', 'g'
            ),
            '(^|,)(?=[*@])', '\1(?!tidings(?:[.]|$))', 'g'
        ),
        ',', '|'), '*', '[^.]+'), '@', '[^.]+(?:[.][^.]+)*')
    || ')$'
);
