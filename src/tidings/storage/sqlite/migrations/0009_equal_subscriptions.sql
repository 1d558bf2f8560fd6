-- How many subscriptions of a tenant have the same callback URL and event type, and how many take
-- no events: both are asked whenever one is created.

CREATE INDEX equal_subscription ON subscription (tenant_id, callback_url, event_type)
    WHERE status <> 'deleted';
CREATE INDEX idle_subscription ON subscription (tenant_id)
    WHERE status IN ('disabled', 'pending_verification');
