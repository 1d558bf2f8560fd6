-- The slice of all subscriptions to which a delivery belongs: the same in every database, so that
-- one can be copied into another. On SQLite one process works on all of them.
ALTER TABLE delivery ADD COLUMN shard INTEGER NOT NULL DEFAULT 0;
