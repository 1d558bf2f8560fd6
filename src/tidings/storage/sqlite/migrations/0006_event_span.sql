-- Where the log of events begins: events up to here may have been deleted for their age, so that
-- whoever reads on from below can be told that something is missing.
CREATE TABLE event_span (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    deleted_seq INTEGER NOT NULL
) STRICT;
INSERT INTO event_span VALUES (1, 0);
