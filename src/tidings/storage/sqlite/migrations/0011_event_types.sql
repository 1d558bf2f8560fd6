-- What publishers say about their event types, and the schemas that they have said.
CREATE TABLE event_type (
    tenant_id TEXT NOT NULL,
    event_type TEXT NOT NULL,
    description TEXT,
    schema TEXT,
    example TEXT,
    validation TEXT NOT NULL,
    deprecated INTEGER NOT NULL,
    version INTEGER NOT NULL,
    created_at_ms INTEGER NOT NULL,
    updated_at_ms INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, event_type)
) STRICT, WITHOUT ROWID;

CREATE TABLE event_type_version (
    tenant_id TEXT NOT NULL,
    event_type TEXT NOT NULL,
    version INTEGER NOT NULL,
    schema TEXT,
    created_at_ms INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, event_type, version)
) STRICT, WITHOUT ROWID;
