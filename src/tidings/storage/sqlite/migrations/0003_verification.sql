-- Whether a subscription's endpoint owes a proof that it wants events, and when it gave one.

ALTER TABLE subscription ADD COLUMN must_prove INTEGER NOT NULL DEFAULT 0;
ALTER TABLE subscription ADD COLUMN verified_at_ms INTEGER;
