-- Events about subscriptions, published into their own tenant.

-- The subscription that a lifecycle event is about, which never gets it itself.
ALTER TABLE event ADD COLUMN about TEXT;

-- Whether a lifecycle event has told of the failures.
ALTER TABLE endpoint_health ADD COLUMN is_told INTEGER NOT NULL DEFAULT 0;
