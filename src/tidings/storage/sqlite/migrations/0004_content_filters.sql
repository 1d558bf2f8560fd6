-- A subscription may ask for events by what stands in their data: the filter as it was given.
ALTER TABLE subscription ADD COLUMN content_filter TEXT;
