-- Statistics: what came of attempts within a span of time, and how long they took.
-- Without a subscription's id it is the whole tenant.
CREATE TABLE roll_up (
    tenant_id TEXT NOT NULL,
    subscription_id TEXT NOT NULL,
    start_ms INTEGER NOT NULL,
    span_seconds INTEGER NOT NULL,
    -- Who counted: several may within the same span, and each replaces only what is its own.
    writer INTEGER NOT NULL,
    delivered INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    throttled INTEGER NOT NULL,
    gone INTEGER NOT NULL,
    blocked INTEGER NOT NULL,
    our_fault INTEGER NOT NULL,
    dead_lettered INTEGER NOT NULL,
    -- Bins and how many lie in each.
    latencies BLOB NOT NULL,
    PRIMARY KEY (tenant_id, subscription_id, start_ms, span_seconds, writer)
) STRICT, WITHOUT ROWID;
CREATE INDEX roll_up_by_age ON roll_up (span_seconds, start_ms);
