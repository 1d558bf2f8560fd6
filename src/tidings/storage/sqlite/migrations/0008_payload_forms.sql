-- What a subscription wants to be sent, and what each delivery sends, fixed when it is created:
-- 0 the event, 1 the event without its data, 2 a CloudEvent, 3 a CloudEvent without its data.
ALTER TABLE subscription ADD COLUMN payload_format TEXT NOT NULL DEFAULT 'tidings';
ALTER TABLE subscription ADD COLUMN thin_above_bytes INTEGER;
ALTER TABLE delivery ADD COLUMN form INTEGER NOT NULL DEFAULT 0;
ALTER TABLE finished_delivery ADD COLUMN form INTEGER NOT NULL DEFAULT 0;
