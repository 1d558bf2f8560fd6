-- Who changed what in the configuration; `seq` carries the moment.
CREATE TABLE audit_record (
    seq INTEGER PRIMARY KEY,
    tenant_id TEXT,
    by_key_id TEXT NOT NULL,
    action TEXT NOT NULL,
    object_id TEXT NOT NULL,
    before TEXT,
    after TEXT
) STRICT;
CREATE INDEX audit_record_by_tenant ON audit_record (tenant_id, seq);

-- Written once a minute at most, for all keys that were used.
ALTER TABLE api_key ADD COLUMN last_used_at_ms INTEGER;
