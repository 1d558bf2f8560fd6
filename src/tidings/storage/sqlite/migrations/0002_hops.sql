-- How often what an event tells was received from Tidings and published anew.
ALTER TABLE event ADD COLUMN hops INTEGER NOT NULL DEFAULT 0;
